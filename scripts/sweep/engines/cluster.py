"""One namespace of one cluster, through its API: plain JSON in and out, errors in one line.

The kubernetes client brings the logins, TLS and the request itself; objects stay JSON, since making 5,000 Jobs into its
models takes seconds. Every call asks for what a Role of one namespace can give (deploy/role.yaml).
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sweep.errors import BadInput, NotSetUp, Unreachable
from sweep.render import Object

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

PAGE = 500
"""Objects a page of a LIST: about 3 MB of Jobs."""
TIMEOUT_SECONDS = (10, 60)
"""To connect, and between two packets of an answer."""
LONGEST_LINE = 16 << 20
"""Of a log, in bytes: more than a reader Pod ever prints in one."""
FIELD_MANAGER = "helm-sweep"

_PATHS = {  # {version}: the one that the API prefers, of a group that is not Kubernetes' own
    "Job": "/apis/batch/v1/namespaces/{namespace}/jobs",
    "Pod": "/api/v1/namespaces/{namespace}/pods",
    "Event": "/api/v1/namespaces/{namespace}/events",
    "Secret": "/api/v1/namespaces/{namespace}/secrets",
    "Namespace": "/api/v1/namespaces",
    "Node": "/api/v1/nodes",
    "SelfSubjectAccessReview": "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "PersistentVolumeClaim": "/api/v1/namespaces/{namespace}/persistentvolumeclaims",
    "ConfigMap": "/api/v1/namespaces/{namespace}/configmaps",
    "ResourceClaimTemplate": "/apis/resource.k8s.io/v1/namespaces/{namespace}/resourceclaimtemplates",
    "Workload": "/apis/kueue.x-k8s.io/{version}/namespaces/{namespace}/workloads",
    "LocalQueue": "/apis/kueue.x-k8s.io/{version}/namespaces/{namespace}/localqueues",
}


class Refused(BadInput):
    """The API answered no. `status` is the HTTP status, the text its reason."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Cluster:
    """A namespace. `context` is a context of the kubeconfig, "" for the current one."""

    context: str
    namespace: str
    _clock: list[tuple[float, float]] = field(default_factory=list, repr=False, compare=False)
    """The API's clock in its last answer, and ours (monotonic) then; empty before the first."""
    _versions: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    """API group -> the version that was asked for."""

    @cached_property
    def _api(self) -> ApiClient:
        from kubernetes import config
        from yaml import YAMLError

        try:
            listed = os.environ.get("KUBECONFIG")  # as it is now: the client has read it when it was imported
            client: ApiClient = config.new_client_from_config(listed, self.context or None)  # type: ignore[no-untyped-call]
            return client
        except (config.ConfigException, YAMLError, OSError, TypeError) as error:  # TypeError: YAML, but no mapping
            reason = " ".join(str(error).removeprefix("Invalid kube-config file. ").split())
            raise NotSetUp(
                f"kubeconfig: {reason}; set KUBECONFIG, CONTEXT=, or `cluster.context` in base.yaml"
            ) from error

    def now(self) -> float:
        """Seconds of the epoch by the API's clock, which stamps its objects: this machine's may be hours away. Before
        the first answer, and where no answer tells, by this machine's."""
        clock, when = self._clock[0] if self._clock else (time.time(), time.monotonic())
        return clock + time.monotonic() - when

    def version(self) -> str:
        """Of the API. Raises Refused, Unreachable."""
        return str(_parsed(self._open("GET", "/version", {}))["gitVersion"])

    def pages(self, kind: str, labels: str = "", fields: str = "", *, brief: bool = False) -> Iterator[Object]:
        """All objects of a kind that match the selectors, a page at a time; `brief`: their metadata alone.

        Raises Refused, with status 410 where the list lasts longer than the API keeps its snapshot, and Unreachable.
        """
        query = {"limit": str(PAGE), "labelSelector": labels, "fieldSelector": fields}
        accept = {"Accept": f"application/json{';as=PartialObjectMetadataList;g=meta.k8s.io;v=v1' if brief else ''}"}
        token = ""
        while True:
            page = _parsed(self._open("GET", self._path(kind), query | {"continue": token}, headers=accept))
            yield from page["items"] or []
            token = page["metadata"].get("continue", "")
            if not token:
                return

    def list(self, kind: str, labels: str = "", fields: str = "", *, brief: bool = False) -> list[Object]:
        """As `pages`, whole; a snapshot that expired on the way is read again from its start."""
        for _ in range(3):
            try:
                return [*self.pages(kind, labels, fields, brief=brief)]
            except Refused as error:
                if error.status != 410:
                    raise
        raise Unreachable(f"cluster: the list of {kind}s changes faster than it can be read; try again")

    def get(self, kind: str, name: str) -> Object | None:
        """One object; None if there is none of this name."""
        try:
            return _parsed(self._open("GET", self._path(kind, name), {}))
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def create(self, item: Object, *, dry_run: bool = False) -> Object:
        """Create an object. `dry_run`: only let the API, its admission and its quotas judge it."""
        query = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})
        return _parsed(self._open("POST", self._path(item["kind"]), query, item))

    def patch(self, kind: str, name: str, change: Object) -> Object:
        """Merge `change` into an object."""
        content = {"Content-Type": "application/merge-patch+json"}
        return _parsed(self._open("PATCH", self._path(kind, name), {"fieldManager": FIELD_MANAGER}, change, content))

    def delete(self, kind: str, name: str, *, grace_seconds: int | None = None) -> None:
        """Delete an object and what it owns; harmless if it is gone."""
        options: Object = {"propagationPolicy": "Background"}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        try:
            _parsed(self._open("DELETE", self._path(kind, name), {}, options))
        except Refused as error:
            if error.status != 404:
                raise

    def log(self, pod: str, container: str, *, tail: int | None = None) -> Iterator[bytes]:
        """What a container printed, line by line without the line's end; a line that is too long comes in parts."""
        query = {"container": container} | ({"tailLines": str(tail)} if tail is not None else {})
        rest = b""
        with self._open("GET", self._path("Pod", pod) + "/log", query) as response:
            for block in _stream(response):
                *lines, rest = (rest + block).split(b"\n")
                yield from lines
                if len(rest) >= LONGEST_LINE:
                    yield rest
                    rest = b""
        if rest:
            yield rest

    @contextmanager
    def attach(self, pod: str, container: str) -> Iterator[Callable[[bytes], None]]:
        """Send bytes to a container's standard input, which ends with the context. Raises Refused, Unreachable."""
        with self._attached(pod, container, stdout=False) as socket:
            yield lambda data: _send(socket, pod, data)

    @contextmanager
    def talk(self, pod: str, container: str) -> Iterator[tuple[Callable[[bytes], None], Callable[[], bytes]]]:
        """As `attach`: (send, the next line of the container's output, without its end)."""
        with self._attached(pod, container, stdout=True) as socket:
            lines = deque([""])  # the last one has not ended yet

            def line() -> bytes:
                until = time.monotonic() + TIMEOUT_SECONDS[1]
                while len(lines) == 1:
                    with _attachment(pod):
                        if not socket.is_open() or time.monotonic() > until:
                            raise TimeoutError("it ended in the middle")
                        more: str = socket.read_stdout(timeout=TIMEOUT_SECONDS[1])
                    socket.read_all()  # it would keep all that ever came
                    lines.extend((lines.pop() + more).split("\n"))
                return lines.popleft().encode()

            yield lambda data: _send(socket, pod, data), line

    @contextmanager
    def _attached(self, pod: str, container: str, *, stdout: bool) -> Iterator[Any]:
        """The stream to a container's standard input, and from its output."""
        from kubernetes import client, stream

        words = {"container": container, "stdin": True, "stdout": stdout, "stderr": False, "tty": False}
        with _attachment(pod):
            call = client.CoreV1Api(self._api).connect_get_namespaced_pod_attach
            socket = stream.stream(call, pod, self.namespace, **words, _preload_content=False)
        yield socket
        with _attachment(pod):
            socket.close()

    def _path(self, kind: str, name: str = "") -> str:
        path = _PATHS[kind]
        version = self._preferred(path.split("/")[2]) if "{version}" in path else ""
        path = path.format(namespace=self.namespace, version=version)
        return f"{path}/{name}" if name else path

    def _preferred(self, group: str) -> str:
        """Version of an API group that the server prefers. Raises Refused: with status 404, it has no such group."""
        if group not in self._versions:
            self._versions[group] = _parsed(self._open("GET", f"/apis/{group}", {}))["preferredVersion"]["version"]
        return self._versions[group]

    def _open(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Object | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """An answer, its body not read yet. Raises Refused, or Unreachable where asking again may help."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        words = [(name, value) for name, value in query.items() if value]
        call = self._api.param_serialize(
            method,
            path,
            None,
            words,
            {"Accept": "application/json"} | (headers or {}),
            body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._api.call_api(*call[:4], _request_timeout=TIMEOUT_SECONDS).response
        except (HTTPError, ApiException) as error:  # ApiException: TLS, where it fails late
            raise Unreachable(f"cluster: {_short(error)}; check CONTEXT= and your kubeconfig") from error
        with suppress(TypeError, ValueError):
            clock = parsedate_to_datetime(response.headers.get("Date")).timestamp()
            self._clock[:] = [(clock, time.monotonic())]
        if response.status < 300:
            return response
        with response:
            text = b"".join(_stream(response)).decode(errors="replace")
        raise _failure(response.status, text)


def condition(item: Object, kind: str) -> Object:
    """A condition of an object's status, {} where it has none of the kind."""
    conditions: list[Object] = item.get("status", {}).get("conditions", [])
    return next((entry for entry in conditions if entry["type"] == kind), {})


def _parsed(response: Any) -> Object:
    """The whole of an answer, as JSON. Raises Unreachable where it is none."""
    with response:
        answer = b"".join(_stream(response))
    try:
        parsed: Object = json.loads(answer)
    except ValueError as error:
        raise Unreachable(
            "cluster: something else answers in its place (no JSON); a proxy, or a login page?"
        ) from error
    return parsed


def _stream(response: Any) -> Iterator[bytes]:
    from urllib3.exceptions import HTTPError

    try:
        yield from response.stream(65_536)
    except HTTPError as error:
        raise Unreachable(f"cluster: its answer broke off: {_short(error)}") from error


@contextmanager
def _attachment(pod: str) -> Iterator[None]:
    """Errors of a stream to a Pod, and of nothing else that is done while it is open."""
    from kubernetes import client
    from websocket import WebSocketException

    try:
        yield
    except client.ApiException as error:
        raise _failure(error.status or 500, str(error.body or error.reason)) from error
    except (OSError, WebSocketException) as error:
        raise Unreachable(f"cluster: the connection to Pod {pod} broke: {_short(error)}; try again") from error


def _send(socket: Any, pod: str, data: bytes) -> None:
    with _attachment(pod):
        socket.write_stdin(data)


def _failure(status: int, text: str) -> Exception:
    try:
        message = json.loads(text)["message"]
    except (ValueError, KeyError, TypeError):
        message = text.strip()[:300] or "no reason given"
    message = " ".join(str(message).split())
    if status == 401:
        return Refused(status, "cluster: it does not know who you are (401); log in again, or check CONTEXT=")
    if status == 403 and "is forbidden: User" in message:
        return Refused(status, f"cluster: {message}; `make role` prints the rights that are needed")
    if status == 429 or status >= 500:
        return Unreachable(f"cluster: {message} ({status})")
    return Refused(status, f"cluster: {message}")


def _short(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    text = str(reason).split(": ", 1)[-1] if str(reason).startswith("<") else str(reason)
    return " ".join(text.split())[:200]
