"""Answers to requests for files: from disk, or while they arrive."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse

from .content_negotiation import is_unchanged
from .source import Stored
from .upstream_client import UpstreamError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Send

    from pyodide_mirror.model import File

    from .download import Download

_log = logging.getLogger("pyodide_mirror.server")
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_ONE_OF_RANGES: Final = re.compile(r"(\d{1,18})-(\d{0,18})|-\d{1,18}")
_MEDIA_TYPES: Final = {
    ".whl": "application/octet-stream",
    ".gz": "application/octet-stream",
    ".zip": "application/zip",
}


class _Arriving(StreamingResponse):
    """A body that may prove wrong when the head has long been sent."""

    async def stream_response(self, send: Send) -> None:
        """Send what arrives; an answer that is never completed tells a client to discard it."""
        head = {"type": "http.response.start", "status": self.status_code}
        await send({**head, "headers": self.raw_headers})
        try:
            async for piece in self.body_iterator:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except UpstreamError as error:
            _log.warning("a download was cut off: %s", error)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def answer(
    request: Request, file: File, blob: Stored | Download, *, caching: str
) -> Response:
    """The answer to a request for a file (RFC 9110, sections 13 and 14).

    Raises UpstreamError when its download could not begin.
    """
    headers = {"cache-control": caching, "accept-ranges": "bytes"}
    if file.sha256:
        headers["etag"] = f'"{file.sha256}"'
        if is_unchanged(request.headers.get("if-none-match"), headers["etag"]):
            return Response(status_code=304, headers=headers)
    if isinstance(blob, Stored):
        if not _is_of_ranges(request.headers.get("range", "")):
            _ignore_range(request)
        return FileResponse(blob.path, headers=headers, media_type=media_type(file.filename))
    await blob.headers()
    return _arriving(request, blob, headers, media_type(file.filename))


def _is_of_ranges(header: str) -> bool:
    unit, _, ranges = header.partition("=")
    found = [_ONE_OF_RANGES.fullmatch(one.strip()) for one in ranges.split(",") if one.strip()]
    forward = (one and not (one[2] and int(one[2]) < int(one[1])) for one in found)
    return unit.strip().lower() == "bytes" and bool(found) and all(forward)


def _ignore_range(request: Request) -> None:
    """Drop a header that is not a range of bytes, which is no error (RFC 9110, section 14.2)."""
    scope = request.scope
    scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"range"]


def media_type(filename: str) -> str:
    """The media type of a distribution: never one that a browser would display."""
    return _MEDIA_TYPES.get(filename[filename.rfind(".") :], "application/octet-stream")


def _arriving(request: Request, download: Download, headers: dict[str, str], kind: str) -> Response:
    size = download.size
    start, end, status = 0, size, 200
    wanted = _wanted(request, headers.get("etag", ""), size)
    if wanted is not None and size is not None:
        start, end = wanted
        if start >= size:
            return PlainTextResponse(
                "The range begins after the end of the file.\n",
                416,
                {**headers, "content-range": f"bytes */{size}", "cache-control": "no-store"},
            )
        status = 206
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    if end is not None:
        headers["content-length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=kind)
    return _Arriving(download.read(start, end), status, headers, media_type=kind)


def _wanted(request: Request, etag: str, size: int | None) -> tuple[int, int] | None:
    """The range that is asked for, as start and end; None for the whole file.

    Several ranges, and what is not a range of bytes, may be ignored (RFC 9110, section 14.2).
    """
    found = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", "").lower())
    unless = request.headers.get("if-range")
    if found is None or size is None or (unless is not None and unless != etag):
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if not first:  # the last so many bytes
        return (max(0, size - int(last)), size) if int(last) else (size, size)
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size
