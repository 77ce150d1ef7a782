"""Which distributions are in a folder and its subfolders, by their names alone."""

from __future__ import annotations

import os
import re
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from pyodide_mirror.server.source import parse_filename

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SETTLED: Final = 2.0
"""Seconds after which a folder's time stamp shows every change: the clocks of some file systems
are that coarse."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!~-]{0,254}")
"""File names as in pages of upstreams: not hidden, and safe in any path."""
_LOCK: Final = "pyodide-lock.json"
_ARCHIVES: Final = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz", ".egg")
_Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Listed:
    """One folder as it was when it was last listed.

    ``since``: the time at which its stamp was first seen; ``at``: that at which it was listed, both
    in seconds of the same clock. It is the clock here that counts and not the stamp's, which may be
    another machine's, or lie in the future. ``files``: projects by file name, empty for a name that
    cannot be used. ``problem``: why it cannot be listed now; what it had before still counts.
    """

    stamp: _Stamp = (-1, -1, -1, -1)
    since: float = 0.0
    at: float = 0.0
    files: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    problem: str = ""

    def shows_changes(self, stamp: _Stamp) -> bool:
        """Whether a folder with this stamp is certainly as it was."""
        return not self.problem and self.stamp == stamp and self.at - self.since >= SETTLED

    def says_the_same(self, other: _Listed) -> bool:
        """Whether nothing has changed but its stamp."""
        return self is other or (
            (self.files, self.folders, self.problem) == (other.files, other.folders, other.problem)
        )


@dataclass(frozen=True, slots=True)
class Tree:
    """What is in a folder and its subfolders; the paths are absolute if the folder's is.

    ``projects``: paths by file name, by normalized project name. ``lost``: projects of subfolders
    that cannot be listed now, and why: nobody knows what there is of them, and an upstream must
    not be asked, where anybody may have uploaded something under their names. ``left_out``: paths
    of what is not served, and why. ``problem``: why the folder itself cannot be read now.
    """

    projects: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    listed: Mapping[str, _Listed] = field(default_factory=dict)


def look(top: str, before: Tree, now: float) -> Tree:
    """What is there; ``before`` itself where that is the same. Only changed folders are listed.

    Links to folders are followed, but no folder is entered twice, so that loops end. ``now``: a
    time in seconds, by a clock that only goes forward.
    """
    listed = dict(_all_listed(top, before.listed, now))
    if problem := listed[top].problem:
        return replace(before, problem=problem)
    if listed.keys() == before.listed.keys() and all(
        each.says_the_same(before.listed[path]) for path, each in listed.items()
    ):
        return replace(before, problem="", listed=listed)
    return _tree(top, listed)


def listing_of(tree: Tree) -> dict[str, tuple[dict[str, str], list[str]]]:
    """Of each folder, the projects by file name and the names of its subfolders."""
    return {path: (dict(each.files), list(each.folders)) for path, each in tree.listed.items()}


def tree_of(top: str, listing: Mapping[str, tuple[dict[str, str], list[str]]]) -> Tree:
    """What was there at an earlier time, by its :func:`listing_of`."""
    listed = {
        path: _Listed(files=files, folders=tuple(folders))
        for path, (files, folders) in listing.items()
    }
    return _tree(top, listed)


def _all_listed(
    top: str, before: Mapping[str, _Listed], now: float
) -> Iterator[tuple[str, _Listed]]:
    """Each folder once, the upper ones first."""
    waiting = deque([(top, False)])
    entered: set[tuple[int, int]] = set()
    while waiting:
        path, may_be_gone = waiting.popleft()
        found = _listed(path, before.get(path), now, may_be_gone=may_be_gone)
        if found is None or found.stamp[:2] in entered:
            continue
        if found.stamp[0] != -1:
            entered.add(found.stamp[:2])
        yield path, found
        # What is below a folder that cannot be listed is not there either, but for no other reason.
        waiting.extend((os.path.join(path, name), not found.problem) for name in found.folders)


def _listed(path: str, before: _Listed | None, now: float, *, may_be_gone: bool) -> _Listed | None:
    """A folder's content; None when it is not there any more."""
    old = before or _Listed()
    try:
        status = os.stat(path)
        stamp = status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns
        if old.shows_changes(stamp):
            return old
        found = _list(path, old)
        if before and old.stamp[0] not in {-1, stamp[0]} and not (found.files or found.folders):
            raise OSError(0, "it is empty, and on another device than before")
    except (FileNotFoundError, NotADirectoryError) as error:
        if may_be_gone and not os.path.islink(path):
            return None
        return replace(old, problem=str(error.strerror))
    except OSError as error:
        return replace(old, problem=str(error.strerror))
    since = old.since if stamp == old.stamp else now
    return replace(found, stamp=stamp, since=since, at=now)


def _list(path: str, old: _Listed) -> _Listed:
    files, folders, of_pyodide = {}, [], False
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            of_pyodide = of_pyodide or name == _LOCK
            if name.startswith("."):
                continue
            if _is_folder(entry, old):
                folders.append(name)
            elif name in old.files:  # reading thousands of names takes a while
                files[name] = old.files[name]
            elif (project := project_of(name)) or name.endswith(_ARCHIVES):
                files[name] = project
    if of_pyodide:  # Pyodide's own archives are no distributions
        files = {name: project for name, project in files.items() if project}
    return _Listed(files=dict(sorted(files.items())), folders=tuple(sorted(folders)))


def _is_folder(entry: os.DirEntry[str], old: _Listed) -> bool:
    """Whether this is a folder, or a link to one; also one that leads nowhere now."""
    try:
        if entry.is_dir():
            return True
    except OSError:  # a link to a place that may not be looked at
        return True
    return entry.name in old.folders and entry.is_symlink() and not os.path.exists(entry.path)


def project_of(filename: str) -> str:
    """The normalized project of a file that can be served; empty where its name is not right."""
    parsed = parse_filename(filename) if _PLAIN.fullmatch(filename) else None
    return parsed[0] if parsed else ""


def _tree(top: str, listed: Mapping[str, _Listed]) -> Tree:
    projects: dict[str, dict[str, str]] = {}
    lost: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for folder, each in listed.items():
        if each.problem:
            left_out[folder] = each.problem
            where = os.path.relpath(folder, top)
            lost |= dict.fromkeys(each.files.values(), f"{where}: {each.problem}")
            continue
        for name, project in each.files.items():
            path = os.path.join(folder, name)
            if not project:
                left_out[path] = _unusable(name)
                continue
            first = projects.setdefault(project, {}).setdefault(name, path)
            if first != path:
                left_out[path] = f"{os.path.relpath(first, top)} has the same name"
    lost.pop("", None)
    return Tree(projects, lost, left_out, listed=listed)


def _unusable(name: str) -> str:
    if name.endswith(".whl"):
        return "it is not named like a wheel (NAME-VERSION-PYTHON-ABI-PLATFORM.whl)"
    return "it is not named like an sdist (NAME-VERSION.tar.gz or NAME-VERSION.zip)"
