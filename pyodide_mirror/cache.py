"""The cache: files by their SHA-256 and the pages that list them, so that nothing is fetched twice.

It is shared by all mirrors, for a file is what its digest says, wherever it came from. Here are its
rules, which need no browser; ``_browser_store.py`` has the shelf in IndexedDB.

Any script of the page's origin may write to what a browser keeps. So a file is served only after
its digest was found right; a page is only as good as the origin's other scripts, and goes through
the same strict parser as one from the network.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from dataclasses import dataclass
from hashlib import sha256 as _sha256
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["NO_CACHE", "Cache", "CacheInfo", "KeptPage"]

_log = logging.getLogger(__name__)

MAX_BYTES: Final = 200_000_000
MEMORY_BYTES: Final = 50_000_000
"""The bound where only the process's memory can keep something."""
MAX_ENTRIES: Final = 4_000
_SHARE: Final = 4
"""What is larger than this part of the bound would push out too much else."""
_SMALL: Final = 262_144
_AHEAD_BYTES: Final = 2_000_000
"""Of the small entries as many are read ahead; what is larger is worth a transaction of its own."""
_LONGEST_ORDER: Final = 10_000_000
_LONGEST_HEAD: Final = 8192
_MOST_BRACKETS: Final = 8

_DIGEST: Final = re.compile("[0-9a-f]{64}")
_URL: Final = re.compile("https?://[^\\s\x00-\x20\x7f-\x9f\ud800-\udfff]{1,2000}")
_LINE: Final = re.compile(f"([0-9]{{1,12}}) (file:{_DIGEST.pattern}|page:{_URL.pattern})")

Where = Literal["indexeddb", "memory", "off"]
Change = bytes | Literal["used", "drop"]
"""What happens to an entry: this is its content, it was used, or it has to go."""


@dataclass(frozen=True, slots=True)
class KeptPage:
    """A project page as it was read.

    ``body``: UTF-8 JSON, cut down already. ``url``: the one that answered, after redirects.
    ``fetched``: when, in seconds since the epoch; 0 when it claims to come from the future, and
    must be taken for old.
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
    def from_bytes(cls, content: bytes, key: str) -> KeptPage | None:
        """Read what anybody may have written; None if it is damaged, or not the page of ``key``."""
        checksum, _, rest = content.partition(b"\n")
        head, _, body = rest.partition(b"\n")
        if checksum != _checksum(key, rest) or len(head) > _LONGEST_HEAD:
            return None
        if head.count(b"[") + head.count(b"{") > _MOST_BRACKETS:
            return None  # deep nesting would overflow the stack
        try:
            match json.loads(head):
                case [float() as fetched, str() as content_type, str() as url] if (
                    0 <= fetched < inf
                ):
                    fetched = fetched if fetched <= time.time() else 0.0
                    return cls(body, content_type, url, fetched)
        except (ValueError, RecursionError):
            pass
        return None


def _checksum(key: str, rest: bytes) -> bytes:
    # Against damage and mistaken entries; who means harm can do without.
    return b"%08x" % crc32(rest, crc32(key.encode()))


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What the cache holds: numbers of files and pages, and bytes of both together.

    ``max_bytes``: its bound. ``where``: ``"off"`` when nothing is kept at all.
    """

    files: int
    pages: int
    bytes: int
    max_bytes: int
    where: Where

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __str__(self) -> str:
        if self.where == "off":
            return "no cache"
        held = f"files: {self.files:,}, pages: {self.pages:,}"
        return f"{held}, bytes: {self.bytes:,} of {self.max_bytes:,} ({self.where})"


class ShelfError(Exception):
    """The shelf cannot be used on this page."""


class Shelf(Protocol):
    """Keeps bytes by key, the most recently used ones up to ``max_bytes``."""

    max_bytes: int
    where: Where

    async def read(self, key: str, sha256: str = "") -> bytes | None:
        """The content, if it has this digest, where one is given. What has not is dropped.

        Raises :class:`ShelfError`.
        """
        ...

    def change(self, key: str, change: Change) -> None:
        """Change an entry, in the background; that it was used may wait for :meth:`flush`."""
        ...

    def read_ahead(self, keys: Iterable[str]) -> None:
        """Begin to read what will be wanted; it is held until :meth:`flush`."""
        ...

    def flush(self) -> None:
        """Begin to make all changes, and hold nothing any longer."""
        ...

    async def settled(self) -> None:
        """Wait until all changes are made, or given up."""
        ...

    async def sizes(self) -> Mapping[str, int]:
        """The bytes of each entry. Raises :class:`ShelfError`."""
        ...

    async def clear(self) -> None:
        """Remove everything. Raises :class:`ShelfError`."""
        ...


