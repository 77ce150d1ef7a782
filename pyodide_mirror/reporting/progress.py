"""The display of an install's events, in a notebook, a terminal or any text stream."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from pyodide_mirror.model import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from .events import Event

_WIDTH = 78
_SHOWN = {
    "outcome": "looked at",
    "chosen": "using",
    "progress": "reading",
    "retry": "waiting:",
    "problem": "trouble:",
    "failover": "got",
    "again": "trying",
    "resolved": "versions",
    "closure": "completing:",
    "unpacked": "installed",
}


def show_progress(stream: Any = None) -> Callable[[Event], None]:
    """A function for ``on_event`` that shows how an install gets on.

    ``stream``: a text stream to write to; by default the output of a notebook (IPython's or
    marimo's, no widgets needed), else ``sys.stdout``. Notebooks and terminals show one line that
    changes, notebooks with a bar; other streams get a line for each step.
    """
    show = _display(stream)

    def on_event(event: Event) -> None:
        word = _SHOWN.get(event.kind)
        if word is None:
            return
        text = f"{word} {printable(event.text)}"
        if event.total:
            text += f" of {event.total:,} ({100 * (event.size or 0) // event.total} %)"
        show(text, event)

    return on_event


def _display(stream: Any) -> Callable[[str, Event], None]:
    """What shows a text, instead of the one before where that is possible."""
    if stream is None and _in_ipython():
        return _ipython_display()
    if stream is None and _in_marimo():
        return _show_in_marimo
    stream = sys.stdout if stream is None else stream
    return partial(_show_in_terminal if stream.isatty() else _show_in_log, stream)


def _in_ipython() -> bool:
    """Whether IPython runs here in a front end that shows more than text."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None


def _in_marimo() -> bool:
    marimo = sys.modules.get("marimo")
    return marimo is not None and bool(marimo.running_in_notebook())


def _ipython_display() -> Callable[[str, Event], None]:
    from IPython.display import display

    handle: Any = None

    def show(text: str, event: Event) -> None:
        nonlocal handle
        data = {"text/plain": text, "text/html": _html(text, event)}
        if handle is None:
            handle = display(data, raw=True, display_id=True)
        else:
            handle.update(data, raw=True)

    return show


def _show_in_marimo(text: str, event: Event) -> None:
    marimo = sys.modules["marimo"]
    marimo.output.replace(marimo.Html(_html(text, event)))


def _show_in_terminal(stream: Any, text: str, _: Event) -> None:
    stream.write(f"\r{text[:_WIDTH].ljust(_WIDTH)}")
    stream.flush()


def _show_in_log(stream: Any, text: str, event: Event) -> None:
    if event.kind != "progress":
        stream.write(f"{text}\n")
        stream.flush()


def _html(text: str, event: Event) -> str:
    from .html import progress_html

    return progress_html(text, event.size or 0, event.total)
