"""A helm that does not come to its end is no helm that answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep import helm
from sweep.errors import MachineFault


def program(folder: Path, text: str) -> str:
    path = folder / "helm"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_helm_that_is_killed_blames_no_values_file(tmp_path: Path) -> None:
    with pytest.raises(MachineFault, match=r"^helm: was ended by SIGKILL; run the same command again$"):
        helm.run_program(program(tmp_path, "kill -KILL $$"), "template")


def test_a_helm_that_is_interrupted_and_says_so_among_the_manifests_is_not_believed(tmp_path: Path) -> None:
    """As helm 3 does for some milliseconds after a Ctrl-C: it ends with 0, and the line may stand anywhere."""
    manifest = "---\nkind: Job\n"
    output = f"{manifest}Release toy has been cancelled.\n{manifest}"
    with pytest.raises(MachineFault, match=r"^helm: was interrupted; run the same command again$"):
        helm.run_program(program(tmp_path, f"cat <<'E'\n{output}E"), "template")
    assert helm.run_program(program(tmp_path, f"cat <<'E'\n{manifest}E"), "template") == manifest


HELM_3 = """Error: values don't meet the specifications of the schema(s) in the following chart(s):
helm-sweep:
- gpu.count: Invalid type. Expected: integer, given: string
- data: Invalid type. Expected: object, given: string
"""
HELM_4 = """Error: values don't meet the specifications of the schema(s) in the following chart(s):
helm-sweep:
- at '/gpu': validation failed
  - at '/gpu/count': got string, want integer
  - at '/gpu/shared': got string, want null or boolean
- at '/data': got string, want object
"""


def test_the_head_of_a_group_is_no_complaint() -> None:
    assert [key for key, _ in helm.problems(HELM_3)] == ["gpu.count", "data"]
    assert [key for key, _ in helm.problems(HELM_4)] == ["gpu.count", "gpu.shared", "data"]
    assert helm.reason(HELM_3).startswith("gpu.count: Invalid type. Expected: integer, given: string; data: ")
    assert helm.reason(HELM_4).startswith("gpu.count: got string, want integer; ")
