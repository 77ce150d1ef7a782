"""Find a package index that works from this browser, and let micropip install through it.

>>> import pyodide_mirror
>>> await pyodide_mirror.install("textual")  # doctest: +SKIP
"""

from .errors import DigestMismatch, IncompleteInstall, MirrorError, NoUsableMirror, Reason, Support
from .hosts import this_host
from .mirrors import MIRRORS
from .model import Mirror, Outcome
from .progress import show_progress
from .report import Event, Installed, InstallReport, Report
from .session import Session

__all__ = [
    "MIRRORS",
    "DigestMismatch",
    "Event",
    "IncompleteInstall",
    "InstallReport",
    "Installed",
    "Mirror",
    "MirrorError",
    "NoUsableMirror",
    "Outcome",
    "Reason",
    "Report",
    "Support",
    "cache_info",
    "clear_cache",
    "configure",
    "install",
    "load_ipython_extension",
    "probe",
    "reset",
    "show_progress",
    "status",
    "unload_ipython_extension",
]

__version__ = "0.1.0.dev0"

_session = Session(this_host())

probe = _session.probe
configure = _session.configure
install = _session.install
status = _session.status
cache_info = _session.cache_info
clear_cache = _session.clear_cache
reset = _session.reset


def load_ipython_extension(_: object) -> None:
    """What ``%load_ext pyodide_mirror`` calls: the first install configures, and says how."""
    from .notebook import activate

    activate()


def unload_ipython_extension(_: object) -> None:
    """What ``%unload_ext pyodide_mirror`` calls."""
    from .notebook import deactivate

    deactivate()
