"""Other indexes: their pages, metadata and files; and CDNs that have a file, too."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .cdn_copies import CDNCopies, KnownFile
    from .upstream import Upstream

__getattr__, __dir__, __all__ = hand_on(__name__)
