"""Files of the cache that are being written, by one process each, and read by others meanwhile."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Protocol, Self

try:
    import fcntl
except ModuleNotFoundError:  # Windows has no such locks
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

_FORGOTTEN: Final = 24 * 3600.0
"""Seconds after which an unfinished file is abandoned, on systems without locks."""


class Cache(Protocol):
    """What the cache does for its unfinished files; see :class:`.disk.Disk`."""

    def noting(self, size: int) -> AbstractContextManager[None]:
        """Note what goes wrong in the block."""

    def has_made_room(self, error: OSError, size: int) -> bool:
        """Whether an error was that the disk is full, and something was removed."""

    def adopt(self, file: Path, key: str) -> Path:
        """Make a finished file an entry."""

    def is_entry(self, key: str, opened: IO[bytes]) -> bool:
        """Whether an open file is the entry."""


def remove_orphans(folder: Path, clock: Callable[[], float] = time.time) -> None:
    """Remove the files in a folder that no living process writes; ``clock``: as time.time."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError), path.open("rb") as file:
            _lock(file)  # raises when the process that writes it is alive
            if not _is_at(path, file):
                continue  # it was finished meanwhile, and another one has its name
            if HAS_LOCKS or clock() - path.stat().st_mtime > _FORGOTTEN:
                path.unlink()


def _lock(file: IO[bytes]) -> None:
    if HAS_LOCKS:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def locked_file(folder: Path) -> tuple[Path, IO[bytes]]:
    """A new file, locked for as long as the process that writes it lives."""
    while True:
        handle, name = tempfile.mkstemp(dir=folder)
        file: IO[bytes] = os.fdopen(handle, "w+b", buffering=0)
        try:
            _lock(file)
            if os.fstat(file.fileno()).st_nlink:
                return Path(name), file
        except BlockingIOError:
            pass
        # Another process, just starting, has taken it for abandoned before it was locked.
        file.close()
        Path(name).unlink(missing_ok=True)


class Unfinished:
    """A file that is being written; it is removed unless it is committed.

    ``file`` is open for as long as somebody may want to read what was written.
    """

    def __init__(self, disk: Cache, folder: Path) -> None:
        self.path, self.file = locked_file(folder)
        self._disk = disk
        self._size = 0
        self._kept = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, content: bytes) -> None:
        """Append; after an OSError nothing was appended. If the disk is full, room is made."""
        with self._disk.noting(self._size + len(content)):
            while True:
                try:
                    self._append(content)
                    break
                except OSError as error:
                    if not self._disk.has_made_room(error, len(content)):
                        raise

    def _append(self, content: bytes) -> None:
        self.file.seek(self._size)
        left = memoryview(content)
        while left:  # a disk that is nearly full writes only some of it
            left = left[self.file.write(left) :]
        self._size += len(content)

    def read(self, start: int, size: int) -> bytes:
        """What was written from this position on, at most ``size`` bytes."""
        self.file.seek(start)
        return self.file.read(size)

    def flush(self) -> None:
        """Write its bytes to the disk before its name, so a power cut leaves no empty entry."""
        self.file.truncate(self._size)
        os.fsync(self.file.fileno())

    def commit(self, key: str) -> Path:
        """Make it the entry of that key. The file stays open under its new name."""
        with self._disk.noting(self._size):
            self.path.chmod(0o644)
            path = self._disk.adopt(self.path, key)
        self._kept = True
        return path

    def close(self) -> None:
        """Close it, and remove it unless it was committed."""
        self.file.close()
        if not self._kept:
            self.path.unlink(missing_ok=True)


class SharedPart(Unfinished):
    """A file that several processes want, of which one writes it while the others read it.

    Its name says which it is, and who has its lock writes. The kernel lets go of the lock when that
    process ends, however it ends: another one then goes on with what is there. Without locks there
    is no such file.
    """

    def __init__(self, disk: Cache, folder: Path, key: str) -> None:
        self._disk = disk
        self._folder = folder
        self._key = key
        self._open()

    def _open(self) -> None:
        self._kept = False
        self.path, self.file, self.is_mine = _opened(self._folder, self._key)
        self._size = os.fstat(self.file.fileno()).st_size

    @property
    def size(self) -> int:
        """How many bytes there are now."""
        return self._size if self.is_mine else os.fstat(self.file.fileno()).st_size

    @property
    def is_finished(self) -> bool:
        """Whether it has become the entry of its key."""
        return self._disk.is_entry(self._key, self.file)

    def take_over(self) -> bool:
        """Whether it is now this process that writes it, because nobody else does any more."""
        if not self.is_mine and _has_locked(self.file):
            self._size = os.fstat(self.file.fileno()).st_size
            self.is_mine = True
        return self.is_mine

    @property
    def is_given_up(self) -> bool:
        """Whether who wrote it has removed it."""
        return not _is_at(self.path, self.file)

    def open_again(self) -> None:
        """Turn to the file that has the name now, or a new one."""
        self.close()
        self._open()

    def empty(self) -> None:
        """Begin anew."""
        self._size = 0
        self.file.truncate(0)

    def use(self, entry: Path) -> None:
        """Read an entry instead, which somebody else has just finished; raises OSError."""
        file: IO[bytes] = entry.open("rb", buffering=0)
        self.close()
        self.file, self._kept, self.is_mine = file, True, False

    def give_up(self) -> None:
        """Let others know that no more comes; what there is can still be read here."""
        if self.is_mine and not self._kept and _is_at(self.path, self.file):
            self.path.unlink()
        self._kept = True

    def close(self) -> None:
        """Close it; who writes it removes it, unless it was committed."""
        if not self.file.closed:
            self.give_up()
            self.file.close()


def _opened(folder: Path, key: str) -> tuple[Path, IO[bytes], bool]:
    """The unfinished file of a key, and whether it is this process that may write it."""
    path = folder / key
    while True:
        file: IO[bytes] = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", 0)
        is_mine = _has_locked(file)
        if _is_at(path, file):
            return path, file, is_mine
        file.close()  # it was finished, or given up, before it was locked


def _has_locked(file: IO[bytes]) -> bool:
    try:
        _lock(file)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
