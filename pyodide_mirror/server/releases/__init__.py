"""Releases of Pyodide, with its own packages: from a folder, or from CDNs."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .release_folder import ReleaseFolder
    from .releases import Releases

__getattr__, __dir__, __all__ = hand_on(__name__)
