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
    "configure",
    "install",
    "probe",
    "reset",
    "show_progress",
    "status",
]

__version__ = "0.1.0.dev0"

_session = Session(this_host())

probe = _session.probe
configure = _session.configure
install = _session.install
status = _session.status
reset = _session.reset
