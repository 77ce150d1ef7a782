"""The core metadata of an upstream's wheels (PEP 658), and what is promised of it."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from packaging.metadata import parse_email

from pyodide_mirror.index import MAX_METADATA_BYTES, metadata_url
from pyodide_mirror.model import normalize
from pyodide_mirror.server.cache import put_with_checksum, verified
from pyodide_mirror.server.distributions import read_metadata
from pyodide_mirror.server.fetching import UpstreamClient, UpstreamError, receive, unpacked
from pyodide_mirror.server.source import Missing, file_key, parse_filename
from pyodide_mirror.transport import OnceMap

from .wheel_ranges import NoRangesError, read_remote_metadata

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pyodide_mirror.model import File, ProjectPage
    from pyodide_mirror.server.cache import Downloads

_log = logging.getLogger("pyodide_mirror.server")
_PROBE_WITHIN: Final = 3.0
"""Seconds that the first page of a host may wait for the end of a wheel."""
_WHOLE_WITHIN: Final = 10.0
"""Seconds in which a whole wheel must be here: pip waits 15 for an answer."""
_ASK_AGAIN: Final = 600.0
"""Seconds after which a host that sent no part of a file is asked once more."""
_MAX_HOSTS: Final = 4
"""File hosts of one page that are asked."""


async def fetch_metadata(client: UpstreamClient, file: File) -> bytes | None:
    """The upstream's metadata file; None when there is none, or not the promised one."""
    if file.metadata is None:
        return None
    index_url = client.index_url
    try:
        async with client.get(metadata_url(file), {}, known=bool(file.metadata)) as answer:
            if answer.status != 200:
                raise UpstreamError(f"the metadata of {file.filename}: {answer.status}")
            received = await receive(answer, MAX_METADATA_BYTES)
            body = await unpacked(answer, received, MAX_METADATA_BYTES)
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


