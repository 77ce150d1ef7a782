"""All that one server has: the folder first, then our own wheel, then the upstreams in order.

A project that is in the folder is answered from it alone, so that nobody can slip a newer version
of it in from outside (dependency confusion; PEP 708 was rejected, so it is ours to close).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .upstream import Upstream
from .web import UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pyodide_mirror.model import File, ProjectPage

    from .download import Download, Place
    from .source import Source, Stored

_log = logging.getLogger("pyodide_mirror.server")


class Missing(LookupError):
    """What nobody has; the text says what."""


@dataclass(frozen=True, slots=True)
class Found:
    """A project's page, and who has it."""

    page: ProjectPage
    source: Source


class Library:
    """Sources in the order in which they are asked."""

    def __init__(self, local: Sequence[Source], upstreams: Sequence[Upstream]) -> None:
        self.local = tuple(local)
        self.upstreams = tuple(upstreams)

    async def find(self, project: str) -> Found:
        """The page of a normalized name.

        Raises :class:`Missing` when nobody has it, and UpstreamError, with what each of the
        broken upstreams did, when that cannot be said.
        """
        for source in self.local:
            page = await source.page(project)
            if page is not None:
                return Found(page, source)
        problems: list[UpstreamError] = []
        # One that hung a moment ago is asked last: another may have it at once.
        for upstream in sorted(self.upstreams, key=lambda each: each.rests):
            try:
                page = await upstream.page(project)
            except UpstreamError as error:
                _log.warning("%s: page of %s: %s", upstream.name, project, error)
                problems.append(
                    UpstreamError(f"{upstream.name}: {error}", timed_out=error.timed_out)
                )
                continue
            if page is not None:
                return Found(page, upstream)
        if problems:
            detail = "; ".join(problem.detail for problem in problems)
            raise UpstreamError(detail, timed_out=all(each.timed_out for each in problems))
        raise Missing(f"no project {project!r} here")

    async def file(self, project: str, filename: str) -> tuple[Found, File]:
        """A file by its name; raises :class:`Missing` or UpstreamError."""
        found = await self.find(project)
        for file in found.page.files:
            if file.filename == filename:
                return found, file
        raise Missing(f"project {project!r} has no file {filename!r} here")

    async def blob(self, project: str, found: Found, file: File) -> Stored | Download:
        """The file itself; another upstream stands in only with the same name and SHA-256."""
        if isinstance(found.source, Upstream):
            return await found.source.blob_from(file, self._places(project, found.source, file))
        return await found.source.blob(project, file)

    async def projects(self) -> list[str]:
        """Normalized names that can be told without asking an upstream."""
        names: set[str] = set()
        for source in (*self.local, *self.upstreams):
            names.update(await source.projects())
        return sorted(names)

    async def close(self) -> None:
        """Close all sources."""
        await asyncio.gather(*(source.close() for source in (*self.local, *self.upstreams)))

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
