"""Check the built-in table of mirrors again, from a machine with an open network, and date it anew.

    python -m tools.recheck_mirrors [--origin ORIGIN] [--dry-run] [--accept]

Each note in ``pyodide_mirror/mirrors.py`` may end in ``checked DATE: VERDICT``. Where the verdict
is as it was, the date is renewed. What is new or has changed is shown, for a person to look at and
to put into the rest of the note; ``--accept`` writes these verdicts down, too, if there was an
answer. When nothing can be learned (most mirrors do not answer, a report makes no sense) the file
stays as it was.

Exit code: 0 when all verdicts are as before or accepted, 1 when some are not, 2 when nothing was
learned.
"""

import argparse
import ast
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as fields_of
from datetime import UTC, datetime
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, Final

import pyodide_mirror.mirrors
from pyodide_mirror import Mirror, Reason, Support
from pyodide_mirror.cli.check import DEFAULT_ORIGIN
from pyodide_mirror.model import printable
from pyodide_mirror.probing import DEFAULT_CANARY

TABLE: Final = Path(pyodide_mirror.mirrors.__file__)
_CHECKED: Final = re.compile(r"(?:; )?checked (?P<date>\d{4}-\d\d-\d\d): (?P<verdict>[a-z+ -]+)$")
_AS_OF: Final = re.compile(r'^(MIRRORS_AS_OF: Final = ")\d{4}-\d\d-\d\d(")$', re.MULTILINE)
_NO_ANSWER: Final = {Reason.OFFLINE, Reason.UNREACHABLE, Reason.TIMEOUT}
_REASONS: Final = {str(reason): reason for reason in Reason}
_PIECE: Final = 76
"""Characters of a note in one line of the source, which has 100."""

Check = Callable[[Sequence[str]], str]
"""Takes index URLs, and returns what ``pyodide-mirror check --json`` prints of them."""


class RecheckError(Exception):
    """Nothing was learned; the text says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says of one mirror."""

    words: str
    """Its reason, or all that has to be repaired, as reports show it."""
    detail: str
    answered: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A mirror of the table, and its verdicts."""

    mirror: Mirror
    before: str
    """The verdict in its note; empty when there is none."""
    now: Verdict

    @property
    def is_as_before(self) -> bool:
        """Whether the date alone has to change."""
        return self.before == self.now.words

    def note(self, date: str) -> str:
        """Return the note with this verdict in it."""
        rest = _CHECKED.sub("", self.mirror.note)
        return "; ".join(filter(None, [rest, f"checked {date}: {self.now.words}"]))

    @property
    def status(self) -> str:
        """What has become of it, in a word."""
        if self.is_as_before:
            return "as before"
        if not self.now.answered:
            return "no answer"
        return "changed" if self.before else "new"


# --- the check ----------------------------------------------------------------------------------


def command(origin: str, timeout: float, canary: str) -> Check:
    """Return a check by the real command, in a process of its own."""

    def check(urls: Sequence[str]) -> str:
        options = ["--json", "--origin", origin, "--timeout", f"{timeout:g}", "--canary", canary]
        done = subprocess.run(
            [sys.executable, "-m", "pyodide_mirror", "check", *options, *urls],
            check=False,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        if done.returncode not in {0, 1}:
            raise RecheckError(f"the check ended with {done.returncode}: {printable(done.stderr)}")
        return done.stdout

    return check


def verdicts(text: str, urls: Sequence[str]) -> dict[str, Verdict]:
    """Return what a check says of each URL; RecheckError says what is wrong with it.

    It may be anything: what mirrors say is in it, and it decides what is written into our source.
    """
    try:
        found = dict(_verdict(outcome) for outcome in _pairs(json.loads(text)))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise RecheckError(f"the check printed no report: {printable(repr(error))}") from error
    if sorted(found) != sorted(urls):
        raise RecheckError("the check did not answer for exactly the mirrors of the table")
    silent = sum(not verdict.answered for verdict in found.values())
    if 2 * silent > len(found):
        raise RecheckError(f"{silent} of {len(found)} did not answer: is this an open network?")
    return found


def _pairs(report: Any) -> list[Mapping[str, Any]]:
    outcomes = report["outcomes"]
    urls = [outcome["mirror"]["index_url"] for outcome in outcomes]
    if not isinstance(outcomes, list) or len(set(urls)) != len(urls):
        raise ValueError("outcomes must be a list, each of another mirror")
    return outcomes


def _verdict(outcome: Mapping[str, Any]) -> tuple[str, Verdict]:
    reason = _REASONS[outcome["reason"]]
    repairs = [_REASONS[repair] for repair in outcome["repairs"]]
    if any(repair.support is not Support.REPAIRED for repair in repairs):
        raise ValueError("repairs holds what is none")
    words = " + ".join(repairs or (reason,))
    detail = printable(str(outcome["detail"]))
    return outcome["mirror"]["index_url"], Verdict(words, detail, reason not in _NO_ANSWER)


# --- the source ---------------------------------------------------------------------------------


class _Anew(SourceFileLoader):
    """Compiles a file that may have changed a moment ago, which Python's cache would not notice."""

    def get_code(self, fullname: str) -> CodeType:
        """See the base class."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def load(table: Path) -> tuple[Mirror, ...]:
    """Return the mirrors of a table's source."""
    # A name in the package, so that its relative imports work.
    name = "pyodide_mirror._rechecked"
    spec = importlib.util.spec_from_file_location(name, table, loader=_Anew(name, str(table)))
    if spec is None or spec.loader is None:
        raise RecheckError(f"{table} is no Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    mirrors: tuple[Mirror, ...] = module.MIRRORS
    return mirrors


def rewritten(source: str, notes: Sequence[str], *, as_of: str | None) -> str:
    """Return a table's source with these notes, one for each mirror, in order.

    ``as_of``: the date for the whole table, or None to leave the one that it has.
    """
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    content = source.encode()
    for node, note in reversed(list(zip(_notes(source), notes, strict=True))):
        if ast.literal_eval(node) == note:
            continue
        # Columns of `ast` count bytes.
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        content = content[:begin] + _literal(note).encode() + content[end:]
    text = content.decode()
    return _AS_OF.sub(rf"\g<1>{as_of}\g<2>", text) if as_of else text


def _notes(source: str) -> list[ast.expr]:
    """Return the expressions of the notes, in the order of the mirrors."""
    (table,) = (
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "MIRRORS"
    )
    if not isinstance(table, ast.Tuple):
        raise RecheckError("MIRRORS is no tuple in the source")
    found = []
    for call in table.elts:
        keywords = call.keywords if isinstance(call, ast.Call) else []
        found += [keyword.value for keyword in keywords if keyword.arg == "note"]
    if len(found) != len(table.elts):
        raise RecheckError("a mirror of the table has no note")
    return found


def _literal(note: str) -> str:
    """Write a note as Python; a long one in pieces, that the formatter puts below one another."""
    pieces, rest = [], note
    while len(rest) > _PIECE:
        at = rest.rfind(" ", 0, _PIECE) + 1 or _PIECE
        pieces.append(rest[:at])
        rest = rest[at:]
    return "\n        ".join(json.dumps(piece) for piece in [*pieces, rest])


def write(table: Path, rows: Sequence[Row], accepted: Iterable[Row], date: str) -> bool:
    """Put the verdicts of the accepted rows into the source; returns whether that changed it.

    The file is replaced whole, or stays: RecheckError when anything but notes would change.
    """
    chosen = list(accepted)
    notes = [row.note(date) if row in chosen else row.mirror.note for row in rows]
    before = table.read_text("utf-8")
    after = rewritten(before, notes, as_of=date if len(chosen) == len(rows) else None)
    if after == before:
        return False
    with tempfile.TemporaryDirectory(dir=table.parent) as scratch:
        new = Path(scratch) / table.name
        new.write_text(after, "utf-8")
        if [_without_note(mirror) for mirror in load(new)] != [
            _without_note(row.mirror) for row in rows
        ]:
            raise RecheckError("something else than notes would change")
        new.chmod(table.stat().st_mode)
        new.replace(table)
    return True


def _without_note(mirror: Mirror) -> list[object]:
    return [getattr(mirror, field.name) for field in fields_of(mirror) if field.name != "note"]


# --- the command --------------------------------------------------------------------------------


def shown(rows: Sequence[Row]) -> str:
    """Show what has become of each mirror, the changed ones first."""
    cells = [("mirror", "", "before", "now", "what was seen")]
    for row in sorted(rows, key=lambda row: row.is_as_before):
        seen = row.now.detail
        cells.append((row.mirror.name, row.status, row.before or "-", row.now.words, seen))
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    return "\n".join(
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[4]]
        ).rstrip()
        for line in cells
    )


