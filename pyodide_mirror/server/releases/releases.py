"""Pyodide's releases, as CDNs have them: ``/pyodide/v{version}/full/``.

A core file is served under the digest of our own table only, and a package under that of the
release's lock file, so it does not matter whom a CDN belongs to. The folder of a release is the
user's own: where its lock file is another than the one that was released, it says what is right.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pyodide_mirror.loader import CORE_FILES, LOCK, core_files, known_versions
from pyodide_mirror.model import File
from pyodide_mirror.server.source import InMemory, Missing, Stored, UnreadableError
from pyodide_mirror.server.upstreams import KnownFile
from pyodide_mirror.transport import OnceMap

from .pyodide_lock import Lock, is_plain_name, read_lock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyodide_mirror.loader import CoreFile
    from pyodide_mirror.server.cache import Download, Downloads
    from pyodide_mirror.server.upstreams import CDNCopies

    from .release_folder import ReleaseFolder

_log = logging.getLogger("pyodide_mirror.server")
_OFFLINE: Final = "and this server asks no CDN"


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """A file of a release. ``never_changes``: nothing else will ever have its address."""

    file: File
    blob: Stored | InMemory | Download
    never_changes: bool


class Releases:
    """All releases that are known: those of the table, and those in folders.

    Raises ValueError when two folders have the same version.
    """

    def __init__(
        self, folders: Sequence[ReleaseFolder], cdns: CDNCopies, downloads: Downloads
    ) -> None:
        self.folders = {folder.version: folder for folder in folders}
        for folder in folders:
            other = self.folders[folder.version]
            if other is not folder:
                raise ValueError(
                    f"Pyodide {folder.version} is in two folders: {str(folder.path)!r} and"
                    f" {str(other.path)!r}; give one of them"
                )
        self.cdns = cdns
        self._downloads = downloads
        self._releases: dict[str, Release] = {}

    @property
    def newest(self) -> str | None:
        """The version to show to people; None where this server has none."""
        if self.folders:
            return next(iter(self.folders))
        if not self.cdns.cdns:
            return None
        return [each for each in known_versions() if each.replace(".", "").isdigit()][-1]

    async def find(self, version: str, filename: str) -> ReleaseFile:
        """A file of a release; raises Missing, UnreadableError or UpstreamError."""
        return await self._release(version).find(filename)

    async def is_published(self, version: str) -> bool:
        """Whether this release is known, and is what Pyodide's authors have published.

        Raises Missing and UnreadableError.
        """
        return await self._release(version).is_published()

    async def close(self) -> None:
        """Close the connections."""
        for folder in self.folders.values():
            folder.close()
        for release in self._releases.values():
            release.close()
        await self.cdns.close()

    def _release(self, version: str) -> Release:
        if version not in self._releases:
            folder, core = self.folders.get(version), _core_of(version)
            if folder is None and not core:
                known = ", ".join({**dict.fromkeys(known_versions()), **self.folders})
                raise Missing(
                    f"Pyodide {version[:40]!r} is not known here; the versions that are: {known}"
                )
            release = Release(version, core, folder, self.cdns, self._downloads)
            self._releases[version] = release
        return self._releases[version]


class Release:
    """One version of Pyodide. ``core``: its core files, as the table has them."""

    def __init__(
        self,
        version: str,
        core: Mapping[str, CoreFile],
        folder: ReleaseFolder | None,
        cdns: CDNCopies,
        downloads: Downloads,
    ) -> None:
        self._version = version
        self._core = core
        self._folder = folder
        self._cdns = cdns
        self._downloads = downloads
        self._published: Lock | None = None
        self._locks: OnceMap[str, Lock] = OnceMap()

    async def find(self, name: str) -> ReleaseFile:
        """A file by its name; raises Missing, UnreadableError or UpstreamError."""
        if not is_plain_name(name):  # nobody need be asked
            raise self._missing(name)
        own = None if self._folder is None else await self._folder.lock()
        released = own is None or own.sha256 == self._core_digest(LOCK)
        is_core = name in CORE_FILES
        if is_core and name != LOCK:
            file, canary = self._file(name, self._core_digest(name)), self._core_file(LOCK)
        else:
            lock = own or await self._published_lock()
            if name == LOCK:
                return _found(self._file(LOCK, lock.sha256), InMemory(lock.content), released)
            file = self._file(name, lock.files.get(name, ""))
            small = lock.small_file
            canary = self._file(small, lock.files[small]) if small else self._core_file(LOCK)
        if not (file.sha256 or (is_core and not released)):
            raise self._missing(name)
        here = None if self._folder is None else await self._folder.file(name)
        if here is not None and (here.sha256 == file.sha256 or (is_core and not released)):
            return _found(self._file(name, here.sha256), Stored(here.path), released)
        if self._folder is not None and here is not None and not self._cdns.cdns:
            raise UnreadableError(
                f"{self._folder.name}: {name} is not what it must be (SHA-256 differs)"
            )
        return _found(file, await self._fetch(file, canary), released)

    async def is_published(self) -> bool:
        """Whether its lock file is the published one; raises Missing and UnreadableError."""
        own = None if self._folder is None else await self._folder.lock()
        return own is None or own.sha256 == self._core_digest(LOCK)

    def close(self) -> None:
        """Read no lock file any more."""
        self._locks.stop()

    async def _fetch(self, file: KnownFile, canary: KnownFile) -> Stored | Download:
        """A file from the cache, or from the first CDN that has it."""
        if not file.sha256:
            raise self._missing(file.name)
        path = await self._downloads.stored(_key(file), file.sha256)
        if path is not None:
            return Stored(path)
        if not self._cdns.cdns:
            raise self._missing(file.name, f" here, {_OFFLINE}")
        core = self._core.get(file.name)
        places = self._cdns.places(file, canary)
        size = None if core is None else core.size
        return self._downloads.join(_key(file), places, sha256=file.sha256, size=size)

    async def _published_lock(self) -> Lock:
        if self._published is None:
            self._published = await self._locks.get("", self._read_published)
        return self._published

    async def _read_published(self) -> Lock:
        file = self._core_file(LOCK)
        path = await self._downloads.stored(_key(file), file.sha256)
        if path is not None:
            with suppress(OSError):  # it has just been removed
                return read_lock(await asyncio.to_thread(path.read_bytes))
        if not self._cdns.cdns:
            raise self._missing(LOCK, f" here, {_OFFLINE}")
        content = await self._cdns.read(file)
        try:
            await asyncio.to_thread(self._downloads.disk.put, _key(file), content)
        except OSError as error:
            _log.error("cannot store what was fetched: %s", error)
        return read_lock(content)

    def _file(self, name: str, sha256: str) -> KnownFile:
        return KnownFile(self._version, name, sha256)

    def _core_file(self, name: str) -> KnownFile:
        return self._file(name, self._core_digest(name))

    def _core_digest(self, name: str) -> str:
        return self._core[name].sha256 if name in self._core else ""

    def _missing(self, name: str, where: str = "") -> Missing:
        return Missing(f"Pyodide {self._version} has no file {name[:100]!r}{where}")


def _found(
    file: KnownFile,
    blob: Stored | InMemory | Download,
    never_changes: bool,  # noqa: FBT001
) -> ReleaseFile:
    served = File(filename=file.name, url="", hashes={"sha256": file.sha256})
    return ReleaseFile(served, blob, never_changes)


def _key(file: KnownFile) -> str:
    """The key of a file in the disk cache, which it shares with the same file of an index."""
    return f"file-{file.sha256}"


def _core_of(version: str) -> Mapping[str, CoreFile]:
    try:
        return core_files(version)
    except ValueError:
        return {}
