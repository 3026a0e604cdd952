"""Suspend the Jobs of a sweep on a cluster; their Pods end. `make resume` continues from the checkpoints."""

from __future__ import annotations

import guard

import cli


def main() -> int:
    return cli.switch(__doc__, suspend=True)


if __name__ == "__main__":
    guard.run(main)
