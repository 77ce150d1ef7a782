"""A folder of wheels and sdists; what is put into it is served at once."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import stat
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.metadata import parse_email

from pyodide_mirror.model import File, ProjectPage

from .archive import read_metadata
from .source import Stored, parse_filename, with_versions
from .upstream_client import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_log = logging.getLogger("pyodide_mirror.server")
_SETTLED: Final = 2.0
"""Seconds after which a folder's modification time shows every change: such clocks are coarse."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!~-]{0,254}")
"""File names as in pages of upstreams: not hidden, and safe in any path."""
_END_OF_TIME: Final = 253_402_300_800 * 10**9
"""The year 10000, which has no four digits."""
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known about a file as long as its stamp stays the same."""

    stamp: _Stamp
    file: File | None
    metadata: bytes = b""


class Folder:
    """A :class:`~pyodide_mirror.server.source.Source` of the files in a folder and its subfolders.

    Hidden files, and files that are not named like a wheel or sdist, are ignored. A wheel that
    cannot be read, such as one that is still being copied, is left out until it can.
    """

    immutable = False

    def __init__(self, path: Path) -> None:
        """Raises ValueError when it is not a folder that can be read."""
        if not path.is_dir():
            what = "is no folder" if path.exists() else "does not exist"
            raise ValueError(f"the folder {str(path)!r} {what}")
        if not os.access(path, os.R_OK | os.X_OK):
            raise ValueError(f"the folder {str(path)!r} may not be read")
        self.path = path
        self.name = f"folder {path.name or path}"
        self._projects: Mapping[str, Mapping[str, Path]] = {}
        self._seen: dict[Path, int] = {}
        self._looked = float("-inf")
        self._known: dict[Path, _Known] = {}
        self._lock = asyncio.Lock()
        self._warned: dict[Path, _Stamp] = {}

    async def page(self, project: str) -> ProjectPage | None:
        """See Source."""
        async with self._lock:
            found = (await asyncio.to_thread(self._look)).get(project)
            if found is None:
                return None
            files = await asyncio.to_thread(self._describe_all, found)
        return with_versions(ProjectPage(name=project, files=files))

    async def projects(self) -> Iterable[str]:
        """See Source."""
        async with self._lock:
            return list(await asyncio.to_thread(self._look))

    async def blob(self, project: str, file: File) -> Stored:
        """See Source."""
        return Stored(self._path(project, file))

    async def metadata(self, project: str, file: File) -> bytes:
        """See Source."""
        return self._known[self._path(project, file)].metadata

    async def close(self) -> None:
        """See Source."""

    def _path(self, project: str, file: File) -> Path:
        path = self._projects.get(project, {}).get(file.filename)
        if path is None or path not in self._known:
            raise UpstreamError("the file has just been removed")
        return path

    def _look(self) -> Mapping[str, Mapping[str, Path]]:
        """What is there; the folders are walked again only when one has changed."""
        if self._is_fresh():
            return self._projects
        started = time.time()
        projects: dict[str, dict[str, Path]] = {}
        seen: dict[Path, int] = {}
        for root, folders, names in os.walk(self.path, onerror=self._skip):
            folders[:] = sorted(each for each in folders if not each.startswith("."))
            seen[Path(root)] = _changed(Path(root))
            for name in sorted(names):
                parsed = parse_filename(name) if _PLAIN.fullmatch(name) else None
                if parsed is not None:
                    projects.setdefault(parsed[0], {}).setdefault(name, Path(root, name))
        self._projects, self._seen, self._looked = projects, seen, started
        there = {path for files in projects.values() for path in files.values()}
        self._known = {path: known for path, known in self._known.items() if path in there}
        self._warned = {
            path: stamp for path, stamp in self._warned.items() if path in there or not any(stamp)
        }
        return projects

    def _skip(self, error: OSError) -> None:
        """Leave out a subfolder that cannot be read (such as lost+found), never the whole folder.

        Its projects would then be taken from an upstream, where anybody may have uploaded
        something under their names.
        """
        if Path(error.filename) == self.path:
            raise UpstreamError(f"{self.name}: it cannot be read now ({error.strerror})") from error
        self._warn(Path(error.filename), (0, 0, 0), str(error.strerror))

    def _is_fresh(self) -> bool:
        if not self._seen:
            return False
        for folder, changed in self._seen.items():
            if _changed(folder) != changed or self._looked - changed / 1e9 < _SETTLED:
                return False
        return True

    def _describe_all(self, files: Mapping[str, Path]) -> tuple[File, ...]:
        found = (self._describe(path) for path in files.values())
        return tuple(file for file in found if file is not None)

    def _describe(self, path: Path) -> File | None:
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):  # opening a pipe would block
                self._warn(path, (0, 0, 0), "it is no file")
                return None
            stamp = status.st_mtime_ns, status.st_size, status.st_ino
            known = self._known.get(path)
            if known is None or known.stamp != stamp:
                known = self._examine(path, stamp)
                self._known[path] = known
        except OSError as error:
            self._warn(path, (0, 0, 0), str(error.strerror))
            return None
        return known.file

    def _examine(self, path: Path, stamp: _Stamp) -> _Known:
        metadata, requires_python = b"", ""
        if path.suffix == ".whl":
            try:
                metadata = read_metadata(path, path.name)
            except ValueError as error:
                self._warn(path, stamp, str(error))
                return _Known(stamp, None)
            requires_python = parse_email(metadata)[0].get("requires_python", "")
        with path.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        file = File(
            filename=path.name,
            url=path.absolute().as_uri(),
            hashes={"sha256": sha256},
            requires_python=requires_python,
            metadata={"sha256": hashlib.sha256(metadata).hexdigest()} if metadata else None,
            size=stamp[1],
            upload_time=upload_time(stamp[0]),
        )
        return _Known(stamp, file, metadata)

    def _warn(self, path: Path, stamp: _Stamp, what: str) -> None:
        """Log why a file is left out, once for each state of it."""
        if self._warned.get(path) != stamp:
            self._warned[path] = stamp
            _log.warning("left out for now: %s: %s", path.name, what)


def _changed(folder: Path) -> int:
    """A folder's modification time in nanoseconds; -1 when it is gone."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return -1


def upload_time(nanoseconds: int) -> str:
    """A time in the form of PEP 700; empty for one before 1970 or after 9999."""
    if not 0 <= nanoseconds < _END_OF_TIME:
        return ""
    moment = datetime.fromtimestamp(nanoseconds // 1000 / 1e6, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
