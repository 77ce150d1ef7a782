"""Shows the events of an install as one line that changes: in a terminal, or in a notebook."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

from .report import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from .report import Event

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


class _Line(Protocol):
    def show(self, text: str) -> None:
        """Put this text in the place of the one before."""
        ...


def show_progress(stream: Any = None) -> Callable[[Event], None]:
    """A function for ``on_event`` that keeps one line up to date.

    ``stream``: a text stream to write to; by default the notebook's output where there is one, else
    ``sys.stdout``.
    """
    line: _Line = _Notebook() if stream is None and _in_notebook() else _Terminal(stream)

    def on_event(event: Event) -> None:
        word = _SHOWN.get(event.kind)
        if word is None:
            return
        text = f"{word} {printable(event.text)}"
        if event.total:
            text += f" of {event.total:,} ({100 * (event.size or 0) // event.total} %)"
        line.show(text)

    return on_event


def _in_notebook() -> bool:
    """Whether IPython runs here with a front end that shows more than text."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None


class _Terminal:
    def __init__(self, stream: Any) -> None:
        self._stream = stream or sys.stdout

    def show(self, text: str) -> None:
        self._stream.write(f"\r{text[:_WIDTH].ljust(_WIDTH)}")
        self._stream.flush()


class _Notebook:
    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str) -> None:
        from IPython.display import display

        data = {"text/plain": text}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)
