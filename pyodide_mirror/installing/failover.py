"""The fail-over layer: what one install reads, from whichever mirror has it."""

from __future__ import annotations

import asyncio
import functools
from contextlib import aclosing, suppress
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyodide_mirror._micropip import ServedPage
from pyodide_mirror.errors import MirrorError
from pyodide_mirror.index import (
    SMALL_WHEEL,
    metadata_of,
    metadata_url,
    suits_this_python,
    to_document,
)
from pyodide_mirror.model import Reason, project_url
from pyodide_mirror.reporting import Event
from pyodide_mirror.transport import OnceMap

from .archive import archive_fault
from .choices import Choices, ServedFile
from .faults import InstallFaults
from .mirror_client import NoFileError, NoPageError, event_at
from .pages import InstallPages
from .site_packages import Source
from .sources import sources_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Coroutine, Iterator

    from pyodide_mirror.model import File, Mirror, ProjectPage

    from .deferred import DeferredMirrors
    from .mirror_client import FetchedFile, MirrorClient
    from .mirror_order import RankedMirror
    from .prefetch import Prefetcher

    _Sources = AsyncIterable[tuple[RankedMirror, File]]

_MANY: Final = 100
"""Files of a page that keeps micropip busy for a while."""


class Delivered(NamedTuple):
    """A file's bytes, and where they came from."""

    data: bytes
    source: Source


