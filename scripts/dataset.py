"""Fill a sweep's data folder with its data set, by the command the values call data.prepare, and check it."""

from __future__ import annotations

import guard

import subprocess
import sys
import tempfile
from pathlib import Path

import cli
from sweep import render
from sweep.engines import dataset_job, environments, pod
from sweep.errors import BadInput
from sweep.session import Session


def prepare(session: Session, words: list[str]) -> int:
    """Run data.prepare in the folder of the code with DATA_DIR and DATA_ID; it leaves a complete data set alone.

    Its environment is that of a trial, and not the person's.
    """
    command = session.settings.data.prepare
    if not session.data_folder:
        cli.say(f"{session.name}: needs no data set")
        return 0
    if not command and session.data_folder.is_dir():
        return 0  # put there by hand
    if not command:
        raise BadInput(
            f"data.prepare: is not set; put the data set {session.data_id} into {session.data_folder} by hand"
        )
    given = session.settings.env
    path = [environments.ensure(session.requirements)] if session.requirements else []
    env = pod.environment(given, path) | {"DATA_ID": session.data_id}
    session.data_folder.mkdir(parents=True, exist_ok=True)
    program = session.files.clone.chart / "files" / "prepare.py"  # as in the Pod of a cluster
    with tempfile.TemporaryDirectory(prefix="helm-sweep-") as scratch:
        options = [f"--data={session.data_folder}", f"--scratch={scratch}", *(f"--given={name}" for name in given)]
        call = [sys.executable, "-I", "-S", str(program), *options, "--", *command, *words]
        done = subprocess.run(call, env=env, cwd=session.code_folder, check=False)
    if done.returncode:
        raise BadInput(f"data.prepare: `{' '.join(command)}` ended with {done.returncode}, see above")
    return 0


def prepare_on_cluster(session: Session, words: list[str], upload: Path | None) -> int:
    """The same by a Job on the data volume of the cluster; `upload`: a folder of this machine to make it from."""
    if not session.data_id:
        cli.say(f"{session.name}: needs no data set")
        return 0
    if upload and not upload.is_dir():
        raise BadInput(f"--upload {upload}: no such folder")
    objects = list(render.read_manifest(session.dataset_manifest({"upload": bool(upload), "words": words})))
    dataset_job.fill(session.cluster, objects, upload, cli.say)
    return 0


def main(argv: list[str] | None = None) -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument("--upload", type=Path, help="cluster: send this folder, where the cluster has no way out")
    parser.add_argument("words", nargs="*", help="further words for data.prepare, after --")
    args = parser.parse_args(argv)
    session = cli.open_sweep(args)
    if session.engine == "cluster":
        return prepare_on_cluster(session, args.words, args.upload)
    return prepare(session, args.words)


if __name__ == "__main__":
    guard.run(main)
