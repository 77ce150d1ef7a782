"""One folder with Pyodide, packages and their index, for any web space that serves files."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .folder import BundleSettings, WrittenBundle, write_bundle
    from .locked import LockFile, read_lock_file
    from .sums import check_bundle
    from .wanted import BundleError

__getattr__, __dir__, __all__ = hand_on(__name__)
