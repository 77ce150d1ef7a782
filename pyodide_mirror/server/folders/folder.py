"""A folder of wheels and sdists; what is put into it is served at once."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyodide_mirror.model import ProjectPage, printable
from pyodide_mirror.server.source import LocalState, Stored, UnreadableError, with_versions
from pyodide_mirror.transport import OnceMap

from .files import FolderFiles, stamps_of
from .memory import FolderMemory
from .tree import Tree, look

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from pyodide_mirror.model import File
    from pyodide_mirror.server.cache import Disk

    from .files import Known, Stamp

_log = logging.getLogger("pyodide_mirror.server")
_FEW: Final = 100
_REST: Final = 200e-6
"""Seconds for each file of a page beyond the first few, in which the files are not looked at again.
It is a multiple of what looking takes, so that a page of thousands of files is cheap to serve."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A page that was made of files with these stamps, and until when it is taken for good."""

    files: Mapping[str, str]
    stamps: Mapping[str, Stamp]
    page: ProjectPage
    until: float


class Folder:
    """A :class:`~pyodide_mirror.server.source.LocalSource` of the files in a folder, at any depth.

    Hidden files are ignored; what cannot be served is left out, and why is logged once: files that
    are not named like a wheel or sdist, and wheels that cannot be read, such as one that is still
    being copied. The projects of what cannot be listed now are an error and never unknown: they
    would be taken from an upstream, where anybody may have uploaded something under their names.

    ``disk``: where digests, and the names in subfolders, are kept. ``name``: what it is called, if
    not by its own name. ``clock``: seconds, which only increase.
    """

    immutable = False

    def __init__(
        self,
        path: Path,
        disk: Disk | None = None,
        *,
        name: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises ValueError when it is not a folder that can be read."""
        if not path.is_dir():
            what = "is no folder" if path.exists() else "does not exist"
            raise ValueError(f"the folder {str(path)!r} {what}")
        if not os.access(path, os.R_OK | os.X_OK):
            raise ValueError(f"the folder {str(path)!r} may not be read")
        self.path = path
        self.name = name or f"folder {path.name or path}"
        self.was_seen = False
        """Whether it could ever be read."""
        self._clock = clock
        self._tree = Tree()
        self._memory = FolderMemory(str(path), disk)
        self._files = FolderFiles(disk)
        self._kept: dict[str, _Kept] = {}
        self._making: OnceMap[tuple[str, int], ProjectPage] = OnceMap()
        self._lock = asyncio.Lock()
        self._begun = self._done = 0

    async def page(self, project: str) -> ProjectPage | None:
        """See Source."""
        tree = await self._look()
        if project in tree.lost:
            raise UnreadableError(f"{self.name}: {tree.lost[project]}")
        files = tree.projects.get(project)
        if files is None:
            return None
        kept = self._kept.get(project)
        if kept is not None and kept.files is files and self._clock() < kept.until:
            return kept.page
        # Not by the files' names alone: one that was just dropped in must be on the page.
        return await self._making.get((project, id(files)), partial(self._make, project, files))

    async def projects(self) -> Iterable[str]:
        """See Source."""
        tree = await self._look()
        return [*tree.projects, *(tree.lost.keys() - tree.projects.keys())]

    async def blob(self, project: str, file: File) -> Stored:
        """See Source."""
        self._known(project, file)
        return Stored(Path(self._tree.projects[project][file.filename]))

    async def metadata(self, project: str, file: File) -> bytes:
        """See Source."""
        return self._known(project, file).metadata

    async def close(self) -> None:
        """See Source."""
        self._making.stop()
        self._files.close()

    async def left_out(self) -> dict[str, str]:
        """See LocalSource; relative paths of what has been looked at."""
        try:
            tree = await self._look()
        except UnreadableError as error:
            return {self.name: str(error)}
        found = {**tree.left_out, **self._files.left_out}
        return {self._relative(path): why for path, why in sorted(found.items())}

    async def states(self) -> Sequence[LocalState]:
        """See LocalSource."""
        left_out = await self.left_out()
        problem = self._tree.problem and left_out.pop(self.name)
        files = sum(map(len, self.seen.values())) - len(self._files.left_out)
        return [LocalState(self.name, len(self.seen), files, left_out, problem)]

    @property
    def seen(self) -> Mapping[str, Mapping[str, str]]:
        """Paths by file name, by project, as they were when it was last read."""
        return self._tree.projects

    @property
    def seen_projects(self) -> Collection[str]:
        """The projects that it had then, those in subfolders that cannot be read included."""
        return {**self._tree.projects, **self._tree.lost}

    def _relative(self, path: str) -> str:
        return printable(os.path.relpath(path, self.path))

    def _known(self, project: str, file: File) -> Known:
        path = self._tree.projects.get(project, {}).get(file.filename, "")
        known = self._files.get(path)
        if known is None:
            raise UnreadableError("the file has just been removed; read its page again")
        return known

    async def _look(self) -> Tree:
        """What is there now; one look is enough for all who wait for one."""
        begun = self._begun
        async with self._lock:
            if self._done <= begun:  # else one has begun, and ended, since we wait
                self._begun += 1
                number = self._begun
                now = self._clock()
                tree = await asyncio.to_thread(self._look_now, now)
                self._done = number
                self._note(tree)
        if self._tree.problem:
            raise UnreadableError(f"{self.name}: it cannot be read now ({self._tree.problem})")
        return self._tree

    def _look_now(self, now: float) -> Tree:
        tree = look(str(self.path), self._tree if self._done else self._memory.recall(), now)
        if tree.projects is not self._tree.projects:
            self._memory.keep(tree)
        return tree

    def _note(self, tree: Tree) -> None:
        before, self._tree = self._tree, tree
        self.was_seen = self.was_seen or not tree.problem
        if tree.projects is before.projects:
            return
        for path, why in tree.left_out.items():
            if before.left_out.get(path) != why:
                _log.warning("left out for now: %s: %s", self._relative(path), why)
        self._files.keep_only({path for files in tree.projects.values() for path in files.values()})
        self._kept = {each: kept for each, kept in self._kept.items() if each in tree.projects}

    async def _make(self, project: str, files: Mapping[str, str]) -> ProjectPage:
        rest = _REST * max(0, len(files) - _FEW)
        stamps = await asyncio.to_thread(stamps_of, files.values())
        kept = self._kept.get(project)
        if kept is not None and kept.stamps == stamps:
            self._kept[project] = replace(kept, files=files, until=self._clock() + rest)
            return kept.page
        known = await self._files.read(stamps)
        found = tuple(each.file for each in known if each.file is not None)
        unreadable = [each.problem for each in known if isinstance(each.stamp, str)]
        if unreadable and not found:
            raise UnreadableError(f"{self.name}: no file of {project}: {unreadable[0]}")
        page = with_versions(ProjectPage(name=project, files=found))
        if [each.stamp for each in known] == list(stamps.values()):
            self._kept[project] = _Kept(files, stamps, page, self._clock() + rest)
        return page
