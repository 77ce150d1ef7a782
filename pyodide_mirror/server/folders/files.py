"""What is known of the files in a folder: their digests, and the metadata in wheels."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import stat
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.metadata import parse_email

from pyodide_mirror.model import File
from pyodide_mirror.server.cache import put_with_checksum, read_with_checksum
from pyodide_mirror.server.distributions import read_metadata
from pyodide_mirror.transport import OnceMap

from .tree import SETTLED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pyodide_mirror.server.cache import Disk

_log = logging.getLogger("pyodide_mirror.server")
BIG: Final = 4 * 1024 * 1024
"""Bytes from which on a file is read by itself, and its digest is kept on disk."""
_AT_ONCE: Final = 2
"""Big files that are read at once: they must not take all the threads."""
_END_OF_TIME: Final = 253_402_300_800 * 10**9
"""The year 10000, which has no four digits."""
Stamp = tuple[int, int, int] | str
"""A file's modification time in nanoseconds, size and inode; or why it cannot be looked at."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a file for as long as it has this stamp.

    ``file`` is None where ``problem`` says why it is not served.
    """

    stamp: Stamp
    file: File | None = None
    metadata: bytes = b""
    problem: str = ""


class FolderFiles:
    """Reads files, each once for as long as it stays the same.

    The digests of big ones are also kept on disk: to compute them again at each start would take
    minutes. Nobody waits for a file that is not on the page asked for.
    """

    def __init__(self, disk: Disk | None) -> None:
        self._disk = disk
        self._known: dict[str, Known] = {}
        self._big: OnceMap[tuple[str, Stamp], Known] = OnceMap()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def get(self, path: str) -> Known | None:
        """What is known of a file; None where it has not been read."""
        return self._known.get(path)

    @property
    def left_out(self) -> dict[str, str]:
        """Paths of files that are not served, and why."""
        return {path: known.problem for path, known in self._known.items() if known.problem}

    def keep_only(self, paths: set[str]) -> None:
        """Forget all other files."""
        self._known = {path: known for path, known in self._known.items() if path in paths}

    def close(self) -> None:
        """Read no more files."""
        self._big.stop()

    async def read(self, stamps: Mapping[str, Stamp]) -> list[Known]:
        """What is known of files with these stamps; those that are new, or changed, are read."""
        before = self._known
        new = [each for each in stamps.items() if not _fits(before.get(each[0]), each[1])]
        big = [each for each in new if not isinstance(each[1], str) and each[1][1] >= BIG]
        small = sorted(set(new).difference(big), key=itemgetter(0))
        found = dict(zip([path for path, _ in small], await self._examine(small), strict=True))
        reading = [self._big.get(each, partial(self._read_big, each)) for each in big]
        found |= zip([path for path, _ in big], await asyncio.gather(*reading), strict=True)
        for path, known in found.items():
            if known.problem and (path not in before or before[path].problem != known.problem):
                _log.warning("left out for now: %s: %s", os.path.basename(path), known.problem)
        self._known |= found
        return [found.get(path) or before[path] for path in stamps]

    async def _read_big(self, each: tuple[str, Stamp]) -> Known:
        async with self._slots:
            return (await self._examine([each]))[0]

    async def _examine(self, files: Sequence[tuple[str, Stamp]]) -> list[Known]:
        def examine_all() -> list[Known]:
            return [_examined(path, stamp, self._disk) for path, stamp in files]

        return await asyncio.to_thread(examine_all)


def _fits(known: Known | None, stamp: Stamp) -> bool:
    return known is not None and known.stamp == stamp


def stamps_of(paths: Iterable[str]) -> dict[str, Stamp]:
    """The stamp of each file."""
    return {path: _stamp(path) for path in paths}


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)
    except OSError as error:
        return str(error.strerror)
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would block
        return "it is no file"
    return status.st_mtime_ns, status.st_size, status.st_ino


def _examined(path: str, stamp: Stamp, disk: Disk | None) -> Known:
    if isinstance(stamp, str):
        return Known(stamp, problem=stamp)
    try:
        known = _read(path, stamp, disk)
    except OSError as error:
        return Known(str(error.strerror), problem=str(error.strerror))
    if _stamp(path) != stamp:
        problem = "it is being written"
        return Known(problem, problem=problem)
    return known


def _read(path: str, stamp: tuple[int, int, int], disk: Disk | None) -> Known:
    name, metadata, requires_python = os.path.basename(path), b"", ""
    if name.endswith(".whl"):
        try:
            metadata = read_metadata(Path(path), name)
        except ValueError as error:
            return Known(stamp, problem=str(error))
        requires_python = parse_email(metadata)[0].get("requires_python", "")
    file = File(
        filename=name,
        url=Path(path).absolute().as_uri(),
        hashes={"sha256": digest_of(path, stamp, disk)},
        requires_python=requires_python,
        metadata={"sha256": hashlib.sha256(metadata).hexdigest()} if metadata else None,
        size=stamp[1],
        upload_time=upload_time(stamp[0]),
    )
    return Known(stamp, file, metadata)


def digest_of(path: str, stamp: tuple[int, int, int], disk: Disk | None) -> str:
    """The digest of a file; that of a big one is looked up on disk, and kept there."""
    # A file may still change in the moment of its stamp, which would not show.
    if disk is None or stamp[1] < BIG or time.time() - stamp[0] / 1e9 < SETTLED:
        return _digest(path)
    told = json.dumps([os.path.abspath(path), *stamp])
    key = f"digest-{hashlib.sha256(told.encode()).hexdigest()}"
    stored = read_with_checksum(disk, key)
    if stored is not None:
        return stored.decode()
    sha256 = _digest(path)
    if _stamp(path) == stamp:
        put_with_checksum(disk, key, sha256.encode())
    return sha256


def _digest(path: str) -> str:
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def upload_time(nanoseconds: int) -> str:
    """A time in the form of PEP 700; empty for one before 1970 or after 9999."""
    if not 0 <= nanoseconds < _END_OF_TIME:
        return ""
    moment = datetime.fromtimestamp(nanoseconds // 1000 / 1e6, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
