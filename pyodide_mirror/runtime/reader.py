"""Reads packages of Pyodide's lock file: from the cache, or from the first CDN that has them."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from pyodide_mirror.reporting import Event
from pyodide_mirror.storage import Choice

from .download import Download, Downloaded, UnavailableError
from .hook import PackageSource
from .lockfile import NotLockedError, OwnPlace, canary, locked_file, own_place, pyodide_version
from .own_folder import read_own, save_own
from .search import Places, default_cdns

if TYPE_CHECKING:
    from pyodide_mirror.model import CDN, CDNOutcome
    from pyodide_mirror.storage import ChoiceStore, Content
    from pyodide_mirror.transport import Transport

    from .check import LockedFile
    from .hook import PackageRequest


class Host(Protocol):
    """What is needed of the place that this Python runs in."""

    @property
    def cdn_store(self) -> ChoiceStore:
        """Where the chosen CDN is remembered."""
        ...

    async def transport(self) -> Transport:
        """The way to make requests from here."""
        ...


class PackageReader:
    """Reads packages under the digests of Pyodide's lock file, from wherever they can be read."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._places: dict[tuple[CDN, ...], Places] = {}
        self.outcomes: tuple[CDNOutcome, ...] = ()
        """What the last search has found."""

    async def read(self, name: str, request: PackageRequest) -> Content:
        """A package of the lock file, by its normalized name; raises UnavailableError."""
        request.faults.pop(name, None)
        try:
            data, request.sources[name] = await self._read(name, request)
        except UnavailableError as error:
            request.faults[name] = error.why
            request.tell(Event("problem", str(error)))
            raise
        return data

    async def _read(self, name: str, request: PackageRequest) -> tuple[Content, PackageSource]:
        try:
            file = locked_file(name)
        except NotLockedError as error:
            raise UnavailableError(name, f"could not be loaded: {error}") from None
        cached = await request.cache.content(file.sha256)
        if cached is not None:
            text = f"{file.base_name}: {len(cached):,} bytes, from the cache"
            request.tell(Event("file", text, size=len(cached)))
            return cached, PackageSource("", file.sha256, len(cached))
        own = own_place()
        here = await read_own(own, file)
        if here is not None:
            return here, PackageSource(own.url(file.file_name), file.sha256, len(here))
        found = await self._download(name, file, own, request)
        await request.cache.save_file(file.sha256, found.data)
        request.cache.flush()
        save_own(own, file, found.data)
        return found.data, PackageSource(found.url, file.sha256, len(found.data))

    async def _download(
        self, name: str, file: LockedFile, own: OwnPlace, request: PackageRequest
    ) -> Downloaded:
        places = self._places_for(own, request)
        places.readers += 1
        try:
            if request.remember:
                await places.recall(self._host.cdn_store)
            transport = await self._host.transport()
            found = await Download(name, file, places, transport, request).run(canary() or file)
            if request.remember and not places.is_own(found.cdn):
                await self._remember(places, found.cdn)
        finally:
            request.outcomes = self.outcomes = places.known()
            places.readers -= 1
            if not places.readers:
                places.stop()
                places.forget_failures()
        return found

    async def _remember(self, places: Places, cdn: CDN) -> None:
        if places.remembered != cdn:
            places.remembered = cdn
            await self._host.cdn_store.save(Choice(cdn.base_url, datetime.now(UTC)))

    def _places_for(self, own: OwnPlace, request: PackageRequest) -> Places:
        cdns, named = (request.cdns, True) if request.cdns is not None else default_cdns()
        first = None if request.cdns is not None else own.cdn
        if first is not None:
            cdns = (first, *(cdn for cdn in cdns if cdn.base_url != first.base_url))
        if cdns not in self._places:
            known = cdns if named else (first,) if first is not None else ()
            urls = functools.partial(_url, own)
            self._places[cdns] = Places(cdns, urls, known, own.cdn, trusted=first)
        return self._places[cdns]


def _url(own: OwnPlace, cdn: CDN, file_name: str) -> str:
    """Where a file of the lock file is at a CDN; in Pyodide's own place it may be elsewhere."""
    if cdn == own.cdn:
        return own.url(file_name)
    return cdn.url(file_name.partition("?")[0].rpartition("/")[2], pyodide_version())