def recheck(table: Path, check: Check, *, date: str, accept: bool, dry_run: bool) -> int:
    """Check a table, show what has become of it and date it; returns the exit code."""
    mirrors = load(table)
    urls = [mirror.index_url for mirror in mirrors]
    found = verdicts(check(urls), urls)
    rows = [Row(mirror, _verdict_of(mirror), found[mirror.index_url]) for mirror in mirrors]
    print(shown(rows))
    # Where nobody answers, it may be the network: a person has to write that down.
    accepted = [row for row in rows if row.is_as_before or (accept and row.now.answered)]
    if not dry_run and write(table, rows, accepted, date):
        print(f"\n{len(accepted)} of {len(rows)} notes are dated {date}; now: ruff format {table}")
        print("and: python -m tests.docs.tables")
    left = [row for row in rows if row not in accepted]
    if left:
        print("\nLook at these, and put what you see into their notes (or accept: --accept):")
    for row in left:
        print(f"  {row.mirror.name}: note={row.note(date)!r}")
    return int(bool(left))


def _verdict_of(mirror: Mirror) -> str:
    match = _CHECKED.search(mirror.note)
    return match["verdict"] if match else ""


def main(arguments: Sequence[str] | None = None, check: Check | None = None) -> int:
    """Run the command; ``check`` takes the place of the real one. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.recheck_mirrors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--origin", default=DEFAULT_ORIGIN, help="of the page that would ask")
    parser.add_argument("--timeout", type=float, default=15.0, help="seconds for each request")
    parser.add_argument("--canary", default=DEFAULT_CANARY, help="the project to look up")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    parser.add_argument("--accept", action="store_true", help="write new and changed verdicts, too")
    parser.add_argument("--table", type=Path, default=TABLE, help="the source (default: ours)")
    given = parser.parse_args(arguments)
    asked = check or command(given.origin, given.timeout, given.canary)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    try:
        return recheck(given.table, asked, date=today, accept=given.accept, dry_run=given.dry_run)
    except RecheckError as error:
        print(f"recheck_mirrors: {error}; nothing was written", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
