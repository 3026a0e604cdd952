"""The words that the chart starts the runner with. argparse takes as long to import as all the rest of the runner."""

from __future__ import annotations

from ending import BAD_INPUT, Stop

CHOICES = ("auto", "keep", "drop")


class Options:
    """What one run of the runner is to do; a word is `--NAME=VALUE` with - for _, or `--NAME` of a switch."""

    results = ""  # the result store
    data = ""  # the data set; without it there is no DATA_DIR
    data_at = ""  # where the command finds the data set too, from its folder
    code = ""  # files.json or folder of the frozen code; without it the code is in the image
    provenance = ""  # provenance.json; may be missing
    scratch = ""  # a writable folder for this attempt alone
    gpus = 0  # GPUs of this Pod, for the record
    nodes = 1  # Pods of an attempt
    grace = 30.0  # seconds between SIGTERM and SIGKILL from outside
    checkpoints = CHOICES[0]  # what becomes of them after the result
    outputs = "none"  # keep OUTPUT_DIR with the result, up to so many bytes
    budget = ""  # hyperparameter whose trials share checkpoints
    gpu_shared = False  # out of GPU memory is tried again
    within = ""  # path below the store of the one that is used, with a slash at its end; no word sets it

    def __init__(self) -> None:
        self.make: list[str] = []  # folders of the store to make, and then run nothing

    def take(self, word: str) -> None:
        """Raises ValueError for a word that means nothing."""
        dashed, _, text = word.partition("=")
        name = dashed[2:].replace("-", "_")
        if not dashed.startswith("--") or name == "within" or not hasattr(self, name) or callable(getattr(self, name)):
            raise ValueError(f"unrecognized: {word}")
        if isinstance(getattr(self, name), bool):
            self.__dict__[name] = True
        elif isinstance(getattr(self, name), list):
            self.make.append(text)
        else:
            self.__dict__[name] = type(getattr(self, name))(text)


def parse_arguments(words: list[str]) -> Options:
    """Raises Stop."""
    options = Options()
    try:
        for word in words:
            options.take(word)
        for name in ("results", "scratch"):
            if not getattr(options, name):
                raise ValueError(f"--{name} is missing")
        if options.checkpoints not in CHOICES:
            raise ValueError(f"--checkpoints={options.checkpoints} is none of {', '.join(CHOICES)}")
    except ValueError as error:
        raise Stop(BAD_INPUT, f"arguments: {error}; render the chart again") from None
    return options
