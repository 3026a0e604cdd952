"""The helm releases of a sweep: what goes into which, who holds one, and what is tried before anything is changed."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sweep import helm
from sweep.engines import release
from sweep.engines.cluster import Cluster, Refused
from sweep.engines.release import Release, ReleaseHeld
from sweep.errors import BadInput
from sweep.render import Object, Rendered, Trial
from tests.unit.kube_objects import NOW, at
from tests.unit.stores import trial

IDS = st.text("0123456789abcdef", min_size=12, max_size=12)
SHARDS = st.integers(1, 300)


# ---- shards ----


@given(st.lists(IDS, unique=True), SHARDS, st.data())
def test_shards_partition_the_trials_and_no_edit_moves_one(ids: list[str], shards: int, data: st.DataObject) -> None:
    homes = {id: release.shard_of(id, shards) for id in ids}
    assert all(0 <= home < shards for home in homes.values())
    edited = data.draw(st.permutations(ids))[: data.draw(st.integers(0, len(ids)))]
    lines = [{"x": id} for id in edited]
    parts = release.shard_lines([_trial(id, x=id) for id in edited], lines, shards)
    assert len(parts) == shards == len(set(release.names("toy", shards)))
    assert sorted(line["x"] for share in parts for line in share) == sorted(edited)
    assert all(homes[line["x"]] == shard for shard, share in enumerate(parts) for line in share)
    assert all(share == [line for line in lines if line in share] for share in parts)  # in the order of the list


def _trial(id: str, seed: int = 0, **hyperparameters: Any) -> Trial:
    return Trial(id, id, {"hyperparameters": hyperparameters, "seed": seed}, {}, 0, 0, f"toy-{id}")


def test_one_shard_is_the_release_of_the_sweeps_name() -> None:
    assert release.names("toy", 1) == ["toy"]
    assert release.names("toy", 3) == ["toy-0", "toy-1", "toy-2"]


def test_a_shards_line_has_the_final_hyperparameters_and_what_is_the_trials_own() -> None:
    line = {"lr": "1e-4", "resources": {"limits": {"memory": "1Gi"}}, "seed": 7, "gpu": {"count": 2}}
    line |= {"limit_seconds": 60, "image": {"tag": "2"}}
    other = {"lr": 3}
    parts = release.shard_lines(
        [_trial("0" * 12, 7, lr=0.0001, width=8), _trial("1" * 12, 0, lr=3, width=8)], [line, other], 1
    )
    assert parts == [
        [
            {"lr": 0.0001, "width": 8} | {name: value for name, value in line.items() if name != "lr"},
            {"lr": 3, "width": 8},
        ]
    ]


SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
VALUES = SCALARS | st.lists(SCALARS, max_size=3)


@given(st.lists(st.lists(st.dictionaries(st.text(min_size=1), VALUES, max_size=3), max_size=3), min_size=1, max_size=3))
def test_the_files_of_the_shards_hold_the_lines(shards: list[list[dict[str, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = release.write_shards(Path(folder) / "shards", shards)
        assert [path.name for path in paths] == [f"{n}.yaml" for n in range(len(shards))]
        for path, lines in zip(paths, shards, strict=True):
            read = YAML(typ="safe", pure=True).load(path.read_text())
            assert read.keys() == {"trials"}
            assert list(read["trials"]) == lines


@pytest.mark.parametrize("text", ["😀", "ä\u2028", "on", "1e-4", "a\nb", "{{ x }}"])
def test_helm_reads_a_shards_file_as_it_was_written(tmp_path: Path, text: str) -> None:
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: c\nversion: 0.1.0\n")
    (chart / "templates" / "x.yaml").write_text("told: {{ .Values.trials | toJson | b64enc }}\n")
    lines = [{"word": text, "lr": 5e-05, "one": 1.0, "list": [True, 2**53]}]
    (path,) = release.write_shards(tmp_path, [lines])
    match = re.search(r"told: (\S+)", helm.template(chart, "t", [path]))
    assert match
    assert json.loads(base64.b64decode(match[1])) == lines


LIMIT = helm.SECRET_LIMIT_BYTES


def test_a_release_that_fits_is_not_refused() -> None:
    release.check_size("toy", [int(release.FULLEST * LIMIT)] * 5, 5)


@given(st.lists(st.integers(1, 20 * LIMIT), min_size=1, max_size=9))
def test_the_number_of_shards_that_is_asked_for_is_more_and_enough_for_an_even_share(sizes: list[int]) -> None:
    try:
        release.check_size("toy", sizes, len(sizes))
    except BadInput as error:
        wanted = re.search(r"^values/toy/values\.yaml: shards: .*; write `shards: (\d+)`$", str(error))
        assert wanted
        assert int(wanted[1]) > len(sizes)
        assert sum(sizes) / int(wanted[1]) <= release.FULLEST * LIMIT
    else:
        assert max(sizes) <= release.FULLEST * LIMIT


# ---- who holds a release ----


def secret(status: str = "pending-install", age: float = 1, **labels: Any) -> Object:
    about = {"name": "sh.helm.release.v1.toy.v1", "creationTimestamp": at(age)}
    return {"metadata": about | {"labels": {"status": status, "owner": "helm", "name": "toy"} | labels}}


def mine(pid: int, **more: Any) -> Object:
    return secret(**more | {release.HOST_LABEL: release._host(), release.PID_LABEL: str(pid)})


@pytest.fixture
def helm_at_work() -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like a helm of ours, for as long as it is not told to end."""
    script = 'exec cat - "helm-sweep/pid=$$" 2>/dev/null'
    with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.stdout.read(1) == b"x"  # `cat` is at work, so sh has become it
        yield process
        process.stdin.close()


