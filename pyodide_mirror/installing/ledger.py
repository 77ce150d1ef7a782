"""What each install has put into site-packages, so that one that fails takes away just that."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pyodide_mirror._micropip import (
    UNPACK_OBSERVER,
    UnpackPatch,
    correct_loaded,
    loaded_packages,
    uninstall,
)
from pyodide_mirror.model import normalize

from .archive import cannot_unpack, members_of
from .closure import reached
from .overlay import Overlay
from .site_packages import installed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from pyodide_mirror._micropip import UnpackedWheel
    from pyodide_mirror.reporting import Installed

    from .faults import InstallFaults
    from .site_packages import InstalledDistribution, Source

_NOTES: Final = ("INSTALLER", "PYODIDE_SOURCE", "PYODIDE_URL", "PYODIDE_SHA256", "PYODIDE_REQUIRES")
"""What micropip writes beside a wheel's own metadata."""


class _Entry:
    """What became of one distribution: its files, and where its wheel came from, if it has one."""

    __slots__ = ("info", "paths", "project", "unpacked", "url")

    def __init__(self, project: str, paths: list[str], info: str = "", url: str = "") -> None:
        self.project = normalize(project)
        self.paths = paths
        self.info = info
        self.url = url
        self.unpacked = False


class Ledger:
    """What one install has put into site-packages.

    ``sources``: where the files came from, by the URL that micropip knows. ``faults``: of the
    install. ``before``: what was installed before, if that is all that can be known, because this
    micropip is not; nothing is taken away then. ``check``: raises an error before something is
    unpacked that must not be.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        faults: InstallFaults,
        overlay: Overlay,
        before: Mapping[str, InstalledDistribution] | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        self.before = before
        self._check = check
        self._sources = sources
        self._faults = faults
        self._overlay = overlay
        self._entries: list[_Entry] = []
        self._from_lockfile: set[str] = set()
        self._kept: set[str] = set()
        """Those of them that stay, whatever becomes of this install."""
        self._listed: dict[str, str] = {}
        """What Pyodide's list of loaded packages had before anything was removed."""
        self._ended = False

    # --- what micropip does; see UnpackObserver -------------------------------------------------

    @contextmanager
    def unpacking(self, wheel: UnpackedWheel) -> Iterator[str]:
        """See UnpackObserver. What cannot be unpacked ends the install."""
        if self._has_ended():
            # micropip lets its other wheels go on when one has failed.
            raise OSError(f"{wheel.filename} is not unpacked: its install has ended")
        if self._check is not None:
            self._check()
        try:
            info, paths = paths_of(wheel)
        except ValueError as error:
            raise self._cannot_unpack(wheel, str(error)) from error
        entry = _Entry(wheel.filename.partition("-")[0], paths, info, wheel.url)
        self._entries.append(entry)
        self._overlay.cover(paths, self)
        source = self._sources.get(wheel.url)
        try:
            yield wheel.url if source is None else source.full_url
        except Exception as error:
            raise self._cannot_unpack(wheel, _reason(error)) from error
        finally:
            if self._has_ended():
                self._take_away([entry])
            else:
                self._overlay.settle(paths, self)
        entry.unpacked = True

    def removing(self, name: str, files: Collection[Path]) -> None:
        """See UnpackObserver."""
        if self._ended:
            return  # it is undone, by micropip's own means
        paths = sorted(str(path) for path in files if path.is_file())
        self._entries.append(_Entry(name, paths))
        self._listed = {**loaded_packages(), **self._listed}
        # What is in these folders is read once more, for the name.
        read = [path for path in paths if path.rpartition("/")[0].endswith(".dist-info")]
        self._overlay.cover(read, self, moving=False)
        self._overlay.cover(paths, self)

    def loaded(self, names: list[str]) -> None:
        """See UnpackObserver."""
        self._from_lockfile.update(map(normalize, names))
        if self._ended:
            self._uninstall()

    def _cannot_unpack(self, wheel: UnpackedWheel, reason: str) -> OSError:
        source = self._sources.get(wheel.url)
        place = wheel.url.partition("?")[0] if source is None else source.mirror
        return self._faults.end(cannot_unpack(wheel.filename, place, reason))

    # --- what the install does ------------------------------------------------------------------

    def distributions(self) -> list[InstalledDistribution]:
        """What this install has put there, as far as it is there."""
        items = sorted(installed().items())
        if self.before is not None:
            return [item for name, item in items if self.before.get(name) != item]
        urls = self._urls()
        return [
            item for name, item in items if str(item.folder) in urls or name in self._from_lockfile
        ]

    def report(self) -> tuple[Installed, ...]:
        """What this install has put there, and where each came from."""
        urls = self._urls()
        return tuple(
            item.describe(url, self._sources.get(url))
            for item in self.distributions()
            for url in [urls.get(str(item.folder)) or item.note("PYODIDE_URL")]
        )

    def keep(self, wanted: Callable[[str], bool] = lambda _: True) -> None:
        """Whatever becomes of this install, what it has put there stays: all, or some projects."""
        for entry in [entry for entry in self._entries if wanted(entry.project)]:
            self._overlay.keep(entry.paths, self)
        self._kept.update(filter(wanted, self._from_lockfile))

    def undo(self) -> tuple[list[str], list[str]]:
        """Take away what this install has put there, and put back what it has removed.

        The result names both.
        """
        self._ended = True
        before = installed()
        self._uninstall()
        self._take_away(self._entries)
        after = installed()
        gone = sorted(name for name in before if name not in after)
        back = sorted(
            f"{name} {item.version}" for name, item in after.items() if before.get(name) != item
        )
        return gone, back

    def _has_ended(self) -> bool:
        return self._ended

    def _urls(self) -> dict[str, str]:
        """The URLs of what has been unpacked, by ``.dist-info`` folder."""
        return {entry.info: entry.url for entry in self._entries if entry.unpacked}

    def _take_away(self, entries: Iterable[_Entry]) -> None:
        projects = set()
        for entry in entries:
            self._overlay.take_away(dict.fromkeys(entry.paths), self)
            projects.add(entry.project)
        there = installed()
        correct_loaded({name: name in there for name in projects}, self._listed)

    def _uninstall(self) -> None:
        there = sorted((self._from_lockfile - self._kept) & set(installed()))
        if there:
            uninstall(there)


