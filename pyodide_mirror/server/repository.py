"""All projects of one server: the folder's first, then our own wheels, then the upstreams'.

A project that is in the folder is served from it alone, so that nobody can add a newer version of
it from outside (dependency confusion: PEP 708 was rejected, so we must prevent it). What the folder
cannot read now is an error, for the same reason. And no upstream is asked for a project that is
only local by a rule, even while the folder does not have it: `Repository._all` is the only way to
them.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyodide_mirror.server.access import CurrentRules, Rules
from pyodide_mirror.server.fetching import UpstreamError
from pyodide_mirror.server.upstreams import Upstream

from .source import DeniedError, InMemory, LocalSource, Missing, Source, Stored, tag_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from pyodide_mirror.model import File, ProjectPage
    from pyodide_mirror.server.cache import Download, Place

_log = logging.getLogger("pyodide_mirror.server")


@dataclass(frozen=True, slots=True)
class FoundPage:
    """A project's page, and the source that has it."""

    page: ProjectPage
    source: Source


class Repository:
    """Sources in the order in which they are asked, and the rules for what they have."""

    def __init__(
        self,
        local: Sequence[LocalSource],
        upstreams: Sequence[Upstream],
        rules: CurrentRules | None = None,
    ) -> None:
        self.rules = rules or CurrentRules(Rules())
        self.local = tuple(local)
        self.upstreams = tuple(upstreams)
        self._sources: tuple[Source, ...] = (*self.local, *self.upstreams)

    async def find(self, project: str, *, anew: bool = False) -> FoundPage:
        """The page of a normalized name; ``anew``: as its upstream has it now.

        Raises :class:`Missing` when no source has it, DeniedError when a rule is against it,
        UnreadableError when a local one cannot tell, and UpstreamError, with what each broken
        upstream did, when that is not certain.
        """
        async with aclosing(self._all(project, anew=anew)) as found:
            async for each in found:
                page = self.rules.applied(each.page, from_upstream=_is_upstream(each.source))
                return FoundPage(page, each.source)
        raise Missing(f"no project {project!r} here")

    async def file(self, project: str, filename: str, tag: str = "") -> tuple[FoundPage, File]:
        """A file by its name and its :func:`tag_of`, if given; raises as :meth:`find`.

        The upstream whose page listed it may no longer be the first: another had hung then, or
        hangs now.
        """
        changed = False
        async with aclosing(self._all(project)) as found:
            async for each in found:
                for file in each.page.files:
                    if file.filename == filename:
                        if tag in {"", tag_of(file)}:
                            self._check_file(project, each.source, filename)
                            return each, file
                        changed = True
        if changed:
            raise Missing("the file has changed since its page was read; read the page again")
        raise Missing(f"project {project!r} has no file {filename!r} here")

    async def local_files(self, project: str) -> list[File]:
        """The files of a project that are on this machine; raises UnreadableError."""
        pages = [await source.page(project) for source in self.local]
        return [file for page in pages if page is not None for file in page.files]

    async def forget(self, project: str) -> None:
        """Forget what the upstreams said of a project."""
        await asyncio.gather(*(upstream.forget(project) for upstream in self.upstreams))

    async def _all(self, project: str, *, anew: bool = False) -> AsyncGenerator[FoundPage, None]:
        """The page of a local source alone, or else those of the upstreams, in order."""
        rules = self.rules.now()
        _refuse(rules.against(project, from_upstream=False))
        for source in self.local:
            page = await source.page(project)
            if page is not None:
                yield FoundPage(page, source)
                return
        if (pattern := rules.is_only_local(project)) is not None:
            raise Missing(
                f"project {project!r} is not on this server, and no other index is asked for it"
                f" (only-local {pattern.text})"
            )
        _refuse(rules.against(project, from_upstream=True))
        problems: list[UpstreamError] = []
        some_know = False
        # One that hung a moment ago is asked last: another may answer at once.
        for upstream in sorted(self.upstreams, key=lambda each: each.rests):
            try:
                page = await upstream.page(project, anew=anew)
            except UpstreamError as error:
                _log.warning("%s: page of %s: %s", upstream.name, project, error)
                problems.append(error.of(upstream.name))
                continue
            some_know = True
            if page is not None:
                yield FoundPage(page, upstream)
        # Buckets, and some mirrors, say 403 of what they do not have.
        if problems and not (some_know and all(each.refused for each in problems)):
            detail = "; ".join(problem.detail for problem in problems)
            raise UpstreamError(detail, timed_out=all(each.timed_out for each in problems))

    async def blob(
        self, project: str, found: FoundPage, file: File
    ) -> Stored | InMemory | Download:
        """The file itself; another upstream's is used only if it has the same name and SHA-256."""
        if isinstance(found.source, Upstream):
            return await found.source.blob_from(file, self._places(project, found.source, file))
        return await found.source.blob(project, file)

    async def projects(self) -> list[str]:
        """Normalized names of the projects that are known without a request."""
        rules, names = self.rules.now(), set[str]()
        for source in self._sources:
            from_upstream = _is_upstream(source)
            for name in await source.projects():
                hidden = from_upstream and rules.is_only_local(name) is not None
                if not (hidden or rules.against(name, from_upstream=from_upstream)):
                    names.add(name)
        return sorted(names)

    async def close(self) -> None:
        """Close all sources."""
        await asyncio.gather(*(source.close() for source in self._sources))

    async def _places(self, project: str, first: Upstream, file: File) -> AsyncIterator[Place]:
        async for place in first.places(file):
            yield place
        if not file.sha256:
            return
        for upstream in self.upstreams:
            if upstream is first:
                continue
            try:
                page = await upstream.page(project)
            except UpstreamError as error:
                _log.warning("%s: page of %s: %s", upstream.name, project, error)
                continue
            for other in page.files if page else ():
                if other.filename == file.filename and other.sha256 == file.sha256:
                    async for place in upstream.places(other):
                        yield place

    def _check_file(self, project: str, source: Source, filename: str) -> None:
        from_upstream = _is_upstream(source)
        rules = self.rules.now()
        _refuse(rules.against_file(project, filename, from_upstream=from_upstream))


def _is_upstream(source: Source) -> bool:
    return isinstance(source, Upstream)


def _refuse(problem: str) -> None:
    if problem:
        raise DeniedError(problem)
