"""Files of Pyodide's core as gzip, each made once: they halve what a page loads to start."""

from __future__ import annotations

import asyncio
import functools
import gzip
import hashlib
import logging
import zlib
from typing import IO, TYPE_CHECKING, Final

from pyodide_mirror.server.source import InMemory, Stored
from pyodide_mirror.transport import OnceMap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyodide_mirror.model import File
    from pyodide_mirror.server.cache import Disk, Download

_log = logging.getLogger("pyodide_mirror.server")
_PIECE: Final = 256 * 1024
_LEVEL: Final = 6
_GZIP: Final = 16 + zlib.MAX_WBITS
_WORTH_IT: Final = (".wasm", ".mjs", ".js", ".json")
"""Wheels and zip archives are packed already."""


def can_be_packed(filename: str) -> bool:
    """Whether a file of that name is worth it."""
    return filename.endswith(_WORTH_IT)


class Packer:
    """Packs files, and keeps them in the cache. What is found there is checked once."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._making: OnceMap[str, Path | None] = OnceMap()

    async def pack(
        self, file: File, blob: Stored | InMemory | Download
    ) -> Stored | InMemory | None:
        """A whole file as gzip (RFC 1952); None for one that arrives, or that cannot be stored."""
        if isinstance(blob, InMemory):
            return InMemory(await asyncio.to_thread(_gzipped, blob.content))
        if not isinstance(blob, Stored):
            return None
        key = f"gzip-{file.sha256}"
        path = self._disk.get(key)
        if path is None or key not in self._disk.checked:
            make = functools.partial(asyncio.to_thread, self._make, key, blob.path, file.sha256)
            path = await self._making.get(key, make)
        return None if path is None else Stored(path)

    def close(self) -> None:
        """Pack no more files."""
        self._making.stop()

    def _make(self, key: str, path: Path, sha256: str) -> Path | None:
        try:
            kept = self._disk.get(key)
            if kept is None or _digest_inside(kept) != sha256:
                kept = self._packed(key, path, sha256)
        except OSError as error:
            _log.warning("%s is served as it is: %s", path.name, error)
            return None
        if kept is not None:
            self._disk.checked.add(key)
        return kept

    def _packed(self, key: str, path: Path, sha256: str) -> Path | None:
        packer, digest = zlib.compressobj(_LEVEL, wbits=_GZIP), hashlib.sha256()
        with path.open("rb") as content, self._disk.begin() as unfinished:
            for piece in _pieces(content):
                digest.update(piece)
                unfinished.write(packer.compress(piece))
            unfinished.write(packer.flush())
            if digest.hexdigest() != sha256:  # it has just been changed
                return None
            unfinished.flush()
            return unfinished.commit(key)


@functools.lru_cache(maxsize=32)
def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, _LEVEL, mtime=0)


def _digest_inside(packed: Path) -> str:
    """The SHA-256 of what is in a gzip file; empty where it is damaged."""
    digest = hashlib.sha256()
    try:
        with gzip.open(packed) as content:
            for piece in _pieces(content):
                digest.update(piece)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return ""
    return digest.hexdigest()


def _pieces(content: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while piece := content.read(_PIECE):
        yield piece
