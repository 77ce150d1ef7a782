"""The core metadata of a wheel of an upstream, read by a few Range requests."""

from __future__ import annotations

import asyncio
import functools
import re
from typing import TYPE_CHECKING, Final

from pyodide_mirror.index import PartsError, metadata_by_parts
from pyodide_mirror.server.distributions import read_metadata
from pyodide_mirror.server.fetching import UpstreamClient, UpstreamError

if TYPE_CHECKING:
    import io
    from collections.abc import Mapping

    from pyodide_mirror.model import File

_MAX_BYTES: Final = 8 * 1024 * 1024
"""Of one part."""
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class NoRangesError(UpstreamError):
    """A host that sends no parts of its files."""


async def read_remote_metadata(client: UpstreamClient, file: File) -> bytes:
    """The METADATA of a wheel of an upstream, in at most the client's time-out.

    Nothing proves it: the digest is that of the whole wheel. Raises NoRangesError, UpstreamError,
    and ValueError with a clause that says what is wrong with the wheel.
    """

    async def read(wheel: io.BytesIO) -> bytes:
        return await asyncio.to_thread(read_metadata, wheel, file.filename)

    try:
        async with asyncio.timeout(client.timeout):
            return await metadata_by_parts(file.size, functools.partial(_part, client, file), read)
    except PartsError as error:
        raise UpstreamError(str(error)) from None
    except TimeoutError:
        raise UpstreamError(f"no answer within {client.timeout:g} s", timed_out=True) from None


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
