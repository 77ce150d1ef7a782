"""Puts an install of ours in the place of micropip's.

It stands apart from all else that touches micropip because it is all that a kernel loads at its
start.
"""

from __future__ import annotations

import functools
import inspect
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

PREPARED: list[tuple[InstallHook, Any, Callable[[Any], None]]] = []
"""What a kernel's start has put there for the session, until that is made: the hook that stands in
micropip's place already, the one in Pyodide's, and a function that configures the session."""

_UNDER: ContextVar[Callable[..., Awaitable[None]] | None] = ContextVar("_UNDER", default=None)
"""What the function of ours that was called here stands in front of."""

_INSIDE: ContextVar[bool] = ContextVar("_INSIDE", default=False)
"""Whether micropip's own install runs here, on our behalf."""

RUN_INSTEAD: ContextVar[Callable[[dict[str, Any]], Awaitable[None]] | None] = ContextVar(
    "RUN_INSTEAD", default=None
)
"""What runs here in the place of a hook's ``run``."""


class InstallHook:
    """Puts our install in the place of ``micropip.install``, where users and ``%pip`` look it up.

    The function keeps its signature and its ``__self__``. ``run`` gets the call's arguments by
    name; another may take its place at any time. Users may wrap what they find there: it may then
    stand there more than once, and still runs once.
    """

    def __init__(self, run: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self.run = run
        self._ours: Any = None
        self.original: Any = None

    def install(self) -> None:
        """Put it there, unless it is there already."""
        micropip = _micropip()
        if self._ours is not None and micropip.install is self._ours:
            return
        original = self.original = micropip.install

        @functools.wraps(original)
        async def install(*arguments: Any, **options: Any) -> None:
            if _INSIDE.get():
                await original(*arguments, **options)
                return
            bound = inspect.signature(original).bind(*arguments, **options)
            under = _UNDER.set(original)
            try:
                await (RUN_INSTEAD.get() or self.run)(bound.arguments)
            finally:
                _UNDER.reset(under)

        install.__self__ = original.__self__  # type: ignore[attr-defined]
        self._ours = install
        micropip.install = install

    def remove(self) -> None:
        """Put micropip's own back, unless someone else has replaced ours since."""
        if self._ours is not None and _micropip().install is self._ours:
            _micropip().install = self.original
            self._ours = None

    async def call(self, requirements: list[str], options: Mapping[str, Any]) -> None:
        """Micropip's own install."""
        inside = _INSIDE.set(True)
        try:
            await (_UNDER.get() or self.original or _micropip().install)(requirements, **options)
        finally:
            _INSIDE.reset(inside)


def _micropip() -> Any:
    """micropip, which takes its time to import: a request can be under way meanwhile."""
    import micropip

    return micropip


def check_options(options: Mapping[str, object]) -> None:
    """TypeError for an option that this micropip's ``install`` does not know."""
    known = inspect.signature(_micropip().install).parameters if options else ()
    for name in options:
        if name not in known:
            raise TypeError(f"install() got an unexpected keyword argument {name!r}")