class Ledgers:
    """The ledgers of the installs that run now; it is also told of what no install of ours does."""

    def __init__(self) -> None:
        self._overlay = Overlay()
        self._open: list[Ledger] = []
        self._patch = UnpackPatch(self)

    @contextmanager
    def open(
        self, sources: Mapping[str, Source], faults: InstallFaults, check: Callable[[], None]
    ) -> Iterator[Ledger]:
        """The ledger of one install; see there."""
        before = None if self._patch.install() else installed()
        ledger = Ledger(sources, faults, self._overlay, before, check)
        self._open.append(ledger)
        token = UNPACK_OBSERVER.set(ledger)
        try:
            yield ledger
        finally:
            UNPACK_OBSERVER.reset(token)
            self._open.remove(ledger)
            if not self._open:
                self._patch.remove()

    def keep(self, own: Ledger, requirements: Iterable[str], *, deps: bool = True) -> None:
        """An install has succeeded: what it needs stays, also what others have put there."""
        self._keep_of_others(requirements, own, deps=deps)
        own.keep()

    def relied_on(self, requirement: str) -> None:
        """See OthersObserver."""
        self._keep_of_others([requirement])

    def _keep_of_others(
        self, requirements: Iterable[str], own: Ledger | None = None, *, deps: bool = True
    ) -> None:
        others = [ledger for ledger in self._open if ledger is not own]
        needed = reached(requirements, deps=deps) if others else set()
        for ledger in others:
            ledger.keep(needed.__contains__)

    @contextmanager
    def unpacking(self, wheel: UnpackedWheel) -> Iterator[str]:
        """See UnpackObserver."""
        yield wheel.url
        try:
            _, paths = paths_of(wheel)
        except ValueError:
            return  # micropip has unpacked it, however strange it is
        self._overlay.written_by_others(paths)

    def removing(self, name: str, files: Collection[Path]) -> None:
        """See UnpackObserver."""

    def loaded(self, names: list[str]) -> None:
        """See UnpackObserver."""


def paths_of(wheel: UnpackedWheel) -> tuple[str, list[str]]:
    """The ``.dist-info`` folder of a wheel, and all files that come of it.

    Raises ValueError, with a clause that says why it cannot be unpacked.
    """
    names = members_of(wheel.data)
    root = next(root for name in names if (root := name.partition("/")[0]).endswith(".dist-info"))
    folder = str(wheel.folder)
    info = f"{folder}/{root}"
    paths = [f"{folder}/{name}" for name in names]
    paths += [f"{info}/{name}" for name in _NOTES]
    # Pyodide copies these, as pip does.
    for name in names:
        root, data, rest = name.partition(".data/data/")
        if data and "/" not in root:
            paths.append(f"{sys.prefix}/{rest}")
    return info, paths


def _reason(error: Exception) -> str:
    """The last line of an error: one that came through JavaScript has a traceback in its text."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
