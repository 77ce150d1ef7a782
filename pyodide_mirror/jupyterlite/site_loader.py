"""The loader's folder in a site, by which its kernels start from whichever CDN can be read."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final, NamedTuple

from pyodide_mirror.cdns import CDNS
from pyodide_mirror.loader import MODULE, LoaderError, LocalFolder, core_files, write_loader

from .site_bundle import PYODIDE, copy_bundle
from .site_config import LOADER, SiteConfig

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jupyterlite_core.addons.base import BaseAddon

    from pyodide_mirror.loader import Source
    from pyodide_mirror.model import CDN

_ADVICE: Final = "or build with --no-pyodide-mirror-loader"


class LoaderSettings(NamedTuple):
    """How a site's owner wants the loader.

    ``asked``: whether, or a folder with an unpacked release; None: where it can be.
    ``cdns``: what kernels ask; those that are known when there are none. ``timeout``: seconds.
    ``bundle``: a folder with Pyodide and all else, which is put into the site; "" for none.
    """

    asked: bool | str | None
    cdns: Sequence[CDN]
    timeout: float
    bundle: str = ""


class SiteLoader:
    """The loader's folder in the output of the site that ``addon`` belongs to."""

    def __init__(self, addon: BaseAddon) -> None:
        self._addon = addon
        self._config = SiteConfig(addon)
        self._folder: Path = addon.manager.output_dir / LOADER

    def is_there(self) -> bool:
        """Whether an earlier build, or this one, has written it."""
        return any(
            module.is_file() and b"pyodide-mirror" in module.read_bytes().partition(b"\n")[0]
            for module in (self._folder / MODULE, self._folder / PYODIDE / MODULE)
        )

    def remove(self) -> None:
        """Remove it, but nothing that somebody else has put there."""
        if self.is_there():
            shutil.rmtree(self._folder)

    def build(self, settings: LoaderSettings) -> bool:
        """Write it anew where it is wanted and can be; returns whether it was.

        Raises ValueError only when the owner has asked for it: what could be built without a
        network can be still.
        """
        self.remove()
        if settings.bundle:
            self._copy(self._addon.manager.lite_dir / settings.bundle)
            return True
        try:
            version = self._version(asked=bool(settings.asked))
            if settings.asked is False or not version:
                return False
            self._write(version, settings)
        except (ValueError, LoaderError, OSError) as error:
            self.remove()
            if settings.asked is not None:
                raise ValueError(f"PyodideMirrorAddon.loader: {error}, {_ADVICE}.") from error
            self._addon.log.warning(
                "[pyodide-mirror] kernels load Pyodide from its one CDN, because %s, %s",
                *(error, _ADVICE),
            )
            return False
        return True

    def _copy(self, bundle: Path) -> None:
        try:
            self._version(asked=True)
            copy_bundle(bundle, self._folder)
        except (ValueError, LoaderError, OSError) as error:
            self.remove()
            raise ValueError(f"PyodideMirrorAddon.bundle: {error}.") from error
        for path in (self._folder, *self._folder.rglob("*")):
            self._addon.maybe_timestamp(path)

    def check(self, *, wanted: bool) -> None:
        """ValueError unless kernels load Pyodide from it as they are to."""
        if {self._config.has_loader(), self.is_there()} != {wanted}:
            raise ValueError(
                "The site does not load Pyodide as it is configured (pyodideUrl,"
                f" {LOADER}): build it again."
            )

    def _version(self, *, asked: bool) -> str:
        """The version of Pyodide that it is to load; "" for none: an error if it is asked for."""
        other = self._config.other_pyodide()
        if not asked:
            return "" if other else self._config.pyodide_version()
        if other:
            raise ValueError(f"Pyodide comes from elsewhere already, by {other}: take that away")
        if not self._config.pyodide_version():
            raise ValueError("it needs JupyterLite 0.8: update it")
        return self._config.pyodide_version()

    def _write(self, version: str, settings: LoaderSettings) -> None:
        cache = self._addon.manager.cache_dir / "pyodide-mirror" / version
        folders = [cache]
        if isinstance(settings.asked, str):
            folders.insert(0, self._addon.manager.lite_dir / settings.asked)
            if not folders[0].is_dir():
                raise ValueError(f"{folders[0]} is not a folder: name another one")
        sources: list[Source] = [LocalFolder(folder) for folder in folders if folder.is_dir()]
        sources += settings.cdns or CDNS
        write_loader(self._folder, version, sources, timeout=settings.timeout, package=False)
        self._keep(version, cache)
        self._addon.maybe_timestamp(self._folder)

    def _keep(self, version: str, cache: Path) -> None:
        """Put Pyodide's files into the cache, so that the next build needs no network."""
        cache.mkdir(parents=True, exist_ok=True)
        contents = [path.read_bytes() for path in self._folder.iterdir()]
        for file in core_files(version).values():
            for content in filter(file.fits, contents):
                (cache / file.name).write_bytes(content)
