"""Looks ahead: fetches what an install will ask for next as soon as it can be known.

micropip asks for a page, then for metadata, then for the pages of what that requires, and for all
wheels at the end. The scout fetches the wheel at once, reads the metadata in it, and is at the next
page while micropip is still reading. What it fetches is what micropip will ask for; where it
guesses wrong, a request was made in vain and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any, Final

from .requirements import applicable
from .simple_api import normalize
from .wheels import is_pure, suits_this_python

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from .model import File, ProjectPage

_log = logging.getLogger(__name__)

SMALL: Final = 262_144
"""Bytes up to which a wheel is fetched for its metadata."""
_LATEST: Final = 40
"""Files at the end of a page among which the newest is looked for: indexes list in order."""


class Scout:
    """Follows requirements from page to page, as soon as micropip has asked for the first one.

    ``requirements``: what was asked for. ``is_there``: whether a project needs no page, for it is
    installed or comes from elsewhere. ``page`` and ``wheel`` fetch what they are asked for, once
    for all who ask, and return a page and a wheel's core metadata; None for what cannot be had.
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
        self._wanted = {name: text for text in requirements if (name := _name(text))}
        self._seen: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def saw(self, project: str, page: ProjectPage) -> None:
        """Micropip has a page now: fetch what it will ask for next. Returns at once."""
        if project not in self._seen and project in self._wanted:
            self._seen.add(project)
            self._start(self._follow(project, page))

    def stop(self) -> None:
        """End what is still running."""
        for task in list(self._tasks):
            task.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # Whatever it is, micropip meets it again and deals with it.
            _log.debug("looking ahead failed", exc_info=task.exception())

    async def _follow(self, project: str, page: ProjectPage) -> None:
        requirement = applicable(self._wanted[project], ("",))
        if requirement is None or requirement.url:
            return
        file = newest(page, str(requirement.specifier))
        if file is None:
            return
        if file.size is None or file.size > SMALL:
            self._start(self._fetch(project, file))  # its metadata comes first, and by itself
            return
        metadata = await self._wheel(project, file)
        for text in _requires(metadata, requirement.extras) if metadata else ():
            name = _name(text)
            if name not in self._wanted and not self._is_there(name):
                self._wanted[name] = text
                self._start(self._next(name))

    async def _next(self, project: str) -> None:
        page = await self._page(project)
        if page is not None:
            self.saw(project, page)

    async def _fetch(self, project: str, file: File) -> None:
        await self._wheel(project, file)


def newest(page: ProjectPage, wants: str) -> File | None:
    """The wheel that micropip will choose, as far as that can be told for little.

    The newest pure one for this Python that is no pre-release and not yanked, among the last of
    the page. ``wants``: a version specifier (PEP 440).
    """
    from packaging.specifiers import SpecifierSet
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    specifier = SpecifierSet(wants)
    best = None
    for file in page.files[-_LATEST:]:
        if file.yanked or not is_pure(file.filename):
            continue
        if not suits_this_python(file.requires_python):
            continue
        try:
            version = parse_wheel_filename(file.filename)[1]
        except InvalidWheelFilename:
            continue
        if version.is_prerelease and not specifier.prereleases:
            continue  # since packaging 26, `contains` takes what micropip leaves out
        if specifier.contains(version) and (best is None or version > best[0]):
            best = version, file
    return None if best is None else best[1]


def _name(text: str) -> str:
    """Normalized name of a requirement; "" for what has a URL, or is one."""
    match = re.fullmatch(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)[^@/]*", text)
    return normalize(match[1]) if match and not match[1].endswith(".whl") else ""


def _requires(metadata: bytes, extras: Iterable[str]) -> list[str]:
    from email.parser import BytesHeaderParser

    found = []
    for line in BytesHeaderParser().parsebytes(metadata).get_all("Requires-Dist") or []:
        requirement = applicable(line, ("", *extras))
        if requirement is not None and not requirement.url:
            requirement.marker = None  # it applies, and whoever reads on knows no extras
            found.append(str(requirement))
    return found


def canary_of(requirements: Iterable[str], is_there: Callable[[str], bool]) -> tuple[str, str]:
    """The first project, and its version specifier, whose page an install will surely ask for.

    Two empty strings when there is none.
    """
    for text in requirements:
        name = _name(text)
        requirement = applicable(text, ("",)) if name else None
        if requirement is not None and not requirement.url and not is_there(name):
            return name, str(requirement.specifier)
    return "", ""
