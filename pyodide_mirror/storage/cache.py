"""The cache: files by their SHA-256, and the pages that list them, for all mirrors.

Any script of the page's origin may write to a browser's storage. So a file is served only after
its digest was found right; a page is only as good as the origin's other scripts, and goes through
the same strict parser as one from the network.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256 as _sha256
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol
from zlib import crc32

from .choice import read_flat_json
from .lru_index import DIGEST, PAGE_URL, Change, Content, LruIndex, recent_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_log = logging.getLogger(__name__)

MAX_BYTES: Final = 200_000_000
_MEMORY_BYTES: Final = 50_000_000
"""The limit in the process's memory."""
_LONGEST_HEAD: Final = 8192

Where = Literal["indexeddb", "memory", "off"]


class CachedPage(NamedTuple):
    """A project page as it was read.

    ``body``: UTF-8 JSON, cut down already. ``url``: the final one, after redirects. ``fetched``:
    seconds since the epoch; 0, which is old, if it claims to come from the future.
    """

    body: bytes
    content_type: str
    url: str
    fetched: float

    def to_bytes(self, key: str) -> bytes:
        """For :meth:`from_bytes`."""
        head = json.dumps([float(self.fetched), self.content_type, self.url])
        rest = head.encode() + b"\n" + self.body
        return _checksum(key, rest) + b"\n" + rest

    @classmethod
    def from_bytes(cls, content: bytes, key: str) -> CachedPage | None:
        """Read what any script may have written; None if it is damaged or not ``key``'s page."""
        checksum, _, rest = content.partition(b"\n")
        head, _, body = rest.partition(b"\n")
        if checksum != _checksum(key, rest):
            return None
        with suppress(ValueError):
            match read_flat_json(head.decode(), _LONGEST_HEAD):
                case [float(fetched), str(content_type), str(url)] if 0 <= fetched < inf:
                    return cls(body, content_type, url, fetched if fetched <= time.time() else 0.0)
        return None


def _checksum(key: str, rest: bytes) -> bytes:
    # Against damage and mistaken entries, not against attackers.
    return b"%08x" % crc32(rest, crc32(key.encode()))


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What the cache holds: numbers of files and pages, and bytes of both together.

    ``max_bytes``: its limit. ``where``: ``"off"`` when nothing is cached.
    """

    __module__ = "pyodide_mirror"  # where users find it

    files: int
    pages: int
    bytes: int
    max_bytes: int
    where: Where

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        if self.where == "off":
            return "no cache"
        held = f"files: {self.files:,}, pages: {self.pages:,}"
        return f"{held}, bytes: {self.bytes:,} of {self.max_bytes:,} ({self.where})"


class CacheBackendError(Exception):
    """The backend cannot be used on this page."""


class CacheBackend(Protocol):
    """Stores bytes by key, the most recently used ones up to ``max_bytes``.

    ``read``, ``sizes`` and ``clear`` raise :class:`CacheBackendError`.
    """

    max_bytes: int
    where: Where

    async def read(self, key: str, sha256: str = "") -> Content | None:
        """The content; what does not have the digest, where one is given, is dropped."""

    def change(self, key: str, change: Change) -> None:
        """Change an entry in the background; ``"used"`` may wait for :meth:`flush`."""

    def read_ahead(self, keys: Iterable[str]) -> None:
        """Begin to read what will be wanted; it is in memory until :meth:`flush`."""

    def flush(self) -> None:
        """Begin to make all changes, and free what was read ahead."""

    async def settled(self) -> None:
        """Wait until all changes are made, or given up."""

    async def sizes(self) -> Mapping[str, int]:
        """The bytes of each entry."""

    async def clear(self) -> None:
        """Remove everything."""


class MemoryBackend:
    """:class:`CacheBackend` in the process's memory; it changes at once."""

    def __init__(self, max_bytes: int = _MEMORY_BYTES, where: Where = "memory") -> None:
        self.max_bytes = max_bytes
        self.where = where
        self._content: dict[str, bytes] = {}
        self._index = LruIndex()

    async def read(self, key: str, sha256: str = "") -> bytes | None:
        """See :class:`CacheBackend`."""
        content = self._content.get(key)
        if content is None:
            return None
        sound = not sha256 or _sha256(content).hexdigest() == sha256
        self.change(key, "used" if sound else "drop")
        return content if sound else None

    def change(self, key: str, change: Change) -> None:
        """See :class:`CacheBackend`."""
        self._index.apply({key: change}, self.max_bytes)
        if not isinstance(change, str):
            self._content[key] = bytes(change)
        for each in self._index.unindexed(self._content):
            del self._content[each]

    def read_ahead(self, keys: Iterable[str]) -> None:
        """See :class:`CacheBackend`."""

    def flush(self) -> None:
        """See :class:`CacheBackend`."""

    async def settled(self) -> None:
        """See :class:`CacheBackend`."""

    async def sizes(self) -> Mapping[str, int]:
        """See :class:`CacheBackend`."""
        return dict(self._index.sizes)

    async def clear(self) -> None:
        """See :class:`CacheBackend`."""
        self._content.clear()
        self._index = LruIndex()


