"""What a probe, a configuration and an install have found and done.

Text from the network is shown without control characters; ``html`` has the tables in HTML.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyodide_mirror.model import Mirror, Outcome, Support, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pyodide_mirror.model import CDNOutcome

    from .events import Event, Installed


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of the mirrors.

    ``chosen``: the mirror in use (of a probe: the best one), or None. ``outcomes``: the verdicts,
    best first. ``pending``: mirrors without a verdict when the race was won. ``cdns``: the verdicts
    on CDNs, where Pyodide's own packages were looked for.
    """

    __module__ = "pyodide_mirror"  # where users find it

    chosen: Mirror | None
    outcomes: tuple[Outcome, ...]
    pending: tuple[Mirror, ...] = ()
    cdns: tuple[CDNOutcome, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; headers and credentials of mirrors are never in it."""
        return {
            "chosen": self.chosen and self.chosen.index_url,
            "outcomes": [_outcome_to_dict(outcome) for outcome in self.outcomes],
            "pending": [_mirror_to_dict(mirror) for mirror in self.pending],
            "cdns": [_cdn_to_dict(outcome) for outcome in self.cdns],
        }

    def __str__(self) -> str:
        rows = [self._text_row(outcome) for outcome in self.outcomes]
        rows += [(" ", mirror.name, "(no verdict yet)", "", "") for mirror in self.pending]
        table = _text_table(("", "mirror", "verdict", "ms", "what was seen"), rows)
        mirrors = [*table, *self._hints()] if rows or not self.cdns else []
        between = [""] if mirrors and self.cdns else []
        return "\n".join([*mirrors, *between, *cdn_lines(self.cdns)])

    def _text_row(self, outcome: Outcome) -> tuple[str, ...]:
        mark = "*" if outcome.mirror == self.chosen else " "
        milliseconds = f"{outcome.elapsed_ms:.0f}"
        return mark, outcome.mirror.name, outcome.verdict, milliseconds, outcome.detail

    def _hints(self) -> list[str]:
        return _hint_lines(
            (outcome.mirror.name, outcome.hint)
            for outcome in self.outcomes
            if outcome.support is not Support.FULL
        )

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:  # IPython's protocol
        from .html import report_html

        shown = report_html(self.chosen, self.outcomes, self.pending, self.cdns)
        return {"text/plain": str(self), "text/html": shown}


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallReport:
    """What an install has done.

    ``installed``: what it added or changed. ``events``: what happened, in order. ``report``: the
    mirrors. ``lock``: makes the lock file.
    """

    __module__ = "pyodide_mirror"

    installed: tuple[Installed, ...]
    events: tuple[Event, ...]
    report: Report
    lock: Callable[[InstallReport, Iterable[str]], str] | None = field(
        default=None, repr=False, compare=False
    )

    def to_pylock(self, *, exclude: Iterable[str] = ()) -> str:
        """A lock file (PEP 751) of all that was asked for, and of all that this requires.

        What was there before is in it as it is now. ``exclude``: names to leave out. Raises
        :class:`MirrorError` with the names of those whose files are not known, and where tomli-w
        is not to be had.
        """
        if self.lock is None:
            raise ValueError("this report is of no install")
        return self.lock(self, exclude)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "installed": [item.to_dict() for item in self.installed],
            "events": [event.to_dict() for event in self.events],
            "report": self.report.to_dict(),
        }

    def __str__(self) -> str:
        if not self.installed:
            return f"nothing to install: everything is already installed\n\n{self.report}"
        rows = [
            (each.name, each.version, each.place, "" if each.size is None else f"{each.size:,}")
            for each in self.installed
        ]
        table = _text_table(("installed", "version", "from", "bytes"), rows)
        return "\n".join([*table, "", str(self.report)])

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:  # IPython's protocol
        from .html import install_html

        known = self.report
        mirrors = known.chosen, known.outcomes, known.pending, known.cdns
        shown = install_html(self.installed, self.events, *mirrors)
        return {"text/plain": str(self), "text/html": shown}


def _outcome_to_dict(outcome: Outcome) -> dict[str, Any]:
    return {
        "mirror": _mirror_to_dict(outcome.mirror),
        "reason": str(outcome.reason),
        "support": str(outcome.support),
        "repairs": [str(repair) for repair in outcome.repairs],
        "elapsed_ms": round(outcome.elapsed_ms, 1),
        "detail": printable(outcome.detail),
        "hint": outcome.hint,
    }


def _cdn_to_dict(outcome: CDNOutcome) -> dict[str, Any]:
    return {
        "cdn": {name: getattr(outcome.cdn, name) for name in ("base_url", "name", "region")},
        "reason": str(outcome.reason),
        "support": str(outcome.support),
        "elapsed_ms": round(outcome.elapsed_ms, 1),
        "detail": printable(outcome.detail),
        "hint": outcome.hint,
    }


def cdn_lines(outcomes: Iterable[CDNOutcome]) -> list[str]:
    """A table of CDNs for a terminal, with what to do; no lines where there are none."""
    found = list(outcomes)
    rows = [(each.cdn.name, each.verdict, f"{each.elapsed_ms:.0f}", each.detail) for each in found]
    bad = [(each.cdn.name, each.hint) for each in found if each.support is not Support.FULL]
    head = ("CDN", "verdict", "ms", "what was seen")
    return [*_text_table(head, rows), *_hint_lines(bad)] if found else []


def _hint_lines(hints: Iterable[tuple[str, str]]) -> list[str]:
    """Each advice once, with the names of those it is for."""
    names: dict[str, list[str]] = {}
    for name, hint in hints:
        names.setdefault(hint, []).append(printable(name))
    return [f"{', '.join(each)}: {hint}" for hint, each in names.items()]


def _mirror_to_dict(mirror: Mirror) -> dict[str, Any]:
    return {name: getattr(mirror, name) for name in ("index_url", "name", "region", "private")}


def _text_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [[printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
