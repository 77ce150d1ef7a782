"""Several folders as one source, the first of them going before the others.

A project may have files in several of them: its page lists all. Of a name that is in two folders
the first one's file is served. What was seen in a folder that cannot be read now is an error and
never unknown, as with a subfolder; of a folder that nobody has ever seen everything is.
"""

from __future__ import annotations

import asyncio
import logging
import operator
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pyodide_mirror.model import ProjectPage, printable
from pyodide_mirror.server.source import (
    LocalSource,
    LocalState,
    Stored,
    UnreadableError,
    with_versions,
)

from .folder import Folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pyodide_mirror.model import File
    from pyodide_mirror.server.cache import Disk

_log = logging.getLogger("pyodide_mirror.server")


@dataclass(frozen=True, slots=True)
class _Merged:
    """A page that was made of the folders' pages, and which folder each of its files is in."""

    parts: tuple[ProjectPage | None, ...]
    page: ProjectPage
    owners: Mapping[str, Folder]


def local_folders(paths: Sequence[Path], disk: Disk) -> list[LocalSource]:
    """The source of the files in these folders; none where there is no folder.

    Raises ValueError when one is no folder that can be read, or is inside another one.
    """
    folders = [
        Folder(path, disk, name=f"folder {name}")
        for path, name in zip(paths, _short_names(paths), strict=True)
    ]
    _check_apart(paths)
    return [Folders(folders)] if len(folders) > 1 else [*folders]


class Folders:
    """A :class:`~pyodide_mirror.server.source.LocalSource` of at least two folders."""

    immutable = False

    def __init__(self, folders: Sequence[Folder]) -> None:
        self.name = ", ".join(each.name for each in folders)
        self._folders = tuple(folders)
        self._merged: dict[str, _Merged] = {}
        self._others: dict[tuple[Folder, str], str] = {}
        """By folder and file name, why a file whose content is known to be another is left out."""
        self._looked: list[Mapping[str, Mapping[str, str]]] = []
        self._again: list[dict[str, str]] = []
        """The files that are in an earlier folder, when the folders had what was looked at."""

    async def page(self, project: str) -> ProjectPage | None:
        """See Source."""
        parts = tuple([await self._part(each, project) for each in self._folders])
        if not any(parts):
            self._merged.pop(project, None)
            return None
        kept = self._merged.get(project)
        if kept is None or not all(map(operator.is_, kept.parts, parts)):
            kept = self._merge(project, parts)
            self._merged[project] = kept
        return kept.page

    async def projects(self) -> Iterable[str]:
        """See Source."""
        names: set[str] = set()
        for folder in self._folders:
            try:
                names.update(await folder.projects())
            except UnreadableError:
                if not folder.was_seen:
                    raise
                names.update(folder.seen_projects)
        return names

    async def blob(self, project: str, file: File) -> Stored:
        """See Source."""
        return await self._owner(project, file).blob(project, file)

    async def metadata(self, project: str, file: File) -> bytes:
        """See Source."""
        return await self._owner(project, file).metadata(project, file)

    async def states(self) -> Sequence[LocalState]:
        """See LocalSource."""
        states = [(await folder.states())[0] for folder in self._folders]
        seen = [folder.seen for folder in self._folders]
        if not all(map(operator.is_, seen, self._looked)) or len(seen) != len(self._looked):
            self._again, self._looked = self._find_again(), seen
        return [
            replace(
                state, files=(state.files or 0) - len(again), left_out={**state.left_out, **again}
            )
            for state, again in zip(states, self._again, strict=True)
        ]

    async def close(self) -> None:
        """See Source."""
        await asyncio.gather(*(each.close() for each in self._folders))

    async def _part(self, folder: Folder, project: str) -> ProjectPage | None:
        try:
            return await folder.page(project)
        except UnreadableError:
            if folder.was_seen and project not in folder.seen_projects:
                return None
            raise

    def _find_again(self) -> list[dict[str, str]]:
        """The files of each folder whose names an earlier one has, and what is told of them."""
        first: dict[str, Folder] = {}
        found = []
        for folder in self._folders:
            again = {}
            names = {name: path for paths in folder.seen.values() for name, path in paths.items()}
            for name, path in names.items():
                owner = first.setdefault(name, folder)
                if owner is not folder:
                    place = printable(os.path.relpath(path, folder.path))
                    told = self._others.get((folder, name))
                    again[place] = told or f"{owner.name} has the same name"
            found.append(again)
        return found

    def _owner(self, project: str, file: File) -> Folder:
        kept = self._merged.get(project)
        owner = kept.owners.get(file.filename) if kept else None
        if owner is None:
            raise UnreadableError("the file has just been removed; read its page again")
        return owner

    def _merge(self, project: str, parts: tuple[ProjectPage | None, ...]) -> _Merged:
        files: dict[str, File] = {}
        owners: dict[str, Folder] = {}
        for folder, page in zip(self._folders, parts, strict=True):
            for file in page.files if page else ():
                name = file.filename
                first = files.setdefault(name, file)
                owner = owners.setdefault(name, folder)
                told = self._others.pop((folder, name), "")
                if first.sha256 != file.sha256:
                    now = f"{owner.name} has another file of this name"
                    self._others[folder, name] = now
                    self._looked = []
                    if now != told:
                        _log.warning("left out for now: %s: %s: %s", folder.name, name, now)
        found = [page for page in parts if page]
        whole = ProjectPage(name=project, files=tuple(files.values()))
        return _Merged(parts, found[0] if len(found) == 1 else with_versions(whole), owners)


def _check_apart(paths: Sequence[Path]) -> None:
    """A folder is served with all that is in it: what is in it need not be named again."""
    resolved = [path.resolve() for path in paths]
    for number, inner in enumerate(resolved):
        for other, outer in enumerate(resolved):
            if number == other or not inner.is_relative_to(outer):
                continue
            if inner == outer:
                raise ValueError(f"the folder {str(paths[number])!r} is given twice")
            raise ValueError(
                f"the folder {str(paths[number])!r} is in {str(paths[other])!r}, which is served"
                " with all that is in it; leave the former out"
            )


def _short_names(paths: Sequence[Path]) -> list[str]:
    """The last part of each path, or as many as tell it from the others."""
    parts = [path.absolute().parts for path in paths]
    names = []
    for each in parts:
        length = 1
        while length < len(each) and sum(p[-length:] == each[-length:] for p in parts) > 1:
            length += 1
        names.append(str(Path(*each[-length:])))
    return names
