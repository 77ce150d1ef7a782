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
from pyodide_mirror.rebuilt import rebuilt_wheel

from .source import InMemory, LocalState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


PROJECT = "pyodide-mirror"
_RESOLVER = "resolvelib"


class MadeWheels:
    """A :class:`~pyodide_mirror.server.source.Source` of one project, whose wheels are made here.

    ``make`` is called when somebody wants one: it takes as long as half of the server's start.
    """

    immutable = True  # the names are made of the content

    def __init__(
        self, name: str, project: str, version: str, make: Callable[[], dict[str, bytes]]
    ) -> None:
        self.name = name
        self._project = project
        self._version = version
        self._make = make

    @cached_property
    def _contents(self) -> dict[str, bytes]:
        return self._make()

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
        """The wheel of that name; none is made where the name is of no wheel of the project."""
        if not filename.startswith(f"{self._project.replace('-', '_')}-"):
            return None
        return next((file for file in self._files if file.filename == filename), None)

    async def page(self, project: str) -> ProjectPage | None:
        """See Source."""
        if project != self._project:
            return None
        return ProjectPage(name=project, files=self._files, versions=(self._version,))

    async def projects(self) -> Iterable[str]:
        """See Source."""
        return [self._project]

    async def blob(self, project: str, file: File) -> InMemory:
        """See Source."""
        return InMemory(self._contents[file.filename])

    async def metadata(self, project: str, file: File) -> bytes:
        """See Source."""
        return self._metadata[file.filename]

    async def states(self) -> Sequence[LocalState]:
        """See LocalSource."""
        made = len(self._files) if "_files" in vars(self) else None
        return [LocalState(self.name, 1, made, {})]

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


class OwnWheel(MadeWheels):
    """The source of this very package.

    Of its wheels pip and uv install the first, which has the command and this server in it; web
    pages load one of the others.
    """

    def __init__(self) -> None:
        """Raises PackageNotFoundError when the package is not installed."""
        distribution(PROJECT)
        super().__init__("this server's own wheel", PROJECT, __version__, all_wheels)


def resolver_wheel() -> MadeWheels:
    """The source of resolvelib, as it is installed, which a page wants where versions conflict.

    It is for a server that passes on no other index, which would have all versions of it. Raises
    PackageNotFoundError when it is not installed.
    """
    version = distribution(_RESOLVER).version
    made = "this server's resolvelib"
    return MadeWheels(made, _RESOLVER, version, lambda: dict([rebuilt_wheel(_RESOLVER)]))
