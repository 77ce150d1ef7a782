"""The core metadata that an upstream has beside its wheels (PEP 658), if it is as it should be."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from packaging.metadata import parse_email

from pyodide_mirror.index import metadata_url
from pyodide_mirror.model import File, normalize

from .source import MAX_METADATA_BYTES, parse_filename
from .upstream_client import UpstreamClient, UpstreamError

if TYPE_CHECKING:
    import aiohttp

_log = logging.getLogger("pyodide_mirror.server")


async def fetch_metadata(web: UpstreamClient, file: File) -> bytes | None:
    """The upstream's metadata file; None when there is none, or not the promised one."""
    if file.metadata is None:
        return None
    try:
        async with web.get(metadata_url(file), {}, known=bool(file.metadata)) as answer:
            if answer.status != 200:
                raise UpstreamError(f"the metadata of {file.filename}: {answer.status}")
            body = await bounded_body(answer, MAX_METADATA_BYTES)
    except UpstreamError as error:
        _log.warning("%s: %s; the wheel's own is used", web.index_url, error)
        return None
    if not is_as_promised(body, file):
        _log.warning("%s: the metadata of %s is not as promised", web.index_url, file.filename)
        return None
    if not _is_metadata(body, file.filename):
        _log.warning("%s: the metadata of %s is something else", web.index_url, file.filename)
        return None
    return body


def is_as_promised(metadata: bytes, file: File) -> bool:
    """Whether core metadata is what the page says it is, where it says anything."""
    expected = (file.metadata or {}).get("sha256")
    return expected is None or expected == hashlib.sha256(metadata).hexdigest()


def _is_metadata(body: bytes, filename: str) -> bool:
    """Whether bytes are core metadata of a wheel's project; many hosts answer 200 to anything."""
    fields = parse_email(body)[0]
    parsed = parse_filename(filename)
    known = "metadata_version" in fields and "name" in fields
    return known and parsed is not None and normalize(fields["name"]) == parsed[0]


async def bounded_body(
    answer: aiohttp.ClientResponse, max_bytes: int, enough: int | None = None
) -> bytes:
    """What comes, until it is enough or all; UpstreamError when it is too much."""
    pieces, size = [], 0
    async for piece in answer.content.iter_any():
        size += len(piece)
        if size > max_bytes:
            raise UpstreamError(f"its answer has more than {max_bytes:,} bytes")
        pieces.append(piece)
        if enough is not None and size >= enough:
            break
    return b"".join(pieces)
