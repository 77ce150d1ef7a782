"""What a probe, a configuration and an install have found and done.

Text from the network is shown without control characters; ``html`` has the tables in HTML.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyodide_mirror.model import Mirror, Outcome, Support, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .events import Event, Installed


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of the mirrors.

    ``chosen``: the mirror in use (of a probe: the best one), or None. ``outcomes``: the verdicts,
    best first. ``pending``: mirrors without a verdict when the race was won.
    """

    __module__ = "pyodide_mirror"  # where users find it

    chosen: Mirror | None
    outcomes: tuple[Outcome, ...]
    pending: tuple[Mirror, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; headers and credentials of mirrors are never in it."""
        return {
            "chosen": self.chosen and self.chosen.index_url,
            "outcomes": [_outcome_to_dict(outcome) for outcome in self.outcomes],
            "pending": [_mirror_to_dict(mirror) for mirror in self.pending],
        }

    def __str__(self) -> str:
        rows = [self._text_row(outcome) for outcome in self.outcomes]
        rows += [(" ", mirror.name, "(no verdict yet)", "", "") for mirror in self.pending]
        table = _text_table(("", "mirror", "verdict", "ms", "what was seen"), rows)
        return "\n".join([*table, *self._hints()])

    def _text_row(self, outcome: Outcome) -> tuple[str, ...]:
        mark = "*" if outcome.mirror == self.chosen else " "
        milliseconds = f"{outcome.elapsed_ms:.0f}"
        return mark, outcome.mirror.name, outcome.verdict, milliseconds, outcome.detail

    def _hints(self) -> list[str]:
        """Each advice once, with the mirrors it is for."""
        mirrors: dict[str, list[str]] = {}
        for outcome in self.outcomes:
            if outcome.support is not Support.FULL:
                mirrors.setdefault(outcome.hint, []).append(printable(outcome.mirror.name))
        return [f"{', '.join(names)}: {hint}" for hint, names in mirrors.items()]

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:  # IPython's protocol
        from .html import report_html

        shown = report_html(self.chosen, self.outcomes, self.pending)
        return {"text/plain": str(self), "text/html": shown}


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallReport:
    """What an install has done.

    ``installed``: what it added or changed. ``events``: what happened, in order. ``report``: the
    mirrors.
    """

    __module__ = "pyodide_mirror"

    installed: tuple[Installed, ...]
    events: tuple[Event, ...]
    report: Report

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
        mirrors = known.chosen, known.outcomes, known.pending
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


def _mirror_to_dict(mirror: Mirror) -> dict[str, Any]:
    return {name: getattr(mirror, name) for name in ("index_url", "name", "region", "private")}


def _text_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [[printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
