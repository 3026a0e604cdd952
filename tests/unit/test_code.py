"""Frozen code: which files, and that Helm, ruamel and PyYAML read them back to the byte."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sweep import code
from sweep.code import Bundle, Pin
from sweep.errors import BadInput
from tests.unit import odd_files

HELM = str(Path(sys.executable).with_name("helm"))
PIECES = [" ", "\t", "\n", "\n\n", "\r\n", "\r", "a", "é", "🙂", "#", "---", "%", "{{ x }}", ": ", "- ", "\x00", "\x85"]
PIECES += [
    "\ufeff",
    "\u2028",
    "|",
    ">",
    '"',
    "'",
    "\\",
    "...",
    "&a",
    "*a",
    "!x",
    "\x07",
    "\x7f",
    "def f():\n    return 1\n",
]
nasty = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
NASTY = [
    "",
    "\n",
    "a",
    "a\n",
    "a\n\n",
    "\n\na\n",
    "  a\n b\n",
    "\ta\n",
    "a\n \n",
    "a\n  \n\n",
    "a \nb\t\n",
    "\n \ta\n",
    "a\n ",
    "#\n",
]


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with one commit and a folder trainer/ of two files."""
    for key, value in {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(key, value)
    root = tmp_path / "clone"
    (root / "trainer").mkdir(parents=True)
    (root / "trainer" / "train.py").write_text("print('hello')\nprint('world')\n")
    (root / "trainer" / "README.md").write_text("for people\n")
    (root / ".gitignore").write_text("*.pyc\n")
    git(root, "init", "--quiet", "--initial-branch=main")
    save(root)
    return root


def git(root: Path, *words: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    return subprocess.run(
        ["git", *identity, *words], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def save(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=x")


def content(entry: Any) -> bytes:
    """The bytes that the runner writes for an entry of code.files."""
    if isinstance(entry, str):
        return entry.encode()
    return base64.b64decode(entry["base64"]) if "base64" in entry else entry["text"].encode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(nasty, min_size=1, max_size=6))
@example(NASTY)
def test_every_text_is_read_back_by_ruamel_and_pyyaml(tmp_path: Path, texts: list[str]) -> None:
    bundle = frozen(tmp_path, texts)
    assert code.parse(code.dump(bundle), "code.yaml") == bundle
    assert yaml.safe_load(code.dump(bundle))["code"]["files"] == bundle.files
    assert [content(bundle.files[str(index)]) for index in range(len(texts))] == [text.encode() for text in texts]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(nasty, min_size=30, max_size=60))
@example(NASTY)
def test_every_text_is_read_back_by_helm_and_survives_its_manifest(tmp_path: Path, texts: list[str]) -> None:
    bundle = frozen(tmp_path, texts)
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True, exist_ok=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: t\nversion: 0.1.0\n")
    # As chart/templates/code.yaml has it: JSON in JSON in YAML.
    (chart / "templates" / "code.yaml").write_text(
        'data: {{ dict "files.json" (toJson .Values.code.files) | toJson }}\n'
    )
    (tmp_path / "code.yaml").write_bytes(code.dump(bundle).encode())
    call = [HELM, "template", "t", chart, "-f", tmp_path / "code.yaml"]
    done = subprocess.run(call, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    manifest = yaml.load(done.stdout.decode(), yaml.CSafeLoader)
    assert json.loads(manifest["data"]["files.json"]) == bundle.files


def frozen(folder: Path, texts: list[str]) -> Bundle:
    entries = {}
    for index, text in enumerate(texts):
        path = folder / str(index)
        path.write_bytes(text.encode())
        path.chmod(0o755 if index % 5 == 4 else 0o644)
        entries[str(index)] = code._entry(path, str(index))
    return Bundle("trainer", "1" * 40, "12345678", entries)


def test_code_is_written_for_people_to_read() -> None:
    files = {
        "b.bin": {"base64": "AAE="},
        "run.sh": {"text": "#!/bin/sh\necho\n", "executable": True},
        "a.py": "if x:\n    y\n\nz",
        "i.py": "  a\nb\n\n",
        "crlf.py": "a\r\nb\r\n",
    }
    assert code.dump(Bundle("trainer", "t", "c", files)) == (
        "# Frozen by expand from trainer; `expand --repin` renews it. Only `files` is part of a trial's id.\n"
        "code:\n"
        "  source: bundle\n"
        '  path: "trainer"\n'
        '  tree: "t"\n'
        '  commit: "c"\n'
        "  files:\n"
        '    "a.py": |-\n'
        "      if x:\n"
        "          y\n"
        "\n"
        "      z\n"
        '    "b.bin":\n'
        '      base64: "AAE="\n'
        '    "crlf.py": "a\\r\\nb\\r\\n"\n'
        '    "i.py": |2+\n'
        "        a\n"
        "      b\n"
        "\n"
        '    "run.sh":\n'
        "      executable: true\n"
        "      text: |\n"
        "        #!/bin/sh\n"
        "        echo\n"
    )


def test_what_git_would_take_is_frozen_and_what_is_for_people_is_not(repo: Path) -> None:
    trainer = repo / "trainer"
    for name in ("requirements.txt", "requirements-gpu.lock", "Dockerfile", "junk.pyc"):
        (trainer / name).write_text("x")
    (trainer / "requirements_check.py").write_text("new = 1\n")
    (trainer / "sub").mkdir()
    (trainer / "sub" / "README.md").write_text("data of a trial\n")
    (trainer / "data.bin").write_bytes(b"\xff\x00")
    (trainer / "run.sh").write_text("#!/bin/sh\nexit 0\n")
    (trainer / "run.sh").chmod(0o755)
    assert code.freeze(repo, trainer).files == {
        "data.bin": {"base64": "/wA="},
        "requirements_check.py": "new = 1\n",
        "run.sh": {"text": "#!/bin/sh\nexit 0\n", "executable": True},
        "sub/README.md": "data of a trial\n",
        "train.py": "print('hello')\nprint('world')\n",
    }


def test_a_clean_folder_has_git_s_tree_and_commit_a_dirty_one_says_so(repo: Path) -> None:
    bundle = code.freeze(repo, repo / "trainer")
    assert (bundle.path, bundle.commit) == ("trainer", git(repo, "rev-parse", "HEAD"))
    assert bundle.tree == git(repo, "rev-parse", "HEAD:trainer")
    (repo / "trainer" / "train.py").write_text("changed\n")
    changed = code.freeze(repo, repo / "trainer")
    assert (changed.tree, changed.commit) == ("", bundle.commit + "-dirty")
    assert code.differences(bundle, changed) == ["train.py"]
    (repo / "trainer" / "train.py").unlink()
    (repo / "trainer" / "other.py").write_text("x\n")
    assert code.differences(bundle, code.freeze(repo, repo / "trainer")) == ["other.py", "train.py"]


def test_a_project_that_is_code_from_its_top_freezes_no_sweep_and_nothing_of_git(repo: Path) -> None:
    (repo / "values" / "mine").mkdir(parents=True)
    before = code.freeze(repo, repo)
    (repo / "values" / "mine" / "results.csv").write_text("id\n")
    (repo / ".github").mkdir()
    (repo / ".github" / "ci.yaml").touch()
    assert code.changed(repo, ".") == []
    assert code.freeze(repo, repo) == before
    assert (before.path, sorted(before.files)) == (".", ["trainer/README.md", "trainer/train.py"])
    (repo / "trainer" / "train.py").write_text("changed\n")
    assert code.changed(repo, ".") == ["trainer/train.py"]
    assert code.freeze(repo, repo).tree == ""


def test_freezing_twice_gives_the_same_bytes(repo: Path) -> None:
    assert code.dump(code.freeze(repo, repo / "trainer")) == code.dump(code.freeze(repo, repo / "trainer"))


def test_code_that_does_not_fit_is_refused_with_its_size(repo: Path) -> None:
    noise = random.Random(0)
    (repo / "trainer" / "big.txt").write_text("".join(chr(noise.randrange(32, 127)) for _ in range(150_000)))
    with pytest.raises(
        BadInput, match=r"^trainer: 12\d,\d{3} bytes compressed, at most 100,000 fit into a release; name"
    ):
        code.freeze(repo, repo / "trainer")


def test_huge_files_are_refused_without_being_read(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in [("small.bin", 20 << 20), ("huge.bin", 4 << 40)]:
        odd_files.sparse(repo / "trainer" / name, size)
    monkeypatch.setattr(code.git, "dirty", lambda *_: ["trainer/huge.bin"])  # git itself would hash it
    with pytest.raises(BadInput, match=r"^trainer/huge.bin: 4,398,046,511,104 bytes; all files .* 33,554,432 together"):
        code.freeze(repo, repo / "trainer")
    (repo / "trainer" / "huge.bin").unlink()
    odd_files.sparse(repo / "trainer" / "small2.bin", 20 << 20)
    with pytest.raises(BadInput, match=r"^trainer/small2?.bin: 20,971,520 bytes; all files"):
        code.freeze(repo, repo / "trainer")


def test_links_are_refused(repo: Path) -> None:
    (repo / "trainer" / "link.py").symlink_to("train.py")
    with pytest.raises(BadInput, match=r"^trainer/link.py: a link or a special file, which cannot be frozen; copy"):
        code.freeze(repo, repo / "trainer")


def test_a_folder_outside_or_without_files_is_refused(repo: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a folder of this project"):
        code.freeze(repo, tmp_path)
    (repo / "empty").mkdir()
    with pytest.raises(BadInput, match=r"^empty: no files that git would take"):
        code.freeze(repo, repo / "empty")


def test_a_file_that_is_no_bundle_is_left_to_its_author() -> None:
    assert code.parse("code: {source: image}\n", "code.yaml") is None
    with pytest.raises(BadInput, match=r"^code.yaml:1: code: files is missing; `expand --repin` writes"):
        code.parse("code: {source: bundle, path: a, tree: b, commit: c}\n", "code.yaml")
    with pytest.raises(BadInput, match=r"^code.yaml:1: code is missing"):
        code.parse("cod: {}\n", "code.yaml")


# ---- pinned, not shipped ----


def test_code_from_git_is_pinned_at_head(repo: Path) -> None:
    url = str(repo)
    pin = code.pin(url, "trainer")
    tree, commit = git(repo, "rev-parse", "HEAD:trainer"), git(repo, "rev-parse", "HEAD")
    assert pin == Pin(url, "trainer", tree, commit)
    assert code.dump(pin) == (
        "# Pinned by expand at trainer; `expand --repin` renews it. Only `tree` is part of a trial's id.\n"
        "code:\n"
        "  source: git\n"
        f'  url: "{url}"\n'
        '  path: "trainer"\n'
        f'  tree: "{tree}"\n'
        f'  commit: "{commit}"\n'
    )
    assert code.parse(code.dump(pin), "code.yaml") == pin
    assert code.pin(url, ".").tree == git(repo, "rev-parse", "HEAD^{tree}")


def test_a_commit_elsewhere_is_no_change_of_pinned_code(repo: Path) -> None:
    before = code.pin(str(repo), "trainer")
    (repo / "other").write_text("x\n")
    save(repo)
    assert code.differences(before, code.pin(str(repo), "trainer")) == []
    (repo / "trainer" / "train.py").write_text("x\n")
    save(repo)
    assert code.differences(before, code.pin(str(repo), "trainer")) == ["trainer"]
