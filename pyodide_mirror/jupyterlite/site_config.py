"""The configuration files of a built site: which wheels its kernels load first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from jupyterlite_core.constants import JUPYTERLITE_IPYNB, JUPYTERLITE_JSON

from .site_wheels import MADE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from jupyterlite_core.addons.base import BaseAddon

PYPI: Final = "pypi"
"""The folder of a site's own index, below its output."""

_KERNEL: Final = "@jupyterlite/pyodide-kernel-extension"
_PLUGIN: Final = f"{_KERNEL}:kernel"
_WORKER_FOLDER: Final = f"extensions/{_KERNEL}/static"
_FROM_WORKER: Final = f"{'../' * len(_WORKER_FOLDER.split('/'))}{PYPI}/"
_OURS: Final = re.compile(rf"{re.escape(_FROM_WORKER)}{MADE.pattern}")
_INDEX_URL: Final = f"./{PYPI}/all.json"
_OPTIONS, _PACKAGES, _INDEXES = "loadPyodideOptions", "packages", "pipliteUrls"


class SiteConfig:
    """The settings of the Pyodide kernel in a site's output. ``addon`` reads and writes them."""

    def __init__(self, addon: BaseAddon) -> None:
        self._addon = addon
        self._source: Path = addon.manager.lite_dir
        self._output: Path = addon.manager.output_dir

    def has_kernel(self) -> bool:
        """Whether the site has a Pyodide kernel."""
        return (self._output / _WORKER_FOLDER).is_dir()

    def loaded_wheels(self) -> set[str]:
        """The file names of our wheels among the packages that kernels load first."""
        return {
            str(entry).rpartition("/")[2]
            for path in self._files()
            for entry in self._options(path).get(_PACKAGES, [])
            if _OURS.fullmatch(str(entry))
        }

    def load_wheels(self, names: Iterable[str]) -> None:
        """Have kernels load these wheels of ours first, and no others of ours."""
        urls = [f"{_FROM_WORKER}{name}" for name in names]
        holders = [path for path in self._files() if _OPTIONS in self._settings(path)]
        if urls and not any(path.parent == self._output for path in holders):
            holders.append(self._output / JUPYTERLITE_JSON)
        for path in holders:
            self._set_packages(path, urls)

    def drop_index(self) -> None:
        """Remove the index that has no wheels, which piplite's add-on would leave as it was."""
        folder = self._output / PYPI
        (folder / "all.json").unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()
        root = self._output / JUPYTERLITE_JSON
        settings = self._settings(root)
        urls = settings.get(_INDEXES, [])
        kept = [url for url in urls if url.partition("?")[0] != _INDEX_URL]
        if kept != urls:
            self._write(root, settings | {_INDEXES: kept})

    def _files(self) -> list[Path]:
        """The configuration files that exist: those of the site, then those of its apps."""
        output = self._output
        names = (JUPYTERLITE_JSON, JUPYTERLITE_IPYNB)
        found = [path for name in names for path in (output / name, *output.glob(f"*/{name}"))]
        return [path for path in found if path.exists()]

    def _settings(self, path: Path) -> dict[str, Any]:
        return dict(self._addon.get_lite_plugin_settings(path, _PLUGIN))

    def _write(self, path: Path, settings: dict[str, Any]) -> None:
        self._addon.set_lite_plugin_settings(path, _PLUGIN, settings)

    def _options(self, path: Path) -> dict[str, Any]:
        """A file's ``loadPyodideOptions``. Raises TypeError for a list of packages that is none.

        Those of an app replace those of the site.
        """
        options = self._settings(path).get(_OPTIONS, {})
        if not (isinstance(options, dict) and isinstance(options.get(_PACKAGES, []), list)):
            raise TypeError(f"{path}: {_OPTIONS}.{_PACKAGES} must be a list of packages.")
        return options

    def _set_packages(self, path: Path, urls: list[str]) -> None:
        options = self._options(path)
        present = options.get(_PACKAGES, [])
        packages = [*(entry for entry in present if not _OURS.fullmatch(str(entry))), *urls]
        if packages == present:
            return
        owners = self._settings(self._source / path.relative_to(self._output))
        settings = self._settings(path)
        settings[_OPTIONS] = {**options, _PACKAGES: packages}
        # What is empty stays only if the owner has written it so.
        if not packages and _PACKAGES not in owners.get(_OPTIONS, {}):
            del settings[_OPTIONS][_PACKAGES]
        if not settings[_OPTIONS] and _OPTIONS not in owners:
            del settings[_OPTIONS]
        self._write(path, settings)
