"""Reports and events, and how they are shown."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .events import WATCHERS, Event, EventKind, EventLog, Installed, broadcast, notify
    from .progress import show_progress
    from .report import InstallReport, Report

__getattr__, __dir__, __all__ = hand_on(__name__)
