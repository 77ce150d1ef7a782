"""An index elsewhere, whatever dialect it speaks: its pages and files, kept on disk.

A page is asked for again when it is older than `FRESH` seconds, with its ETag where it has one. An
upstream that is broken does not take away what is known already.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections import OrderedDict
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror.index import (
    ACCEPT,
    JSON_TYPE,
    MAX_PAGE_BYTES,
    EmptyPageError,
    PageError,
    parse_page,
    to_json,
)
from pyodide_mirror.model import File, ProjectPage, hide_user_info

from .archive import read_metadata
from .checksum import verified, with_checksum
from .download import Download, Downloads, Place
from .metadata import bounded_body, fetch_metadata, is_as_promised
from .source import Stored, with_versions
from .upstream_client import UpstreamClient, UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    import aiohttp

_log = logging.getLogger("pyodide_mirror.server")

FRESH: Final = 600.0
"""Seconds; what PyPI's own pages ask caches for."""

_FRESH_MISSING: Final = 60.0

_REST: Final = 30.0
"""Seconds for which an upstream that did not answer in time is asked last."""

_BUSY: Final = frozenset({429, 500, 502, 503, 504})

_PAUSE: Final = 0.5
"""Seconds to wait before an upstream that is busy is asked once more."""

_MAX_FILES_KEPT: Final = 50_000
"""Of the pages in memory together: some 50 MB."""

_LARGE: Final = 1024 * 1024
"""Bytes from which on a page is large: of these only some are taken in at once."""

_LARGE_AT_ONCE: Final = 4

_MAX_PIECES: Final = 1_000_000
"""Brackets, commas and tags of a page: 8,000 files have some 150,000; each may cost 300 bytes."""

_IMMUTABLE_HOST: Final = "https://kept.invalid/"


class _BusyError(UpstreamError):
    """A status that may be another one the next time."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A page as it was at a time; None: there was none."""

    page: ProjectPage | None
    fetched: float
    etag: str = ""


@dataclass(frozen=True, slots=True)
class _Body:
    """A page as it came."""

    content: bytes
    content_type: str
    url: str
    etag: str