class CoreMetadata:
    """The core metadata of the wheels of one upstream, and what our pages promise of it.

    Where the upstream has no metadata file, metadata is read from the wheel's end by Range
    requests, and promised if the wheel's host answers these: reading a whole large wheel takes
    longer than clients wait. The upstream's own promises are passed on until they prove wrong.
    Nothing is shared between upstreams: a wheel's digest says nothing of its metadata file.
    """

    def __init__(
        self, client: UpstreamClient, downloads: Downloads, clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._downloads = downloads
        self._clock = clock
        self._requests: OnceMap[str, bytes] = OnceMap()
        self._probes: OnceMap[str, None] = OnceMap()
        self._sends_parts: dict[str, bool] = {}
        """By the begin of a file's URL, up to the path."""
        self._ask_again: dict[str, float] = {}
        self._wrong: set[str] = set()
        """Keys of wheels whose promised digest of the metadata is wrong."""
        self._none: set[str] = set()
        """Keys of wheels of which no metadata can be made."""
        self.changes = 0
        """How often what is promised has changed."""

    async def get(self, file: File, wheel: Callable[[], Awaitable[Path]]) -> bytes:
        """The core metadata of a wheel; ``wheel`` fetches the whole of it.

        ``file``: as the upstream lists it. Raises Missing when there is none in the wheel, and
        UpstreamError.
        """
        key = self._key(file)
        path = self._downloads.disk.get(key)
        if path is not None:
            with suppress(FileNotFoundError):  # another process has just removed it
                stored = verified(await asyncio.to_thread(path.read_bytes))
                if stored is not None and is_as_promised(stored, file):
                    return stored
        return await self._requests.get(key, lambda: self._make(file, wheel))

    async def probe_hosts(self, page: ProjectPage) -> None:
        """Find out whether the hosts of a page's wheels without metadata send parts of files."""
        newest = {
            _host(file.url): file
            for file in page.files
            if file.metadata is None and file.filename.endswith(".whl")
        }
        now = self._clock()
        unknown = [host for host in newest if not now < self._ask_again.get(host, now)]
        await asyncio.gather(
            *(
                self._probes.get(host, functools.partial(self._probe, newest[host]))
                for host in unknown[:_MAX_HOSTS]
            )
        )

    def in_page(self, page: ProjectPage) -> ProjectPage:
        """The page with what is promised here."""
        return replace(page, files=tuple(map(self._in_file, page.files)))

    async def close(self) -> None:
        """Stop what runs."""
        await asyncio.gather(*self._requests.stop(), return_exceptions=True)
        await asyncio.gather(*self._probes.stop(), return_exceptions=True)

    def _in_file(self, file: File) -> File:
        if not file.filename.endswith(".whl"):
            return file
        promised, key = file.metadata, file_key(file)
        if key in self._none:
            promised = None
        elif key in self._wrong or (promised is None and self._sends_parts.get(_host(file.url))):
            promised = {}
        return file if promised is file.metadata else replace(file, metadata=promised)

    async def _probe(self, file: File) -> None:
        """Ask for the end of a wheel, and keep the metadata that is in it."""
        try:
            async with asyncio.timeout(_PROBE_WITHIN):
                await self._from_end(file)
        except (TimeoutError, UpstreamError) as error:
            self._note_host(file, sends_parts=False)
            _log.info("%s: no part of %s: %s", self._client.index_url, file.filename, error)

    async def _make(self, file: File, wheel: Callable[[], Awaitable[Path]]) -> bytes:
        metadata = await fetch_metadata(self._client, file)
        if metadata is None:
            metadata = await self._from_wheel(file, wheel)
            if not is_as_promised(metadata, file):
                self._note(self._wrong, file)
        return await self._store(file, metadata)

    async def _from_wheel(self, file: File, wheel: Callable[[], Awaitable[Path]]) -> bytes:
        path = await self._downloads.stored(file_key(file), file.sha256)
        if path is None and self._sends_parts.get(_host(file.url), True):
            try:
                metadata = await self._from_end(file)
            except UpstreamError as error:
                _log.warning("%s: the end of %s: %s", self._client.index_url, file.filename, error)
            else:
                if metadata is not None:
                    return metadata
        try:
            async with asyncio.timeout(_WHOLE_WITHIN):
                path = path or await wheel()
            return await asyncio.to_thread(read_metadata, path, file.filename)
        except ValueError as error:
            self._note(self._none, file)
            raise Missing(f"{file.filename} {error}") from error
        except TimeoutError:
            self._note(self._none, file)  # until it is here
            raise UpstreamError(f"{file.filename} is not here yet", timed_out=True) from None
        except OSError as error:  # the disk fails, or another process removed it
            raise UpstreamError(f"{file.filename} cannot be read here") from error

    async def _from_end(self, file: File) -> bytes | None:
        """The metadata at the end of a wheel; None when it cannot be made of that."""
        try:
            metadata = await read_remote_metadata(self._client, file)
        except ValueError as error:  # the whole wheel, whose digest is known, will tell
            _log.warning("%s: the end of %s %s", self._client.index_url, file.filename, error)
            metadata = None
        except NoRangesError:
            self._note_host(file, sends_parts=False)
            raise
        self._note_host(file, sends_parts=True)
        return metadata and await self._store(file, metadata)

    async def _store(self, file: File, metadata: bytes) -> bytes:
        if file_key(file) in self._none:
            self._none.discard(file_key(file))
            self.changes += 1
        disk = self._downloads.disk
        await asyncio.to_thread(put_with_checksum, disk, self._key(file), metadata)
        return metadata

    def _note(self, those: set[str], file: File) -> None:
        those.add(file_key(file))
        self.changes += 1

    def _note_host(self, file: File, *, sends_parts: bool) -> None:
        host = _host(file.url)
        self._ask_again[host] = float("inf") if sends_parts else self._clock() + _ASK_AGAIN
        if self._sends_parts.get(host) is not sends_parts:
            self._sends_parts[host] = sends_parts
            self.changes += 1

    def _key(self, file: File) -> str:
        """The key in the cache, where other upstreams have other metadata of the same wheel."""
        name = f"{self._client.index_url} {file_key(file)}"
        return f"meta-{hashlib.sha256(name.encode()).hexdigest()}"


def _host(url: str) -> str:
    return url[: url.find("/", len("https://"))]


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
