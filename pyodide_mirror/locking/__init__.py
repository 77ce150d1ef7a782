"""Lock files (PEP 751): written of what is installed, and installed from."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .reading import LockedRequest, choose, fetch_file, read_lock
    from .writing import INSTALLERS, TOOL, lock_of

__getattr__, __dir__, __all__ = hand_on(__name__)
