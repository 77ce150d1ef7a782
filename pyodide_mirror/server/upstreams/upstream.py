"""Another package index as a source, in whatever form it serves its pages.

A page is asked for again when it is no longer fresh, with its ETag if it has one. While the
upstream is broken, what is cached is still served.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pyodide_mirror.index import ACCEPT, MAX_PAGE_BYTES, EmptyPageError, PageError, parse_page
from pyodide_mirror.model import hide_user_info
from pyodide_mirror.server.cache import Download, Downloads, Place
from pyodide_mirror.server.fetching import (
    TooLargeError,
    UpstreamClient,
    UpstreamError,
    receive,
    unpacked,
)
from pyodide_mirror.server.source import Stored, file_key, shown_name, with_versions
from pyodide_mirror.server.web import ASK_EVERY, PAGE_TTL, fresh_for, lifetime
from pyodide_mirror.transport import TRANSIENT, OnceMap

from .metadata import CoreMetadata
from .page_cache import CachedPage, PageCache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    import aiohttp

    from pyodide_mirror.model import File, ProjectPage

_log = logging.getLogger("pyodide_mirror.server")

FRESH_MISSING: Final = 60.0
"""Seconds for which an upstream is not asked again for a project that it does not have."""
REST: Final = 30.0
"""Seconds for which an upstream that did not answer in time is asked last."""
_MAX_PIECES: Final = 1_000_000
"""Brackets, commas and tags of a page: 8,000 files have some 150,000; each may cost 300 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the pages of an upstream may take.

    ``page_bytes``: the size of one page. ``large_page_bytes``: the size from which on only
    ``large_pages_at_once`` are received at a time. ``files_in_memory``: the files of all pages in
    memory; 50,000 take some 50 MB. ``pause``: seconds before an upstream that is busy is asked
    once more.
    """

    page_bytes: int = MAX_PAGE_BYTES
    large_page_bytes: int = 1024 * 1024
    large_pages_at_once: int = 4
    files_in_memory: int = 50_000
    pause: float = 0.5


_USUAL_LIMITS: Final = Limits()


class _BusyError(UpstreamError):
    """A status that may be another one a moment later."""


@dataclass(frozen=True, slots=True)
class _Body:
    """A page as it was received."""

    content: bytes
    content_type: str
    url: str
    etag: str
    lifetime: float | None


class Upstream:
    """A :class:`~pyodide_mirror.server.source.Source` over an index URL.

    ``page_ttl``: the most seconds for which a page counts as fresh. ``clock``: seconds since 1970,
    as :func:`time.time` returns them.
    """

    immutable = True

    def __init__(
        self,
        client: UpstreamClient,
        downloads: Downloads,
        *,
        limits: Limits = _USUAL_LIMITS,
        page_ttl: float = PAGE_TTL,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.client = client
        self.name = shown_name(client.index_url)
        self.problem = ""
        """What was wrong the last time, for people."""
        self._downloads = downloads
        self._limits = limits
        self._page_ttl = page_ttl
        self._clock = clock
        self._pages = PageCache(client.index_url, downloads.disk, limits.files_in_memory)
        self._page_requests: OnceMap[str, CachedPage] = OnceMap()
        self._metadata = CoreMetadata(client, downloads, clock)
        self._large = asyncio.Semaphore(limits.large_pages_at_once)
        self._hung_at = float("-inf")

    @property
    def rests(self) -> bool:
        """Whether it did not answer in time a moment ago."""
        return 0 <= self._clock() - self._hung_at < REST

    async def page(self, project: str, *, anew: bool = False) -> ProjectPage | None:
        """See Source. A cached page is served when the upstream gives no answer.

        ``anew``: the upstream is asked, unless it has just been asked.
        """
        begun = self._clock()
        hit = False
        try:
            cached = await self._cached(project, anew=anew)
            hit = cached.fetched < begun
        finally:
            self._downloads.disk.counts.looked_up("page", hit=hit)
        if cached.page is None:
            return None
        return self._pages.shown(cached.page, self._metadata.changes, self._metadata.in_page)

    async def forget(self, project: str) -> None:
        """Ask for a project's page at the next request, and for its files that have no digest."""
        self._page_requests.forget(project)
        cached = await self._pages.remove(project)
        for file in cached.page.files if cached and cached.page else ():
            if not file.sha256:
                await asyncio.to_thread(self._downloads.disk.remove, file_key(file))

    def _fresh_for(self, cached: CachedPage) -> float:
        if cached.page is None:
            return min(FRESH_MISSING, self._page_ttl)
        return fresh_for(self._page_ttl, cached.lifetime)

    async def projects(self) -> Iterable[str]:
        """See Source: the projects that were asked for."""
        return self._pages.projects()

    async def blob(self, project: str, file: File) -> Stored | Download:
        """See Source."""
        return await self.blob_from(file, self.places(file))

    async def blob_from(self, file: File, places: AsyncIterator[Place]) -> Stored | Download:
        """A file from the cache, or from the first of these places that has it."""
        key = file_key(file)
        path = await self._downloads.stored(key, file.sha256)
        if path is not None:
            return Stored(path)
        return self._downloads.join(key, places, sha256=file.sha256, size=file.size)

    async def places(self, file: File) -> AsyncIterator[Place]:
        """Where the file is; twice, because the second try resumes where the first was cut off."""
        yield Place(file.url, self.client)
        yield Place(file.url, self.client)

    async def metadata(self, project: str, file: File) -> bytes:
        """See Source: the upstream's own, if it is what its page promises, or else the wheel's."""

        async def wheel() -> Path:
            blob = await self.blob_from(file, self.places(file))
            return blob.path if isinstance(blob, Stored) else await blob.whole()

        return await self._metadata.get(self._as_listed(project, file), wheel)

    async def close(self) -> None:
        """See Source."""
        await asyncio.gather(*self._page_requests.stop(), return_exceptions=True)
        await self._metadata.close()
        await self.client.close()

    # --- pages ----------------------------------------------------------------------------------

    async def _cached(self, project: str, *, anew: bool) -> CachedPage:
        if project in self._pages:
            cached = self._pages[project]
        else:
            cached = await self._page_requests.get(project, lambda: self._load_or_ask(project))
        age = self._clock() - cached.fetched
        # An age below zero: the clock was wrong, and has been set.
        if not 0 <= age <= (min(ASK_EVERY, self._page_ttl) if anew else self._fresh_for(cached)):
            return await self._renewed(project, cached)
        return cached

    async def _load_or_ask(self, project: str) -> CachedPage:
        cached = await self._pages.load(project)
        if cached is None:
            return await self._ask(project, None)
        if cached.page is not None:
            await self._metadata.probe_hosts(cached.page)
        return cached

    async def _renewed(self, project: str, cached: CachedPage) -> CachedPage:
        if self.rests and cached.page is not None:
            return cached
        try:
            return await self._page_requests.get(project, lambda: self._ask(project, cached))
        except UpstreamError as error:
            if cached.page is None:
                raise
            _log.warning("%s: page of %s: %s; the cached one is used", self.name, project, error)
            return cached

    async def _ask(self, project: str, cached: CachedPage | None) -> CachedPage:
        try:
            async with AsyncExitStack() as slots:
                async with asyncio.timeout(self.client.timeout):
                    fetched = await self._fetch_patiently(project, cached, slots)
                fresh = await asyncio.to_thread(self._parsed, fetched, project)
        except TimeoutError:
            error = UpstreamError(f"no answer within {self.client.timeout:g} s", timed_out=True)
            self._note(error)
            raise error from None
        except UpstreamError as error:
            self._note(error)
            raise
        self.problem = ""
        self._hung_at = float("-inf")
        await self._pages.store(project, fresh)
        if fresh.page is not None:
            await self._metadata.probe_hosts(fresh.page)
        return fresh

    async def _fetch_patiently(
        self, project: str, cached: CachedPage | None, slots: AsyncExitStack
    ) -> CachedPage | _Body:
        """The page; an upstream that is busy for a moment is asked once more."""
        try:
            return await self._fetch(project, cached, slots)
        except _BusyError:
            await asyncio.sleep(self._limits.pause)
            return await self._fetch(project, cached, slots)

    async def _fetch(
        self, project: str, cached: CachedPage | None, slots: AsyncExitStack
    ) -> CachedPage | _Body:
        headers = {"accept": ACCEPT}
        if cached is not None and cached.etag:
            headers["if-none-match"] = cached.etag
        async with self.client.get(f"{self.client.index_url}/{project}/", headers) as answer:
            if answer.status == 304 and cached is not None:
                return replace(cached, fetched=self._clock(), lifetime=lifetime(answer.headers))
            if answer.status in {404, 410}:
                return CachedPage(None, self._clock())
            if answer.status != 200:
                failure = _BusyError if answer.status in TRANSIENT else UpstreamError
                refused = answer.status == 403
                raise failure(f"it answers {answer.status}", refused=refused)
            return _Body(
                await self._content(answer, slots),
                answer.headers.get("content-type", ""),
                str(answer.url),
                answer.headers.get("etag", "")[:200],
                lifetime(answer.headers),
            )

    async def _content(self, answer: aiohttp.ClientResponse, slots: AsyncExitStack) -> bytes:
        """The content; a large one waits for one of a few slots, and holds it until it is parsed.

        A small body may have a large content.
        """
        most, large = self._limits.page_bytes, self._limits.large_page_bytes
        body = await receive(answer, most, large)
        if len(body) < large:
            try:
                content = await unpacked(answer, body, large - 1)
            except TooLargeError:
                pass
            else:
                return content
        await slots.enter_async_context(self._large)
        if len(body) >= large:
            body += await receive(answer, most - len(body))
        return await unpacked(answer, body, most)

    def _parsed(self, fetched: CachedPage | _Body, project: str) -> CachedPage:
        if isinstance(fetched, CachedPage):
            return fetched
        page = _parse(fetched, project)
        return CachedPage(page, self._clock(), fetched.etag, fetched.lifetime)

    def _note(self, error: UpstreamError) -> None:
        self.problem = error.detail
        if error.timed_out:
            self._hung_at = self._clock()

    def _as_listed(self, project: str, file: File) -> File:
        """A file with what the upstream itself promises of its metadata."""
        page = self._pages[project].page if project in self._pages else None
        listed = (each for each in page.files if each.url == file.url) if page else ()
        return next((each for each in listed if each.filename == file.filename), file)


def _parse(body: _Body, project: str) -> ProjectPage | None:
    # 64 MB of nothing but empty objects would take 2 GB before anybody saw that they are empty.
    if sum(map(body.content.count, (b"{", b"[", b",", b"<"))) > _MAX_PIECES:
        raise UpstreamError(f"its page has more than {_MAX_PIECES:,} parts")
    try:
        page = parse_page(body.content, body.content_type, body.url, project)
    except EmptyPageError as error:
        if not error.page.status:
            return None
        page = error.page  # a quarantined project has no files (PEP 792), and its users must know
    except PageError as error:
        shown = hide_user_info(error.finding.detail)
        raise UpstreamError(f"its page is no project page: {shown}") from error
    return replace(with_versions(page), repairs=())
