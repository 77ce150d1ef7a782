"""What a probe, a configuration and an install tell, and how they show themselves.

Whatever came from the network is shown without control characters; ``html`` makes HTML of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyodide_mirror.model import Mirror, Outcome, Support, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .events import Event
    from .installed import Installed


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
            "chosen": None if self.chosen is None else self.chosen.index_url,
            "outcomes": [outcome_to_dict(outcome) for outcome in self.outcomes],
            "pending": [_mirror_to_dict(mirror) for mirror in self.pending],
        }

    def __str__(self) -> str:
        rows = [self._text_row(outcome) for outcome in self.outcomes]
        rows += [(" ", mirror.name, "(no verdict yet)", "", "") for mirror in self.pending]
        table = _text_table(("", "mirror", "verdict", "ms", "what was seen"), rows)
        return "\n".join([*table, *self._hints()])

    def _hints(self) -> list[str]:
        """Each advice once, with the mirrors it is for."""
        mirrors: dict[str, list[str]] = {}
        for outcome in self.outcomes:
            if outcome.support is not Support.FULL:
                mirrors.setdefault(outcome.hint, []).append(printable(outcome.mirror.name))
        return [f"{', '.join(names)}: {hint}" for hint, names in mirrors.items()]

    def _text_row(self, outcome: Outcome) -> tuple[str, ...]:
        mark = "*" if outcome.mirror == self.chosen else " "
        milliseconds = f"{outcome.elapsed_ms:.0f}"
        return mark, outcome.mirror.name, outcome.verdict, milliseconds, outcome.detail

    def _repr_mimebundle_(
        self,
        include: Iterable[str] | None = None,  # IPython's protocol
        exclude: Iterable[str] | None = None,
    ) -> dict[str, str]:
        from .html import report_html

        shown = report_html(self.chosen, self.outcomes, self.pending)
        return {"text/plain": str(self), "text/html": shown}


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallReport:
    """What an install has done.

    ``installed``: what it added or changed, ``events``: what happened, in order, ``report``: the
    mirrors.
    """

    __module__ = "pyodide_mirror"  # where users find it

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
        head = ("installed", "version", "from", "bytes")
        table = _text_table(head, [self._row(item) for item in self.installed])
        if not self.installed:
            table = ["nothing to install: everything is there already"]
        return "\n".join([*table, "", str(self.report)])

    @staticmethod
    def _row(item: Installed) -> tuple[str, str, str, str]:
        return item.name, item.version, item.place, "" if item.size is None else f"{item.size:,}"

    def _repr_mimebundle_(
        self,
        include: Iterable[str] | None = None,  # IPython's protocol
        exclude: Iterable[str] | None = None,
    ) -> dict[str, str]:
        from .html import install_html

        known = self.report
        shown = install_html(
            self.installed, self.events, known.chosen, known.outcomes, known.pending
        )
        return {"text/plain": str(self), "text/html": shown}


def outcome_to_dict(outcome: Outcome) -> dict[str, Any]:
    """A verdict as JSON types; text from the network comes without control characters."""
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
    return {
        "index_url": mirror.index_url,
        "name": mirror.name,
        "region": mirror.region,
        "private": mirror.private,
    }


def _text_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [tuple(head), *(tuple(printable(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    shown = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )
    return [line.rstrip() for line in shown]
