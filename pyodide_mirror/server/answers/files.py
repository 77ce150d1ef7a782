"""Answers to requests for files: from disk, or while they arrive."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from contextlib import aclosing, suppress
from email.utils import formatdate
from typing import TYPE_CHECKING, Final, TypedDict

from starlette.responses import PlainTextResponse, Response, StreamingResponse

from pyodide_mirror.server.cache import Download
from pyodide_mirror.server.fetching import UpstreamError
from pyodide_mirror.server.source import InMemory, Stored
from pyodide_mirror.server.web import ZERO_COPY, ShortFileError, is_unchanged

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from io import FileIO
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from pyodide_mirror.model import File

_log = logging.getLogger("pyodide_mirror.server")
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_MEDIA_TYPES: Final = {
    ".whl": "application/octet-stream",
    ".gz": "application/octet-stream",
    ".zip": "application/zip",
    # What Pyodide consists of; browsers take modules and WebAssembly under no other types.
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
    ".json": "application/json",
}
_NO_WAIT: Final = getattr(os, "RWF_NOWAIT", 0)
"""Read only what needs no disk; only Linux can say so."""
_PIECE: Final = 256 * 1024
"""Bytes sent at a time; a megabyte would cost little less, and slow clients hold each piece."""


_WORTH_IT: Final = 64 * 1024
"""Bytes from which on the kernel copies them, if the server can have it do so."""


class _Head(TypedDict):
    status_code: int
    headers: Mapping[str, str]
    media_type: str


class _Arriving(StreamingResponse):
    """A body that may prove wrong when the head has long been sent."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], head: _Head) -> None:
        super().__init__(pieces, **head)
        self._pieces = pieces

    async def stream_response(self, send: Send) -> None:
        """Send what arrives; an answer that is never completed tells a client to discard it."""
        head = {"type": "http.response.start", "status": self.status_code}
        await send({**head, "headers": self.raw_headers})
        try:
            # Closed at once if the client leaves: the download counts who reads it.
            async with aclosing(self._pieces) as pieces:
                async for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except UpstreamError as error:
            _log.warning("a download was cut off: %s", error)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _FromDisk(Response):
    """An open file from ``start`` to before ``end``; it is closed when it was sent."""

    def __init__(self, opened: FileIO, start: int, end: int, head: _Head) -> None:
        super().__init__(None, **head)
        self._opened = opened
        self._start = start
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it (ASGI)."""
        try:
            head = {"type": "http.response.start", "status": self.status_code}
            await send({**head, "headers": self.raw_headers})
            count = 0 if scope["method"] == "HEAD" else self._end - self._start
            if count >= _WORTH_IT and ZERO_COPY in scope.get("extensions", {}):
                part = {"file": self._opened, "offset": self._start, "count": count}
                with suppress(ConnectionError):  # the client has left
                    await send({"type": ZERO_COPY, **part})
            else:
                await self._send_pieces(self._start + count, receive, send)
        except ShortFileError:  # a client discards an answer that is never completed
            _log.warning("a file became shorter while it was sent")
        finally:
            self._opened.close()

    async def _send_pieces(self, end: int, receive: Receive, send: Send) -> None:
        left = asyncio.ensure_future(_left(receive))
        at = self._start
        try:
            while at < end and not left.done():
                piece = await _read(self._opened, at, min(_PIECE, end - at))
                if not piece:
                    raise ShortFileError
                at += len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                await asyncio.sleep(0)  # let others have their turn
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            left.cancel()


async def _left(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read(opened: FileIO, at: int, size: int) -> bytes:
    """Bytes of a file; a thread reads them where that has to wait for the disk.

    A thread takes several times as long as the copying of what is in memory already.
    """
    if _NO_WAIT:
        buffer = bytearray(size)
        with suppress(OSError):  # not in memory, or the file system cannot tell
            count = os.preadv(opened.fileno(), [buffer], at, _NO_WAIT)
            return bytes(memoryview(buffer)[:count])
    return await asyncio.to_thread(_read_at, opened, at, size)


def _read_at(opened: FileIO, at: int, size: int) -> bytes:
    opened.seek(at)
    return opened.read(size)


async def file_answer(
    request: Request,
    file: File,
    blob: Stored | InMemory | Download,
    *,
    caching: str,
    coding: str | None = None,
) -> Response:
    """The answer to a request for a file (RFC 9110, sections 13 and 14).

    ``coding``: the Content-Encoding of the blob, empty if the file is also served with one.

    Raises UpstreamError when its download could not begin, and FileNotFoundError when it is no
    longer on disk.
    """
    headers = {"cache-control": caching, "accept-ranges": "bytes"}
    if coding is not None:
        headers["vary"] = "Accept-Encoding"
    if coding:
        headers["content-encoding"] = coding
    if file.sha256:
        headers["etag"] = f'"{file.sha256}{f"-{coding}" if coding else ""}"'
        if is_unchanged(request.headers.get("if-none-match"), headers["etag"]):
            return Response(status_code=304, headers=headers)
    kind = media_type(file.filename)
    if isinstance(blob, Stored):
        return _stored(request, blob.path, headers, kind)
    if isinstance(blob, Download):
        await blob.headers()
    part = _part(request, headers, len(blob.content) if isinstance(blob, InMemory) else blob.size)
    if part is None:
        return _behind_the_end(headers)
    status, start, end = part
    if isinstance(blob, InMemory):
        return Response(blob.content[start:end], status, headers, kind)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=kind)
    head = _Head(status_code=status, headers=headers, media_type=kind)
    return _Arriving(blob.read(start, end), head)


def media_type(filename: str) -> str:
    """The media type of a distribution: never one that a browser would display."""
    return _MEDIA_TYPES.get(filename[filename.rfind(".") :], "application/octet-stream")


def _stored(request: Request, path: Path, headers: dict[str, str], kind: str) -> Response:
    opened = path.open("rb", buffering=0)
    told = os.fstat(opened.fileno())
    headers["last-modified"] = formatdate(told.st_mtime, usegmt=True)
    headers.setdefault("etag", f'"{told.st_mtime_ns:x}-{told.st_size:x}"')
    part = _part(request, headers, told.st_size)
    if part is None:
        opened.close()
        return _behind_the_end(headers)
    status, start, end = part
    head = _Head(status_code=status, headers=headers, media_type=kind)
    return _FromDisk(opened, start, told.st_size if end is None else end, head)


def _part(
    request: Request, headers: dict[str, str], size: int | None
) -> tuple[int, int, int | None] | None:
    """Status, begin and end of what is sent, whose headers are added; None: it has no such part."""
    status, start, end = 200, 0, size
    wanted = _wanted(request, headers, size)
    if wanted is not None:
        status, (start, end) = 206, wanted
        if start >= (size or 0):
            headers["content-length"] = str(size)
            return None
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    if end is not None:
        headers["content-length"] = str(end - start)
    return status, start, end


def _behind_the_end(headers: dict[str, str]) -> Response:
    size = headers.pop("content-length")
    return PlainTextResponse(
        "The range begins after the end of the file.\n",
        416,
        {**headers, "content-range": f"bytes */{size}", "cache-control": "no-store"},
    )


def _wanted(
    request: Request, headers: Mapping[str, str], size: int | None
) -> tuple[int, int] | None:
    """The range that is asked for, as start and end; None for the whole file.

    Several ranges, and what is not a range of bytes, may be ignored (RFC 9110, section 14.2).
    """
    found = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", "").lower())
    unless = request.headers.get("if-range")
    same = unless is None or unless in {headers.get("etag"), headers.get("last-modified")}
    if found is None or size is None or not same:
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:  # the last so many bytes
        return (max(0, size - int(last)), size) if int(last) else (size, size)
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size
