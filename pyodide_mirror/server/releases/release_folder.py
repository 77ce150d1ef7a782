"""A folder with a release of Pyodide: GitHub's archive, npm's package, or one of our loader."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pyodide_mirror.loader import LOCK, MODULE
from pyodide_mirror.server.folders import Stamp, digest_of, stamps_of
from pyodide_mirror.server.source import UnreadableError
from pyodide_mirror.transport import OnceMap

from .pyodide_lock import MAX_LOCK_BYTES, Lock, read_lock

if TYPE_CHECKING:
    import os

    from pyodide_mirror.server.cache import Disk

_log = logging.getLogger("pyodide_mirror.server")
_VERSION: Final = r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}[A-Za-z0-9.+-]{0,40}"
_NAMED: Final = rf'"version"\s*:\s*"({_VERSION})"'
_MAX_TEXT_BYTES: Final = 4 * 1024 * 1024


class FolderFile(NamedTuple):
    """A file, and the SHA-256 of what is in it now, in hexadecimal."""

    path: Path
    sha256: str


class ReleaseFolder:
    """One release of Pyodide in a folder, whose files may change or come later.

    ``version``: that of Pyodide. ``disk``: where the digests of big files are kept.
    """

    def __init__(self, folder: str | os.PathLike[str], disk: Disk | None = None) -> None:
        """Raises ValueError, which says what is wrong with the folder."""
        self.path = Path(folder)
        if not self.path.is_dir():
            what = "is no folder" if self.path.exists() else "does not exist"
            raise ValueError(f"the folder of Pyodide {str(folder)!r} {what}")
        self._lock = self._first_lock()
        self.version = self._find_version()
        self.name = f"Pyodide {self.version} in the folder {self.path.name or self.path}"
        # In a folder of our loader, Pyodide's own module has another name.
        self._own_module = f"pyodide-{self.version}.mjs"
        self._disk = disk
        self._lock_stamp: Stamp | None = None
        self._known: dict[str, tuple[Stamp, FolderFile]] = {}
        self._reading: OnceMap[tuple[str, Stamp], FolderFile] = OnceMap()

    async def lock(self) -> Lock:
        """The lock file as it is now; UnreadableError says why there is none."""
        stamp = self._stamp(LOCK)
        if isinstance(stamp, str):
            raise self._unusable(stamp)
        if stamp != self._lock_stamp:
            try:
                self._lock = await asyncio.to_thread(self._read_lock)
            except OSError as error:
                raise self._unusable(error.strerror) from None
            except ValueError as error:
                raise self._unusable(error) from None
            self._lock_stamp = stamp
        return self._lock

    async def file(self, name: str) -> FolderFile | None:
        """A file by its plain name; None when there is none that can be read."""
        if name == MODULE and not isinstance(self._stamp(self._own_module), str):
            name = self._own_module
        stamp = self._stamp(name)
        if isinstance(stamp, str):
            return None
        stamp_then, found = self._known.get(name, (None, None))
        if found is None or stamp_then != stamp:
            try:
                found = await self._reading.get((name, stamp), lambda: self._read(name, stamp))
            except OSError as error:
                _log.warning("%s: %s: %s", self.name, name, error.strerror)
                return None
            self._known[name] = stamp, found
        return found

    def close(self) -> None:
        """Read no more files."""
        self._reading.stop()

    async def _read(self, name: str, stamp: tuple[int, int, int]) -> FolderFile:
        path = self.path / name
        return FolderFile(path, await asyncio.to_thread(digest_of, str(path), stamp, self._disk))

    def _unusable(self, why: object) -> UnreadableError:
        return UnreadableError(f"{self.name}: {LOCK} cannot be used: {why}")

    def _stamp(self, name: str) -> Stamp:
        path = str(self.path / name)
        return stamps_of([path])[path]

    def _read_lock(self) -> Lock:
        return read_lock(_begin(self.path / LOCK, MAX_LOCK_BYTES + 1))

    def _first_lock(self) -> Lock:
        shown = str(self.path)
        try:
            return self._read_lock()
        except FileNotFoundError:
            below = self.path / "pyodide"
            other = f"; give {str(below)!r}" if (below / LOCK).is_file() else ""
            raise ValueError(
                f"the folder {shown!r} has no {LOCK}, so it is no unpacked release of"
                f" Pyodide{other}"
            ) from None
        except (OSError, ValueError) as error:
            why = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else error
            raise ValueError(f"{LOCK} in the folder {shown!r} {why}") from None

    def _find_version(self) -> str:
        """The version that Pyodide's own module says, or else npm's description."""
        places = ((MODULE, f'="({_VERSION})"'), (MODULE, _NAMED), ("package.json", _NAMED))
        for name, pattern in places:
            said = set(re.findall(pattern, _text(self.path / name)))
            if len(said) == 1:
                return str(said.pop())
        raise ValueError(
            f"the version of Pyodide in the folder {str(self.path)!r} is unknown: neither"
            " pyodide.mjs nor package.json says it"
        )


def _text(path: Path) -> str:
    """The text of a file, empty where none can be read: another one may say the same."""
    try:
        return _begin(path, _MAX_TEXT_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _begin(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)
