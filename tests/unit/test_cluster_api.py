"""The API client against a real HTTP server: what it asks, what it makes of the answers, and of none."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.engines import cluster as module
from sweep.engines.cluster import Cluster, Refused
from sweep.engines.patience import Patience
from sweep.errors import BadInput, NotSetUp, Unreachable

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Gives the server's next answer; the last one again and again."""

    protocol_version = "HTTP/1.1"
    server: Server

    def answer(self) -> None:
        path, query = urlsplit(self.path)[2:4]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        call = {
            "method": self.command,
            "path": path,
            "query": dict(parse_qsl(query)),
            "headers": {name.lower(): value for name, value in self.headers.items()},
        }
        self.server.asked.append(call | {"body": json.loads(body) if body else None, "from": self.client_address})
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - as http.server wants them

    def log_message(self, *words: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []
        self.answers: list[Answer] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is part of the game."""

    def gives(self, *answers: Answer) -> None:
        self.asked.clear()
        self.answers = [*answers]


def gives(status: int, body: Any, **headers: str) -> Answer:
    """A whole answer; `body` as it is, or as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(to: Handler) -> None:
        to.send_response(status)
        for name, value in headers.items():
            to.send_header(name.replace("_", "-"), value)
        to.send_header("Content-Length", str(len(data)))
        to.end_headers()
        to.wfile.write(data)

    return answer


def breaks_off(body: bytes, chunked: bool) -> Answer:
    """An answer whose connection ends before it does."""

    def answer(to: Handler) -> None:
        to.send_response(200)
        if chunked:
            to.send_header("Transfer-Encoding", "chunked")
            body_sent = b"%x\r\n%s\r\n" % (len(body), body)
        else:
            to.send_header("Content-Length", str(len(body) + 1))
            body_sent = body
        to.end_headers()
        to.wfile.write(body_sent)
        to.close_connection = True

    return answer


def status(code: int, message: str) -> Answer:
    """A refusal as the API writes one."""
    return gives(code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code})


def page(*names: str, more: str = "") -> Answer:
    return gives(
        200, {"metadata": {"continue": more} if more else {}, "items": [{"metadata": {"name": n}} for n in names]}
    )


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server(running: Server) -> Server:
    running.gives(gives(500, {}))
    return running


def kubeconfig(path: Path, server: str, **user: str) -> Path:
    """A kubeconfig with the contexts `here` (current) and `there`."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("here", "there")],
    }
    path.write_text(json.dumps(config))
    return path


@pytest.fixture
def point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes a kubeconfig for an address the one that is used. The client reads KUBECONFIG once, when imported."""
    from kubernetes.config import kube_config

    def point(address: str) -> Path:
        path = kubeconfig(tmp_path / "config", address, token="t0k3n")
        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(path))
        return path

    return point


@pytest.fixture
def cluster(server: Server, point: Callable[[str], Path]) -> Iterator[Cluster]:
    point(f"http://127.0.0.1:{server.server_port}")
    opened = Cluster("", "ml")
    yield opened
    opened._api.rest_client.pool_manager.clear()


# ---- what it asks ----


