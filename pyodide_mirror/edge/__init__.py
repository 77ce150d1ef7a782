"""A package index at the edge of a CDN: ``worker.js``, and the folder that deploys it.

``pyodide-mirror edge FOLDER`` writes the folder; :func:`write_folder` does it from Python.
"""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .file_hosts import learn_file_hosts
    from .folder import DEFAULT_NAME, EdgeError, has_releases, worker_source, write_folder

__getattr__, __dir__, __all__ = hand_on(__name__)
