"""Reports in HTML, for notebooks: compact tables, with the details to unfold.

Colours and type are the notebook's own. Text from the network is shown without control characters,
and escaped.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from pyodide_mirror.model import Mirror, Outcome, Support, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyodide_mirror.model import CDNOutcome

    from .events import Event, Installed

_QUIET: Final = frozenset({"outcome", "page", "file", "unpacked"})
"""Events of an install that went as it should; only the details show them."""
_SIGNS: Final = {Support.FULL: "✓", Support.REPAIRED: "✓", Support.NONE: "✗"}
_LEFT: Final = ' style="text-align:left"'
_RIGHT: Final = ' style="text-align:right"'


def report_html(
    chosen: Mirror | None,
    outcomes: Sequence[Outcome],
    pending: Sequence[Mirror],
    cdns: Sequence[CDNOutcome] = (),
) -> str:
    """A table of the mirrors: whether each works; unfolded, what was seen and what to do.

    Then the same for CDNs, where there are any.
    """
    if cdns:
        return report_html(chosen, outcomes, pending) + _cdns(cdns)
    if not outcomes and not pending:
        return "<p>no mirrors</p>"
    rows = [_outcome_row(each, chosen=each.mirror == chosen) for each in outcomes]
    rows += [_row("…", _mirror_cell(mirror), "no verdict yet", "") for mirror in pending]
    return _table(("", "mirror", "verdict", "ms"), rows)


def install_html(
    installed: Sequence[Installed],
    events: Sequence[Event],
    chosen: Mirror | None,
    outcomes: Sequence[Outcome],
    pending: Sequence[Mirror],
    cdns: Sequence[CDNOutcome] = (),
) -> str:
    """What was installed, from where, and repairs and problems; the mirrors to unfold."""
    parts = [_installed(installed)]
    notable = [event for event in events if event.kind not in _QUIET]
    for title, shown in (("repairs and problems", notable), ("all events", events)):
        if shown:
            parts.append(_details(f"{title} ({len(shown)})", _list(shown)))
    mirrors = len(outcomes) + len(pending)
    parts.append(_details(f"mirrors ({mirrors})", report_html(chosen, outcomes, pending, cdns)))
    return "".join(parts)


def progress_html(text: str, done: int, total: int | None) -> str:
    """A bar, if the total is known, and a line of text."""
    bar = f'<progress max="{total}" value="{min(done, total)}"></progress> ' if total else ""
    return f'<div role="status">{bar}{_html(text)}</div>'


def _outcome_row(outcome: Outcome, *, chosen: bool) -> str:
    summary = f"<code>{_html(outcome.verdict)}</code>"
    facts = [outcome.reason.explanation, outcome.detail, outcome.hint]
    lines = _lines(facts)
    name = _mirror_cell(outcome.mirror)
    return _row(
        _SIGNS[outcome.support],
        f"<strong>{name}</strong>, in use" if chosen else name,
        _details(summary, lines),
        f"{outcome.elapsed_ms:.0f}",
    )


def _cdns(outcomes: Sequence[CDNOutcome]) -> str:
    rows = [
        _row(
            _SIGNS[each.support],
            f'<span title="{_html(each.cdn.base_url)}">{_html(each.cdn.name)}</span>',
            _details(f"<code>{_html(each.verdict)}</code>", _lines((each.detail, each.hint))),
            f"{each.elapsed_ms:.0f}",
        )
        for each in outcomes
    ]
    return _table(("", "CDN", "verdict", "ms"), rows)


def _lines(facts: Iterable[str]) -> str:
    return "".join(f"<div>{_html(fact)}</div>" for fact in dict.fromkeys(facts) if fact)


def _mirror_cell(mirror: Mirror) -> str:
    return f'<span title="{_html(mirror.index_url)}">{_html(mirror.name)}</span>'


def _row(sign: str, mirror: str, verdict: str, milliseconds: str) -> str:
    return (
        f"<tr><td>{sign}</td><td{_LEFT}>{mirror}</td>"
        f"<td{_LEFT}>{verdict}</td><td{_RIGHT}>{milliseconds}</td></tr>"
    )


def _installed(installed: Sequence[Installed]) -> str:
    if not installed:
        return "<p>nothing to install: everything is already installed</p>"
    rows = (
        f"<tr><td{_LEFT}>{_html(item.name)}</td><td{_LEFT}>{_html(item.version)}</td>"
        f'<td{_LEFT} title="{_html(item.url)}">{_html(item.place)}</td>'
        f"<td{_RIGHT}>{'' if item.size is None else f'{item.size:,}'}</td></tr>"
        for item in installed
    )
    return _table(("installed", "version", "from", "bytes"), rows)


def _list(events: Iterable[Event]) -> str:
    return f"<ol>{''.join(f'<li>{_html(event.text)}</li>' for event in events)}</ol>"


def _details(summary: str, content: str) -> str:
    """Something to unfold; both are HTML."""
    return f"<details><summary>{summary}</summary>{content}</details>"


def _table(head: Sequence[str], rows: Iterable[str]) -> str:
    cells = "".join(f'<th scope="col"{_LEFT}>{title}</th>' for title in head)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _html(text: str) -> str:
    return escape(printable(text))
