"""The display of an install's events, in a notebook, a terminal or any text stream."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

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
    "closure": "completing:",
    "unpacked": "installed",
}


class _Display(Protocol):
    def show(self, text: str, event: Event) -> None:
        """Show this instead of what was shown before, where that is possible."""
        ...


def show_progress(stream: Any = None) -> Callable[[Event], None]:
    """A function for ``on_event`` that shows how an install gets on.

    ``stream``: a text stream to write to; by default the output of a notebook (IPython's or
    marimo's, no widgets needed), else ``sys.stdout``. Notebooks and terminals show one line that
    changes, notebooks with a bar; other streams get a line for each step.
    """
    display = _display(stream)

    def on_event(event: Event) -> None:
        word = _SHOWN.get(event.kind)
        if word is None:
            return
        text = f"{word} {printable(event.text)}"
        if event.total:
            text += f" of {event.total:,} ({100 * (event.size or 0) // event.total} %)"
        display.show(text, event)

    return on_event


def _display(stream: Any) -> _Display:
    if stream is None and _in_ipython():
        return _IPython()
    if stream is None and _in_marimo():
        return _Marimo()
    stream = sys.stdout if stream is None else stream
    return _Terminal(stream) if stream.isatty() else _Log(stream)


def _in_ipython() -> bool:
    """Whether IPython runs here in a front end that shows more than text."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None


def _in_marimo() -> bool:
    marimo = sys.modules.get("marimo")
    return marimo is not None and bool(marimo.running_in_notebook())


class _IPython:
    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str, event: Event) -> None:
        from IPython.display import display

        data = {"text/plain": text, "text/html": _html(text, event)}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


class _Marimo:
    def show(self, text: str, event: Event) -> None:
        marimo = sys.modules["marimo"]
        marimo.output.replace(marimo.Html(_html(text, event)))


class _Terminal:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def show(self, text: str, event: Event) -> None:
        self._stream.write(f"\r{text[:_WIDTH].ljust(_WIDTH)}")
        self._stream.flush()


class _Log:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def show(self, text: str, event: Event) -> None:
        if event.kind != "progress":
            self._stream.write(f"{text}\n")
            self._stream.flush()


def _html(text: str, event: Event) -> str:
    from .html import progress_html

    return progress_html(text, event.size or 0, event.total)
