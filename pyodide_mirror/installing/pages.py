"""The project pages of an install, and which mirror each of them came from."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

from pyodide_mirror.errors import MirrorError
from pyodide_mirror.reporting import Event
from pyodide_mirror.transport import OnceMap

from .mirror_client import NoPageError
from .mirror_order import RankedMirror

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from pyodide_mirror.model import File, Mirror, ProjectPage

    from .deferred import DeferredMirrors, FindMirrors
    from .faults import InstallFaults
    from .mirror_client import MirrorClient
    from .mirror_order import MirrorOrder


class InstallPages:
    """The pages that one install reads, each once, from the first mirror that has it.

    ``order``: the mirrors; provisional until the first page is wanted. ``remember``: read no page
    twice, which is for a single install only.
    """

    def __init__(
        self,
        mirrors: DeferredMirrors,
        client: MirrorClient,
        faults: InstallFaults,
        tell: Callable[[Event], None],
        *,
        remember: bool,
    ) -> None:
        self.order = mirrors.provisional
        self._find_mirrors = mirrors.find
        self._finding = asyncio.Lock()
        self._client = client
        self._faults = faults
        self._tell = tell
        self._pages = OnceMap[tuple[str, str], "ProjectPage"](remember=remember)
        self._anew: set[tuple[str, str]] = set()
        self._served: dict[str, tuple[RankedMirror, bool]] = {}
        self._spent: set[tuple[str, str]] = set()
        self._told: set[str] = set()

    async def first(self, project: str) -> tuple[RankedMirror, ProjectPage] | None:
        """The project's page and its mirror; None when no mirror has the project.

        Raises OSError, as a failed fetch does, when there might be one but none can be read.
        """
        await self._find(project)
        failed = ""
        for ranked in self.order.mirrors_for(project):
            if (ranked.mirror.index_url, project) in self._spent:
                continue
            try:
                page = await self.load(ranked, project)
            except NoPageError as error:
                self._problem(error.text, ranked.mirror)
                if error.missing:
                    continue
                failed = error.text
                if ranked.mirror.is_exclusive:
                    fatal = MirrorError(f"{failed}; no other mirror may be asked for it")
                    raise self._faults.end(fatal) from None
                continue
            self._served[project] = ranked, self.is_from_cache(ranked, project)
            return ranked, page
        if failed:
            raise OSError(failed)
        return None

    async def load(self, ranked: RankedMirror, project: str) -> ProjectPage:
        """One mirror's page of a project; raises NoPageError."""
        key = ranked.mirror.index_url, project
        anew = key in self._anew
        work = functools.partial(self._client.page, ranked, project, anew=anew)
        return await self._pages.get(key, work)

    def is_from_cache(self, ranked: RankedMirror, project: str) -> bool:
        """Whether a page that was loaded is the cache's: a hint, and not the mirror's last word."""
        return self._client.is_from_cache(ranked.mirror, project)

    async def same_file(
        self, file: File, project: str, of: RankedMirror, *, others: bool = True
    ) -> AsyncIterator[tuple[RankedMirror, File]]:
        """The files of that name on the page of this mirror, or of the ``others`` that may answer.

        Not even the name of what a private index has is for public ones. Who goes on after what a
        cached page has gets what the mirror itself has now, which may be the same.
        """
        exclusive = of.mirror.is_exclusive
        for ranked in self.order.mirrors_for(project):
            if (ranked == of) is others or (exclusive and not ranked.mirror.is_exclusive):
                continue
            async for page in self._versions(ranked, project):
                for each in page.files:
                    if each.filename == file.filename:
                        yield ranked, each

    async def _versions(self, ranked: RankedMirror, project: str) -> AsyncIterator[ProjectPage]:
        """A mirror's page, and after a cached one the one that the mirror has now."""
        try:
            yield await self.load(ranked, project)
            if self.ask_anew(ranked, project):
                yield await self.load(ranked, project)
        except NoPageError as error:
            self._problem(error.text, ranked.mirror)

    def end(self, project: str, fault: MirrorError) -> OSError:
        """Note what must end the install, unless a cached page that was served may be the cause."""
        if project in self._served and self._served[project][1]:
            return OSError(str(fault))  # another try asks the mirror
        return self._faults.end(fault)

    def ask_anew(self, ranked: RankedMirror, project: str) -> bool:
        """Load a page from its mirror the next time; False for one that is the mirror's already.

        For what does not do: since it was cached, a release may have come, a file may have moved.
        """
        if not self.is_from_cache(ranked, project):
            return False
        key = ranked.mirror.index_url, project
        self._anew.add(key)
        self._pages.forget(key)
        return True

    def ask_all_anew(self) -> bool:
        """Load from its mirror what was served from the cache; False if nothing is left to ask."""
        before = len(self._anew)
        for project, (ranked, cached) in self._served.items():
            if cached:
                self.ask_anew(ranked, project)
        return len(self._anew) > before

    def retry_without(self, projects: Iterable[str]) -> bool:
        """Serve the pages of these projects no more; whether another try may do better.

        What a cached page has not, its mirror may have now. Else each page is given up once, so
        there are at most twice as many tries as mirrors for a project.
        """
        again = False
        for project in self._served.keys() & set(projects):
            # Blamed once: without a new page the same error must not lead to another try.
            ranked, cached = self._served.pop(project)
            mirror = ranked.mirror
            if cached:
                self.ask_anew(ranked, project)
                text = f"page of {project!r} again, from {mirror.name} instead of the cache"
            elif mirror.is_exclusive or not self._give_up(mirror, project):
                continue
            else:
                text = f"page of {project!r} again, without {mirror.name}"
            again = True
            self._faults.lost.discard(project)
            self._tell(Event("again", text, mirror.index_url))
        return again

    def _give_up(self, mirror: Mirror, project: str) -> bool:
        """Serve this page no more if another mirror may have the project; whether that is so."""
        there = self.order.mirrors_for(project)
        others = any(each.mirror != mirror and not self._is_spent(each, project) for each in there)
        if others:
            self._spent.add((mirror.index_url, project))
        return others

    def stop(self) -> None:
        """End the requests that are under way."""
        self._pages.stop()

    def _is_spent(self, ranked: RankedMirror, project: str) -> bool:
        """Whether the mirror's page was used in vain, or is known not to be there."""
        key = ranked.mirror.index_url, project
        return key in self._spent or self._pages.has_failed(key)

    async def _find(self, project: str) -> None:
        """Find out which mirrors work, unless that is known."""
        async with self._finding:
            find = self._find_mirrors
            if find is not None:
                self.order = await self._found(find, project)
                self._find_mirrors = None

    async def _found(self, find: FindMirrors, project: str) -> MirrorOrder:
        if self._faults.fatal is not None:
            raise OSError(str(self._faults.fatal))
        try:
            return await find(project, lambda mirror: self.load(RankedMirror(mirror), project))
        except MirrorError as error:
            raise self._faults.end(error) from None
        except Exception as error:
            # micropip would take it for a page that cannot be fetched.
            fatal = MirrorError(f"the search for a mirror failed: {error!r}")
            raise self._faults.end(fatal) from error

    def _problem(self, text: str, mirror: Mirror) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(Event("problem", text, mirror.index_url))
