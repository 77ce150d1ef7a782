"""Uploads, by the API that twine, uv and Poetry speak."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .uploads import Uploads

__getattr__, __dir__, __all__ = hand_on(__name__)
