"""The core metadata that an upstream serves beside its wheels (PEP 658), and its promises of it."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.metadata import parse_email

from pyodide_mirror.index import MAX_METADATA_BYTES, metadata_url
from pyodide_mirror.model import normalize

from .source import file_key, parse_filename
from .upstream_client import UpstreamClient, UpstreamError

if TYPE_CHECKING:
    import aiohttp

    from pyodide_mirror.model import File, ProjectPage

_log = logging.getLogger("pyodide_mirror.server")


async def fetch_metadata(client: UpstreamClient, file: File) -> bytes | None:
    """The upstream's metadata file; None when there is none, or not the promised one."""
    if file.metadata is None:
        return None
    index_url = client.index_url
    try:
        async with client.get(metadata_url(file), {}, known=bool(file.metadata)) as answer:
            if answer.status != 200:
                raise UpstreamError(f"the metadata of {file.filename}: {answer.status}")
            body = await bounded_body(answer, MAX_METADATA_BYTES)
    except UpstreamError as error:
        _log.warning("%s: %s; the wheel's own is used", index_url, error)
        return None
    if not is_as_promised(body, file):
        _log.warning("%s: the metadata of %s is not as promised", index_url, file.filename)
        return None
    if not _is_metadata(body, file.filename):
        _log.warning("%s: the metadata of %s is something else", index_url, file.filename)
        return None
    return body


class MetadataPromises:
    """What this server's pages promise of the metadata of an upstream's wheels.

    Metadata is promised for each wheel, because it can be read from the wheel. The upstream's
    digest of it is passed on until it proves wrong.
    """

    def __init__(self) -> None:
        self._wrong: set[str] = set()

    def withdraw(self, file: File) -> None:
        """From now on promise the metadata of this wheel without a digest."""
        self._wrong.add(file_key(file))

    def in_page(self, page: ProjectPage) -> ProjectPage:
        """The page with what is promised here."""
        return replace(page, files=tuple(self._in_file(file) for file in page.files))

    def _in_file(self, file: File) -> File:
        if file.filename.endswith(".whl") and (
            file.metadata is None or file_key(file) in self._wrong
        ):
            return replace(file, metadata={})
        return file


def is_as_promised(metadata: bytes, file: File) -> bool:
    """Whether core metadata has the digest that the page gives, if it gives one."""
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
    """The body, or its first bytes once there are ``enough`` of them.

    Raises UpstreamError when it has more than ``max_bytes``.
    """
    pieces, size = [], 0
    async for piece in answer.content.iter_any():
        size += len(piece)
        if size > max_bytes:
            raise UpstreamError(f"its answer has more than {max_bytes:,} bytes")
        pieces.append(piece)
        if enough is not None and size >= enough:
            break
    return b"".join(pieces)
