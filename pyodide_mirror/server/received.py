"""What has been received of a file: on disk, and in memory once the disk takes no more."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from .disk import Disk, Unfinished

_log = logging.getLogger("pyodide_mirror.server")

WINDOW: Final = 4 * 1024 * 1024
"""Bytes of a file that are in memory at a time, if it cannot be stored."""


class ReceivedBytes:
    """The bytes of a file from its begin.

    When the disk is full, or fails, those that come after are in memory until they are read, and
    the file is not kept. ``size``: how many there are.
    """

    def __init__(self, disk: Disk) -> None:
        self.size = 0
        self.is_stored = True
        """Whether all of it is on disk, so that it can be kept."""
        self._stored = 0
        self._window = bytearray()
        self._begin = 0
        self._unfinished: Unfinished | None = None
        try:
            self._unfinished = disk.begin()
        except OSError as error:
            self._give_up(error)

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
