"""Pages and files from one mirror: what its probe fetched, what the cache has, or its answer."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from pyodide_mirror.index import (
    ACCEPT,
    MAX_METADATA_BYTES,
    MAX_PAGE_BYTES,
    PageError,
    parse_page,
    read_page,
)
from pyodide_mirror.model import Reason
from pyodide_mirror.probing import (
    ProbeDownloads,
    check_bytes,
    check_metadata,
    refuse_file_url,
)
from pyodide_mirror.reporting import Event
from pyodide_mirror.storage import NO_CACHE, CachedPage
from pyodide_mirror.transport import (
    NO_PROGRESS,
    Failure,
    Progress,
    Response,
    RetryingClient,
    request_to,
)

from .mirror_order import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyodide_mirror.model import Credentials, File, Mirror, ProjectPage
    from pyodide_mirror.reporting import EventKind
    from pyodide_mirror.storage import Cache
    from pyodide_mirror.transport import Transport

    from .mirror_order import RankedMirror

FRESH: Final = 600.0
"""Seconds for which a cached page is as good as the mirror's; PyPI's own pages ask for as many."""
_MAX_FILE_BYTES: Final = 2**31

Place = Literal["mirror", "cache"]
"""Where a file was read from."""


class NoPageError(Exception):
    """A mirror has no usable page of a project. ``missing``: it says so itself (404)."""

    def __init__(self, text: str, *, missing: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.missing = missing


class NoFileError(Exception):
    """A file cannot be read from a mirror. ``got``: the wrong SHA-256 that it had."""

    def __init__(self, text: str, got: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.got = got


class FetchedFile(NamedTuple):
    """A verified file, and whether it came from the mirror or was in the cache."""

    data: bytes
    place: Place = "mirror"


class MirrorClient:
    """Reads pages, files and metadata for one install.

    ``timeout``: seconds, as :class:`~pyodide_mirror.installing.MirrorOrder` has it. ``tell`` is
    called with each event. ``credentials``: the install's own mode. ``downloads``: what probes have
    fetched already; each thing serves once.
    """

    def __init__(  # each by its name
        self,
        transport: Transport,
        timeout: float,
        tell: Callable[[Event], None],
        *,
        cache: Cache = NO_CACHE,
        credentials: Credentials | None = None,
        downloads: ProbeDownloads | None = None,
    ) -> None:
        self._transport = transport
        self._timeout = timeout
        self._tell = tell
        self._cache = cache
        self._downloads = downloads or ProbeDownloads()
        self._credentials = credentials
        self._pages: dict[str, CachedPage] = {}
        self._files: dict[str, bytes] = {}
        self._from_cache: set[str] = set()
        self._gone: set[str] = set()
        """Mirrors that could not be read, and need not be waited for once more."""

    async def save(self) -> None:
        """Hand to the cache what was fetched: at the end, because writing takes time."""
        for url, page in self._pages.items():
            await self._cache.save_page(url, page)
        for digest, data in self._files.items():
            await self._cache.save_file(digest, data)
        self._pages.clear()
        self._files.clear()
        self._cache.flush()

    # --- pages ----------------------------------------------------------------------------------

    async def page(self, ranked: RankedMirror, project: str, *, anew: bool = False) -> ProjectPage:
        """A mirror's page of a project; raises :class:`NoPageError`.

        ``anew``: ask the mirror, even if the cache has a fresh page.
        """
        mirror, url = ranked.mirror, ranked.mirror.project_url(project)
        probed = self._downloads.pages.pop((mirror.index_url, project), None)
        if probed is not None:
            page, response = probed
            return self._remember_page(page, response, mirror, url)
        cached = await self._cache.page(url) if self._may_cache(mirror) else None
        self._from_cache.discard(url)
        if cached is not None and not anew and self._is_fresh(cached, mirror):
            kept = _parse_cached(cached, project)
            if kept is not None:
                self._from_cache.add(url)
                return self._announce(kept, mirror, url)
        answer = await self._early_page(url)
        if answer is None:
            answer = await self._get(mirror, url, MAX_PAGE_BYTES, accept=ACCEPT)
        if isinstance(answer, Failure):
            return self._stale_page(cached, answer, mirror, project)
        return self._remember_page(_parse(answer, mirror, project), answer, mirror, url)

    async def _early_page(self, url: str) -> Response | Failure | None:
        """The page, if it was asked for early, as it would be now, and was to be had."""
        if self._credentials is not None:
            return None
        early = await self._downloads.early_answer(url, self._timeout)
        return early if isinstance(early, Response) and early.ok else None

    def is_from_cache(self, mirror: Mirror, project: str) -> bool:
        """Whether a page is the cache's, and its mirror has not been asked for it."""
        return mirror.project_url(project) in self._from_cache

    def _is_fresh(self, cached: CachedPage, mirror: Mirror) -> bool:
        return time.time() - cached.fetched < FRESH or mirror.index_url in self._gone

    def _stale_page(
        self, cached: CachedPage | None, failure: Failure, mirror: Mirror, project: str
    ) -> ProjectPage:
        """What was cached earlier, for a mirror that cannot be read now."""
        page = None if cached is None else _parse_cached(cached, project)
        if page is None:
            raise NoPageError(f"{mirror.name}, page of {project!r}: {failure.detail}")
        self._gone.add(mirror.index_url)
        text = (
            f"page of {project!r} from the cache: {mirror.name} cannot be read ({failure.detail})"
        )
        self._tell(event_at("kept", text, mirror, mirror.project_url(project)))
        return page

    def _remember_page(
        self, page: ProjectPage, response: Response, mirror: Mirror, url: str
    ) -> ProjectPage:
        if self._may_cache(mirror):
            kind = response.headers.get("content-type", "")
            self._pages[url] = CachedPage(response.body, kind, response.url, time.time())
        return self._announce(page, mirror, url)

    def _announce(self, page: ProjectPage, mirror: Mirror, url: str) -> ProjectPage:
        if page.repairs:
            text = f"page of {page.name!r}: {' + '.join(page.repairs)}"
            self._tell(event_at("repaired", text, mirror, url))
        else:
            self._tell(
                event_at("page", f"page of {page.name!r} with {len(page.files)} files", mirror, url)
            )
        return page

    # --- files ----------------------------------------------------------------------------------

    async def file(self, mirror: Mirror, file: File) -> FetchedFile:
        """A file as its page says; raises :class:`NoFileError`."""
        refused = refuse_file_url(file.url, mirror, self._transport.page)
        if refused:
            raise NoFileError(refused.detail)
        probed = self._downloads.files.pop(file.sha256, None)
        if probed is not None:
            return self._remember_file(mirror, file, probed)
        cached = await self._cache.file(file.sha256) if file.sha256 else None
        if cached is not None:
            return FetchedFile(cached, "cache")
        if file.url.startswith(NOWHERE):
            raise NoFileError(f"{file.filename}: the lock file names no place where it can be read")
        progress = _FileProgress(self._tell, mirror, file)
        answer = await self._get(
            mirror, file.url, _MAX_FILE_BYTES, stall=True, digest=True, progress=progress
        )
        if isinstance(answer, Failure):
            raise NoFileError(f"{file.filename}: {answer.detail}")
        fault = check_bytes(file, answer)
        if fault is None:
            return self._remember_file(mirror, file, answer.body)
        if fault.reason is Reason.NO_HASHES:
            return FetchedFile(answer.body)
        got = answer.sha256 if fault.reason is Reason.HASH_MISMATCH else ""
        raise NoFileError(fault.detail, got)

    async def metadata(self, mirror: Mirror, file: File, url: str) -> tuple[bytes, str]:
        """The promised core metadata of a file; else no bytes, and what is wrong in a clause."""
        refused = refuse_file_url(url, mirror, self._transport.page)
        if refused:
            return b"", refused.detail
        answer = await self._get(mirror, url, MAX_METADATA_BYTES)
        fault = check_metadata(file, answer)
        if fault is not None or isinstance(answer, Failure):
            return b"", fault.detail if fault else ""
        return answer.body, ""

    async def part_of(self, mirror: Mirror, file: File, wanted: str) -> tuple[int, int, bytes]:
        """A part of a file whose size is known, which no digest verifies: see metadata_by_parts.

        Pages may ask for a single range without asking permission first (Fetch standard:
        CORS-safelisted request-header), but few servers let them read which one they got.
        """
        start, _, last = wanted.partition("-")
        size = int(last) + 1 - int(start)
        if refuse_file_url(file.url, mirror, self._transport.page) is None:
            answer = await self._get(mirror, file.url, size, part=f"bytes={wanted}")
            if isinstance(answer, Response) and answer.status == 206 and len(answer.body) == size:
                return int(start), file.size or 0, answer.body
        raise ValueError("cannot be read in parts")

    def _remember_file(self, mirror: Mirror, file: File, data: bytes) -> FetchedFile:
        if self._may_cache(mirror):
            self._files[file.sha256] = data
        return FetchedFile(data)

    # --- both -----------------------------------------------------------------------------------

    def _may_cache(self, mirror: Mirror) -> bool:
        """What a login has opened is not kept where every script of the origin can read it."""
        return mirror.headers is None and (self._credentials or mirror.credentials) == "omit"

    async def _get(
        self,
        mirror: Mirror,
        url: str,
        max_bytes: int,
        *,
        progress: Progress = NO_PROGRESS,
        **options: Any,
    ) -> Response | Failure:
        request = request_to(
            mirror,
            url,
            timeout=self._timeout,
            max_bytes=max_bytes,
            credentials=self._credentials,
            **options,
        )
        on_retry = functools.partial(self._tell_retry, mirror)
        return await RetryingClient(self._transport, on_retry).get(request, progress)

    def _tell_retry(self, mirror: Mirror, url: str, pause: float) -> None:
        self._tell(
            event_at("retry", f"{mirror.name} is busy; trying again in {pause:g} s", mirror, url)
        )


