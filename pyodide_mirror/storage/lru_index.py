"""The entries of a cache in the order of their last use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_ENTRIES: Final = 4_000
_SHARE: Final = 4
"""What is larger than this part of the limit would push out too much else."""
_SMALL: Final = 262_144
_AHEAD_BYTES: Final = 2_000_000
"""Bytes of small entries that are read ahead; a larger one is worth its own transaction."""
_LONGEST_INDEX: Final = 10_000_000

DIGEST: Final = re.compile("[0-9a-f]{64}")
PAGE_URL: Final = re.compile("https?://[^\\s\x00-\x20\x7f-\x9f\ud800-\udfff]{1,2000}")
_LINE: Final = re.compile(f"([0-9]{{1,12}}) (file:{DIGEST.pattern}|page:{PAGE_URL.pattern})")


class Content(Protocol):
    """The bytes of an entry, in Python or elsewhere; ``bytes()`` brings them to Python."""

    def __len__(self) -> int: ...

    def __bytes__(self) -> bytes: ...


Change = Content | Literal["used", "drop"]
"""What happens to an entry: its new content, it was used, or it is dropped."""


class LruIndex:
    """The entries of a backend and their sizes in bytes, the least recently used one first."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}

    @classmethod
    def from_text(cls, text: object) -> LruIndex:
        """Read what any script may have written; what is not ours is an empty index.

        A line per entry, and no JSON, whose nesting could overflow the stack.
        """
        index = cls()
        if not isinstance(text, str) or len(text) > _LONGEST_INDEX:
            return index
        for line in text.split("\n"):
            entry = _LINE.fullmatch(line)
            if not entry:
                return cls()
            index.sizes[entry[2]] = int(entry[1])
        return index

    def to_text(self) -> str:
        """For :meth:`from_text`."""
        return "\n".join(f"{size} {key}" for key, size in self.sizes.items())

    def total(self) -> int:
        """Bytes of all entries."""
        return sum(self.sizes.values())

    def retain(self, present: Iterable[Any]) -> None:
        """Forget the entries without content."""
        for key in self.sizes.keys() - {key for key in present if isinstance(key, str)}:
            del self.sizes[key]

    def unindexed(self, present: Iterable[Any]) -> list[Any]:
        """The keys of content without an entry: it was dropped, or others have put it there."""
        return [key for key in present if not (isinstance(key, str) and key in self.sizes)]

    def apply(self, changes: Mapping[str, Change], max_bytes: int) -> None:
        """Make the changes, then forget the least recently used entries that exceed the limit.

        Content that is too large is dropped, and so is the older one that it would replace.
        """
        for key, change in changes.items():
            size = self.sizes.pop(key, None)
            if not isinstance(change, str):
                if 0 < len(change) <= max_entry_bytes(max_bytes):
                    self.sizes[key] = len(change)
            elif change == "used" and size is not None:
                self.sizes[key] = size
        total = self.total()
        while total > max_bytes or len(self.sizes) > MAX_ENTRIES:
            total -= self.sizes.pop(next(iter(self.sizes)))


def recent_keys(sizes: Mapping[str, int]) -> list[str]:
    """The keys of the small entries that were used last: another install needs them all."""
    found, total = [], 0
    for key, size in reversed([*sizes.items()]):
        if size <= _SMALL:
            total += size
            if total > _AHEAD_BYTES:
                break
            found.append(key)
    return found


def max_entry_bytes(max_bytes: int) -> int:
    """Bytes that one entry may have."""
    return max_bytes // _SHARE


def byte_limit(max_bytes: int, held: int, free: float | None) -> int:
    """The limit in bytes, at most half of what is free, if that is known.

    ``held``: what the cache has already; it counts as free.
    """
    return max_bytes if free is None else min(max_bytes, max(0, int(free) + held) // 2)
