"""init: a project from what can be found out, in anybody's repository; nothing that is there is lost."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import init
from sweep import basefile, layout, settings, yamlfile
from sweep.basefile import Facts
from sweep.errors import BadInput
from sweep.layout import Clone, Kit

NOTHING = Facts("", "", "", "", "", None, False)


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository without a commit, in which init is called; kubectl knows of nothing."""
    root = tmp_path / "repo"
    git(tmp_path, "init", "--quiet", str(root))
    monkeypatch.setattr(layout, "_named", [root])
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    return root


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.rstrip("\n")


def settings_of(root: Path) -> settings.Settings:
    path = root / "values" / "base.yaml"
    return settings.read(Kit.here().chart, yamlfile.parse(path.read_text(), "values/base.yaml"))


@pytest.mark.parametrize(
    ("dockerfile", "image"),
    [
        ("FROM python:3.12\nRUN x", "python:3.12"),
        ("# FROM no\nfrom --platform=linux/amd64 \\\n  ghcr.io/a/b@sha256:00 as x", "ghcr.io/a/b@sha256:00"),
        ("FROM golang AS build\nFROM build\n", "golang"),
        ("ARG TAG=2.9\nARG BASE\nFROM pytorch:${TAG} AS one\nFROM alpine as two\nFROM one", "pytorch:2.9"),
        ("ARG BASE\nFROM ${BASE:-debian}", "debian"),
        ("ARG BASE\nFROM $BASE", ""),
        ("FROM scratch", ""),
        ("FROM\n", ""),
        ("", ""),
    ],
)
def test_the_image_is_that_of_the_last_stage(dockerfile: str, image: str) -> None:
    assert basefile.image(dockerfile) == image


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("host:5000/a/b:1", {"repository": "host:5000/a/b", "tag": "1"}),
        ("host:5000/a/b", {"repository": "host:5000/a/b", "tag": "latest"}),
        ("a@sha256:00", {"repository": "a", "digest": "sha256:00"}),
    ],
)
def test_an_image_is_taken_apart_as_the_chart_wants_it(image: str, parts: dict[str, str]) -> None:
    assert basefile.parts(image) == parts


@pytest.mark.parametrize(
    "facts",
    [
        NOTHING,
        Facts("a/b:1", "Dockerfile", "requirements.lock", "prod", "ml", (), True),
        Facts("", "", "", "prod: \"x\"", "", ("data", "scratch", "sweep-results"), False),
        Facts("", "", "", "prod", "ml", ("one",), False),
    ],
)  # fmt: skip
def test_whatever_was_found_the_file_fits_the_chart(facts: Facts, tmp_path: Path) -> None:
    (tmp_path / "values").mkdir()
    (tmp_path / "values" / "base.yaml").write_text(basefile.text(facts))
    given = settings_of(tmp_path)
    assert given.cluster.context == (facts.context if facts.claims is not None else "")
    claim = {None: "", (): "", ("one",): "one"}.get(facts.claims, "sweep-results")
    data = yamlfile.parse(basefile.text(facts), "values/base.yaml").data
    assert data.get("results") == ({"volume": {"pvc": {"claimName": claim}}} if claim else None)
    assert (given.local.requirements or "") == facts.lock


def test_init_writes_and_commits_two_files_and_nothing_else(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repo / "train.py").touch()
    (repo / "Dockerfile").write_text("FROM ghcr.io/me/mine:7\n")
    assert init.main([]) == 0
    assert git(repo, "show", "--name-only", "--format=%s") == (
        "Make a project for helm-sweep\n\n.gitignore\nvalues/base.yaml"
    )
    assert git(repo, "status", "--porcelain") == "?? Dockerfile\n?? train.py"
    assert (settings_of(repo).image.repository, settings_of(repo).image.tag) == ("ghcr.io/me/mine", "7")
    assert (repo / ".gitignore").read_text() == "/out/\n/results/\n"
    head = git(repo, "rev-parse", "HEAD")
    capsys.readouterr()
    assert init.main([]) == 0
    assert "values/base.yaml: exists already; left as it is" in capsys.readouterr().err
    assert git(repo, "rev-parse", "HEAD") == head


def test_a_persons_own_lines_stay_and_are_not_committed_for_them(repo: Path) -> None:
    (repo / ".gitignore").write_text("/results/\n*.pyc")
    assert init.main([]) == 0
    assert (repo / ".gitignore").read_text() == "/results/\n*.pyc\n/out/\n"
    assert git(repo, "status", "--porcelain") == "?? .gitignore"


def test_a_folder_of_a_monorepo_is_a_project_of_its_own(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repo / "ml").mkdir()
    monkeypatch.setattr(layout, "_named", [repo / "ml"])
    assert init.main(["--vendor"]) == 0
    assert git(repo, "ls-files").split() == ["ml/.gitignore", "ml/values/base.yaml"]
    assert Clone.here().root == repo / "ml"
    assert Clone.here().chart == repo / "ml" / "chart"
    tree = {path.relative_to(repo / "ml" / "chart") for path in (repo / "ml" / "chart").rglob("*")}
    assert Path("files/trial.py") in tree
    assert Path("Chart.yaml") in tree


def test_without_commit_the_files_alone_are_written(repo: Path) -> None:
    assert init.main(["--no-commit"]) == 0
    assert git(repo, "status", "--porcelain", "-uall") == "?? .gitignore\n?? values/base.yaml"


def test_outside_a_repository_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_named", [tmp_path])
    with pytest.raises(BadInput, match=r"not in a git repository; clone it with git, or run `git init`$"):
        init.main([])


def test_a_cluster_that_answers_is_taken_and_one_that_does_not_is_a_comment(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text(
        "current-context: prod\ncontexts: [{name: prod, context: {cluster: c, user: u, namespace: ml}}]\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(config))
    facts = init.look(repo)
    assert (facts.context, facts.namespace, facts.claims) == ("prod", "ml", None)
    assert '# cluster: {context: "prod", namespace: "ml"}' in basefile.text(facts)
    claim = {"metadata": {"name": "results"}, "spec": {"accessModes": ["ReadWriteMany"]}}
    own = {"metadata": {"name": "disk"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    monkeypatch.setattr("sweep.engines.cluster.Cluster.list", lambda *_, **__: [own, claim])
    assert init.look(repo).claims == ("results",)


def test_a_lock_file_is_one_with_a_hash_for_every_line() -> None:
    assert basefile.is_lock("torch==2.0 \\\n    --hash=sha256:00\n")
    assert not basefile.is_lock("torch==2.0\n")
    assert not basefile.is_lock("")
