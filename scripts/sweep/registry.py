"""Whether a registry has an image, asked as anybody by the OCI distribution spec: no login of this machine is used."""

from __future__ import annotations

import http.client
import json
import re
import threading
from dataclasses import dataclass
from email.message import Message
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, build_opener

SECONDS = 5.0
"""For the whole answer: name lookup, token and manifest."""
MOST_BYTES = 1 << 20
"""Of a token's document."""
MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
HAS, LACKS, LOGIN, UNKNOWN = "has", "lacks", "login", "unknown"
"""LOGIN: also of an image that is not there, which most registries do not tell apart for who is not logged in."""


@dataclass(frozen=True)
class RegistryAnswer:
    state: str
    """has | lacks | login | unknown"""
    reason: str = ""
    """Of unknown: what the registry or the way to it did."""


@dataclass(frozen=True)
class ImageReference:
    """An image by registry, path and tag or digest, as container runtimes read its name."""

    host: str
    path: str
    version: str

    @classmethod
    def of(cls, repository: str, version: str) -> ImageReference:
        first, slash, rest = repository.partition("/")
        if slash and (first == "localhost" or "." in first or ":" in first):
            return cls("docker.io" if first == "index.docker.io" else first, rest, version)
        return cls("docker.io", repository if slash else f"library/{repository}", version)

    def __str__(self) -> str:
        return f"{self.host}/{self.path}{'@' if ':' in self.version else ':'}{self.version}"

    @property
    def server(self) -> str:
        return "registry-1.docker.io" if self.host == "docker.io" else self.host

    @property
    def scheme(self) -> str:
        """Registries speak HTTPS, but for those on the machine itself."""
        return "http" if urlsplit(f"//{self.host}").hostname in ("localhost", "127.0.0.1", "::1") else "https"


def ask(reference: ImageReference, seconds: float = SECONDS) -> RegistryAnswer:
    """Raises nothing. The environment's proxies are respected."""
    answers: list[RegistryAnswer] = []
    # A thread that may be left behind: a timeout of a socket bounds neither a name lookup nor an answer in drips.
    asking = threading.Thread(target=lambda: answers.append(_ask(reference, seconds)), daemon=True)
    asking.start()
    asking.join(seconds)
    return answers[0] if answers else RegistryAnswer(UNKNOWN, f"no answer within {seconds:g} s")


def _ask(reference: ImageReference, seconds: float) -> RegistryAnswer:
    url = f"{reference.scheme}://{reference.server}/v2/{reference.path}/manifests/{reference.version}"
    try:
        status, headers = _manifest(url, "", seconds)
        if status == 401:
            token = _token(headers.get("WWW-Authenticate", ""), reference, seconds)
            status, headers = _manifest(url, token, seconds) if token else (status, headers)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return RegistryAnswer(UNKNOWN, _reason(error))
    if status == 200 and headers.get("Content-Type", "").partition(";")[0].strip() not in MANIFESTS:
        return RegistryAnswer(UNKNOWN, "its answer is none of a registry")
    states = {200: HAS, 404: LACKS, 401: LOGIN, 403: LOGIN}
    return RegistryAnswer(states[status]) if status in states else RegistryAnswer(UNKNOWN, f"HTTP {status}")


def _manifest(url: str, token: str, seconds: float) -> tuple[int, Message]:
    """HTTP status and headers. HEAD, for Docker Hub counts each GET as a pull."""
    request = Request(url, headers={"Accept": ", ".join(MANIFESTS)}, method="HEAD")
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with build_opener().open(request, timeout=seconds) as answer:
            return answer.status, answer.headers
    except HTTPError as error:
        with error:
            return error.code, error.headers


def _token(challenge: str, reference: ImageReference, seconds: float) -> str:
    """The token that the registry's server of tokens gives to anybody; "" where it gives none."""
    given = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = given.get("realm", "")
    if not challenge.lower().startswith("bearer ") or urlsplit(realm).scheme not in {"https", reference.scheme}:
        return ""
    wanted = {"scope": f"repository:{reference.path}:pull"} | {key: given[key] for key in ("service",) if key in given}
    try:
        with build_opener().open(
            f"{realm}{'&' if '?' in realm else '?'}{urlencode(wanted)}", timeout=seconds
        ) as answer:
            document = json.loads(answer.read(MOST_BYTES))
    except HTTPError as error:
        with error:
            if error.code in (400, 401, 403, 404):  # for anybody, this is no
                return ""
        raise
    token = (document.get("token") or document.get("access_token")) if isinstance(document, dict) else None
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ValueError("its server of tokens answered without a token")
    return token


def _reason(error: Exception) -> str:
    """In one line, of what went wrong on the way."""
    if isinstance(error, HTTPError):
        return f"HTTP {error.code} from its server of tokens"
    if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
        return "no answer in time"
    if isinstance(error, http.client.HTTPException | UnicodeError | json.JSONDecodeError):
        return "its answer is none of a registry"
    return " ".join(str(getattr(error, "reason", "") or error).split())
