"""Resume a suspended sweep on a cluster, from the checkpoints of its trials."""

from __future__ import annotations

import guard

import cli


def main() -> int:
    return cli.switch(__doc__, suspend=False)


if __name__ == "__main__":
    guard.run(main)
