"""Fill a sweep's data folder with its data set, by the command the values call data.prepare, and check it."""

from __future__ import annotations

import os
import subprocess

import cli
from sweep import environments
from sweep.errors import BadInput
from sweep.layout import Clone
from sweep.session import Session, open_sweep


def prepare(session: Session, words: list[str]) -> int:
    """Run data.prepare in the folder of the code with DATA_DIR and DATA_ID; it leaves a complete data set alone."""
    command = session.settings.get("data", {}).get("prepare")
    if not session.data_folder:
        cli.say(f"{session.name}: needs no data set")
        return 0
    if not command:
        raise BadInput(
            f"data.prepare: is not set; put the data set {session.data_id} into {session.data_folder} by hand"
        )
    path = os.environ.get("PATH", os.defpath)
    if session.requirements:
        path = os.pathsep.join([str(environments.ensure(session.requirements)), path])
    session.data_folder.mkdir(parents=True, exist_ok=True)
    env = os.environ | {"PATH": path, "DATA_DIR": str(session.data_folder), "DATA_ID": session.data_id}
    done = subprocess.run([*command, *words], env=env, cwd=session.code_folder, check=False)
    if done.returncode:
        raise BadInput(f"data.prepare: `{' '.join(command)}` ended with {done.returncode}, see above")
    return 0


def main() -> int:
    parser = cli.parser(__doc__)
    parser.add_argument("words", nargs="*", help="further words for data.prepare, after --")
    args = parser.parse_args()
    return prepare(open_sweep(Clone.here(), args.sweep, "local"), args.words)


if __name__ == "__main__":
    cli.run(main)
