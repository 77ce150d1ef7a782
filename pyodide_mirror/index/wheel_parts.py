"""The core metadata of a wheel elsewhere, read from its end in a few parts.

A wheel's directory is at its end, and METADATA should be one of its last members (PyPA: binary
distribution format): pip and uv read it the same way where an index has no metadata files (PEP
658).
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_TAIL: Final = 128 * 1024
"""Bytes of the first part: enough for most wheels."""
_MAX_BYTES: Final = 8 * 1024 * 1024
_MAX_PARTS: Final = 6


class PartsError(ValueError):
    """What was sent are not parts of one file, or too many."""


async def metadata_by_parts(
    size: int | None,
    part: Callable[[str], Awaitable[tuple[int, int, bytes]]],
    read: Callable[[io.BytesIO], Awaitable[bytes]],
) -> bytes:
    """What ``read`` returns of a wheel, of which it gets the parts that it asks for.

    ``size``: that of the wheel, if it is known. ``part``: takes what is wanted as the header Range
    has it after "bytes=" (RFC 9110, 14.1.2), and returns its first position, the size of the wheel,
    and the bytes. Raises PartsError, and ValueError with a clause that says what is wrong with the
    wheel.
    """
    wheel = _PartialFile()
    wanted = f"{max(0, size - _TAIL)}-{size - 1}" if size else f"-{_TAIL}"
    for step in range(_MAX_PARTS):
        wheel.add(*await part(wanted))
        try:
            return await read(wheel)
        except _AbsentError as gap:
            end = max(gap.end, gap.start + (_TAIL << step))
            wanted = f"{gap.start}-{min(end, wheel.size) - 1}"
        except OSError as error:  # of the file that is none: a position before its begin
            raise ValueError(f"is no readable wheel ({error})") from error
    raise ValueError("has its METADATA in too many places")


class _AbsentError(Exception):
    """A part that was not fetched yet; no OSError, which zipfile would take for a bad archive."""

    def __init__(self, start: int, end: int) -> None:
        super().__init__(start, end)
        self.start = start
        self.end = end


class _PartialFile(io.BytesIO):
    """A file of which parts are here; reading others raises :class:`_AbsentError`."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self._parts: list[tuple[int, bytes]] = []
        self._at = 0

    def add(self, start: int, size: int, content: bytes) -> None:
        """Add a part of a file of this size; PartsError if it is another file's."""
        received = len(content) + sum(len(part) for _, part in self._parts)
        if received > _MAX_BYTES or not content or (self._parts and size != self.size):
            raise PartsError("the parts of the file do not fit")
        self.size = size
        self._parts.append((start, content))

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """See io."""
        at = offset + (0, self._at, self.size)[whence]
        if at < 0:
            raise OSError("a position before the begin of the file")
        self._at = at
        return at

    def tell(self) -> int:
        """See io."""
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """See io."""
        rest = max(0, self.size - self._at)
        end = self._at + (rest if size is None or size < 0 else min(size, rest))
        for start, part in self._parts:
            if start <= self._at and end <= start + len(part):
                found = part[self._at - start : end - start]
                self._at = end
                return found
        raise _AbsentError(self._at, end)