def test_a_helm_at_work_on_this_machine_holds_its_release_however_long(helm_at_work: subprocess.Popen[bytes]) -> None:
    pid = helm_at_work.pid
    assert release.holder(mine(pid, age=10_000), NOW) == f"process {pid} of this machine"


def test_a_helm_that_died_on_this_machine_holds_nothing(helm_at_work: subprocess.Popen[bytes]) -> None:
    helm_at_work.kill()
    helm_at_work.wait()
    assert release.holder(mine(helm_at_work.pid), NOW) == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="told by /proc")
def test_another_program_that_got_the_pid_of_a_dead_helm_holds_nothing() -> None:
    assert release.holder(mine(os.getpid()), NOW) == ""
    assert release.holder(mine(1), NOW) == ""


@pytest.mark.parametrize(
    ("labels", "who"), [({release.HOST_LABEL: "her-laptop", release.PID_LABEL: "1"}, "her-laptop"), ({}, "somebody")]
)
def test_a_pending_release_of_elsewhere_is_held_for_five_minutes(labels: dict[str, Any], who: str) -> None:
    assert release.holder(secret(age=release.ABANDONED_SECONDS, **labels), NOW) == f"{who}, since 300 s"
    assert release.holder(secret(age=release.ABANDONED_SECONDS + 1, **labels), NOW) == ""


def test_an_uninstall_is_held_by_its_own_time_and_not_by_the_last_installs_process() -> None:
    labels = {release.HOST_LABEL: release._host(), release.PID_LABEL: "1"}
    assert (
        release.holder(secret("uninstalling", 90_000, modifiedAt=f"{NOW - 7:.0f}", **labels), NOW)
        == "somebody, since 7 s"
    )
    assert release.holder(secret("uninstalling", 90_000, modifiedAt=f"{NOW - 301:.0f}", **labels), NOW) == ""


class Namespace(Cluster):
    """Objects by kind, and what was done to them."""

    def __init__(self, **objects: list[Object]) -> None:
        super().__init__("", "ml")
        self.objects = objects
        self.asked: list[tuple[str, str, str, bool]] = []
        self.deleted: list[tuple[str, str]] = []
        self.tried: list[Object] = []

    def list(self, kind: str, labels: str = "", fields: str = "", *, brief: bool = False) -> list[Object]:
        self.asked.append((kind, labels, fields, brief))
        return [*self.objects.get(kind, [])]

    def delete(self, kind: str, name: str, *, grace_seconds: int | None = None) -> None:
        assert grace_seconds is None
        self.deleted.append((kind, name))

    def create(self, item: Object, *, dry_run: bool = False) -> Object:
        assert dry_run
        self.tried.append(item)
        if item["metadata"].get("labels", {}).get("bad"):
            raise Refused(422, "cluster: Job is invalid")
        return item


def test_what_a_dead_helm_left_is_cleared_away_and_what_a_living_one_holds_is_not() -> None:
    messages = list[str]()
    dead = Namespace(Secret=[mine(2**22 + 1)])
    release.free(dead, "toy", messages.append)
    assert dead.deleted == [("Secret", "sh.helm.release.v1.toy.v1")]
    assert messages == ["toy: an earlier helm was cut off; going on from there"]
    assert (
        dead.asked[0][1]
        == "owner=helm,name=toy,status in (pending-install,pending-upgrade,pending-rollback,uninstalling)"
    )
    held = Namespace(Secret=[secret() | {"metadata": secret()["metadata"] | {"creationTimestamp": _now()}}])
    with pytest.raises(
        ReleaseHeld, match=r"^toy: is being submitted or removed by somebody, since \d+ s; wait for it, or stop"
    ):
        release.free(held, "toy", messages.append)
    assert held.deleted == []
    release.free(Namespace(), "toy", messages.append)
    assert len(messages) == 1


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