def test_now_is_as_the_api_says_whatever_this_machine_says(
    server: Server, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert abs(cluster.now() - time.time()) < 60  # nobody was asked yet
    for date, seconds in (("Fri, 02 Jan 2026 03:04:05 GMT", 1767323045), ("none of all", 1767323045)):
        monkeypatch.setattr(Handler, "date_time_string", lambda _, date=date: date)
        server.gives(page())
        cluster.list("Job")
        assert seconds <= cluster.now() < seconds + 60
    later = time.monotonic() + 500
    monkeypatch.setattr(module.time, "monotonic", lambda: later)
    monkeypatch.setattr(module.time, "time", lambda: 0.0)
    assert 500 <= cluster.now() - 1767323045 < 600


def test_a_list_is_asked_for_by_pages_with_its_selectors_on_one_connection(server: Server, cluster: Cluster) -> None:
    server.gives(page("a", "b", more="next"), page(more="last"), page("c"))
    jobs = cluster.list("Job", "helm-sweep/sweep=toy", "status.successful=0")
    assert [job["metadata"]["name"] for job in jobs] == ["a", "b", "c"]
    selectors = {"labelSelector": "helm-sweep/sweep=toy", "fieldSelector": "status.successful=0", "limit": "500"}
    assert [job["query"] for job in server.asked] == [
        selectors,
        selectors | {"continue": "next"},
        selectors | {"continue": "last"},
    ]
    assert {job["path"] for job in server.asked} == {"/apis/batch/v1/namespaces/ml/jobs"}
    assert {job["headers"]["authorization"] for job in server.asked} == {"Bearer t0k3n"}
    assert len({job["from"] for job in server.asked}) == 1


def test_a_brief_list_is_of_metadata_alone_and_an_empty_one_may_be_null(server: Server, cluster: Cluster) -> None:
    server.gives(gives(200, {"metadata": {}, "items": None}))
    assert cluster.list("Pod", brief=True) == []
    assert "as=PartialObjectMetadataList" in server.asked[0]["headers"]["accept"]
    assert server.asked[0]["query"] == {"limit": "500"}


def test_a_list_whose_snapshot_expired_is_read_again_from_its_start(server: Server, cluster: Cluster) -> None:
    expired = status(410, "The provided continue parameter is too old")
    server.gives(page("old", more="x"), expired, page("a", more="y"), page("b"))
    assert [pod["metadata"]["name"] for pod in cluster.list("Pod")] == ["a", "b"]
    server.gives(page("old", more="x"), expired, page("old", more="x"), expired, page("old", more="x"), expired)
    with pytest.raises(Unreachable, match="list of Pods changes faster than it can be read; try again"):
        cluster.list("Pod")
    server.gives(status(400, "no such field label"))
    with pytest.raises(Refused, match="no such field label"):
        cluster.list("Pod")


def test_get_create_patch_and_delete_are_plain_json(server: Server, cluster: Cluster) -> None:
    server.gives(gives(200, {"kind": "Job"}))
    assert cluster.get("Job", "a") == {"kind": "Job"}
    assert cluster.create({"kind": "Pod", "spec": {}}, dry_run=True) == {"kind": "Job"}
    cluster.create({"kind": "ConfigMap"})
    cluster.patch("Job", "a", {"spec": {"suspend": True}})
    cluster.delete("Secret", "s")
    cluster.delete("Pod", "p", grace_seconds=0)
    manager = {"fieldManager": "helm-sweep"}
    assert [
        (call["method"], call["path"].removeprefix("/api/v1/namespaces/ml/"), call["query"]) for call in server.asked
    ] == [
        ("GET", "/apis/batch/v1/namespaces/ml/jobs/a", {}),
        ("POST", "pods", manager | {"dryRun": "All"}),
        ("POST", "configmaps", manager),
        ("PATCH", "/apis/batch/v1/namespaces/ml/jobs/a", manager),
        ("DELETE", "secrets/s", {}),
        ("DELETE", "pods/p", {}),
    ]
    assert [call["body"] for call in server.asked] == [
        None,
        {"kind": "Pod", "spec": {}},
        {"kind": "ConfigMap"},
        {"spec": {"suspend": True}},
        {"propagationPolicy": "Background"},
        {"propagationPolicy": "Background", "gracePeriodSeconds": 0},
    ]
    assert server.asked[3]["headers"]["content-type"] == "application/merge-patch+json"


def test_what_is_not_there_is_none_to_get_and_nothing_to_delete(server: Server, cluster: Cluster) -> None:
    server.gives(status(404, 'jobs.batch "a" not found'))
    assert cluster.get("Job", "a") is None
    cluster.delete("Job", "a")
    with pytest.raises(Refused, match="not found"):
        cluster.patch("Job", "a", {})
    server.gives(status(403, "no"))
    with pytest.raises(Refused, match="no"):
        cluster.get("Job", "a")
    with pytest.raises(Refused, match="no"):
        cluster.delete("Job", "a")


# ---- logs ----


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", []),
        (b"one", [b"one"]),
        (b"one\n\ntwo\n", [b"one", b"", b"two"]),
        (b"\xff\r\n" + b"x" * 200_000 + b"\nend", [b"\xff\r", b"x" * 200_000, b"end"]),
    ],
    ids=["empty", "no end", "lines", "long"],
)
def test_a_log_comes_line_by_line(server: Server, cluster: Cluster, text: bytes, lines: list[bytes]) -> None:
    server.gives(gives(200, text))
    assert [*cluster.log("p", "trial", tail=7)] == lines
    assert server.asked[0]["path"] == "/api/v1/namespaces/ml/pods/p/log"
    assert server.asked[0]["query"] == {"container": "trial", "tailLines": "7"}


