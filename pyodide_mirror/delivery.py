"""The fail-over layer: what one install gets, from whichever mirror has it. Pure Python."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from .errors import DigestMismatch, MirrorError, Reason
from .report import Event, EventKind
from .scout import SMALL
from .simple_api import metadata_url, normalize, to_document
from .supply import NoFileError, NoPageError, Place, Supplied, Supply
from .wheels import metadata_of, suits_this_python

if TYPE_CHECKING:
    from .model import File, Mirror, ProjectPage
    from .router import Ranked, Router
    from .scout import Scout

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


_MANY: Final = 100


class _Listed(NamedTuple):
    """A file on a page that was handed to micropip. Pages have thousands of them."""

    file: File
    project: str
    ranked: Ranked


@dataclass(frozen=True, slots=True)
class ServedPage:
    """A project page as micropip gets it: exact PEP 691 as JSON types, or 404 without any."""

    url: str
    status: int
    document: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file really came from; ``size`` in bytes."""

    mirror: str
    url: str
    size: int
    place: Place = "mirror"


class Delivery:
    """What one install gets: pages and verified files, from wherever they can be had.

    ``tell`` is called with each event. ``supply``: where everything comes from. ``quorum``: every
    file must be listed with the same digest by a second mirror on another host. ``keep``: read
    nothing twice; without it nothing is kept, as for one that outlives an install.
    """

    def __init__(
        self,
        router: Router,
        tell: Callable[[Event], None],
        *,
        quorum: bool = False,
        keep: bool = True,
        supply: Supply | None = None,
    ) -> None:
        self.router = router
        self.sources: dict[str, Source] = {}
        """Where the files came from, by the URL that micropip knows."""
        self.fatal: MirrorError | None = None
        """What must end the install, whatever micropip makes of the failed request."""
        self.mismatches: dict[str, DigestMismatch] = {}
        """Files that no mirror had as its page says, by project."""
        self.lost: set[str] = set()
        """Projects of which a file that was chosen could not be had from anywhere."""
        self.scout: Scout | None = None
        self._tell = tell
        self._supply = supply or Supply(router, tell)
        self._quorum = quorum
        self._keep = keep
        self._files: dict[str, _Listed] = {}
        self._digests: dict[int, tuple[bytes, str]] = {}
        self._pages: dict[tuple[str, str], asyncio.Task[ProjectPage]] = {}
        self._bytes: dict[str, asyncio.Task[bytes]] = {}
        self._early: dict[str, asyncio.Task[Supplied]] = {}
        self._metadata: dict[str, bytes] = {}
        self._origins: dict[str, Source] = {}
        self._served: dict[str, Ranked] = {}
        self._spent: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Task[object]] = set()
        self._told: set[str] = set()

    # --- what micropip asks for ---

    def project_of(self, url: str) -> str | None:
        """The project whose page this URL is, as micropip knows it, or None."""
        return self.router.project_of(url)

    def knows(self, url: str) -> bool:
        """Whether the URL is a file, or core metadata, that a page of ours lists."""
        return url in self._files or self._with_metadata(url) is not None

    def digest_of(self, data: bytes) -> str:
        """The SHA-256 of what :meth:`read` gave, if it is known, else an empty string."""
        known = self._digests.get(id(data))
        return known[1] if known is not None and known[0] is data else ""

    async def page(self, project: str) -> ServedPage:
        """The project's page, or 404 when no mirror has the project.

        Raises OSError, as a failed fetch does, when there might be one but none can be read.
        """
        failed = ""
        for ranked in self.router.candidates(project):
            mirror = ranked.mirror
            if (project, mirror.index_url) in self._spent:
                continue
            try:
                page = await self._load(ranked, project)
            except NoPageError as error:
                self._problem(error.text, mirror)
                if error.missing:
                    continue
                failed = error.text
                if mirror.is_exclusive:
                    raise self._end(MirrorError(f"{failed}; no other mirror may answer")) from None
                continue
            self._served[project] = ranked
            listed = self._listed(page, ranked)
            # What is here needs nobody to go ahead: its files are here, too, and read in no time.
            if self.scout is not None and not self._supply.is_from_cache(mirror, project):
                self.scout.saw(project, listed)
                if len(listed.files) >= _MANY:
                    # Micropip will take its time: let the scout run, and the request it makes.
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
            return ServedPage(mirror.project_url(project), 200, to_document(listed))
        if failed:
            raise OSError(failed)
        return ServedPage(self.router.mirror.project_url(project), 404)

    async def read(self, url: str) -> bytes:
        """A file, or core metadata, that :meth:`knows`; OSError when it cannot be had."""
        listed = self._files.get(url)
        if listed is not None:
            return await self._file(url, listed)
        listed = self._with_metadata(url)
        if listed is None:
            raise KeyError(url)
        metadata = await self._metadata_ahead(listed)
        if metadata is not None:
            return metadata
        mirror, place = listed.ranked.mirror, metadata_url(listed.file)
        metadata, fault = await self._supply.metadata(mirror, listed.file, place)
        if not fault:
            return metadata
        self._event("repaired", f"{fault}: taken from the wheel", mirror, place)
        data = await self._file(listed.file.url, listed)
        try:
            return metadata_of(data)
        except ValueError as error:
            raise OSError(f"{listed.file.filename}: {error}") from error

    # --- what the scout asks ---

    async def page_ahead(self, project: str) -> ProjectPage | None:
        """The page that would be served, or None where that is not plain to see."""
        for ranked in self.router.candidates(project)[:1]:
            with suppress(NoPageError):
                page = await self._load(ranked, project)
                return replace(page, files=tuple(self._usable(page, ranked)))
        return None

    async def wheel_ahead(self, project: str, file: File) -> bytes | None:
        """Fetch a wheel of such a page, for whoever asks later; its core metadata, or None."""
        for ranked in self.router.candidates(project)[:1]:
            with suppress(NoFileError, ValueError):
                return await self._read_ahead(ranked, file)
        return None

    async def _read_ahead(self, ranked: Ranked, file: File) -> bytes:
        work = functools.partial(self._supply.file, ranked.mirror, file)
        wheel = await self._once(self._early, file.url, work)
        if file.url not in self._metadata:
            self._metadata[file.url] = metadata_of(wheel.data)
        return self._metadata[file.url]

    async def _metadata_ahead(self, listed: _Listed) -> bytes | None:
        """What a small wheel says of itself, if that is what its page promises.

        Who asks for the metadata of a wheel will ask for the wheel; so one request does for both.
        """
        file = listed.file
        if file.size is None or file.size > SMALL:
            return None
        with suppress(NoFileError, ValueError):
            metadata = await self._read_ahead(listed.ranked, file)
            if sha256(metadata).hexdigest() == (file.metadata or {}).get("sha256"):
                return metadata
        return None

    # --- what the session asks ---

    def next_try(self, error: Exception) -> bool:
        """Whether it makes sense to run micropip again after this error, with other pages.

        A page whose promised file cannot be had, or that does not have what was required, is not
        served again; so there are at most as many tries as there are mirrors for a project.
        """
        blamed = {project for project in self._served if project in self.lost}
        blamed |= set(self._served) & _projects_in(str(error))
        again = False
        for project in blamed:
            mirror = self._served[project].mirror
            if mirror.is_exclusive:
                continue
            # Blamed once: without a new page the same error must not lead to another try.
            del self._served[project]
            self._spent.add((project, mirror.index_url))
            candidates = self.router.candidates(project)
            if all(self._is_spent(one, project) for one in candidates):
                continue
            again = True
            self.lost.discard(project)
            self._event("again", f"{project!r} once more, not from {mirror.name}", mirror)
        return again

    async def keep(self) -> None:
        """Hand to the cache what was fetched."""
        await self._supply.keep()

    def stop(self) -> None:
        """End what is still running: micropip leaves its own tasks behind when it fails."""
        if self.scout is not None:
            self.scout.stop()
        for task in list(self._tasks):
            task.cancel()
        self._early.clear()
        self._pages = {key: task for key, task in self._pages.items() if task.done()}
        self._bytes = {key: task for key, task in self._bytes.items() if task.done()}

    def _is_spent(self, ranked: Ranked, project: str) -> bool:
        """Whether the mirror's page was used in vain, or is known not to be there."""
        key = (ranked.mirror.index_url, project)
        known = self._pages.get(key)
        ended = known is not None and known.done() and not known.cancelled()
        if known is not None and ended and known.exception() is not None:
            return True
        return (project, ranked.mirror.index_url) in self._spent

    # --- pages ---

    def _load(self, ranked: Ranked, project: str) -> Awaitable[ProjectPage]:
        return self._once(
            self._pages,
            (ranked.mirror.index_url, project),
            functools.partial(self._supply.page, ranked, project),
        )

    def _listed(self, page: ProjectPage, ranked: Ranked) -> ProjectPage:
        """The page with what micropip can use, its files noted."""
        files = tuple(self._usable(page, ranked))
        self._files.update((file.url, _Listed(file, page.name, ranked)) for file in files)
        return replace(page, files=files)

    def _with_metadata(self, url: str) -> _Listed | None:
        """The file whose core metadata is at this URL, if a page of ours promises it."""
        # micropip appends to the file's URL, even after a query.
        listed = self._files.get(url.removesuffix(".metadata"))
        promised = listed is not None and listed.file.metadata is not None
        return listed if promised and url.endswith(".metadata") else None

    def _usable(self, page: ProjectPage, ranked: Ranked) -> Iterator[File]:
        broken = Reason.METADATA_BROKEN in ranked.repairs
        for file in page.files:
            if not file.filename.endswith(".whl"):
                continue
            if not suits_this_python(file.requires_python):
                continue  # micropip ignores requires-python
            # What cannot be verified is not better than what the wheel itself says.
            useless = file.metadata is not None and (broken or "sha256" not in file.metadata)
            yield replace(file, metadata=None) if useless else file

    # --- files ---

    async def _file(self, url: str, listed: _Listed) -> bytes:
        key = listed.file.sha256 or url
        work = functools.partial(self._file_now, url, listed)
        try:
            data = await self._once(self._bytes, key, work)
        except OSError:
            self.lost.add(listed.project)
            raise
        self.sources[url] = self._origins[key]
        if listed.file.sha256 and self._keep:
            self._digests[id(data)] = data, listed.file.sha256  # it was verified
        return data

    async def _file_now(self, url: str, listed: _Listed) -> bytes:
        faults: list[tuple[Mirror, NoFileError]] = []
        async for ranked, file in self._places(listed):
            try:
                early = self._early.pop(file.url, None)
                if early is None:
                    found = await self._supply.file(ranked.mirror, file)
                else:
                    found = await asyncio.shield(early)
            except NoFileError as error:
                faults.append((ranked.mirror, error))
                self._event(
                    "problem", f"{ranked.mirror.name}: {error.text}", ranked.mirror, file.url
                )
                continue
            if faults:
                text = f"{file.filename} from {ranked.mirror.name} instead"
                self._event("failover", text, ranked.mirror, file.url)
            if self._quorum:
                await self._confirm(listed)
            self._note(listed.file.sha256 or url, file, ranked.mirror, found)
            return found.data
        raise self._nowhere(listed, faults)

    def _note(self, key: str, file: File, mirror: Mirror, found: Supplied) -> None:
        """Say where a file came from."""
        size = len(found.data)
        self._origins[key] = Source(mirror.index_url, file.url.partition("?")[0], size, found.place)
        cached = ", from the cache" if found.place == "cache" else ""
        self._event("file", f"{file.filename}: {size:,} bytes{cached}", mirror, file.url, size)

    def _nowhere(self, listed: _Listed, faults: list[tuple[Mirror, NoFileError]]) -> OSError:
        """The error for a file that no mirror delivers as its page says."""
        text = f"{listed.file.filename} cannot be had: {faults[0][1].text}"
        wrong = [(mirror, error.got) for mirror, error in faults if error.got]
        mismatch = None
        if wrong:
            mirrors = [mirror for mirror, _ in wrong]
            filename, expected = listed.file.filename, listed.file.sha256
            mismatch = DigestMismatch(filename, expected, wrong[0][1], mirrors)
            self.mismatches[listed.project] = mismatch
        if listed.ranked.mirror.is_exclusive:
            self._end(mismatch or MirrorError(f"{text}; no other mirror may answer"))
        return OSError(text)

    async def _places(self, listed: _Listed) -> AsyncIterator[tuple[Ranked, File]]:
        """Where a file may be had: its own mirror, then those that list the very same file."""
        yield listed.ranked, listed.file
        if listed.ranked.mirror.is_exclusive:
            return  # what a private index cannot deliver must not come from a public one
        async for ranked, file in self._same_name(listed):
            if listed.file.sha256 and file.sha256 == listed.file.sha256:
                yield ranked, file

    async def _same_name(self, listed: _Listed) -> AsyncIterator[tuple[Ranked, File]]:
        exclusive = listed.ranked.mirror.is_exclusive
        for ranked in self.router.candidates(listed.project):
            # Not even the name of what a private index has is for public ones.
            if ranked == listed.ranked or (exclusive and not ranked.mirror.is_exclusive):
                continue
            try:
                page = await self._load(ranked, listed.project)
            except NoPageError as error:
                self._problem(error.text, ranked.mirror)
                continue
            for file in page.files:
                if file.filename == listed.file.filename:
                    yield ranked, file

    async def _confirm(self, listed: _Listed) -> None:
        """Quorum: a second host must publish the same digest for the file."""
        mirror, file = listed.ranked.mirror, listed.file
        if not file.sha256:
            what = f"{mirror.name} publishes no SHA-256 for {file.filename}"
            raise self._end(MirrorError(f"verify='quorum': {what}"))
        host = urlsplit(mirror.index_url).hostname
        async for other, same in self._same_name(listed):
            if urlsplit(other.mirror.index_url).hostname == host or not same.sha256:
                continue
            if same.sha256 == file.sha256:
                return
            mirrors = (mirror, other.mirror)
            raise self._end(DigestMismatch(file.filename, file.sha256, same.sha256, mirrors))
        what = f"only one mirror, {mirror.name}, has {file.filename}"
        raise self._end(MirrorError(f"verify='quorum': {what}"))

    # --- housekeeping ---

    async def _once(
        self, running: dict[K, asyncio.Task[T]], key: K, work: Callable[[], Awaitable[T]]
    ) -> T:
        """Do it once, however many ask; the work is the delivery's, not that of who asked first."""
        task = running.get(key)
        if task is None:
            task = running[key] = asyncio.ensure_future(work())
            self._tasks.add(task)
            task.add_done_callback(self._done)
            if not self._keep:
                task.add_done_callback(lambda _: running.pop(key, None))
        return task.result() if task.done() else await asyncio.shield(task)

    def _done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked may be gone; then nobody else would look at it

    def _end(self, error: MirrorError) -> OSError:
        """Note what must end the install; the OSError is for micropip."""
        self.fatal = error
        return OSError(str(error))

    def _problem(self, text: str, mirror: Mirror) -> None:
        if text not in self._told:
            self._told.add(text)
            self._event("problem", text, mirror)

    def _event(
        self, kind: EventKind, text: str, mirror: Mirror, url: str = "", size: int | None = None
    ) -> None:
        # What follows the path may be a signature.
        self._tell(Event(kind, text, mirror.index_url, url.partition("?")[0], size))


def _projects_in(text: str) -> set[str]:
    """Normalized names of the requirements that micropip quotes in an error."""
    return {normalize(name) for name in re.findall(r"'([A-Za-z0-9][A-Za-z0-9._-]*)", text)}