class Upstream:
    """A :class:`~pyodide_mirror.server.source.Source` over an index URL."""

    immutable = True

    def __init__(self, web: UpstreamClient, downloads: Downloads) -> None:
        self.web = web
        self.name = web.index_url
        self.problem = ""
        """What was wrong the last time, for people."""
        self._downloads = downloads
        self._disk = downloads.disk
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._files_kept = 0
        self._asking: dict[str, asyncio.Task[_Kept]] = {}
        self._making: dict[str, asyncio.Task[bytes]] = {}
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)
        self._rests_until = float("-inf")
        self._distrusted: set[str] = set()

    @property
    def rests(self) -> bool:
        """Whether it did not answer in time a moment ago."""
        return time.monotonic() < self._rests_until

    async def page(self, project: str) -> ProjectPage | None:
        """See Source. What is known already is as good as an answer when there is none."""
        kept = self._kept.get(project)
        if kept is None:
            kept = await self._ask_once(project, None)
        else:
            self._kept.move_to_end(project)
        age = time.time() - kept.fetched
        if not 0 <= age <= (_FRESH_MISSING if kept.page is None else FRESH):  # clocks are set, too
            kept = await self._renewed(project, kept)
        return kept.page

    async def projects(self) -> Iterable[str]:
        """See Source: those that were asked for."""
        return [project for project, kept in self._kept.items() if kept.page is not None]

    async def blob(self, project: str, file: File) -> Stored | Download:
        """See Source."""
        return await self.blob_from(file, self.places(file))

    async def blob_from(self, file: File, places: AsyncIterator[Place]) -> Stored | Download:
        """A file from the cache, or from the first of some places that has it."""
        key = file_key(file)
        path = await self._downloads.stored(key, file.sha256)
        if path is not None:
            return Stored(path)
        return self._downloads.join(key, places, sha256=file.sha256, size=file.size)

    async def places(self, file: File) -> AsyncIterator[Place]:
        """Where the file is; the second try goes on where the first one was cut off."""
        yield Place(file.url, self.web)
        yield Place(file.url, self.web)

    async def metadata(self, project: str, file: File) -> bytes:
        """See Source: the upstream's own, where that is what its page says, or the wheel's."""
        key = f"meta-{file_key(file).partition('-')[2]}"
        path = self._disk.get(key)
        if path is not None:
            with suppress(FileNotFoundError):  # another process removed it just now
                stored = verified(await asyncio.to_thread(path.read_bytes))
                if stored is not None and is_as_promised(stored, file):
                    return stored
        task = self._making.get(key)
        if task is None:
            task = asyncio.ensure_future(self._make_metadata(key, project, file))
            self._making[key] = task
            task.add_done_callback(lambda _: self._making.pop(key, None))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """See Source."""
        tasks = (*self._asking.values(), *self._making.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.web.close()

    # --- pages ----------------------------------------------------------------------------------

    async def _renewed(self, project: str, kept: _Kept) -> _Kept:
        if self.rests and kept.page is not None:
            return kept
        try:
            return await self._ask_once(project, kept)
        except UpstreamError as error:
            if kept.page is None:
                raise
            _log.warning("%s: page of %s: %s; the kept one is used", self.name, project, error)
            return kept

    async def _ask_once(self, project: str, kept: _Kept | None) -> _Kept:
        """Ask, once for all who want to know at this time."""
        task = self._asking.get(project)
        if task is None:
            known = self._first(project) if kept is None else self._ask(project, kept)
            task = asyncio.ensure_future(known)
            self._asking[project] = task
            task.add_done_callback(lambda _: self._asking.pop(project, None))
        return await asyncio.shield(task)

    async def _first(self, project: str) -> _Kept:
        return await self._from_disk(project) or await self._ask(project, None)

    async def _ask(self, project: str, kept: _Kept | None) -> _Kept:
        try:
            async with AsyncExitStack() as slots:
                async with asyncio.timeout(self.web.timeout):
                    fetched = await self._fetch_patiently(project, kept, slots)
                fresh = await asyncio.to_thread(self._read, fetched, project)
        except TimeoutError:
            error = UpstreamError(f"no answer within {self.web.timeout:g} s", timed_out=True)
            self._note(error)
            raise error from None
        except UpstreamError as error:
            self._note(error)
            raise
        self.problem = ""
        self._rests_until = float("-inf")
        self._keep(project, fresh)
        if fresh.page is not None:
            await asyncio.to_thread(self._to_disk, project, fresh, fresh.page)
        return fresh

    async def _fetch_patiently(
        self, project: str, kept: _Kept | None, slots: AsyncExitStack
    ) -> _Kept | _Body:
        """Busy for a moment is no outage: ask once more."""
        try:
            return await self._fetch(project, kept, slots)
        except _BusyError:
            await asyncio.sleep(_PAUSE)
            return await self._fetch(project, kept, slots)

    async def _fetch(
        self, project: str, kept: _Kept | None, slots: AsyncExitStack
    ) -> _Kept | _Body:
        headers = {"accept": ACCEPT}
        if kept is not None and kept.etag:
            headers["if-none-match"] = kept.etag
        async with self.web.get(f"{self.web.index_url}/{project}/", headers) as answer:
            if answer.status == 304 and kept is not None:
                return replace(kept, fetched=time.time())
            if answer.status in {404, 410}:
                return _Kept(None, time.time())
            if answer.status != 200:
                failure = _BusyError if answer.status in _BUSY else UpstreamError
                raise failure(f"it answers {answer.status}")
            return _Body(
                await self._content(answer, slots),
                answer.headers.get("content-type", ""),
                str(answer.url),
                answer.headers.get("etag", "")[:200],
            )

    async def _content(self, answer: aiohttp.ClientResponse, slots: AsyncExitStack) -> bytes:
        """The body; what is large waits for one of a few slots, which it holds while it is read."""
        head = await bounded_body(answer, MAX_PAGE_BYTES, _LARGE)
        if len(head) < _LARGE:
            return head
        await slots.enter_async_context(self._large)
        return head + await bounded_body(answer, MAX_PAGE_BYTES - len(head))

    def _read(self, fetched: _Kept | _Body, project: str) -> _Kept:
        if isinstance(fetched, _Kept):
            return fetched
        page = _parse(fetched.content, fetched.content_type, fetched.url, project)
        return _Kept(self._trusted(page), time.time(), fetched.etag)

    def _note(self, error: UpstreamError) -> None:
        self.problem = error.detail
        if error.timed_out:
            self._rests_until = time.monotonic() + _REST

    def _keep(self, project: str, kept: _Kept) -> None:
        before = self._kept.pop(project, None)
        self._files_kept += _weight(kept) - (_weight(before) if before else 0)
        self._kept[project] = kept
        while self._files_kept > _MAX_FILES_KEPT and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._files_kept -= _weight(oldest)

    def _page_key(self, project: str) -> str:
        return f"page-{_sha256(f'{self.web.index_url}/{project}/'.encode())}"

    async def _from_disk(self, project: str) -> _Kept | None:
        path = self._disk.get(self._page_key(project))
        if path is None:
            return None
        kept = await asyncio.to_thread(_read_kept, path, project)
        if kept is None:
            self._disk.remove(self._page_key(project))
            return None
        self._keep(project, kept)
        return kept

    def _to_disk(self, project: str, kept: _Kept, page: ProjectPage) -> None:
        head = json.dumps({"etag": kept.etag, "fetched": kept.fetched}).encode()
        self._store(self._page_key(project), head + b"\n" + to_json(page))

    def _store(self, key: str, content: bytes) -> None:
        try:
            self._disk.put(key, with_checksum(content))
        except OSError as error:  # it can be had again
            _log.error("cannot store what was fetched: %s", error)

    # --- metadata -------------------------------------------------------------------------------

    async def _make_metadata(self, key: str, project: str, file: File) -> bytes:
        metadata = await fetch_metadata(self.web, file)
        if metadata is None:
            blob = await self.blob_from(file, self.places(file))
            path = blob.path if isinstance(blob, Stored) else await blob.whole()
            try:
                metadata = await asyncio.to_thread(read_metadata, path)
            except ValueError as error:
                raise UpstreamError(f"{file.filename} {error}") from error
            except OSError as error:  # the disk fails, or another process removed it
                raise UpstreamError(f"{file.filename} cannot be read here") from error
            if not is_as_promised(metadata, file):
                self._distrust(project, file)
        await asyncio.to_thread(self._store, key, metadata)
        return metadata

    def _distrust(self, project: str, file: File) -> None:
        """Its page promises metadata that nobody has; from now on ours will not."""
        self._distrusted.add(file_key(file))
        kept = self._kept.get(project)
        if kept is not None:
            self._keep(project, replace(kept, page=self._trusted(kept.page)))

    def _trusted(self, page: ProjectPage | None) -> ProjectPage | None:
        """The page with a promise of metadata for each wheel, by digest where that proved right."""
        if page is None:
            return None
        return replace(page, files=tuple(self._trusted_file(file) for file in page.files))

    def _trusted_file(self, file: File) -> File:
        if file.filename.endswith(".whl") and (
            file.metadata is None or file_key(file) in self._distrusted
        ):
            return replace(file, metadata={})
        return file


def file_key(file: File) -> str:
    """The key of a file in the disk cache: its digest, or else where it comes from."""
    return f"file-{file.sha256}" if file.sha256 else f"url-{_sha256(file.url.encode())}"


def _weight(kept: _Kept) -> int:
    return 1 + (len(kept.page.files) if kept.page else 0)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _parse(body: bytes, content_type: str, url: str, project: str) -> ProjectPage | None:
    # 64 MB of nothing but empty objects would become 2 GB before anybody saw that they are empty.
    if sum(map(body.count, (b"{", b"[", b",", b"<"))) > _MAX_PIECES:
        raise UpstreamError(f"its page has more than {_MAX_PIECES:,} parts")
    try:
        page = parse_page(body, content_type, url, project)
    except EmptyPageError:
        return None
    except PageError as error:
        shown = hide_user_info(error.finding.detail)
        raise UpstreamError(f"its page is no project page: {shown}") from error
    return replace(with_versions(page), repairs=())


def _read_kept(path: Path, project: str) -> _Kept | None:
    try:
        content = verified(path.read_bytes())
        if content is None:
            raise ValueError("it is damaged")
        head, _, body = content.partition(b"\n")
        fields: dict[str, Any] = json.loads(head)
        page = parse_page(body, JSON_TYPE, _IMMUTABLE_HOST, project)
        return _Kept(page, float(fields["fetched"]), str(fields["etag"]))
    except (OSError, ValueError, KeyError, TypeError, PageError) as error:
        _log.warning("a kept page of %s cannot be read (%s)", project, type(error).__name__)
        return None