def test_a_line_without_an_end_comes_in_parts(
    server: Server, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_LINE", 100_000)
    server.gives(gives(200, b"one\n" + b"x" * 1_000_000 + b"\nend"))
    first, *parts, last = cluster.log("p", "trial")
    assert (first, b"".join(parts), last) == (b"one", b"x" * 1_000_000, b"end")
    assert max(map(len, parts)) < 100_000 + 65_536


def test_a_log_is_given_on_before_it_has_ended(server: Server, cluster: Cluster) -> None:
    seen = threading.Event()

    def streams(to: Handler) -> None:
        to.send_response(200)
        to.send_header("Transfer-Encoding", "chunked")
        to.end_headers()
        to.wfile.write(b"4\r\none\n\r\n")
        assert seen.wait(30)
        to.wfile.write(b"4\r\ntwo\n\r\n0\r\n\r\n")

    server.gives(streams)
    lines = cluster.log("p", "trial")
    assert next(lines) == b"one"
    seen.set()
    assert [*lines] == [b"two"]
    assert server.asked[0]["query"] == {"container": "trial"}


@pytest.mark.parametrize("chunked", [False, True])
def test_what_breaks_off_is_unreachable_and_no_end(server: Server, cluster: Cluster, chunked: bool) -> None:
    server.gives(breaks_off(b"one\ntwo", chunked))
    lines, got = cluster.log("p", "trial"), list[bytes]()
    with pytest.raises(Unreachable, match="cluster: its answer broke off: "):
        got.extend(_all(lines, got))
    assert got in ([], [b"one"])
    server.gives(breaks_off(b'{"items": []', chunked))
    with pytest.raises(Unreachable, match="broke off"):
        cluster.list("Pod")


def _all(lines: Iterator[bytes], into: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        into.append(line)
    yield from ()


# ---- what an answer means ----

REFUSALS: dict[str, tuple[Answer, type[Exception], str]] = {
    "login": (
        status(401, "Unauthorized"),
        Refused,
        "cluster: it does not know who you are (401); log in again, or check CONTEXT=",
    ),
    "rights": (
        status(403, 'jobs.batch is forbidden: User "ann" cannot list resource "jobs" in the namespace "ml"'),
        Refused,
        'cluster: jobs.batch is forbidden: User "ann" cannot list resource "jobs" in the namespace "ml"; `make role` '
        "prints the rights that are needed",
    ),
    "quota": (
        status(403, 'pods "a" is forbidden: exceeded quota: gpus'),
        Refused,
        'cluster: pods "a" is forbidden: exceeded quota: gpus',
    ),
    "invalid": (status(422, "Job is invalid:\n  spec"), Refused, "cluster: Job is invalid: spec"),
    "busy": (status(429, "too many requests"), Unreachable, "cluster: too many requests (429)"),
    "starting": (status(503, "apiserver not ready"), Unreachable, "cluster: apiserver not ready (503)"),
    "etcd": (status(500, "etcdserver: leader changed"), Unreachable, "cluster: etcdserver: leader changed (500)"),
    "a proxy": (gives(502, b"<html>\n Bad Gateway</html>"), Unreachable, "cluster: <html> Bad Gateway</html> (502)"),
    "no words": (gives(409, b""), Refused, "cluster: no reason given"),
    "odd words": (gives(409, []), Refused, "cluster: []"),
    "a login page": (
        gives(200, b"<html>Please log in</html>"),
        Unreachable,
        "cluster: something else answers in its place (no JSON); a proxy, or a login page?",
    ),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_an_answer_that_is_none_is_one_line_with_what_to_do(server: Server, cluster: Cluster, kind: str) -> None:
    answer, error, text = REFUSALS[kind]
    server.gives(answer)
    with pytest.raises(error) as raised:
        cluster.list("Job")
    assert str(raised.value) == text
    assert isinstance(raised.value, BadInput) == (error is Refused)


def test_a_cluster_that_is_not_there_is_unreachable(point: Callable[[str], Path]) -> None:
    with socket.socket() as taken:  # bound, not listening
        taken.bind(("127.0.0.1", 0))
        point(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(Unreachable, match=r"^cluster: .*refused.*; check CONTEXT= and your kubeconfig$"):
            Cluster("", "ml").list("Job")


def test_a_cluster_that_hangs_up_or_speaks_no_tls_is_unreachable(server: Server, point: Callable[[str], Path]) -> None:
    def hangs_up(to: Handler) -> None:
        to.connection.shutdown(socket.SHUT_RDWR)

    for scheme in ("http", "https"):
        server.gives(hangs_up)
        point(f"{scheme}://127.0.0.1:{server.server_port}")
        broken = Cluster("there", "ml")
        with pytest.raises(Unreachable, match=r"^cluster: [^\n<]+; check CONTEXT= and your kubeconfig$"):
            broken.create({"kind": "Job"})
        broken._api.rest_client.pool_manager.clear()


def test_tls_that_fails_in_the_middle_is_unreachable(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    from urllib3.exceptions import SSLError

    def fails(method: str, url: str, **named: Any) -> Any:
        raise SSLError(ssl.SSLError(1, f"bad record mac: {method} {url} {len(named)}"))

    monkeypatch.setattr(cluster._api.rest_client.pool_manager, "request", fails)
    with pytest.raises(Unreachable, match=r"cluster: .*bad record mac"):
        cluster.list("Job")


@pytest.mark.parametrize("text", [None, "", "{", "- 1", "a: [\n", "current-context: x", "apiVersion: v1\nkind: Config"])
def test_a_kubeconfig_that_serves_nothing_is_one_line(point: Callable[[str], Path], text: str | None) -> None:
    path = point("http://127.0.0.1:1")
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(Unreachable) as raised:
        Cluster("", "ml").list("Job")
    assert str(raised.value).startswith("kubeconfig: ")
    assert str(raised.value).endswith("; set KUBECONFIG, CONTEXT=, or `cluster.context` in base.yaml")
    assert "\n" not in str(raised.value)


def test_a_context_that_the_kubeconfig_lacks_is_named(point: Callable[[str], Path]) -> None:
    point("http://127.0.0.1:1")
    with pytest.raises(Unreachable, match=r"^kubeconfig: .*nowhere"):
        Cluster("nowhere", "ml").list("Job")


# ---- patience ----


class Clock:
    """Time that passes only while somebody sleeps, or `passes`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def refused() -> None:
    raise BadInput("no")


def patience(seconds: float = 300) -> tuple[Patience, Clock, list[str]]:
    clock, messages = Clock(), list[str]()
    return Patience(messages.append, seconds, clock.sleep, clock), clock, messages


def failing(times: int, after: Callable[[], None] = lambda: None) -> Callable[[], str]:
    left = [Unreachable("cluster: refused")] * times

    def call() -> str:
        after()
        if left:
            raise left.pop()
        return "done"

    return call


def test_patience_bridges_a_gap_and_says_so_once() -> None:
    patient, clock, messages = patience()
    assert patient(failing(4)) == "done"
    assert messages == ["cluster: refused; trying again for 300 s", "cluster: answers again"]
    assert clock.slept == [1.0, 1.5, 2.25, 3.375]


def test_patience_says_nothing_where_all_is_well_and_lets_every_other_error_pass() -> None:
    patient, clock, messages = patience()
    assert patient(failing(0)) == "done"
    with pytest.raises(BadInput, match="no"):
        patient(refused)
    assert (messages, clock.slept) == ([], [])


@given(st.floats(0, 2_000))
def test_patience_ends_after_its_seconds_and_never_sleeps_long(seconds: float) -> None:
    patient, clock, _ = patience(seconds)
    with pytest.raises(Unreachable, match="refused"):
        patient(failing(1_000))
    assert seconds < clock.now - 1000 <= seconds + 30
    assert max(clock.slept, default=0) <= 30


def test_patience_begins_with_the_first_failure_however_long_the_call_went_well() -> None:
    patient, clock, _ = patience(300)

    def an_hour() -> None:
        clock.now += 3600 if not clock.slept else 0

    assert patient(failing(3, after=an_hour)) == "done"


def test_patience_of_one_call_does_not_use_up_that_of_the_next() -> None:
    patient, clock, messages = patience(300)
    for _ in range(20):
        assert patient(failing(8)) == "done"
    assert clock.now - 1000 > 300
    assert len(messages) == 40


def test_pages_are_small_and_waits_are_bounded() -> None:
    assert module.PAGE <= 500
    assert all(seconds <= 60 for seconds in module.TIMEOUT_SECONDS)


def answering(*answers: Exception | str) -> Callable[[], str]:
    left = list(answers)

    def call() -> str:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return call


def test_patience_is_not_for_a_cluster_that_nobody_named() -> None:
    patient, clock, messages = patience()
    with pytest.raises(NotSetUp):
        patient(answering(NotSetUp("kubeconfig: none")))
    assert (clock.slept, messages) == ([], [])


def test_an_api_server_that_has_just_come_back_may_refuse_for_a_while() -> None:
    patient, _, messages = patience()
    error = Refused(403, "User ann cannot list resource")
    assert patient(answering(Unreachable("away"), error, "all")) == "all"
    assert messages[-1] == "cluster: answers again"
    with pytest.raises(Refused):
        patient(answering(error))
