"""A rendered Pod as a local process: volumes, mount paths, expansion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.engines import pod
from sweep.errors import BadInput

POD = {"metadata.name": "demo-x1", "metadata.uid": "u", "spec.nodeName": "laptop"}


def job(container: dict[str, Any] | None = None, volumes: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    container_ = {"command": ["true"], "env": [], "volumeMounts": []} | (container or {})
    spec = {"containers": [container_], "volumes": volumes or []}
    return {"metadata": {"name": "demo"}, "spec": {"template": {"spec": spec}}}


def process(tmp_path: Path, item: dict[str, Any], maps: dict[str, dict[str, str]] | None = None) -> pod.PodProcess:
    return pod.process(item, maps or {}, work=tmp_path, pod=POD, host={"PATH": "/bin"})


def test_host_path_is_used_where_it_is_mounted(tmp_path: Path) -> None:
    mounts = [{"name": "results", "mountPath": "/sweep/results"}]
    task = job(
        {"args": ["--results=/sweep/results", "/sweep/results/a:/sweep/resultsx"], "volumeMounts": mounts},
        [{"name": "results", "hostPath": {"path": "/srv/r"}}],
    )
    assert process(tmp_path, task).argv == ["true", "--results=/srv/r", "/srv/r/a:/sweep/resultsx"]


def test_config_map_becomes_files_and_empty_dir_an_empty_folder(tmp_path: Path) -> None:
    mounts = [{"name": "code", "mountPath": "/c"}, {"name": "scratch", "mountPath": "/tmp"}]
    volumes = [{"name": "code", "configMap": {"name": "m"}}, {"name": "scratch", "emptyDir": {}}]
    prepared = process(tmp_path, job({"args": ["/c/f", "/tmp"], "volumeMounts": mounts}, volumes), {"m": {"f": "text"}})
    prepared.prepare()
    assert Path(prepared.argv[1]).read_text() == "text"
    assert list(Path(prepared.argv[2]).iterdir()) == []
    with pytest.raises(FileExistsError):  # no attempt ever gets what another has had
        prepared.prepare()


def test_optional_config_map_may_be_missing(tmp_path: Path) -> None:
    volume = {"name": "p", "configMap": {"name": "m", "optional": True}}
    assert process(tmp_path, job(None, [volume])).files == {}
    with pytest.raises(BadInput, match="no ConfigMap m was rendered"):
        process(tmp_path, job(None, [{"name": "p", "configMap": {"name": "m"}}]))


@pytest.mark.parametrize("kind", ["nfs", "persistentVolumeClaim"])
def test_volume_of_the_cluster_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(BadInput, match=f"volume data: the local engine cannot mount {kind}; use a hostPath"):
        process(tmp_path, job(None, [{"name": "data", kind: {}}]))


def test_shared_memory_is_the_hosts(tmp_path: Path) -> None:
    mounts = [{"name": "shm", "mountPath": "/dev/shm"}]
    task = job({"args": ["/dev/shm/x"], "volumeMounts": mounts}, [{"name": "shm", "emptyDir": {"medium": "Memory"}}])
    assert process(tmp_path, task).argv[1] == "/dev/shm/x"


def test_variables_expand_in_order_as_in_a_container(tmp_path: Path) -> None:
    env = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)$(C)$$(A)$$$"},
        {"name": "C", "value": "$(B)"},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ]
    prepared = process(tmp_path, job({"command": ["run", "$(A)", "$(NOPE)", "$$(A)"], "env": env}))
    assert prepared.env == {"PATH": "/bin", "A": "1", "B": "1$(C)$(A)$$", "C": "1$(C)$(A)$$", "NODE": "laptop"}
    assert prepared.argv == ["run", "1", "$(NOPE)", "$(A)"]


@given(st.text(st.sampled_from("$()AB x"), max_size=30))
def test_doubled_dollars_come_back_as_they_were(text: str) -> None:
    assert pod.expand(text.replace("$", "$$"), {"A": "wrong", "B": "wrong", "": "wrong"}) == text


def test_trial_is_left_to_the_letter(tmp_path: Path) -> None:
    mounts = [{"name": "scratch", "mountPath": "/tmp"}]
    env = [{"name": "TRIAL", "value": '{"path": "/tmp/x"}'}, {"name": "OTHER", "value": "/tmp/x"}]
    prepared = process(tmp_path, job({"env": env, "volumeMounts": mounts}, [{"name": "scratch", "emptyDir": {}}]))
    assert prepared.env["TRIAL"] == '{"path": "/tmp/x"}'
    assert prepared.env["OTHER"] == f"{tmp_path}/volumes/scratch/x"


def test_secret_comes_from_the_persons_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = job({"env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "tracker", "key": "t"}}}]})
    monkeypatch.delenv("TOKEN", raising=False)
    with pytest.raises(BadInput, match=r"env\.TOKEN: comes from the Secret tracker.*export TOKEN in your shell"):
        process(tmp_path, task)
    monkeypatch.setenv("TOKEN", "s3cret")
    assert process(tmp_path, task).env["TOKEN"] == "s3cret"


def test_container_of_ones_choice_shares_the_volumes(tmp_path: Path) -> None:
    volumes = [{"name": "code", "emptyDir": {}}, {"name": "key", "secret": {"secretName": "s"}}]
    task = job({"args": ["/c"], "volumeMounts": [{"name": "code", "mountPath": "/c"}]}, volumes)
    init = {
        "command": ["fetch", "/x/a", "/k"],
        "env": [],
        "volumeMounts": [{"name": "code", "mountPath": "/x"}, {"name": "key", "mountPath": "/k"}],
    }
    (name, trial), (fetch, at, key) = (
        pod.process(task, {}, work=tmp_path, pod=POD, host={}, container=container).argv for container in (None, init)
    )
    assert (name, fetch, at) == ("true", "fetch", f"{trial}/a")
    process(tmp_path, task).prepare()
    assert list(Path(key).iterdir()) == []  # no Secret is here
