"""Find a package index that works from this browser, and let micropip install through it.

>>> import pyodide_mirror
>>> await pyodide_mirror.install("textual")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .errors import (
        DigestMismatch,
        IncompleteInstall,
        MirrorError,
        NoUsableMirror,
        Reason,
        Support,
    )
    from .mirrors import MIRRORS
    from .model import Mirror, Outcome
    from .progress import show_progress
    from .report import Event, Installed, InstallReport, Report
    from .session import Session

    _session = Session.__new__(Session)
    probe = _session.probe
    configure = _session.configure
    install = _session.install
    status = _session.status
    cache_info = _session.cache_info
    clear_cache = _session.clear_cache
    reset = _session.reset

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

# What is loaded when it is first used: an import takes as long as its modules are many.
_ROOMS: Final = {
    "errors": (
        *("DigestMismatch", "IncompleteInstall", "MirrorError", "NoUsableMirror"),
        *("Reason", "Support"),
    ),
    "mirrors": ("MIRRORS",),
    "model": ("Mirror", "Outcome"),
    "progress": ("show_progress",),
    "report": ("Event", "InstallReport", "Installed", "Report"),
}
_METHODS: Final = ("cache_info", "clear_cache", "configure", "install", "probe", "reset", "status")


def load_ipython_extension(_: object) -> None:
    """What ``%load_ext pyodide_mirror`` calls: the first install configures, and says how."""
    from .notebook import activate

    activate()


def unload_ipython_extension(_: object) -> None:
    """What ``%unload_ext pyodide_mirror`` calls."""
    from .notebook import deactivate

    deactivate()


if not TYPE_CHECKING:  # which would take any name for one of ours

    def __getattr__(name: str) -> Any:  # PEP 562
        if name == "_session" or name in _METHODS:
            _open_session()
            return globals()[name]
        for room, names in _ROOMS.items():
            if name in names:
                value = globals()[name] = getattr(import_module(f".{room}", __name__), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _open_session() -> None:
    """Make the one session there is, as the site's kernel has prepared it, if one has."""
    from .hosts import this_host
    from .kernel import STARTED
    from .session import Session

    hook, settings = STARTED.pop() if STARTED else (None, None)
    session = Session(this_host(), hook)
    globals().update({name: getattr(session, name) for name in _METHODS}, _session=session)
    if settings is not None:
        from .notebook import activate

        activate(**settings)
