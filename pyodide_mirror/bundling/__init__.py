"""What is made ready on a host, where Node runs Pyodide: lock files, and folders of them."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .errors import LockError
    from .locker import lock_requirements
    from .node import Node, default_cache, find_node, npm_pyodide, run_driver, write_whole
    from .requirement_files import Requested, read_requirements

__getattr__, __dir__, __all__ = hand_on(__name__)
