"""What is read out of wheels and sdists."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .archive import read_metadata
    from .sdist import read_pkg_info

__getattr__, __dir__, __all__ = hand_on(__name__)
