"""A bounded folder of cached bytes, from which the least recently used are removed first.

An entry is one file. It is written in another place and then renamed, so that a kill at any moment
leaves complete entries and, at most, unfinished files that nobody reads. These are removed at the
next start. Several processes may share the folder.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import threading
import time
from collections import OrderedDict
from typing import IO, TYPE_CHECKING, Final

from pyodide_mirror.server.observing import FORGETS, Counts

from .unfinished import HAS_LOCKS, SharedPart, Unfinished, remove_orphans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_log = logging.getLogger("pyodide_mirror.server")
_KEY: Final = re.compile(r"[a-z0-9]{1,16}-[0-9a-f]{64}")
UNFINISHED: Final = "unfinished"
GRACE: Final = 60.0
"""Seconds for which a used entry stays, even above the bound: somebody is about to open it."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_SOME: Final = 64 * 1024 * 1024
"""Bytes that are removed at least when the disk is full, so that it is not so again at once."""
_LOOK_AGAIN: Final = 600.0
"""Seconds after which the folder is read again, because other processes may write to it."""
_SHARE: Final = 20
"""The part of the bound, as a divisor, after which the folder is read again, if all that is new."""


class Disk:
    """Entries by key: a word, a dash and a SHA-256, such as ``file-ab12…``.

    A file's modification time is that of its last use: it outlives a restart, and other processes
    see it.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        *,
        clock: Callable[[], float] = time.time,
        counts: Counts = FORGETS,
    ) -> None:
        """Open the folder, or make it; raises OSError when that fails."""
        self.counts = counts
        self.folder = folder
        self.max_bytes = max_bytes
        self._clock = clock
        self._unfinished = folder / UNFINISHED
        try:
            self._unfinished.mkdir(parents=True, exist_ok=True)
            remove_orphans(self._unfinished, clock)
        except OSError as error:
            raise OSError(f"the cache folder {str(folder)!r} cannot be used: {error}") from error
        self._entries: OrderedDict[str, int] = OrderedDict()
        self._used: dict[str, float] = {}
        self.size = 0
        self.checked: set[str] = set()
        """Entries whose digest was checked in the life of this process."""
        self.problem = ""
        """Why something could not be stored the last time, for people."""
        self._failed_size = 0
        self._lock = threading.RLock()
        """Guards what is known of the entries: files are read and written in threads, too."""
        self._look()
        self.make_room()

    @property
    def count(self) -> int:
        """How many entries there are."""
        return len(self._entries)

    def get(self, key: str) -> Path | None:
        """The file of an entry, which now counts as just used; None when there is none."""
        path = self.place(key)
        with self._lock:
            try:
                self._enter(key, path)
            except FileNotFoundError:
                self._drop(key)  # another process, or a person, removed it
                return None
        return path

    def put(self, key: str, content: bytes) -> Path:
        """Store bytes under a key; they replace what was there."""
        for is_last in (False, True):
            with self.begin() as unfinished:
                unfinished.write(content)
                unfinished.flush()
                try:
                    return unfinished.commit(key)
                except FileNotFoundError:  # somebody has just removed the folder
                    if is_last:
                        raise
        raise AssertionError

    def begin(self, key: str = "") -> Unfinished:
        """A new file to write to; :meth:`Unfinished.commit` makes it an entry.

        With a key, it is that which all processes have in common, where there are locks: see
        :class:`SharedPart`.
        """
        with self.noting(0):
            while True:
                try:
                    if key and HAS_LOCKS:
                        return SharedPart(self, self._unfinished, key)
                    return Unfinished(self, self._unfinished)
                except FileNotFoundError:  # somebody has removed the folder
                    self._unfinished.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    if not self.has_made_room(error, 1):
                        raise

    def is_entry(self, key: str, opened: IO[bytes]) -> bool:
        """Whether an open file is the one that has the key."""
        try:
            return os.path.samestat(self.place(key).stat(), os.fstat(opened.fileno()))
        except FileNotFoundError:
            return False

    def remove(self, key: str) -> None:
        """Remove an entry that is not what it should be."""
        with self._lock:
            self.place(key).unlink(missing_ok=True)
            self._drop(key)

    def adopt(self, file: Path, key: str) -> Path:
        """Make a finished file an entry, and make room for it."""
        path = self.place(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            file.replace(path)
            self._enter(key, path)
            self._added += self._entries[key]
        # Other processes may have added as much.
        if self._clock() - self._looked > _LOOK_AGAIN or self._added > self.max_bytes // _SHARE:
            self._look()
        self.make_room()
        return path

    def has_made_room(self, error: OSError, size: int) -> bool:
        """Whether an error was that the disk is full, and so many bytes, and some, were removed."""
        if error.errno not in _FULL:
            return False
        with self._lock:
            enough = self.size - max(size, _SOME)
            before = self.size
            for key in list(self._entries):
                if self.size <= enough:
                    break
                self._remove_unless_used(key)
            if self.size < before:
                _log.warning("the disk is full: %s bytes are removed", f"{before - self.size:,}")
            return self.size < before

    @contextlib.contextmanager
    def noting(self, size: int) -> Iterator[None]:
        """Note what goes wrong in the block, which stores so many bytes, as the problem.

        It is over when as many bytes have been stored: there may be room for small files only.
        """
        try:
            yield
        except OSError as error:
            self.problem = f"files are not stored ({error.strerror or type(error).__name__})"
            self._failed_size = size
            raise
        if self.problem and size >= self._failed_size:
            self.problem = ""

    def make_room(self) -> None:
        """Remove what was used least recently until the bound holds; what was just used stays."""
        with self._lock:
            for key in list(self._entries):
                if self.size <= self.max_bytes:
                    return
                self._remove_unless_used(key)

    def place(self, key: str) -> Path:
        """Where the entry of a key is, if there is one."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is not a key")
        word, _, digest = key.partition("-")
        return self.folder / f"{word}/{digest[:2]}/{digest}"

    def _enter(self, key: str, path: Path) -> None:
        now = self._clock()
        os.utime(path, (now, now))
        self._note(key, path.stat())

    def _note(self, key: str, status: os.stat_result) -> None:
        self.size += status.st_size - self._entries.pop(key, 0)
        self._entries[key] = status.st_size
        self._used[key] = status.st_mtime

    def _drop(self, key: str) -> None:
        self.size -= self._entries.pop(key, 0)
        self._used.pop(key, None)
        self.checked.discard(key)

    def _remove_unless_used(self, key: str) -> None:
        path = self.place(key)
        try:
            status = path.stat()
            if status.st_mtime > self._used[key]:  # by another process
                self._note(key, status)
            elif self._clock() - status.st_mtime >= GRACE:
                path.unlink()
                self._drop(key)
                self.counts.evicted(status.st_size)
        except FileNotFoundError:
            self._drop(key)
        except PermissionError:
            pass  # Windows: somebody reads it; it is tried again later

    def _look(self) -> None:
        """Read what is there, in the order of its last use."""
        self._looked, self._added = self._clock(), 0
        found = []
        for path in self.folder.glob("*/??/*"):
            key = f"{path.parent.parent.name}-{path.name}"
            with contextlib.suppress(FileNotFoundError):  # another process has just removed it
                if _KEY.fullmatch(key) and path.is_file():
                    found.append((key, path.stat()))
        found.sort(key=lambda entry: entry[1].st_mtime)
        with self._lock:
            for key, status in found:
                if status.st_mtime >= self._used.get(key, 0.0):
                    self._note(key, status)
