"""Our own wheel as a source: so that a browser that reaches nothing else can begin with us."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from pyodide_mirror import __version__
from pyodide_mirror.browser_wheel import own_wheel
from pyodide_mirror.model import File, ProjectPage
from pyodide_mirror.wheels import metadata_of

from .source import Stored

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .disk import Disk

PROJECT = "pyodide-mirror"


class Own:
    """A :class:`~pyodide_mirror.server.source.Source` of one project with one wheel."""

    name = "this server's own wheel"
    immutable = False  # the same version may be built anew

    def __init__(self, disk: Disk) -> None:
        """Make the wheel. Raises PackageNotFoundError when the package is not installed."""
        self.filename, self.content = own_wheel()
        self._disk = disk
        self._metadata = metadata_of(self.content)
        sha256 = hashlib.sha256(self.content).hexdigest()
        self._key = f"file-{sha256}"
        self._file = File(
            filename=self.filename,
            url=f"own:///{self.filename}",
            hashes={"sha256": sha256},
            requires_python=">=3.11",
            metadata={"sha256": hashlib.sha256(self._metadata).hexdigest()},
            size=len(self.content),
        )

    async def page(self, project: str) -> ProjectPage | None:
        """See Source."""
        if project != PROJECT:
            return None
        return ProjectPage(name=PROJECT, files=(self._file,), versions=(__version__,))

    async def projects(self) -> Iterable[str]:
        """See Source."""
        return [PROJECT]

    async def blob(self, project: str, file: File) -> Stored:
        """See Source."""
        path = self._disk.get(self._key)
        if path is None or self._key not in self._disk.checked:
            path = await asyncio.to_thread(self._disk.put, self._key, self.content)
            self._disk.checked.add(self._key)
        return Stored(path)

    async def metadata(self, project: str, file: File) -> bytes:
        """See Source."""
        return self._metadata

    async def close(self) -> None:
        """See Source."""
