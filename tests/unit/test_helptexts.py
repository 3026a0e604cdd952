"""What is read of a --help, as the parsers of several languages lay it out."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.spaces import helptexts

ARGPARSE = """\
usage: train.py [-h] [--lr LR]

options:
  -h, --help            show this help message and exit
  --lr LR               learning rate (default: 0.1)
  -b N, --batch-size N  images at once (default: 32)
  --optimizer {sgd,adam}
                        which one (default: sgd)
  --amp                 half precision
"""
CLICK = """\
Usage: train.py [OPTIONS]

Options:
  --lr FLOAT                  learning rate  [default: 0.1]
  --batch-size INTEGER        images at once  [default: 32]
  --optimizer [sgd|adam]      which one  [default: sgd]
  --amp / --no-amp            half precision  [default: no-amp]
  --help                      Show this message and exit.
"""
TYPER = """\

 Usage: train.py [OPTIONS]

╭─ Options ────────────────────────────────────────────────────────────────╮
│ --lr                                   <float>  learning rate [default: 0.1]          │
│ --batch-size                           <int>    images at once [default: 32]          │
│ --optimizer                            [sgd|adam]  which one [default: sgd]           │
│ --amp                    --no-amp      <bool>   half precision [default: no-amp]      │
│ --install-completion                   <bool>   Install completion.                   │
│ --help                                 <bool>   Show this message and exit.           │
╰──────────────────────────────────────────────────────────────────────────╯
"""
TYRO = """\
usage: train.py [-h] [OPTIONS]

╭─ options ──────────────────────────────────────────╮
│ -h, --help        show this help message and exit  │
│ --batch-size INT  images at once (default: 32)     │
│ --optimizer {sgd,adam}                             │
│                   which one (default: sgd)         │
╰────────────────────────────────────────────────────╯
╭─ model options ────────────────────────────────────╮
│ --model.lr FLOAT  learning rate (default: 0.1)     │
│ --model.amp, --model.no-amp                        │
│                   half precision (default: False)  │
╰────────────────────────────────────────────────────╯
"""
ABSL = """\

       USAGE: train.py [flags]
flags:

train.py:
  --[no]amp: half precision
    (default: 'false')
  --batch_size: images at once
    (default: '32')
    (an integer)
  --lr: learning rate
    (default: '0.1')
    (a number)
  --optimizer: <sgd|adam>: which one
    (default: 'sgd')

Try --helpfull to get a list of all flags.
"""
JSONARGPARSE = """\
usage: train.py [--config CONFIG] [--lr LR]

options:
  -h, --help            Show this help message and exit.
  --config CONFIG       Path to a configuration file.
  --print_config [=flags]
                        Print the configuration.
  --lr LR               learning rate (type: float, default: 0.1)
  --batch_size BATCH_SIZE
                        images at once (type: int, default: 32)
  --optimizer {sgd,adam}
                        which one (type: Literal['sgd', 'adam'], default: sgd)
  --amp {true,false}    half precision (type: bool, default: False)
"""
OPTPARSE = """\
Usage: fit.R [options]


Options:
\t-l LR, --lr=LR
\t\tlearning rate [default 0.1]

\t-b N, --batch-size=N
\t\timages at once [default 32]

\t--optimizer=NAME
\t\twhich one [default sgd]

\t--amp
\t\thalf precision

\t-h, --help
\t\tShow this help message and exit

"""
GO = """\
Usage of train:
  -amp
    \thalf precision
  -batch-size int
    \timages at once (default 32)
  -lr float
    \tlearning rate (default 0.1)
  -optimizer string
    \twhich one (default "sgd")
"""
CLAP = """\
Usage: train [OPTIONS]

Options:
      --lr <LR>                  learning rate [default: 0.1]
  -b, --batch-size <BATCH_SIZE>  images at once [default: 32]
      --optimizer <OPTIMIZER>    which one [default: sgd] [possible values: sgd, adam]
      --amp                      half precision
  -h, --help                     Print help
"""
TEXTS: dict[str, tuple[str, dict[str, Any]]] = {
    "argparse": (ARGPARSE, {"dashes": True, "booleans": "flag"}),
    "click": (CLICK, {"dashes": True, "booleans": "switch"}),
    "typer": (TYPER, {"dashes": True, "booleans": "switch"}),
    "tyro": (TYRO, {"dashes": True, "booleans": "inner switch"}),
    "absl": (ABSL, {}),
    "jsonargparse": (JSONARGPARSE, {}),
    "optparse": (OPTPARSE, {"dashes": True, "booleans": "flag"}),
    "Go": (GO, {"dashes": True, "booleans": "flag", "style": "-n value"}),
    "clap": (CLAP, {"dashes": True, "booleans": "flag"}),
}


@pytest.mark.parametrize("text", [text for text, _ in TEXTS.values()], ids=TEXTS)
def test_options_have_their_defaults_and_the_parsers_own_are_none(text: str) -> None:
    options = {option.name.removeprefix("model."): option for option in helptexts.of_help(text)}
    assert {name: option.default for name, option in options.items()} == {
        "lr": 0.1,
        "batch_size": 32,
        "optimizer": "sgd",
        "amp": False,
    }
    assert options["lr"].help == "learning rate"
    if "{sgd,adam}" in text or "sgd|adam" in text:
        assert options["optimizer"].choices == ("sgd", "adam")


@pytest.mark.parametrize(("text", "settings"), TEXTS.values(), ids=TEXTS)
def test_how_it_wants_its_words_is_seen(text: str, settings: dict[str, Any]) -> None:
    assert helptexts.passing(text) == settings


def test_prose_has_no_options() -> None:
    assert helptexts.of_help("it trains\n - and saves --all\n") == []
    assert helptexts.passing("") == {}
