"""The cache folder: files that are fetched once, checked, and shared by all processes."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .checksum import put_with_checksum, read_with_checksum, verified
    from .disk import UNFINISHED, Disk
    from .download import Download, Downloads, Place, StatusError, WrongBytesError
    from .threads import in_thread
    from .unfinished import locked_file, remove_orphans

__getattr__, __dir__, __all__ = hand_on(__name__)
