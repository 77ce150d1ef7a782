"""Fetches ahead: what an install will ask for next, as soon as that can be known.

micropip asks for a page, then for metadata, then for the pages of what that requires, and for all
wheels at the end. The prefetcher fetches the wheel at once, reads the metadata in it, and is at the
next page while micropip is still reading. What it fetches is what micropip will ask for; where it
guesses wrong, a request was made in vain and nothing else.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pyodide_mirror.index import (
    SMALL_WHEEL,
    applicable,
    best_wheel,
    requirement_name,
    requirements_of,
)
from pyodide_mirror.transport import begin

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from pyodide_mirror.model import File, ProjectPage

_log = logging.getLogger(__name__)


class Prefetcher:
    """Follows requirements from page to page, as soon as micropip has asked for the first one.

    ``requirements``: what was asked for. ``is_there``: whether a project needs no page, because it
    is installed or comes from elsewhere. ``page`` and ``wheel`` fetch what they are asked for, once
    for all who ask, and return a page and a wheel's core metadata; None for what cannot be read.
    """

    def __init__(
        self,
        requirements: Iterable[str],
        is_there: Callable[[str], bool],
        page: Callable[[str], Awaitable[ProjectPage | None]],
        wheel: Callable[[str, File], Awaitable[bytes | None]],
    ) -> None:
        self._is_there = is_there
        self._page = page
        self._wheel = wheel
        self._wanted = {name: text for text in requirements if (name := requirement_name(text))}
        self._seen: set[str] = set()
        self._tasks: set[asyncio.Future[None]] = set()

    def page_served(self, project: str, page: ProjectPage) -> None:
        """Fetch what micropip will ask for next, now that it has this page. Returns at once."""
        if project not in self._seen and project in self._wanted:
            self._seen.add(project)
            self._start(self._follow(project, page))

    def stop(self) -> None:
        """End what is still running."""
        for task in list(self._tasks):
            task.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = begin(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # Whatever it is, micropip meets it again and deals with it.
            _log.debug("fetching ahead failed", exc_info=task.exception())

    async def _follow(self, project: str, page: ProjectPage) -> None:
        requirement = applicable(self._wanted[project], ("",))
        if requirement is None or requirement.url:
            return
        file = best_wheel(page, str(requirement.specifier))
        if file is None:
            return
        if file.size is None or file.size > SMALL_WHEEL:
            self._start(self._fetch(project, file))  # its metadata comes first, and by itself
            return
        metadata = await self._wheel(project, file)
        for text in requirements_of(metadata, requirement.extras) if metadata else ():
            name = requirement_name(text)
            if name not in self._wanted and not self._is_there(name):
                self._wanted[name] = text
                self._start(self._next(name))

    async def _next(self, project: str) -> None:
        page = await self._page(project)
        if page is not None and project not in self._seen:  # micropip was not faster
            self._seen.add(project)
            await self._follow(project, page)

    async def _fetch(self, project: str, file: File) -> None:
        await self._wheel(project, file)
