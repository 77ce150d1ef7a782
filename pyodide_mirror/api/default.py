"""The one session of this Python, and the public functions, which are its methods."""

from __future__ import annotations

from typing import Final

from pyodide_mirror._micropip import PREPARED

from .host import this_host
from .session import Session


def _open() -> Session:
    """Make the session, as the start of a kernel has prepared it, if one has."""
    hook, packages, prepare = PREPARED.pop() if PREPARED else (None, None, None)
    session = Session(this_host(), hook, packages)
    if prepare is not None:
        prepare(session)
    return session


SESSION: Final = _open()

probe = SESSION.probe
configure = SESSION.configure
install = SESSION.install
status = SESSION.status
cache_info = SESSION.cache_info
clear_cache = SESSION.clear_cache
reset = SESSION.reset
