"""Where the program finds a person's project, in every shape that a Git repository has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sweep import git, layout, worktrees
from sweep.errors import BadInput
from sweep.layout import Clone, Kit


def git_in(folder: Path, *words: str) -> None:
    call = ["git", "-C", str(folder), "-c", "protocol.file.allow=always", *words]
    subprocess.run(call, check=True, capture_output=True)


def project(folder: Path) -> Path:
    (folder / "values").mkdir(parents=True)
    (folder / "values" / "base.yaml").write_text("image: {repository: x}\n")
    return folder


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with a project at its top, another in `ml`, and some folders below."""
    root = project(tmp_path / "repo")
    project(root / "ml" / "vision")
    (root / "src" / "deep").mkdir(parents=True)
    (root / "ml" / "vision" / "models").mkdir()
    for place in (root / "src" / "deep", root / "ml" / "vision" / "models"):
        (place / "code.py").touch()
    git_in(tmp_path, "init", "--quiet", "repo")
    git_in(root, "add", "--all")
    git_in(root, "commit", "--quiet", "--message=all")
    return root


def root_from(monkeypatch: pytest.MonkeyPatch, start: Path) -> Path:
    monkeypatch.setattr(layout, "_named", [])
    layout.look_from(start)
    return Clone.here().root


@pytest.mark.parametrize(
    ("start", "root"),
    [
        ("", ""),
        ("src/deep", ""),
        ("values", ""),
        ("ml", ""),
        ("ml/vision", "ml/vision"),
        ("ml/vision/models", "ml/vision"),
    ],
)
def test_the_nearest_project_upward_is_it(repo: Path, start: str, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert root_from(monkeypatch, repo / start) == repo / root


def test_another_work_tree_and_a_submodule_have_their_own(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git_in(repo, "worktree", "add", "--quiet", str(tmp_path / "tree"))
    assert root_from(monkeypatch, tmp_path / "tree" / "src") == tmp_path / "tree"
    outer = tmp_path / "outer"
    git_in(tmp_path, "init", "--quiet", "outer")
    git_in(outer, "submodule", "add", "--quiet", str(repo), "vendor/sub")
    assert root_from(monkeypatch, outer / "vendor" / "sub" / "src") == outer / "vendor" / "sub"
    with pytest.raises(BadInput, match="no project here"):
        root_from(monkeypatch, outer / "vendor")


def test_a_work_tree_ends_where_git_says(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository inside a project is no part of it; nor is there a project where git knows of nothing."""
    (repo / "other").mkdir()
    git_in(repo, "init", "--quiet", "other")
    with pytest.raises(BadInput, match="no project here"):
        root_from(monkeypatch, repo / "other")
    outside = project(repo.parent / "plain")
    with pytest.raises(BadInput, match="`helm-sweep init` makes one"):
        root_from(monkeypatch, outside)


def test_a_link_to_a_project_leads_to_it(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(repo / "src")
    assert root_from(monkeypatch, tmp_path / "link") == repo


def test_scripts_that_nobody_told_are_of_their_clone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(layout, "_named", [])
    monkeypatch.chdir(tmp_path)
    assert Clone.here().root == Kit.here().root


def test_a_chart_of_the_persons_own_is_not_taken_for_ours(repo: Path) -> None:
    clone = Clone(repo)
    assert clone.chart == Kit.here().chart
    assert clone.shared_sources == ["values/base.yaml"]
    (repo / "chart").mkdir()
    (repo / "chart" / "Chart.yaml").write_text("name: shop\n")
    assert Clone(repo).chart == Kit.here().chart
    (repo / "chart" / "Chart.yaml").write_text("apiVersion: v2\nname: helm-sweep\n")
    assert Clone(repo).chart == repo / "chart"


def test_git_spells_paths_from_the_project(repo: Path) -> None:
    vision = repo / "ml" / "vision"
    assert git.prefix(vision) == "ml/vision/"
    assert git.dirty(vision, "values") == []
    (vision / "values" / "base.yaml").write_text("changed\n")
    (repo / "values" / "base.yaml").write_text("changed too\n")
    assert git.dirty(vision, "values") == ["values/base.yaml"]
    assert git.differs(vision, "HEAD", "values")
    assert git.show(vision, "HEAD", "values/base.yaml") == b"image: {repository: x}\n"
    assert git.show(vision, "HEAD", "src/deep/code.py") is None
    assert [version.path for version in git.versions(vision, "values")] == ["values/base.yaml"]
    assert git.tree(vision, "") == git.tree(repo, "ml/vision")
    with worktrees.checked_out(vision, "HEAD") as folder:
        assert sorted(path.name for path in folder.iterdir()) == ["models", "values"]