class MemoryShelf:
    """:class:`Shelf` for as long as the process lives; changes at once."""

    def __init__(self, max_bytes: int = MEMORY_BYTES, where: Where = "memory") -> None:
        self.max_bytes = max_bytes
        self.where = where
        self._content: dict[str, bytes] = {}
        self._order = Order()

    async def read(self, key: str, sha256: str = "") -> bytes | None:
        """See :class:`Shelf`."""
        content = self._content.get(key)
        if content is None:
            return None
        sound = not sha256 or _sha256(content).hexdigest() == sha256
        self.change(key, "used" if sound else "drop")
        return content if sound else None

    def change(self, key: str, change: Change) -> None:
        """See :class:`Shelf`."""
        self._order.apply({key: change}, self.max_bytes)
        if isinstance(change, bytes):
            self._content[key] = change
        for each in self._order.strangers(self._content):
            del self._content[each]

    def read_ahead(self, keys: Iterable[str]) -> None:
        """See :class:`Shelf`."""

    def flush(self) -> None:
        """See :class:`Shelf`."""

    async def settled(self) -> None:
        """See :class:`Shelf`."""

    async def sizes(self) -> Mapping[str, int]:
        """See :class:`Shelf`."""
        return dict(self._order.sizes)

    async def clear(self) -> None:
        """See :class:`Shelf`."""
        self._content.clear()
        self._order = Order()


