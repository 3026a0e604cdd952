"""Show hours by sweep, commit, author and status, over all result stores of this project, and which were wasted."""

from __future__ import annotations

import guard

import dataclasses
from typing import TYPE_CHECKING, Any

import cli
from sweep import prices
from sweep.audit import ledger
from sweep.audit.ledger import Account, Ledger
from sweep.records import booking
from sweep.words import hours

if TYPE_CHECKING:
    from display import Console

GROUPS = ("sweep", "commit", "author", "status", "flavor")
SHOWN = 12
"""Lines of a group; the rest is one line."""


def split(account: Account, gpu: bool) -> list[str]:
    spent = account.gpu_milliseconds if gpu else account.milliseconds
    return [hours(spent[cause] / 1000) for cause in booking.CAUSES]


def group(console: Console, name: str, accounts: dict[str, Account], gpu: bool, ceilings: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(name, overflow="ellipsis", no_wrap=True, max_width=20)
    for title in ("trials", "trial-h", "GPU-h", *booking.CAUSES, *(["ceiling"] if name == "sweep" else [])):
        table.add_column({"preempted": "preempt.", "duplicate": "duplic."}.get(title, title), justify="right")
    paid = any(account.money for account in accounts.values())
    if paid:
        table.add_column("cost", justify="right")
    for key, account in list(accounts.items())[:SHOWN]:
        shown = key[:12] if name == "commit" else key
        spent = [hours(sum(spans.values()) / 1000) for spans in (account.milliseconds, account.gpu_milliseconds)]
        most = ceilings.get(key)
        ceiling = [f"{most[gpu]:.2f}" if most else ""] if name == "sweep" else []
        cost = [prices.amount(account.money)] if paid else []
        table.add_row(shown, f"{len(account.trials):,}", *spent, *split(account, gpu), *ceiling, *cost)
    console.print(table)
    if len(accounts) > SHOWN:
        console.print(f"and {len(accounts) - SHOWN} more; --json lists them")


def show(book: Ledger, ceilings: dict[str, Any]) -> None:
    from display import Console

    console = Console()
    total = book.total()
    gpu = sum(total.gpu_milliseconds.values()) > 0
    for name in GROUPS:
        accounts = book.by(name)
        if name != "flavor" or list(accounts) != [ledger.UNKNOWN]:
            group(console, name, accounts, gpu, ceilings if name == "sweep" else {})
    unit = "GPU-hours" if gpu else "trial-hours"
    spent = total.gpu_milliseconds if gpu else total.milliseconds
    whole = sum(spent.values())
    console.print(
        f"{len(total.trials):,} trials, {total.attempts:,} attempts, {hours(whole / 1000)} {unit} in all", style="bold"
    )
    for cause in booking.CAUSES[1:]:
        share = spent[cause] / whole if whole else 0
        console.print(f"  wasted, {cause}: {hours(spent[cause] / 1000)} {unit} ({share:.0%})")
    if total.money:
        unpriced = total.unpriced_gpu_milliseconds / 1000
        console.print(f"  cost: {prices.text(total.money)}")
        if unpriced:
            console.print(f"  without a price: {hours(unpriced)} GPU-hours")
    console.print(f"The columns by cause{' and the ceiling' if ceilings else ''} are {unit}.")


def reconciled(book: Ledger) -> None:
    remembered = book.total(lambda entry: not entry.recorded)
    if remembered.trials:
        cli.say(f"{len(remembered.trials)} trials are in no store any more; counted as results.csv remembers them")
    if book.differences:
        apart = sum(row.recorded - row.told for row in book.differences)
        first = book.differences[0]
        cli.say(
            f"{len(book.differences)} rows of results.csv differ from the attempts' records, by {apart / 3600:+.2f} "
            f"GPU-hours, the first {first.trial}; `make collect SWEEP={first.sweep}` books what came since"
        )
    cli.say(f"{book.agree} rows agree with the attempts' records; stores: {', '.join(book.stores) or 'none'}")
    for problem in book.problems:
        cli.say(f"set aside: {problem}")


def main() -> int:
    parser = cli.parser(__doc__, sweep=False)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    args = parser.parse_args()
    clone = cli.project()
    book, ceilings = ledger.read(clone), ledger.ceilings(clone)
    if args.json:
        groups = {name: {key: account.data() for key, account in book.by(name).items()} for name in GROUPS}
        cli.put(
            {
                "total": book.total().data(),
                "remembered": book.total(lambda entry: not entry.recorded).data(),
                "by": groups,
                "ceiling": {name: {"trial_hours": most[0], "gpu_hours": most[1]} for name, most in ceilings.items()},
                "agree": book.agree,
                "differences": [dataclasses.asdict(row) for row in book.differences],
                "problems": book.problems,
                "stores": book.stores,
            }
        )
        return 0
    if book.entries:
        show(book, ceilings)
    else:
        cli.say("no trial has run yet, as far as this clone sees")
    reconciled(book)
    return 0


if __name__ == "__main__":
    guard.run(main)
