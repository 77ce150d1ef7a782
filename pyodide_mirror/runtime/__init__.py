"""The packages of Pyodide's lock file, from whichever CDN can be read."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .check import LockedFile, probe_cdn
    from .hook import PackageHook, PackageRequest, PackageSource
    from .lockfile import pyodide_version
    from .probe_all import NEWEST_PYODIDE, probe_cdns
    from .reader import PackageReader
    from .search import CDN_VARIABLE, default_cdns

__getattr__, __dir__, __all__ = hand_on(__name__)