class Cache:
    """Keeps files and pages on a shelf, and on one in memory from when that cannot be used.

    No method raises for what the browser does not allow.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._keys: set[str] | None = None
        """What was there when it was looked at."""
        self._kept: set[str] = set()
        """What has been kept since."""
        self._looking = asyncio.Lock()
        self._warming: asyncio.Task[bool] | None = None

    def warm(self) -> None:
        """Begin to find out what is there, so that asking for what is not there costs nothing.

        What another tab keeps later is not seen, and fetched once more.
        """
        if self._keys is None and self._warming is None:
            self._warming = asyncio.ensure_future(self._has(""))
            self._warming.add_done_callback(self._warmed)

    def _warmed(self, _: object) -> None:
        self._warming = None

    async def file(self, sha256: str) -> bytes | None:
        """The file with this digest (lower-case hexadecimal), verified, or None."""
        return await self._read(f"file:{sha256}", sha256) if _DIGEST.fullmatch(sha256) else None

    async def keep_file(self, sha256: str, data: bytes) -> None:
        """Keep a file that the caller has verified; returns before it is written."""
        if _DIGEST.fullmatch(sha256):
            self._keep(f"file:{sha256}", data)

    async def page(self, url: str) -> KeptPage | None:
        """The page that was asked for with this URL, or None."""
        key = f"page:{url}"
        content = await self._read(key) if _URL.fullmatch(url) else None
        if content is None:
            return None
        page = KeptPage.from_bytes(content, key)
        if page is None:
            self._shelf.change(key, "drop")
        return page

    async def keep_page(self, url: str, page: KeptPage) -> None:
        """Keep a page instead of the one before; returns before it is written."""
        if _URL.fullmatch(url):
            key = f"page:{url}"
            self._keep(key, page.to_bytes(key))

    def flush(self) -> None:
        """Begin to write down what was read, too: nobody is in a hurry any more."""
        self._shelf.flush()

    async def info(self) -> CacheInfo:
        """What is in it, once all is written."""
        await self._shelf.settled()
        try:
            sizes = await self._shelf.sizes()
        except ShelfError as error:
            self._fall_back(error)
            sizes = {}
        files = sum(key.startswith("file:") for key in sizes)
        held = files, len(sizes) - files, sum(sizes.values())
        return CacheInfo(*held, self._shelf.max_bytes, self._shelf.where)

    async def clear(self) -> None:
        """Remove everything."""
        self._keys = None
        self._kept.clear()
        try:
            await self._shelf.clear()
        except ShelfError as error:
            self._fall_back(error)

    async def settled(self) -> None:
        """Wait until all that was to be kept is written, or given up."""
        await self._shelf.settled()

    def _keep(self, key: str, content: bytes) -> None:
        self._kept.add(key)
        self._shelf.change(key, content)

    async def _has(self, key: str) -> bool:
        if key in self._kept:
            return True
        async with self._looking:
            if self._keys is None:
                self._keys = await self._look()
        return key in self._keys

    async def _look(self) -> set[str]:
        try:
            sizes = await self._shelf.sizes()
            self._shelf.read_ahead(recent(sizes))
            return set(sizes)
        except ShelfError as error:
            self._fall_back(error)
            return set()

    async def _read(self, key: str, sha256: str = "") -> bytes | None:
        if not await self._has(key):
            return None
        try:
            return await self._shelf.read(key, sha256)
        except ShelfError as error:
            self._fall_back(error)
            return None

    def _fall_back(self, error: ShelfError) -> None:
        if self._shelf.where == "indexeddb":
            _log.debug("the cache is in memory only: %s", error)
            self._shelf = MemoryShelf(min(MEMORY_BYTES, self._shelf.max_bytes))


class Order:
    """The entries of a shelf and their sizes in bytes, the least recently used one first."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}

    @classmethod
    def from_text(cls, text: object) -> Order:
        """Read what anybody may have written; what is not ours is an empty one.

        A line per entry, and no JSON, whose nesting could overflow the stack.
        """
        order = cls()
        if not isinstance(text, str) or len(text) > _LONGEST_ORDER:
            return order
        for line in text.split("\n"):
            entry = _LINE.fullmatch(line)
            if not entry:
                return cls()
            order.sizes[entry[2]] = int(entry[1])
        return order

    def to_text(self) -> str:
        """For :meth:`from_text`."""
        return "\n".join(f"{size} {key}" for key, size in self.sizes.items())

    def total(self) -> int:
        """Bytes of all entries."""
        return sum(self.sizes.values())

    def keep_only(self, present: Iterable[Any]) -> None:
        """Forget the entries without content."""
        for key in self.sizes.keys() - {key for key in present if isinstance(key, str)}:
            del self.sizes[key]

    def strangers(self, present: Iterable[Any]) -> list[Any]:
        """What has content and is no entry: it was dropped, or others have put it there."""
        return [key for key in present if not (isinstance(key, str) and key in self.sizes)]

    def apply(self, changes: Mapping[str, Change], max_bytes: int) -> None:
        """Make the changes, then forget the least recently used until the bound is kept.

        What is too large is dropped: the older one, too, whose place it would take.
        """
        for key, change in changes.items():
            size = self.sizes.pop(key, None)
            if isinstance(change, bytes):
                if 0 < len(change) <= largest(max_bytes):
                    self.sizes[key] = len(change)
            elif change == "used" and size is not None:
                self.sizes[key] = size
        total = self.total()
        while total > max_bytes or len(self.sizes) > MAX_ENTRIES:
            total -= self.sizes.pop(next(iter(self.sizes)))


def recent(sizes: Mapping[str, int]) -> list[str]:
    """The keys of the small entries that were used last: what is installed again needs them all."""
    found, total = [], 0
    for key, size in reversed([*sizes.items()]):
        total += size if size <= _SMALL else 0
        if total > _AHEAD_BYTES:
            break
        if size <= _SMALL:
            found.append(key)
    return found


def largest(max_bytes: int) -> int:
    """Bytes that one entry may have."""
    return max_bytes // _SHARE


def bound(max_bytes: int, held: int, free: float | None) -> int:
    """The bound in bytes where this much is free, if that is known: never more than half of it.

    ``held``: what the cache has already; it counts as free.
    """
    return max_bytes if free is None else min(max_bytes, max(0, int(free) + held) // 2)


NO_CACHE: Final = Cache(MemoryShelf(0, "off"))
"""Keeps nothing."""
