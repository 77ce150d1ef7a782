"""The files of a bundle, from wherever each can be had, under its digest."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyodide_mirror.index import ACCEPT, MAX_PAGE_BYTES, PageError, read_page
from pyodide_mirror.model import split_http_url
from pyodide_mirror.transport import (
    CorsTransport,
    Failure,
    PageFacts,
    Request,
    Response,
    RetryingClient,
    request_to,
)

from .errors import BundlingError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence

    from pyodide_mirror.model import Mirror
    from pyodide_mirror.server import Disk

    from .pins import BundleFile

_AT_ONCE: Final = 6
_MAX_BYTES: Final = 2**29
"""The most that is read of a file whose size is not known: ten times the largest."""


class Fetcher:
    """Reads files: from the cache, from their places, and from mirrors that list them.

    ``named``: those of the mirrors that may be asked for private packages. ``timeout``: seconds
    until the first byte, and from each byte to the next. ``tell`` is called with a line for people.
    """

    def __init__(
        self,
        disk: Disk,
        mirrors: Sequence[Mirror],
        named: Collection[Mirror],
        timeout: float,
        tell: Callable[[str], None],
    ) -> None:
        self._disk = disk
        self._mirrors = mirrors
        self._named = named
        self._timeout = timeout
        self._tell = tell
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._client = RetryingClient(CorsTransport(PageFacts()), self._tell_retry)

    async def fetch_all(self, files: Iterable[tuple[BundleFile, Path]]) -> None:
        """Write each file to its path; BundlingError says of each place of one what is wrong."""
        tasks = [asyncio.ensure_future(self._fetch_to(file, path)) for file, path in files]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def fetch(self, file: BundleFile) -> bytes:
        """The content of a file; raises as :meth:`fetch_all`."""
        key = f"file-{file.sha256}"
        content = await asyncio.to_thread(self._cached, key, file)
        if content is not None:
            return content
        faults: list[str] = []
        async for place in self._places(file, faults):
            found = await self._read(place, file)
            fault = found if isinstance(found, str) else _fault(found, file)
            if isinstance(found, bytes) and not fault:
                await asyncio.to_thread(self._keep, key, found)
                return found
            faults.append(f"{_shown(place)}: {fault}")
        raise BundlingError(
            f"{file.filename} cannot be had: {'; '.join(faults) or 'nothing says where it is'}"
        )

    async def _fetch_to(self, file: BundleFile, path: Path) -> None:
        async with self._slots:
            content = await self.fetch(file)
            await asyncio.to_thread(path.write_bytes, content)

    def _tell_retry(self, url: str, seconds: float) -> None:
        self._tell(f"{_shown(url)} is busy; trying again in {seconds:g} s")

    def _cached(self, key: str, file: BundleFile) -> bytes | None:
        path = self._disk.get(key)
        if path is None:
            return None
        content = path.read_bytes()
        if _fault(content, file):
            self._disk.remove(key)
            return None
        return content

    def _keep(self, key: str, content: bytes) -> None:
        try:
            self._disk.put(key, content)
        except OSError as error:  # the next time it is fetched again
            self._tell(f"the cache cannot be written: {error}")

    async def _places(self, file: BundleFile, faults: list[str]) -> AsyncIterator[str | Path]:
        for place in file.places:
            yield place
        if not file.project:
            return
        for mirror in self._named if file.private else self._mirrors:
            found = await self._listed(file, mirror)
            if isinstance(found, str):
                faults.append(f"{mirror.name}: {found}")
            else:
                yield found[0]

    async def _listed(self, file: BundleFile, mirror: Mirror) -> str | tuple[str]:
        """Where a mirror has the very file, or what is wrong."""
        url = mirror.project_url(file.project)
        request = request_to(
            mirror, url, accept=ACCEPT, timeout=self._timeout, max_bytes=MAX_PAGE_BYTES
        )
        answer = await self._client.get(request)
        if isinstance(answer, Failure):
            return answer.detail
        if not answer.ok:
            return f"HTTP {answer.status}"
        try:
            page = await asyncio.to_thread(read_page, answer, file.project)
        except PageError as error:
            return error.finding.detail
        for each in page.files:
            if (each.filename, each.sha256) == (file.filename, file.sha256):
                return (each.url,)
        return "it does not list this file with this SHA-256"

    async def _read(self, place: str | Path, file: BundleFile) -> bytes | str:
        """The content at a place, or what is wrong with it."""
        if isinstance(place, Path):
            try:
                return await asyncio.to_thread(place.read_bytes)
            except FileNotFoundError:
                return "it is not there"
            except OSError as error:
                return error.strerror or str(error)
        limit = _MAX_BYTES if file.size is None else file.size
        answer = await self._client.get(Request(place, self._timeout, limit, stall=True))
        if isinstance(answer, Response):
            self._tell(f"{file.filename}: {len(answer.body):,} bytes")
            return answer.body if answer.ok else f"HTTP {answer.status}"
        return answer.detail


def _fault(content: bytes, file: BundleFile) -> str:
    if file.size not in {None, len(content)}:
        return f"it has {len(content):,} bytes, and not {file.size:,}"
    if hashlib.sha256(content).hexdigest() != file.sha256:
        return "it has another SHA-256"
    return ""


def _shown(place: str | Path) -> str:
    """What may be shown: a query may be a password."""
    return str(place) if isinstance(place, Path) else split_http_url(place).hostname or place
