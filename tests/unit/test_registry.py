"""Whether an image can be pulled: doctor's line, by what a registry on this machine answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sweep import readiness, registry
from sweep.readiness import MISSING, OK, UNKNOWN
from sweep.registry import ImageReference, RegistryAnswer
from sweep.settings import Image, Settings
from tests.unit.test_readiness import whole

MANIFEST = "/v2/team/trainer/manifests/1.4"


@dataclass
class Playing:
    """A registry by what it answers, and what it was asked."""

    address: str = ""
    status: int = 200
    kind: str = registry.MANIFESTS[0]
    login: bool = False
    challenge: str = ""
    tokens: tuple[int, bytes] = (200, b'{"token": "t0"}')
    raw: bytes = b""
    held: threading.Event = field(default_factory=threading.Event)
    """Where it is clear, no answer comes before it is set."""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def playing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Playing]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.playing = playing = Playing(f"127.0.0.1:{server.server_address[1]}")  # type: ignore[attr-defined]
    playing.challenge = f'Bearer realm="http://{playing.address}/token",service="here"'
    playing.held.set()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield playing
    playing.held.set()
    server.shutdown()
    server.server_close()


class Handler(BaseHTTPRequestHandler):
    def answer(self) -> None:
        playing: Playing = self.server.playing  # type: ignore[attr-defined]
        playing.asked.append(f"{self.command} {self.path}")
        if not playing.held.is_set():
            playing.held.wait()
            return
        if playing.raw:
            self.wfile.write(playing.raw)
        elif self.path.startswith("/token"):
            self._put(playing.tokens[0], {}, playing.tokens[1])
        elif playing.login and self.headers.get("Authorization") != "Bearer t0":
            self._put(401, {"WWW-Authenticate": playing.challenge})
        else:
            self._put(playing.status, {"Content-Type": playing.kind})

    def _put(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = answer  # noqa: N815 - as http.server wants them

    def log_message(self, *_: Any) -> None:
        pass


def line(playing: Playing, **image: Any) -> tuple[str, str]:
    """doctor's, of an image in that registry."""
    given = Settings(image=Image(f"{playing.address}/team/trainer", "1.4", **image))
    (finding,) = [each for each in readiness.of_cluster(cluster(), given) if each.what == "image"]
    return finding.state, finding.text.replace(playing.address, "HOST")


def cluster() -> Any:
    api = whole()
    api.objects["Secret/login"] = {"metadata": {}}
    return api


WITHOUT_LOGIN = "HOST shows team/trainer to nobody without a login"


@pytest.mark.parametrize(
    ("answers", "state", "text"),
    [
        ({}, OK, "HOST/team/trainer:1.4, anybody may pull it"),
        ({"login": True}, OK, "HOST/team/trainer:1.4, anybody may pull it"),
        ({"login": True, "tokens": (200, b'{"access_token": "t0"}')}, OK, "anybody may pull it"),
        ({"status": 404}, MISSING, "HOST has no HOST/team/trainer:1.4; push it, or set `image: {repository: "),
        ({"login": True, "status": 404}, MISSING, "HOST has no HOST/team/trainer:1.4"),
        ({"login": True, "tokens": (403, b"")}, UNKNOWN, f"{WITHOUT_LOGIN}, or has none; set `image: {{pullSecrets"),
        ({"login": True, "tokens": (200, b'{"token": "t1"}')}, UNKNOWN, WITHOUT_LOGIN),
        ({"login": True, "challenge": 'Basic realm="here"'}, UNKNOWN, WITHOUT_LOGIN),
        ({"login": True, "challenge": 'Bearer realm="file:///etc/passwd"'}, UNKNOWN, WITHOUT_LOGIN),
        ({"login": True, "challenge": ""}, UNKNOWN, WITHOUT_LOGIN),
        ({"status": 403}, UNKNOWN, WITHOUT_LOGIN),
        ({"status": 429}, UNKNOWN, "HOST: HTTP 429; whether nodes can pull shows with the first trial"),
        ({"status": 503}, UNKNOWN, "HOST: HTTP 503"),
        ({"login": True, "tokens": (500, b"")}, UNKNOWN, "HOST: HTTP 500 from its server of tokens"),
        ({"kind": "text/html"}, UNKNOWN, "HOST: its answer is none of a registry"),
        ({"raw": b"SSH-2.0-OpenSSH_9.9\r\n"}, UNKNOWN, "HOST: its answer is none of a registry"),
        *(
            ({"login": True, "tokens": (200, body)}, UNKNOWN, "HOST: its ")
            for body in (b"", b"<html>", b"[]", b"{}", b'{"token": 7}', b'{"token": "a\\r\\nb: c"}', b"\xff\xfe\x00")
        ),
    ],
)
def test_what_a_registry_answers(playing: Playing, answers: dict[str, Any], state: str, text: str) -> None:
    for name, value in answers.items():
        setattr(playing, name, value)
    seen = line(playing)
    assert seen[0] == state, seen
    assert text in seen[1]
    assert "\n" not in seen[1]
    assert playing.asked[0] == f"HEAD {MANIFEST}"