# ---- helm, by a stand-in that writes down how it was called ----


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the stand-in was called with, a word a line; it prints `fails` and exits 1 where that file is."""
    program = tmp_path / "helm of mine"
    program.write_text(
        f'#!/bin/sh\nprintf \'%s\\n\' "$$" "$@" >> {tmp_path}/calls\n'
        f"test ! -e {tmp_path}/fails || {{ cat {tmp_path}/fails >&2; exit 1; }}\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("HELM", str(program))
    return tmp_path / "calls"


A_RELEASE = Release("toy", (Path("/c/values/base.yaml"), Path("/c/values/toy/values.yaml")), Rendered([], []))


def test_helm_gets_files_and_the_pid_that_it_has_itself(calls: Path) -> None:
    clone = calls.parent
    values = (clone / "values" / "base.yaml", clone / "values" / "toy" / "values.yaml")
    release.install(Namespace(), dataclasses.replace(A_RELEASE, values=values), clone / "chart", clone, print)
    pid, *words = calls.read_text().splitlines()
    assert words == [
        *("upgrade", "--install", "toy", "chart", "-f", "values/base.yaml", "-f", "values/toy/values.yaml"),
        *("--history-max=3", "--namespace", "ml", "--labels"),
        f"helm-sweep/host={release._host()},helm-sweep/pid={pid}",
    ]
    assert not {"--wait", "--atomic", "--set", "--timeout"} & {*words}
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", release._host())


def test_the_command_that_is_said_is_one_to_type_in_the_clone() -> None:
    at_work = Cluster("prod", "ml")
    assert release.command(A_RELEASE, Path("/c/chart"), Path("/c"), at_work) == (
        "helm upgrade --install toy chart -f values/base.yaml -f values/toy/values.yaml "
        "--kube-context prod --namespace ml"
    )
    elsewhere = dataclasses.replace(A_RELEASE, values=(Path('/else/a "b", c.yaml'),))
    assert 'chart -f \'"/else/a ""b"", c.yaml"\' --kube' in release.command(
        elsewhere, Path("/c/chart"), Path("/c"), at_work
    )
    own = dataclasses.replace(A_RELEASE, values=(Path("/p/values/base.yaml"), Path("/p/values/toy/values.yaml")))
    assert " toy /kit/chart -f values/base.yaml -f values/toy/values.yaml " in release.command(
        own, Path("/kit/chart"), Path("/p"), at_work
    )


@pytest.mark.parametrize(
    "words",
    [
        "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
        'Error: INSTALLATION FAILED: create: failed to create: secrets "sh.helm.release.v1.toy.v1" already exists',
    ],
)
def test_the_second_of_two_submits_says_who_holds_the_release(calls: Path, words: str) -> None:
    (calls.parent / "fails").write_text(words)
    with pytest.raises(ReleaseHeld, match=r"^toy: is being submitted by somebody else; wait for it$"):
        release.install(Namespace(), A_RELEASE, calls.parent / "chart", calls.parent, print)


def test_another_error_of_helm_is_told_as_it_is(calls: Path) -> None:
    (calls.parent / "fails").write_text('Error: secrets "key" already exists')
    with pytest.raises(BadInput, match=r'^secrets "key" already exists$') as raised:
        release.install(Namespace(), A_RELEASE, calls.parent / "chart", calls.parent, print)
    assert not isinstance(raised.value, ReleaseHeld)


def test_uninstall_removes_what_a_cut_off_upgrade_left_beside_the_last_revision(calls: Path) -> None:
    left = {"metadata": {"name": "toy-left"}}
    messages = list[str]()
    cluster = Namespace(Secret=[mine(2**22 + 1, status="pending-upgrade")], Job=[left], ConfigMap=[left])
    assert release.uninstall(cluster, "toy", messages.append)
    assert calls.read_text().splitlines()[1:] == ["uninstall", "toy", "--namespace", "ml"]
    assert cluster.deleted == [
        ("Job", "toy-left"),
        ("ConfigMap", "toy-left"),
    ]
    assert {asked[1] for asked in cluster.asked if asked[0] != "Secret"} == {
        "helm-sweep/sweep,app.kubernetes.io/instance=toy"
    }
    assert messages == ["toy: an earlier helm was cut off; what it left is removed too"]


def test_uninstall_goes_on_with_one_that_was_cut_off_and_waits_for_a_submit(calls: Path) -> None:
    assert release.uninstall(Namespace(Secret=[secret("uninstalling", modifiedAt=str(time.time()))]), "toy", print)
    assert "uninstall" in calls.read_text()
    calls.unlink()
    fresh = secret("pending-install")
    fresh["metadata"]["creationTimestamp"] = _now()
    with pytest.raises(ReleaseHeld):
        release.uninstall(Namespace(Secret=[fresh]), "toy", print)
    assert not release.uninstall(Namespace(), "toy", print)
    assert not calls.exists()


# ---- what the cluster has ----


def test_provenances_by_the_release_that_they_are_of() -> None:
    def config_map(name: str, **data: str) -> Object:
        return {"metadata": {"name": name, "labels": {"app.kubernetes.io/instance": name}}, "data": data}

    cluster = Namespace(
        ConfigMap=[config_map("toy-0", **{"provenance.json": '{"commit": "a"}'}), config_map("toy-1", x="")]
    )
    cluster.objects["ConfigMap"].append({"metadata": {"name": "empty", "labels": {}}})
    assert release.provenances(cluster, "toy") == {"toy-0": {"commit": "a"}}
    assert cluster.asked == [("ConfigMap", "helm-sweep/sweep=toy", "", False)]


# ---- before anything is changed ----


def rendered(of: Trial, **spec: Any) -> Object:
    """A Job as the chart writes it, with the trial's id in every place where the chart has it."""
    record = json.dumps({"id": of.id, "identity": of.identity}).replace("$", "$$")
    container = {"name": "trial", "env": [{"name": "A", "value": "b"}, {"name": "TRIAL", "value": record}]}
    labels = {"helm-sweep/sweep": "toy", "helm-sweep/trial": of.id}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {"kind": "Job", "metadata": {"name": of.job, "labels": labels}, "spec": {"template": template} | spec}


