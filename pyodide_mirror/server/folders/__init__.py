"""Folders of distributions: what is in them, and what of it can be served."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .files import Stamp, digest_of, stamps_of
    from .several import local_folders
    from .tree import project_of

__getattr__, __dir__, __all__ = hand_on(__name__)
