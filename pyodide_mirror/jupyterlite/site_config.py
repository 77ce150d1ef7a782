"""The configuration files of a site: its kernels' Pyodide, and which wheels they load first."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from jupyterlite_core.constants import JUPYTERLITE_IPYNB, JUPYTERLITE_JSON

from .site_wheels import MADE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
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
_URL, _INDEX = "pyodideUrl", "indexURL"
_PYODIDE_ADDON: Final = "jupyterlite-pyodide-kernel-pyodide"
_PYODIDE: Final = "static/pyodide"
"""The folder of a site's own Pyodide, below its source and its output."""
LOADER: Final = "static/pyodide-mirror"
"""The loader's folder, below a site's output."""
_LOADER_URLS: Final = (f"./{LOADER}/pyodide.mjs", f"./{LOADER}/pyodide/pyodide.mjs")
"""The loader's module: alone, and in a bundle."""
_OWN_PYODIDE: Final = re.compile(rf"\./{_PYODIDE}/pyodide\.m?js")


class SiteConfig:
    """The settings of the Pyodide kernel in a site's output. ``addon`` reads and writes them."""

    def __init__(self, addon: BaseAddon) -> None:
        self._addon = addon
        self._source: Path = addon.manager.lite_dir
        self._output: Path = addon.manager.output_dir

    def has_kernel(self) -> bool:
        """Whether the site has a Pyodide kernel."""
        return (self._output / _WORKER_FOLDER).is_dir()

    def python(self, lock: Path | None = None) -> str:
        """The tag of the kernels' Python, like ``cp314``; "" where it cannot be known now.

        ``lock``: the lock file of their Pyodide, where that is known.
        """
        if lock is not None:
            return _python_of(lock)
        other = self.other_pyodide()
        if other == _PYODIDE:
            return _python_of(self._source / _PYODIDE / "pyodide-lock.json")
        return "" if other else _tag(self._constants().PYODIDE_PYTHON_VERSION)

    def pyodide_version(self) -> str:
        """The version of Pyodide that kernels take where the owner names none.

        "" for kernels that load no module: those of JupyterLite 0.7.
        """
        constants = self._constants()
        return str(constants.PYODIDE_VERSION) if hasattr(constants, "PYODIDE_MJS") else ""

    @staticmethod
    def _constants() -> Any:
        from jupyterlite_pyodide_kernel import constants  # it may not be here

        return constants

    def other_pyodide(self) -> str:
        """The setting that has kernels take Pyodide from elsewhere than from their CDN, or ""."""
        addon = self._addon.manager._addons.get(_PYODIDE_ADDON)  # noqa: SLF001  # see addon.py
        urls = set(self._pyodide_urls())
        if any(not _OWN_PYODIDE.fullmatch(url) for url in urls):
            return f"{_URL} or {_INDEX}"
        if addon and (self._source / _PYODIDE).is_dir():
            return _PYODIDE
        return _URL if urls else "--pyodide" if getattr(addon, "pyodide_url", None) else ""

    def _pyodide_urls(self) -> Iterator[str]:
        """The places of Pyodide that the owner has named, and those of the build before."""
        apps = ["", *self._addon.manager.apps]
        sources = [
            self._source / app / name
            for app in apps
            for name in (JUPYTERLITE_JSON, JUPYTERLITE_IPYNB)
        ]
        for path in [*sources, *self._files()]:
            named = (self._settings(path).get(_URL), self._options(path).get(_INDEX))
            yield from (str(url) for url in named if url and url not in _LOADER_URLS)

    def has_loader(self) -> bool:
        """Whether kernels take Pyodide from the loader's folder."""
        return self._settings(self._output / JUPYTERLITE_JSON).get(_URL) in _LOADER_URLS

    def use_loader(self, *, wanted: bool, in_bundle: bool = False) -> None:
        """Have kernels take Pyodide from the loader's folder, or no longer."""
        path = self._output / JUPYTERLITE_JSON
        settings = self._settings(path)
        url = _LOADER_URLS[in_bundle] if wanted else None
        if settings.get(_URL) == url or not (wanted or self.has_loader()):
            return
        settings.pop(_URL, None)
        self._write(path, {**settings, **({_URL: url} if url else {})})

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


def _python_of(lock: Path) -> str:
    """The tag of the Python that a lock file of Pyodide is for; "" where there is none."""
    if not lock.is_file():
        return ""
    try:
        return _tag(json.loads(lock.read_bytes())["info"]["python"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{lock} is no lock file of Pyodide: put the release's there.") from None


def _tag(version: str) -> str:
    """The tag (PEP 425) of a version of CPython."""
    found = re.match(r"3\.(\d+)", version)
    return f"cp3{found[1]}" if found else ""
