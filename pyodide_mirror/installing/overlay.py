"""Who has written which file of site-packages, and what was there before."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Layer:
    """What one install has at a path; ``beneath``: where that lies which was there before."""

    __slots__ = ("beneath", "owner")

    def __init__(self, owner: object, beneath: str) -> None:
        self.owner = owner
        self.beneath = beneath


class Overlay:
    """The files of the installs that still go on: each lies over what was there before.

    An install that fails takes its own layers away, and what was beneath comes back; one that
    succeeds takes away what was beneath, and so on: of two installs that have written the same
    file, the one that succeeds keeps it, whatever becomes of the other. Files are moved, never
    copied; paths are absolute.
    """

    def __init__(self) -> None:
        self._layers: dict[str, list[_Layer]] = {}
        self._aside = ""
        self._count = 0

    def cover(self, paths: Iterable[str], owner: object, *, moving: bool = True) -> None:
        """What is at these paths gives way to what ``owner`` will write there.

        Not ``moving``, it is copied, because somebody needs it once more.
        """
        folders: dict[str, bool] = {}
        for path in paths:
            layers = self._layers.setdefault(path, [])
            if layers and layers[-1].owner is owner:
                continue
            folder = path.rpartition("/")[0]
            if folder not in folders:  # a wheel has thousands of files in a few folders
                folders[folder] = Path(folder).is_dir()
            beneath = ""
            if folders[folder] and os.path.lexists(path) and not Path(path).is_dir():
                beneath = self._new_place()
                (shutil.move if moving else shutil.copy2)(path, beneath)
            layers.append(_Layer(owner, beneath))

    def settle(self, paths: Iterable[str], owner: object) -> None:
        """Put back what has given way to nothing: not every member of a wheel is unpacked."""
        for path in paths:
            layers = self._layers.get(path, [])
            ours = bool(layers) and layers[-1].owner is owner
            if ours and layers[-1].beneath and not os.path.lexists(path):
                self.take_away((path,), owner)

    def take_away(self, paths: Iterable[str], owner: object) -> None:
        """Remove what ``owner`` has there, and let come back what was there before."""
        folders: set[Path] = set()
        for path in paths:
            layers = self._layers.get(path, [])
            for layer in [layer for layer in reversed(layers) if layer.owner is owner]:
                place = layers.index(layer)
                if layer is layers[-1]:
                    _remove(path)
                    if layer.beneath:
                        Path(path).parent.mkdir(parents=True, exist_ok=True)
                        shutil.move(layer.beneath, path)
                    else:
                        folders.add(Path(path).parent)
                else:  # another install has written over it
                    above = layers[place + 1]
                    if above.beneath:
                        Path(above.beneath).unlink()
                    above.beneath = layer.beneath
                del layers[place]
            self._forget_if_empty(path)
        for folder in folders:
            _remove_empty(folder)
        self._tidy()

    def keep(self, paths: Iterable[str], owner: object) -> None:
        """What ``owner`` has there stays, and what was there before does not come back."""
        for path in paths:
            layers = self._layers.get(path, [])
            last = max((n for n, each in enumerate(layers) if each.owner is owner), default=-1)
            self._drop(layers[: last + 1])
            del layers[: last + 1]
            self._forget_if_empty(path)
        self._tidy()

    def written_by_others(self, paths: Iterable[str]) -> None:
        """Somebody who undoes nothing has written there: that stays."""
        for path in paths:
            self._drop(self._layers.pop(path, []))
        self._tidy()

    def _drop(self, layers: Iterable[_Layer]) -> None:
        for layer in layers:
            if layer.beneath:
                Path(layer.beneath).unlink()

    def _forget_if_empty(self, path: str) -> None:
        if not self._layers.get(path, True):
            del self._layers[path]

    def _new_place(self) -> str:
        if not self._aside:
            from tempfile import mkdtemp  # few installs write over anything

            self._aside = mkdtemp(prefix="pyodide-mirror-")
        self._count += 1
        return f"{self._aside}/{self._count}"

    def _tidy(self) -> None:
        if self._aside and not self._layers:
            shutil.rmtree(self._aside)
            self._aside = ""


def _remove(path: str) -> None:
    """Remove a file, and what Python has compiled of it."""
    file = Path(path)
    with suppress(OSError):  # it was not unpacked, or is a folder
        file.unlink()
    if path.endswith(".py"):
        compiled = file.with_name("__pycache__")
        with suppress(OSError):  # most often there is none, or it is still needed
            for each in compiled.iterdir():
                if each.name.startswith(f"{file.stem}.") and each.suffix == ".pyc":
                    each.unlink()
            compiled.rmdir()


def _remove_empty(folder: Path) -> None:
    """Remove a folder and those above it, up to site-packages, as long as they are empty."""
    with suppress(OSError):  # from the first that is not
        while str(folder) not in sys.path and str(folder) != sys.prefix:
            folder.rmdir()
            folder = folder.parent
