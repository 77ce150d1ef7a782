"""A mirror at the edge of a CDN: ``worker.js``, and the folder that deploys it.

``pyodide-mirror edge FOLDER`` writes the folder; :func:`write_folder` does it from Python. Needs
nothing but what the package itself needs.
"""

from __future__ import annotations

from .command import add_parser
from .folder import EdgeError, worker_source, write_folder
from .learning import learn_file_hosts

__all__ = ["EdgeError", "add_parser", "learn_file_hosts", "worker_source", "write_folder"]
