"""Our own wheels as a source, for browsers that can reach nothing but this server."""

from __future__ import annotations

import hashlib
from functools import cached_property
from importlib.metadata import distribution
from typing import TYPE_CHECKING

from pyodide_mirror import __version__
from pyodide_mirror.index import metadata_of
from pyodide_mirror.model import File, ProjectPage
from pyodide_mirror.own_wheels import all_wheels

from .source import InMemory

if TYPE_CHECKING:
    from collections.abc import Iterable


PROJECT = "pyodide-mirror"


class OwnWheel:
    """A :class:`~pyodide_mirror.server.source.Source` of this very package: one project.

    Of its wheels pip and uv install the first, which has the command and this server in it; web
    pages load one of the others.
    """

    name = "this server's own wheel"
    immutable = True  # its name is made of its content

    def __init__(self) -> None:
        """Raises PackageNotFoundError when the package is not installed."""
        distribution(PROJECT)

    # They are made when somebody wants one: it takes as long as half of the server's start.
    @cached_property
    def _contents(self) -> dict[str, bytes]:
        return all_wheels()

    @cached_property
    def _metadata(self) -> dict[str, bytes]:
        return {name: metadata_of(wheel, name) for name, wheel in self._contents.items()}

    @cached_property
    def _files(self) -> tuple[File, ...]:
        return tuple(map(self._describe, self._contents))

    @property
    def filename(self) -> str:
        """The file name of the wheel for pages with any Python."""
        return self._files[-1].filename

    def find(self, filename: str) -> File | None:
        """The wheel of that name."""
        return next((file for file in self._files if file.filename == filename), None)

    async def page(self, project: str) -> ProjectPage | None:
        """See Source."""
        if project != PROJECT:
            return None
        return ProjectPage(name=PROJECT, files=self._files, versions=(__version__,))

    async def projects(self) -> Iterable[str]:
        """See Source."""
        return [PROJECT]

    async def blob(self, project: str, file: File) -> InMemory:
        """See Source."""
        return InMemory(self._contents[file.filename])

    async def metadata(self, project: str, file: File) -> bytes:
        """See Source."""
        return self._metadata[file.filename]

    async def left_out(self) -> dict[str, str]:
        """See LocalSource."""
        return {}

    async def close(self) -> None:
        """See Source."""

    def _describe(self, filename: str) -> File:
        content, metadata = self._contents[filename], self._metadata[filename]
        return File(
            filename=filename,
            url=f"own:///{filename}",
            hashes={"sha256": hashlib.sha256(content).hexdigest()},
            requires_python=">=3.11",
            metadata={"sha256": hashlib.sha256(metadata).hexdigest()},
            size=len(content),
        )
