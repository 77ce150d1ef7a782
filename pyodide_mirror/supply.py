"""Where pages and files come from: what the probe fetched, the cache, or the mirror itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from .cache import NO_CACHE, KeptPage
from .client import Client, FileProgress
from .errors import Reason
from .model import Failure
from .report import Event
from .simple_api import ACCEPT, MAX_PAGE_BYTES, PageError, parse_page
from .verdict import check_bytes, check_metadata, refuse_file_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from .cache import Cache
    from .model import Credentials, File, Mirror, ProjectPage, Response
    from .probing import Harvest
    from .report import EventKind
    from .router import Ranked, Router

FRESH: Final = 600.0
"""Seconds for which a kept page is as good as the mirror's; PyPI's own pages ask for as many."""
_MAX_FILE_BYTES: Final = 2**31
_MAX_METADATA_BYTES: Final = 4 * 1024 * 1024


Place = Literal["mirror", "cache"]


class NoPageError(Exception):
    """A mirror has no usable page of a project. ``missing``: it says so itself (404)."""

    def __init__(self, text: str, *, missing: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.missing = missing


class NoFileError(Exception):
    """A file could not be had from a mirror. ``got``: the wrong SHA-256 it had."""

    def __init__(self, text: str, got: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.got = got


@dataclass(frozen=True, slots=True)
class Supplied:
    """A verified file, and whether it came from the mirror or was in the cache."""

    data: bytes
    place: Place = "mirror"


class Supply:
    """One install's way to the mirrors of a router.

    ``tell`` is called with each event. ``credentials``: the install's own mode. ``harvest``: what
    the probe has fetched already; each thing serves once.
    """

    def __init__(
        self,
        router: Router,
        tell: Callable[[Event], None],
        *,
        cache: Cache = NO_CACHE,
        credentials: Credentials | None = None,
        harvest: Harvest | None = None,
    ) -> None:
        self._router = router
        self._tell = tell
        self._cache = cache
        self._harvest = harvest
        self._credentials = credentials
        self._client = Client(router, tell, credentials)
        self._pages: dict[str, KeptPage] = {}
        self._files: dict[str, bytes] = {}
        self._from_cache: set[str] = set()
        self._gone: set[str] = set()
        """Mirrors that could not be read, and need not be waited for once more."""

    def use(self, router: Router) -> None:
        """Go to other mirrors from now on; what is known stays known, and is still to be kept."""
        self._router = router
        self._client = Client(router, self._tell, self._credentials)

    async def keep(self) -> None:
        """Hand to the cache what was fetched: at the end, for writing takes the install's time."""
        for url, page in self._pages.items():
            await self._cache.keep_page(url, page)
        for digest, data in self._files.items():
            await self._cache.keep_file(digest, data)
        self._pages.clear()
        self._files.clear()
        self._cache.flush()

    async def page(self, ranked: Ranked, project: str) -> ProjectPage:
        """A mirror's page of a project; raises :class:`NoPageError`."""
        mirror, url = ranked.mirror, ranked.mirror.project_url(project)
        harvested = self._harvested(mirror, project)
        if harvested is not None:
            return self._kept(*harvested, mirror, url)
        kept = await self._cache.page(url) if self._may_keep(mirror) else None
        if kept is not None and self._is_enough(kept, mirror):
            page = _of_kept(kept, project)
            if page is not None:
                self._from_cache.add(url)
                return self._loaded(page, mirror, url)
        response = await self._client.get(mirror, url, MAX_PAGE_BYTES, accept=ACCEPT)
        if isinstance(response, Failure):
            page = _of_kept(kept, project) if kept is not None else None
            if page is None:
                raise NoPageError(f"{mirror.name}, page of {project!r}: {response.detail}")
            self._gone.add(mirror.index_url)
            self._event("kept", f"page of {project!r} as it was: {response.detail}", mirror, url)
            return page
        return self._kept(_parsed(response, mirror, project), response, mirror, url)

    def _is_enough(self, kept: KeptPage, mirror: Mirror) -> bool:
        return time.time() - kept.fetched < FRESH or mirror.index_url in self._gone

    def is_from_cache(self, mirror: Mirror, project: str) -> bool:
        """Whether a page that was asked for was there already."""
        return mirror.project_url(project) in self._from_cache

    async def file(self, mirror: Mirror, file: File) -> Supplied:
        """A file as its page says; raises :class:`NoFileError`."""
        refused = refuse_file_url(file.url, mirror, self._router.transport.page)
        if refused:
            raise NoFileError(refused.detail)
        if self._harvest is not None and file.sha256 in self._harvest.files:
            return self._keep(mirror, file, self._harvest.files.pop(file.sha256))
        data = await self._cache.file(file.sha256) if file.sha256 else None
        if data is not None:
            return Supplied(data, "cache")
        progress = FileProgress(self._tell, mirror, file)
        response = await self._client.get(
            mirror, file.url, _MAX_FILE_BYTES, stall=True, progress=progress
        )
        if isinstance(response, Failure):
            raise NoFileError(f"{file.filename}: {response.detail}")
        fault = check_bytes(file, response)
        if fault is None:
            return self._keep(mirror, file, response.body)
        if fault.reason is Reason.NO_HASHES:
            return Supplied(response.body)
        got = response.sha256 if fault.reason is Reason.HASH_MISMATCH else ""
        raise NoFileError(fault.detail, got)

    async def metadata(self, mirror: Mirror, file: File, url: str) -> tuple[bytes, str]:
        """The promised core metadata of a file; else no bytes, and what is wrong in a clause."""
        refused = refuse_file_url(url, mirror, self._router.transport.page)
        if refused:
            return b"", refused.detail
        response = await self._client.get(mirror, url, _MAX_METADATA_BYTES)
        fault = check_metadata(file, response)
        if fault is not None or isinstance(response, Failure):
            return b"", fault.detail if fault else ""
        return response.body, ""

    def _kept(self, page: ProjectPage, response: Response, mirror: Mirror, url: str) -> ProjectPage:
        if self._may_keep(mirror):
            kind = response.headers.get("content-type", "")
            self._pages[url] = KeptPage(response.body, kind, response.url, time.time())
        return self._loaded(page, mirror, url)

    def _keep(self, mirror: Mirror, file: File, data: bytes) -> Supplied:
        if self._may_keep(mirror):
            self._files[file.sha256] = data
        return Supplied(data)

    def _may_keep(self, mirror: Mirror) -> bool:
        """What a login has opened is not kept where every script of the origin can read it."""
        return mirror.headers is None and (self._credentials or mirror.credentials) == "omit"

    def _harvested(self, mirror: Mirror, project: str) -> tuple[ProjectPage, Response] | None:
        harvest = self._harvest
        if harvest is None or project != harvest.project:
            return None
        return harvest.pages.pop(mirror.index_url, None)

    def _loaded(self, page: ProjectPage, mirror: Mirror, url: str) -> ProjectPage:
        if page.repairs:
            text = f"page of {page.name!r}: {' + '.join(page.repairs)}"
            self._event("repaired", text, mirror, url)
        else:
            self._event("page", f"page of {page.name!r} with {len(page.files)} files", mirror, url)
        return page

    def _event(self, kind: EventKind, text: str, mirror: Mirror, url: str) -> None:
        self._tell(Event(kind, text, mirror.index_url, url))


def _parsed(response: Response, mirror: Mirror, project: str) -> ProjectPage:
    if not response.ok:
        missing = response.status == 404
        raise NoPageError(
            f"{mirror.name}: HTTP {response.status} for project {project!r}", missing=missing
        )
    content_type = response.headers.get("content-type", "")
    try:
        return parse_page(
            response.body, content_type, response.url, project, checked=response.checked
        )
    except PageError as error:
        text = f"{mirror.name} has no usable page of {project!r}: {error.finding.detail}"
        raise NoPageError(text) from None


def _of_kept(kept: KeptPage, project: str) -> ProjectPage | None:
    """What was kept is as hostile as what comes from the network."""
    try:
        return parse_page(kept.body, kept.content_type, kept.url, project)
    except PageError:
        return None
