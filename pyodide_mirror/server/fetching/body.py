"""The bodies of an upstream's answers, received and unpacked within bounds.

aiohttp would unpack each piece as a whole and in the event loop, and a piece of 64 KB may unpack to
64 MB.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Final

from .client import UpstreamError

if TYPE_CHECKING:
    import aiohttp

_MAX_MEMBERS: Final = 100
"""Of a gzip file (RFC 1952, section 2.2); each costs as much as all that follow it."""

PIECE: Final = 4 * 1024 * 1024
"""Bytes that are unpacked at a time; after each, zlib copies what it has not read yet."""


async def receive(
    answer: aiohttp.ClientResponse, max_bytes: int, enough: int | None = None
) -> bytes:
    """The body as it comes, or its first bytes once there are ``enough`` of them.

    Raises UpstreamError when it has more than ``max_bytes``.
    """
    pieces, size = [], 0
    async for piece in answer.content.iter_any():
        size += len(piece)
        if size > max_bytes:
            raise TooLargeError(max_bytes)
        pieces.append(piece)
        if enough is not None and size >= enough:
            break
    return b"".join(pieces)


async def unpacked(answer: aiohttp.ClientResponse, body: bytes, max_bytes: int) -> bytes:
    """The content of a whole body, without its Content-Encoding (RFC 9110, section 8.4).

    Raises TooLargeError when it has more than ``max_bytes``, and UpstreamError when it is damaged.
    """
    coding = answer.headers.get("content-encoding", "identity").strip().lower()
    if coding == "identity":
        return body
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise UpstreamError("its answer has a Content-Encoding that nobody asked for")
    try:
        return await asyncio.to_thread(_unpack, body, coding, max_bytes)
    except zlib.error as error:
        raise UpstreamError("its answer cannot be unpacked") from error


class TooLargeError(UpstreamError):
    """An answer that has too many bytes."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"its answer has more than {max_bytes:,} bytes")


def _unpack(body: bytes, coding: str, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    for _ in range(_MAX_MEMBERS):
        unpacker = zlib.decompressobj(_window(body, coding))
        # Piece by piece: zlib needs twice the memory for all of it at once.
        while not unpacker.eof and (piece := unpacker.decompress(body, PIECE)):
            size += len(piece)
            if size > max_bytes:
                raise TooLargeError(max_bytes)
            pieces.append(piece)
            body = unpacker.unconsumed_tail
        if not unpacker.eof:
            raise UpstreamError("its answer was cut off")
        body = unpacker.unused_data
        if coding == "deflate" or not body.startswith(b"\x1f\x8b"):
            return b"".join(pieces)  # what follows is no member: padding, say
    raise UpstreamError(f"its answer has more than {_MAX_MEMBERS} members of gzip")


def _window(body: bytes, coding: str) -> int:
    """The format for zlib; "deflate" is often sent without the header that it should have."""
    if coding != "deflate":
        return 16 + zlib.MAX_WBITS
    return zlib.MAX_WBITS if body[:1] and body[0] & 0x0F == 8 else -zlib.MAX_WBITS