def test_jobs_that_differ_in_their_trial_alone_are_tried_once() -> None:
    jobs = [rendered(trial({"lr": n, "word": 'a "$x"'}, seed=n)) for n in range(5)]
    larger = rendered(trial({"lr": 9}), backoffLimit=1)
    maps: list[Object] = [{"kind": "ConfigMap", "metadata": {"name": name}} for name in "ab"]
    untouched = copy.deepcopy(jobs)
    assert release.distinct([*maps, *jobs, larger]) == [*maps, jobs[0], larger]
    assert jobs == untouched


def test_every_object_is_judged_under_a_name_of_its_own_and_a_refusal_names_the_object() -> None:
    cluster = Namespace()
    good, bad = rendered(trial()), rendered(trial({"lr": 2}))
    release.try_out(cluster, "toy", [good])
    assert [item["metadata"]["name"] for item in cluster.tried] == ["toy-dry-run"]
    assert cluster.tried[0]["spec"] == good["spec"]
    bad["metadata"]["labels"] = {"bad": "1"}
    with pytest.raises(
        BadInput, match=rf"^Job {bad['metadata']['name']}: the API refuses it: cluster: Job is invalid$"
    ):
        release.try_out(cluster, "toy", [bad])


def terminating(*counts: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Namespace, list[float]]:
    """A namespace where at each look so many Jobs are being deleted, and the seconds that were slept."""
    slept, left = list[float](), iter(counts)

    class Ending(Namespace):
        def list(self, kind: str, labels: str = "", fields: str = "", *, brief: bool = False) -> list[Object]:
            assert (labels, fields, brief) == ("helm-sweep/sweep=toy", "", True)
            there = {"metadata": {"name": "stays"}}
            count = next(left) if kind == "Job" else 0
            return [there, *({"metadata": {"name": f"j{n}", "deletionTimestamp": at(1)}} for n in range(count))]

    clock = SimpleNamespace(sleep=slept.append, monotonic=lambda: 1000 + sum(slept))
    monkeypatch.setattr("sweep.engines.release.time", clock)
    return Ending(), slept


def test_waits_until_nothing_is_being_deleted_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, slept = terminating(3, 2, 0, monkeypatch=monkeypatch)
    messages = list[str]()
    release.wait_gone(cluster, "toy", messages.append)
    assert messages == ["toy: waiting for 3 objects that are being deleted"]
    assert len(slept) == 2


def test_does_not_wait_forever_for_what_a_dead_node_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, slept = terminating(*[2] * 100, monkeypatch=monkeypatch)
    with pytest.raises(BadInput, match=r"^toy: 2 objects are still being deleted after 9 s, the first j0; its node"):
        release.wait_gone(cluster, "toy", lambda _: None, seconds=9)
    assert 9 < sum(slept) <= 11
