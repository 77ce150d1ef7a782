"""The core metadata of a wheel elsewhere, read from its end by a few Range requests.

A wheel's directory is at its end, and METADATA is one of its last members: pip and uv read it the
same way where an index has no metadata files (PEP 658).
"""

from __future__ import annotations

import asyncio
import io
import re
from typing import TYPE_CHECKING, Final

from .archive import read_metadata
from .upstream_client import UpstreamClient, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyodide_mirror.model import File

_TAIL: Final = 128 * 1024
"""Bytes of the first request: enough for most wheels."""
_MAX_BYTES: Final = 8 * 1024 * 1024
_MAX_REQUESTS: Final = 6
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class NoRangesError(UpstreamError):
    """A host that sends no parts of its files."""


async def read_remote_metadata(client: UpstreamClient, file: File) -> bytes:
    """The METADATA of a wheel of an upstream, in at most the client's time-out.

    Nothing proves it: the digest is that of the whole wheel. Raises NoRangesError, UpstreamError,
    and ValueError with a clause that says what is wrong with the wheel.
    """
    wheel = _PartialFile()
    size = file.size
    wanted = f"{max(0, size - _TAIL)}-{size - 1}" if size else f"-{_TAIL}"
    try:
        async with asyncio.timeout(client.timeout):
            for step in range(_MAX_REQUESTS):
                wheel.add(*await _part(client, file, wanted))
                try:
                    return await asyncio.to_thread(read_metadata, wheel, file.filename)
                except _AbsentError as gap:
                    end = max(gap.end, gap.start + (_TAIL << step))
                    wanted = f"{gap.start}-{min(end, wheel.size) - 1}"
    except TimeoutError:
        raise UpstreamError(f"no answer within {client.timeout:g} s", timed_out=True) from None
    except OSError as error:  # of the file that is none: a position before its begin
        raise ValueError(f"is no readable wheel ({error})") from error
    raise ValueError("has its METADATA in too many places")


async def _part(client: UpstreamClient, file: File, wanted: str) -> tuple[int, int, bytes]:
    """A part of the wheel, after its begin and the size of the whole."""
    headers = {"range": f"bytes={wanted}"}
    # What is not proven by a digest must not come unencrypted below an encrypted index.
    async with client.get(file.url, headers, raw=True, known=bool(file.metadata)) as answer:
        if answer.status in {200, 416, 501}:
            raise NoRangesError("the file host sends no parts of files")
        if answer.status != 206:
            raise UpstreamError(f"the file host answers {answer.status}")
        start, size = _described(answer.headers)
        body = bytearray()
        async for piece in answer.content.iter_any():
            body += piece
            if len(body) > min(_MAX_BYTES, size - start):
                raise UpstreamError("more bytes than were announced")
    return start, size, bytes(body)


def _described(headers: Mapping[str, str]) -> tuple[int, int]:
    """Begin and size of the whole, as an answer tells them (RFC 9110, section 14.4)."""
    found = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    if found is None or headers.get("content-encoding", "identity") != "identity":
        raise NoRangesError("the file host sends parts that cannot be read")
    start, last, size = map(int, found.groups())
    if not start <= last < size:
        raise NoRangesError("the file host sends parts that cannot be read")
    return start, size


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
        """Add a part of a file of this size; UpstreamError if it is another file's."""
        received = len(content) + sum(len(part) for _, part in self._parts)
        if received > _MAX_BYTES or not content or (self._parts and size != self.size):
            raise UpstreamError("the parts of the file do not fit")
        self.size = size
        self._parts.append((start, content))

    def seek(self, offset: int, whence: int = 0, /) -> int:
        at = offset + (0, self._at, self.size)[whence]
        if at < 0:
            raise OSError("a position before the begin of the file")
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        rest = max(0, self.size - self._at)
        end = self._at + (rest if size is None or size < 0 else min(size, rest))
        for start, part in self._parts:
            if start <= self._at and end <= start + len(part):
                found = part[self._at - start : end - start]
                self._at = end
                return found
        raise _AbsentError(self._at, end)
