"""What the command left in OUTPUT_DIR, kept with the result."""

from __future__ import annotations

import os

from checks import is_number
from ending import LONGEST_REASON, in_words, say
from identity import SCHEMA_VERSION
from lineage import checkpoint_folder
from metrics import SHOWN_NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from arguments import Options
    from attempts import Attempt


def keep_outputs(options: Options, trial: dict[str, Any], attempt: Attempt) -> dict[str, Any]:
    """What the command left in OUTPUT_DIR, as the result's field `outputs`; its newest checkpoint, copied there, where
    it left nothing. {} for nothing at all. What cannot be kept is said and left out: no result is lost over it.
    """
    if options.outputs == "none":
        return {}
    folder = attempt.folder.below("outputs")
    try:
        with folder.handle() as handle:
            own = os.listdir(handle)
            if own or (options.checkpoints == "auto" and checkpoint_folder(options, trial).names()):
                return list_outputs(options, trial, attempt, handle, bool(own))
    except (OSError, ValueError) as error:
        reason = in_words(error) if isinstance(error, OSError) else f"{error}; raise outputs.max"
        say(f"OUTPUT_DIR: not kept: {reason}")
        attempt.folder.remove("outputs")
        return {"outputs": {"files": 0, "bytes": 0, "left_out": reason[:LONGEST_REASON]}}
    attempt.folder.remove("outputs")
    return {}


def list_outputs(options: Options, trial: dict[str, Any], attempt: Attempt, handle: int, own: bool) -> dict[str, Any]:
    """As keep_outputs; `handle` is of the folder, `own`: the command left something there. Raises ValueError for more
    than is kept, and OSError.
    """
    import outputs

    most = outputs.quantity(options.outputs)
    if not own:
        copy_checkpoint(options, trial, attempt, most)
    files, other = outputs.listed(handle, most, attempt.keep_alive)
    if other:
        say(f"OUTPUT_DIR: left out what is no plain file: {' '.join(other[:SHOWN_NAMES])[:LONGEST_REASON]}")
    if not files:
        attempt.folder.remove("outputs")
        return {}
    attempt.folder.write_atomic("outputs.json", {"schema_version": SCHEMA_VERSION, "id": trial["id"], "files": files})
    total = sum(file["bytes"] for file in files.values())
    return {"outputs": {"files": len(files), "bytes": total, "sha256": outputs.digest_of(files)}}


def copy_checkpoint(options: Options, trial: dict[str, Any], attempt: Attempt, most: int) -> None:
    """The model of a program that knows of checkpoints alone, which are removed once its result stands. As above."""
    import outputs

    budget = trial["identity"]["hyperparameters"].get(options.budget)
    with checkpoint_folder(options, trial).handle() as folder:
        newest = outputs.newest_checkpoint(folder, budget if is_number(budget) else None)
        if newest:
            outputs.check_size(folder, newest, most)
            with attempt.folder.below("outputs/checkpoint").handle(make=True) as below:
                outputs.copy(folder, newest, below, attempt.keep_alive)