class Cache:
    """Files and pages in a backend, or in memory from when that cannot be used.

    No method raises for what the browser does not allow.
    """

    def __init__(self, backend: CacheBackend) -> None:
        self._backend = backend
        self._keys: set[str] | None = None  # at the first look
        self._saved: set[str] = set()  # since then
        self._looking = asyncio.Lock()
        self._warming: asyncio.Task[bool] | None = None

    def warm(self) -> None:
        """Begin to find out what is there, so that asking for what is not there costs nothing.

        What another tab saves later is not seen, and fetched once more.
        """
        if self._keys is None and self._warming is None:
            self._warming = asyncio.ensure_future(self._has(""))
            self._warming.add_done_callback(self._warmed)

    def _warmed(self, _: object) -> None:
        self._warming = None

    async def file(self, sha256: str) -> bytes | None:
        """The file with this digest (lower-case hexadecimal), verified, or None."""
        content = await self.content(sha256)
        return None if content is None else bytes(content)

    async def content(self, sha256: str) -> Content | None:
        """The same file, for who can do without having it in Python."""
        return await self._read(f"file:{sha256}", sha256) if DIGEST.fullmatch(sha256) else None

    async def save_file(self, sha256: str, data: Content) -> None:
        """Save a file that the caller has verified; returns before it is written."""
        if DIGEST.fullmatch(sha256):
            self._save(f"file:{sha256}", data)

    async def page(self, url: str) -> CachedPage | None:
        """The page that was asked for with this URL, or None."""
        key = f"page:{url}"
        content = await self._read(key) if PAGE_URL.fullmatch(url) else None
        if content is None:
            return None
        page = CachedPage.from_bytes(bytes(content), key)
        if page is None:
            self._backend.change(key, "drop")
        return page

    async def save_page(self, url: str, page: CachedPage) -> None:
        """Save a page instead of the one before; returns before it is written."""
        if PAGE_URL.fullmatch(url):
            key = f"page:{url}"
            self._save(key, page.to_bytes(key))

    def flush(self) -> None:
        """Begin to write everything, also what was used."""
        self._backend.flush()

    async def info(self) -> CacheInfo:
        """What it holds, once all is written."""
        await self._backend.settled()
        try:
            sizes = await self._backend.sizes()
        except CacheBackendError as error:
            self._fall_back(error)
            sizes = {}
        files = sum(key.startswith("file:") for key in sizes)
        total, backend = sum(sizes.values()), self._backend
        return CacheInfo(files, len(sizes) - files, total, backend.max_bytes, backend.where)

    async def clear(self) -> None:
        """Remove everything."""
        self._keys = None
        self._saved.clear()
        try:
            await self._backend.clear()
        except CacheBackendError as error:
            self._fall_back(error)

    async def settled(self) -> None:
        """Wait until all that was saved is written, or given up."""
        await self._backend.settled()

    def _save(self, key: str, content: Content) -> None:
        self._saved.add(key)
        self._backend.change(key, content)

    async def _has(self, key: str) -> bool:
        if key in self._saved:
            return True
        async with self._looking:
            if self._keys is None:
                self._keys = await self._look()
        return key in self._keys

    async def _look(self) -> set[str]:
        try:
            sizes = await self._backend.sizes()
            self._backend.read_ahead(recent_keys(sizes))
            return set(sizes)
        except CacheBackendError as error:
            self._fall_back(error)
            return set()

    async def _read(self, key: str, sha256: str = "") -> Content | None:
        if not await self._has(key):
            return None
        try:
            return await self._backend.read(key, sha256)
        except CacheBackendError as error:
            self._fall_back(error)
            return None

    def _fall_back(self, error: CacheBackendError) -> None:
        if self._backend.where == "indexeddb":
            _log.debug("the cache is in memory only: %s", error)
            self._backend = MemoryBackend(min(_MEMORY_BYTES, self._backend.max_bytes))


NO_CACHE: Final = Cache(MemoryBackend(0, "off"))
"""A cache that stores nothing."""