def event_at(
    kind: EventKind, text: str, mirror: Mirror, url: str, size: int | None = None
) -> Event:
    """What happened at a URL of a mirror."""
    # What follows the path may be a signature.
    return Event(kind, text, mirror.index_url, url.partition("?")[0], size)


class _FileProgress:
    """Tells of the bytes of a file as they come."""

    def __init__(self, tell: Callable[[Event], None], mirror: Mirror, file: File) -> None:
        self._tell = tell
        self._mirror = mirror
        self._file = file
        self._url = file.url.partition("?")[0]
        self._size = 0

    def headers(self, status: int, length: int | None) -> None:
        """The page knows the size better than the headers."""

    def received(self, size: int) -> None:
        """Tell of these bytes."""
        self._size += size
        file = self._file
        text = f"{file.filename}: {self._size:,} bytes so far"
        self._tell(
            Event("progress", text, self._mirror.index_url, self._url, self._size, file.size)
        )


def _parse(response: Response, mirror: Mirror, project: str) -> ProjectPage:
    if not response.ok:
        raise NoPageError(
            f"{mirror.name}: HTTP {response.status} for project {project!r}",
            missing=response.status == 404,
        )
    try:
        return read_page(response, project)
    except PageError as error:
        text = f"{mirror.name} has no usable page of {project!r}: {error.finding.detail}"
        raise NoPageError(text) from None


def _parse_cached(cached: CachedPage, project: str) -> ProjectPage | None:
    """What was cached is as hostile as what comes from the network."""
    try:
        return parse_page(cached.body, cached.content_type, cached.url, project)
    except PageError:
        return None