class Failover:
    """Pages and verified files for one install, from wherever they can be read.

    It is the :class:`~pyodide_mirror._micropip.InstallSource` of the install. ``tell`` is called
    with each event. ``quorum``: every file must be listed with the same digest by a second mirror
    on another host. ``remember``: read nothing twice; a source that outlives an install must not.
    """

    def __init__(
        self,
        mirrors: DeferredMirrors,
        client: MirrorClient,
        tell: Callable[[Event], None],
        *,
        quorum: bool = False,
        remember: bool = True,
    ) -> None:
        self.faults = InstallFaults()
        self.choices = Choices()
        self.pages = InstallPages(mirrors, client, self.faults, tell, remember=remember)
        self.sources: dict[str, Source] = {}
        """Where the files came from, by the URL that micropip knows."""
        self.prefetcher: Prefetcher | None = None
        self.asking: set[asyncio.Task[Any]] = set()
        self.ended = False
        self.client = client
        self._tell = tell
        self._quorum = quorum
        self._files: dict[str, ServedFile] = {}
        self._fetched = OnceMap[tuple[str, str], "FetchedFile"](remember=remember)
        self._delivered = OnceMap[str, Delivered](remember=remember)
        self._metadata: dict[str, bytes] = {}
        self._verified: list[tuple[bytes, str]] = []
        self._remember = remember

    async def save(self) -> None:
        """Hand to the cache what was fetched."""
        await self.client.save()

    def stop(self) -> None:
        """End what is still running: micropip leaves its own tasks behind when it fails."""
        if self.prefetcher is not None:
            self.prefetcher.stop()
        for task in self.asking:
            task.cancel()
        self.pages.stop()
        self._fetched.stop()
        self._delivered.stop()

    # --- what micropip asks for -----------------------------------------------------------------

    async def page(self, project: str) -> ServedPage:
        """See InstallSource; a page that no mirror has is a 404."""
        plan = self.choices.plan
        found = await self.pages.first(project) if plan is None else plan.page(project)
        if found is None:
            return ServedPage(project_url(self.pages.order.index_url, project), 404)
        ranked, page = found
        self.choices.pages[project] = page
        usable = replace(page, files=tuple(usable_files(page, ranked)))
        self._files.update((file.url, ServedFile(file, project, ranked)) for file in usable.files)
        # The files of a page that was in the cache are there, too, and are read in no time.
        if self.prefetcher is not None and not self.pages.is_from_cache(ranked, project):
            self.prefetcher.page_served(project, usable)
            if len(usable.files) >= _MANY:
                # micropip will now read the page for a while without letting anything else run:
                # the first turn starts the prefetcher's task, the second one its request.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
        return ServedPage(ranked.mirror.project_url(project), 200, to_document(usable))

    def knows(self, url: str) -> bool:
        """See InstallSource: a file, or core metadata, that a page of ours lists."""
        return url in self._files or self._with_metadata(url) is not None

    async def read(self, url: str) -> bytes:
        """See InstallSource."""
        served = self._files.get(url)
        if served is not None:
            return await self._wheel(url, served)
        served = self._with_metadata(url)
        if served is None:
            raise KeyError(url)
        metadata = await self._metadata_of_small(served) or await self._promised(served)
        self.choices.examine(served.project, served.file, metadata)
        return metadata

    async def _wheel(self, url: str, served: ServedFile) -> bytes:
        self.choices.choose(served.project, served.file)
        data = await self._file(url, served)
        if served.file.metadata is None:  # else micropip asks for that
            with suppress(ValueError):  # micropip says what is wrong with the wheel
                metadata = self._metadata_in(data, served.file)
                self.choices.examine(served.project, served.file, metadata)
        return data

    async def _promised(self, served: ServedFile) -> bytes:
        """The core metadata beside a wheel, or else those in it."""
        mirror, place = served.ranked.mirror, metadata_url(served.file)
        metadata, fault = await self.client.metadata(mirror, served.file, place)
        if not fault:
            return metadata
        repaired = f"{fault}: metadata is taken from the wheel"
        self._tell(event_at("repaired", repaired, mirror, place))
        data = await self._file(served.file.url, served)
        try:
            return self._metadata_in(data, served.file)
        except ValueError as error:
            self.faults.lost.add(served.project)
            text = f"{served.file.filename} {error}, and its metadata cannot be read: {fault}"
            self._tell(event_at("problem", f"{mirror.name}: {text}", mirror, served.file.url))
            raise OSError(text) from error

    def sha256_of(self, data: bytes) -> str:
        """See InstallSource: micropip would compute it twice for each wheel."""
        return next((digest for known, digest in self._verified if known is data), "")

    def unknown_extra(self, distribution: str, extra: str) -> None:
        """See InstallSource: pip and uv warn, too, and install without it."""
        self._tell(Event("extra", f"{distribution} has no extra {extra!r}"))

    def _with_metadata(self, url: str) -> ServedFile | None:
        """The file whose core metadata is at this URL, if a page of ours promises it."""
        # micropip appends to the file's URL, even after a query.
        served = self._files.get(url.removesuffix(".metadata"))
        promised = served is not None and served.file.metadata is not None
        return served if promised and url.endswith(".metadata") else None

    # --- what is fetched before micropip asks ---------------------------------------------------

    async def page_ahead(self, project: str) -> ProjectPage | None:
        """The page that would be served, or None where that is not plain to see."""
        for ranked in self.pages.order.mirrors_for(project)[:1]:
            with suppress(NoPageError):
                page = await self.pages.load(ranked, project)
                return replace(page, files=tuple(usable_files(page, ranked)))
        return None

    async def wheel_ahead(self, project: str, file: File) -> bytes | None:
        """Fetch a wheel of such a page, for whoever asks later; its core metadata, or None."""
        for ranked in self.pages.order.mirrors_for(project)[:1]:
            with suppress(NoFileError, ValueError):
                return await self._read_metadata(ranked, file)
        return None

    async def _metadata_of_small(self, served: ServedFile) -> bytes | None:
        """What a small wheel says of itself, if that is what its page promises.

        Who asks for the metadata of a wheel will ask for the wheel; so one request does for both.
        """
        file = served.file
        if file.size is None or file.size > SMALL_WHEEL:
            return None
        with suppress(NoFileError, ValueError):
            metadata = await self._read_metadata(served.ranked, file)
            if sha256(metadata).hexdigest() == (file.metadata or {}).get("sha256"):
                return metadata
        return None

    async def _read_metadata(self, ranked: RankedMirror, file: File) -> bytes:
        return self._metadata_in((await self._fetch(ranked, file)).data, file)

    def _metadata_in(self, wheel: bytes, file: File) -> bytes:
        if file.url not in self._metadata:
            self._metadata[file.url] = metadata_of(wheel, file.filename)
        return self._metadata[file.url]

    async def _fetch(self, ranked: RankedMirror, file: File) -> FetchedFile:
        work = functools.partial(self.client.file, ranked.mirror, file)
        return await self._fetched.get((file.url, file.sha256), work)

    # --- files ----------------------------------------------------------------------------------

    async def _file(self, url: str, served: ServedFile) -> bytes:
        try:
            delivered = await self.delivery(served)
        except OSError:
            self.faults.lost.add(served.project)
            raise
        self.sources[url] = delivered.source
        if served.file.sha256 and self._remember:
            self._verified.append((delivered.data, served.file.sha256))
        return delivered.data

    def delivery(self, served: ServedFile) -> Coroutine[Any, Any, Delivered]:
        """A verified file, whether or not it is wanted in the end; raises OSError."""
        work = functools.partial(self._deliver, served)
        return self._delivered.get(served.file.sha256 or served.file.url, work)

    async def _deliver(self, served: ServedFile) -> Delivered:
        found = sources_of(served.file, served.project, served.ranked, self.pages)
        async with aclosing(found) as sources:  # else the event loop closes it in a task
            return await self._first(served, sources)

    async def _first(self, served: ServedFile, sources: _Sources) -> Delivered:
        faults: list[tuple[Mirror, NoFileError]] = []
        plan = self.choices.plan
        async for ranked, file in sources:
            try:
                found = await self._fetch(ranked, file)
                if plan is not None and plan.check is not None:
                    plan.check(found.data, served.file)
                fault = None  # what is not seen now is found when it is unpacked
                if served.file.metadata is None:  # micropip reads it in the wheel
                    fault = archive_fault(file.filename, ranked.mirror.index_url, found.data)
                if fault is not None and not file.sha256:  # it may have been whole once
                    raise NoFileError(str(fault))
            except NoFileError as error:
                faults.append((ranked.mirror, error))
                text = f"{ranked.mirror.name}: {error.text}"
                self._tell(event_at("problem", text, ranked.mirror, file.url))
                continue
            if faults:
                which = "another URL of " if ranked == served.ranked else ""
                text = f"{file.filename}: from {which}{ranked.mirror.name} instead"
                self._tell(event_at("failover", text, ranked.mirror, file.url))
            if self._quorum:
                from .quorum import confirm  # few installs ask for it

                await confirm(served.file, served.project, served.ranked, self.pages)
            if fault is not None:
                raise self.faults.end(fault)
            return _noted(self._tell, file, ranked.mirror, found)
        text, mismatch = self.faults.unavailable(served.file, served.project, faults)
        if served.ranked.mirror.is_exclusive:
            alone = MirrorError(f"{text}; no other mirror may be asked for it")
            self.pages.end(served.project, mismatch or alone)
        raise OSError(text)


def _noted(
    tell: Callable[[Event], None], file: File, mirror: Mirror, found: FetchedFile
) -> Delivered:
    """Tell that a file is here, and remember where it came from."""
    size = len(found.data)
    cached = ", from the cache" if found.place == "cache" else ""
    text = f"{file.filename}: {size:,} bytes{cached}"
    tell(event_at("file", text, mirror, file.url, size))
    source = Source(mirror.index_url, file.url, size, found.place)
    return Delivered(found.data, source)


def usable_files(page: ProjectPage, ranked: RankedMirror) -> Iterator[File]:
    """What micropip can use of a page."""
    broken = Reason.METADATA_BROKEN in ranked.repairs
    for file in page.files:
        if not file.filename.endswith(".whl"):
            continue
        if not suits_this_python(file.requires_python):
            continue  # micropip ignores requires-python
        # What cannot be verified is not better than what the wheel itself says.
        useless = file.metadata is not None and (broken or "sha256" not in file.metadata)
        yield replace(file, metadata=None) if useless else file