def test_a_token_is_asked_for_by_what_the_registry_names(playing: Playing) -> None:
    playing.login = True
    line(playing)
    assert playing.asked[1:] == [
        "GET /token?scope=repository%3Ateam%2Ftrainer%3Apull&service=here",
        f"HEAD {MANIFEST}",
    ]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_a_secret_may_open_is_not_called_missing(playing: Playing, status: int) -> None:
    playing.status = status
    assert line(playing, pullSecrets=("login",)) == (
        UNKNOWN,
        f"{WITHOUT_LOGIN}; whether Secret login opens it shows with the first trial",
    )


def test_an_image_that_is_never_pulled_is_not_asked_for(playing: Playing) -> None:
    assert line(playing, pullPolicy="Never")[0] == UNKNOWN
    assert not playing.asked


def test_a_registry_that_does_not_answer_is_left(playing: Playing) -> None:
    playing.held.clear()
    reference = ImageReference.of(f"{playing.address}/team/trainer", "1.4")
    assert registry.ask(reference, 0.1).reason in ("no answer within 0.1 s", "no answer in time")
    refused = registry.ask(ImageReference.of("127.0.0.1:1/team/trainer", "1.4"))
    assert refused == RegistryAnswer(registry.UNKNOWN, "[Errno 111] Connection refused")
    assert registry.ask(ImageReference.of("a.invalid:port/team/trainer", "1.4")).state == registry.UNKNOWN


def test_a_proxy_is_respected(playing: Playing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", f"http://{playing.address}")
    assert registry.ask(ImageReference.of("127.0.0.1:1/team/trainer", "1.4")) == RegistryAnswer(registry.HAS)
    assert playing.asked == [f"HEAD http://127.0.0.1:1{MANIFEST}"]


@pytest.mark.parametrize(
    ("repository", "version", "text", "url"),
    [
        ("python", "3", "docker.io/library/python:3", "https://registry-1.docker.io"),
        ("pytorch/pytorch", "2", "docker.io/pytorch/pytorch:2", "https://registry-1.docker.io"),
        ("docker.io/a/b", "2", "docker.io/a/b:2", "https://registry-1.docker.io"),
        ("ghcr.io/me/mine", "sha256:" + "0" * 64, "ghcr.io/me/mine@sha256:" + "0" * 64, "https://ghcr.io"),
        ("localhost:5001/a", "1", "localhost:5001/a:1", "http://localhost:5001"),
        ("localhost/a", "1", "localhost/a:1", "http://localhost"),
        ("10.0.0.1:5000/a/b/c", "1", "10.0.0.1:5000/a/b/c:1", "https://10.0.0.1:5000"),
    ],
)
def test_an_image_is_read_as_container_runtimes_read_it(repository: str, version: str, text: str, url: str) -> None:
    reference = ImageReference.of(repository, version)
    assert (str(reference), f"{reference.scheme}://{reference.server}") == (text, url)
