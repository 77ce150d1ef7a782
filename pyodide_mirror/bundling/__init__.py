"""What is made ready on a host: lock files, and folders with all that they name."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .errors import BundlingError, LockError
    from .folder import BundleSettings, WrittenBundle, write_bundle
    from .locked import LockFile, read_lock_file
    from .locker import lock_requirements
    from .node import Node, default_cache, find_node, npm_pyodide, run_driver, write_whole
    from .requirement_files import Requested, read_requirements
    from .sums import check_bundle

__getattr__, __dir__, __all__ = hand_on(__name__)
