"""Mirrors that are found when the first of them is needed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pyodide_mirror.model import Mirror, ProjectPage

    from .mirror_order import MirrorOrder

LoadPage = Callable[["Mirror"], Awaitable["ProjectPage"]]
"""Reads a mirror's page of the project that is wanted first; raises NoPageError."""
FindMirrors = Callable[[str, LoadPage], Awaitable["MirrorOrder"]]
"""Finds the mirrors that work; it is given the project that is wanted first."""


class DeferredMirrors(NamedTuple):
    """The mirrors of an install, which are looked at when the first page is wanted.

    What comes from Pyodide's lock file, or from a site's own wheels, so needs no mirror at all.
    ``provisional``: the mirrors as they were named. ``find``: is called once, for the first page;
    None where there is nothing left to find out.
    """

    provisional: MirrorOrder
    find: FindMirrors | None = None
