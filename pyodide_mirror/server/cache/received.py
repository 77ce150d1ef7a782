"""What has been received of a file: on disk, and in memory once the disk takes no more."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror.server.fetching import UpstreamError

from .unfinished import SharedPart

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .disk import Disk
    from .unfinished import Unfinished

_log = logging.getLogger("pyodide_mirror.server")

WINDOW: Final = 4 * 1024 * 1024
"""Bytes of a file that are in memory at a time, if it cannot be stored."""
_LOOK_EVERY: Final = 0.02
"""Seconds between two looks at what another process writes: nothing tells when there is more."""


class ReceivedBytes:
    """The bytes of a file from its begin, whichever process of this server receives them.

    When the disk is full, or fails, those that come after are in memory until they are read, and
    the file is not kept. ``size``: how many there are.
    """

    def __init__(self, disk: Disk, key: str) -> None:
        self._disk = disk
        self._key = key
        self.size = 0
        self.is_stored = True
        """Whether all of it is on disk, so that it can be kept."""
        self._stored = 0
        self._window = bytearray()
        self._begin = 0
        self._unfinished: Unfinished | None = None
        try:
            self._unfinished = disk.begin(key)
        except OSError as error:
            self._give_up(error)

    async def wait_for_turn(self, grown: Callable[[], None]) -> Path | None:
        """Follow the process that receives it, until it is whole, or that process has been killed.

        ``grown`` is called when there is more. Returns the entry of the cache, or None if it is
        this process that has to receive the rest. Raises UpstreamError when the other has failed.
        """
        part = self._unfinished
        if not isinstance(part, SharedPart):
            return None
        while True:
            is_mine = part.take_over()
            self._note(part.size, grown)
            if part.is_finished:
                return self._entry()
            if part.is_given_up:
                if self.size:
                    raise UpstreamError("another process of this server could not fetch the file")
                part.open_again()
            elif is_mine:
                return self._just_finished(part, grown)
            else:
                await asyncio.sleep(_LOOK_EVERY)

    def _just_finished(self, part: SharedPart, grown: Callable[[], None]) -> Path | None:
        """The entry, if another process has made it since it was looked for."""
        path = self._disk.get(self._key)
        if path is not None:
            with suppress(FileNotFoundError):  # it has just been removed
                part.use(path)
                self._note(part.size, grown)
                return path
        return None

    def _entry(self) -> Path:
        path = self._disk.get(self._key)
        if path is None:
            raise UpstreamError("the file has just been removed from the cache")
        return path

    def _note(self, size: int, grown: Callable[[], None]) -> None:
        if size > self.size:
            self.size = self._stored = size
            grown()

    async def left_behind(self, most: int, *, is_read: bool) -> Any:
        """The SHA-256 so far, of what another process has left when it was killed.

        It is thrown away if it has more than ``most`` bytes; UpstreamError if it was read already.
        """
        part = self._unfinished
        if not self.size or not isinstance(part, SharedPart):
            return hashlib.sha256()
        if self.size <= most:
            return await asyncio.to_thread(_hashed, part.path)
        if is_read:
            raise UpstreamError("the answer was cut off, and cannot be resumed")
        self.size = self._stored = 0
        part.empty()
        return hashlib.sha256()

    def append(self, content: bytes) -> None:
        """Add bytes."""
        if self.is_stored and self._unfinished is not None:
            try:
                self._unfinished.write(content)
            except OSError as error:
                self._give_up(error)
            else:
                self._stored += len(content)
        if not self.is_stored:
            self._window += content
        self.size += len(content)

    def read(self, start: int, size: int) -> bytes | None:
        """At most ``size`` bytes from a position; None when they are no longer there."""
        if start < self._stored and self._unfinished is not None:
            return self._unfinished.read(start, min(size, self._stored - start))
        if start < self._begin:
            return None
        return bytes(self._window[start - self._begin : start - self._begin + size])

    def forget(self, before: int) -> None:
        """Let go of bytes in memory that everybody has read."""
        count = min(before - self._begin, len(self._window))
        if count > 0:
            del self._window[:count]
            self._begin += count

    @property
    def is_crowded(self) -> bool:
        """Whether no more should come before something is read."""
        return len(self._window) >= WINDOW

    def flush(self) -> None:
        """Write it to the disk; OSError if that fails."""
        if self._unfinished is not None and self.is_stored:
            self._unfinished.flush()

    def commit(self, key: str) -> Path | None:
        """Make it an entry of the cache; None if it cannot be kept."""
        if self._unfinished is None or not self.is_stored:
            return None
        try:
            return self._unfinished.commit(key)
        except OSError as error:  # somebody has removed the folder
            _log.error("a file is not kept: %s", error)
            return None

    def close(self) -> None:
        """Let go of all of it."""
        self._window.clear()
        if self._unfinished is not None:
            self._unfinished.close()

    def _give_up(self, error: OSError) -> None:
        _log.error("a file is passed on without being kept: %s", error)
        self.is_stored = False
        self._begin = self._stored
        if isinstance(self._unfinished, SharedPart):
            self._unfinished.give_up()


def _hashed(path: Path) -> Any:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256")
