"""A folder from which a page loads Pyodide, whichever CDN can be read; digests of its core files.

``pyodide-mirror loader FOLDER`` writes the folder.
"""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .core import CORE_FILES, LOCK, TABLE, CoreFile, core_files, known_versions
    from .folder import MODULE, Written, integrity, write_loader
    from .sources import LoaderError, LocalFolder, Source, fetch_files, source

__getattr__, __dir__, __all__ = hand_on(__name__)
