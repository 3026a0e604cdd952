"""The checkpoints of a trial, and which of them nobody needs once its result stands."""

from __future__ import annotations

from attempts import another_lives
from folders import Folder, remove_empty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from arguments import Options


def checkpoint_folder(options: Options, trial: dict[str, Any]) -> Folder:
    return Folder(options.results, f"{options.within}checkpoints/{trial['lineage'][:2]}/{trial['lineage']}")


def clean_checkpoints(
    options: Options, trial: dict[str, Any], siblings: Folder, own: str = "", stopped: bool = False
) -> None:
    """Remove the checkpoints that nobody needs once a valid result stands, even while another Pod still trains.

    Without a budget only attempts of this trial use them, and those end as duplicates or, begun again, exit at once:
    the files go, the folder stays while another attempt shows signs of life, lest its next checkpoint fail.
    Of a trial that was `stopped` whoever wants the whole goes on from the newest.
    With a budget other trials share them and may be training: the newest epoch stays, and so does what has no epoch in
    its name or is being written (`.*`, `*tmp*`). `drop` empties the folder all the same, but only after a training.
    """
    folder = checkpoint_folder(options, trial)
    shared = stopped or options.budget in trial["identity"]["hyperparameters"]
    if options.checkpoints == "keep" or (options.checkpoints == "drop" and shared and not own):
        return
    names = folder.names()
    for name in superseded(names) if shared and options.checkpoints == "auto" else names:
        folder.remove(name)
    if not shared and not another_lives(siblings, own):
        remove_empty(folder)


def superseded(names: list[str]) -> list[str]:
    """Those of checkpoints whose epoch, the first number in the name, is not the newest."""
    import outputs

    epochs = outputs.epochs_of(names)
    return [name for name, epoch in epochs.items() if epoch < max(epochs.values())]
