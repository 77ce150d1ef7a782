"""The project pages of one upstream, kept in memory and on disk."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror.index import JSON_TYPE, EmptyPageError, PageError, parse_page, to_json
from pyodide_mirror.server.cache import put_with_checksum, verified

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyodide_mirror.model import ProjectPage
    from pyodide_mirror.server.cache import Disk

_log = logging.getLogger("pyodide_mirror.server")

_NO_HOST: Final = "https://kept.invalid/"
"""The URL of a stored page, whose own URLs are all absolute."""

_FORM: Final = 2
"""The form of stored pages, which changes with what is stored: other forms are not found."""


@dataclass(frozen=True, slots=True)
class CachedPage:
    """A page as the upstream had it at a time, in seconds since 1970; None: it had none."""

    page: ProjectPage | None
    fetched: float
    etag: str = ""
    lifetime: float | None = None
    """Seconds for which the upstream said that it is fresh."""


class PageCache:
    """The pages of one upstream: the last used ones in memory, all of them on disk.

    ``max_files``: how many files the pages in memory may list together.
    """

    def __init__(self, index_url: str, disk: Disk, max_files: int) -> None:
        self._index_url = index_url
        self._disk = disk
        self._max_files = max_files
        self._pages: OrderedDict[str, CachedPage] = OrderedDict()
        self._shown: dict[str, tuple[ProjectPage, int, ProjectPage]] = {}
        self._stamps: dict[str, _Stamp | None] = {}
        """Of the files of pages in memory: another process may have stored a newer one."""
        self._weight = 0

    def __getitem__(self, project: str) -> CachedPage:
        """The page in memory, which now counts as just used; KeyError when there is none."""
        self._pages.move_to_end(project)
        return self._pages[project]

    def __setitem__(self, project: str, cached: CachedPage) -> None:
        """Keep a page in memory; the least recently used ones make room for it."""
        before = self._pages.pop(project, None)
        if before is None or before.page is not cached.page:
            self._shown.pop(project, None)
        self._weight += _weight(cached) - (_weight(before) if before else 0)
        self._pages[project] = cached
        while self._weight > self._max_files and len(self._pages) > 1:
            left, oldest = self._pages.popitem(last=False)
            self._shown.pop(left, None)
            self._stamps.pop(left, None)
            self._weight -= _weight(oldest)

    def __contains__(self, project: str) -> bool:
        return project in self._pages and not self._is_replaced(project)

    def _is_replaced(self, project: str) -> bool:
        """Whether another process has stored or removed the page. An evicted one stays here."""
        known = self._stamps.get(project)
        found = known and _stamp_of(known[0])
        return bool(found) and found != known

    def shown(
        self, page: ProjectPage, version: int, show: Callable[[ProjectPage], ProjectPage]
    ) -> ProjectPage:
        """What ``show`` makes of a page; it is made once for each ``version`` of its rules."""
        known = self._shown.get(page.name)
        if known is not None and known[0] is page and known[1] == version:
            return known[2]
        shown = show(page)
        if page.name in self._pages:
            self._shown[page.name] = page, version, shown
        return shown

    def projects(self) -> list[str]:
        """The projects whose pages are in memory, least recently used first."""
        return [project for project, cached in self._pages.items() if cached.page is not None]

    async def load(self, project: str) -> CachedPage | None:
        """The page from the disk, now in memory too; None when there is none that can be read."""
        key = self._key(project)
        path = self._disk.get(key)
        if path is None:
            return None
        stamp = _stamp_of(str(path))
        try:
            cached = await asyncio.to_thread(_read, path, project)
        except _RemovedError:
            return None
        if cached is None:
            self._disk.remove(key)
            return None
        self[project], self._stamps[project] = cached, stamp
        return cached

    async def store(self, project: str, cached: CachedPage) -> None:
        """Keep a page in memory and on disk; that there is none is kept in memory only."""
        self[project] = cached
        if cached.page is not None:
            await asyncio.to_thread(self._write, project, cached, cached.page)
            self._stamps[project] = _stamp_of(str(self._disk.place(self._key(project))))

    async def remove(self, project: str) -> CachedPage | None:
        """Forget a page, in memory and on disk; returns what it was, if there was one.

        On disk an empty entry takes its place, by which other processes learn of it.
        """
        cached = self._pages.get(project) or await self.load(project)
        before = self._pages.pop(project, None)
        if before is not None:
            self._weight -= _weight(before)
        self._shown.pop(project, None)
        self._stamps.pop(project, None)
        await asyncio.to_thread(put_with_checksum, self._disk, self._key(project), b"")
        return cached

    def _write(self, project: str, cached: CachedPage, page: ProjectPage) -> None:
        told = {"etag": cached.etag, "fetched": cached.fetched, "lifetime": cached.lifetime}
        head = json.dumps(told).encode()
        put_with_checksum(self._disk, self._key(project), head + b"\n" + to_json(page))

    def _key(self, project: str) -> str:
        name = f"{_FORM} {self._index_url}/{project}/"
        return f"page-{hashlib.sha256(name.encode()).hexdigest()}"


_Stamp = tuple[str, int, int]
"""Path, inode and size of a stored page. Its times are those of its last use."""


class _RemovedError(Exception):
    """A page that was removed, by this process or another one."""


def _stamp_of(path: str) -> _Stamp | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # it is asked for with each request of a page
    except FileNotFoundError:
        return None
    return path, found.st_ino, found.st_size


def _weight(cached: CachedPage) -> int:
    return 1 + (len(cached.page.files) if cached.page else 0)


def _read(path: Path, project: str) -> CachedPage | None:
    try:
        content = verified(path.read_bytes())
        if content is None:
            raise ValueError("it is damaged")
        if not content:
            raise _RemovedError
        head, _, body = content.partition(b"\n")
        fields: dict[str, Any] = json.loads(head)
        try:
            page = parse_page(body, JSON_TYPE, _NO_HOST, project)
        except EmptyPageError as error:
            page = error.page
        told = fields.get("lifetime")
        lifetime = None if told is None else float(told)
        return CachedPage(page, float(fields["fetched"]), str(fields["etag"]), lifetime)
    except (OSError, ValueError, KeyError, TypeError, PageError) as error:
        _log.warning("the cached page of %s cannot be read (%s)", project, type(error).__name__)
        return None
