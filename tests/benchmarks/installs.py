"""How long installs take through us and through plain micropip, in turns, in real engines.

    python -m tests.benchmarks.installs [--engine chromium,firefox] [--rounds 7] [--docs FILE]
        [CASE...]

Machines are noisy: what counts is the ratio to plain micropip in the same round, not the
milliseconds. That all kinds of install put the same files in place is looked at in each round.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.pages import CASES, measure
from tests.benchmarks.report import LEGEND, Table, machine, tables, write
from tests.conformance.peers import markdown, text
from tests.support.engines import BROWSERS


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table for each case; with --strict, a missed target is an error."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.installs", description=main.__doc__
    )
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], metavar="CASE", default=[])
    parser.add_argument("--engine", default="chromium,firefox", metavar="NAMES", type=_engines)
    parser.add_argument("--rounds", type=int, default=7, choices=range(2, 1000), metavar="N")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="put the tables into a document")
    parser.add_argument("--strict", action="store_true", help="end with 1 when a target is missed")
    given = parser.parse_args(arguments)
    found = [measure(engine, given.rounds, given.cases or CASES) for engine in given.engine]
    shown = [table for figures in found for table in tables(figures)]
    what = machine([figures.browser for figures in found], given.rounds)
    print(f"{what}\n\n{LEGEND}")
    for table in shown:
        print(f"\n{_markdown(table) if given.markdown else _text(table)}")
    if given.docs:
        write(given.docs, what, map(_markdown, shown))
    missed = sum(table.missed for table in shown)
    if missed:
        print(f"\n{missed} targets missed")
        sys.exit(int(given.strict))


def _engines(names: str) -> list[str]:
    found = [name.strip() for name in names.split(",")]
    if unknown := set(found) - set(BROWSERS):
        what = f"{', '.join(sorted(unknown))} is none of {', '.join(BROWSERS)}"
        raise argparse.ArgumentTypeError(what)
    return found


def _text(table: Table) -> str:
    return f"{table.title}\n{text(table.rows)}"


def _markdown(table: Table) -> str:
    return f"## {table.title}\n\n{markdown(table.rows)}"


if __name__ == "__main__":
    main()
