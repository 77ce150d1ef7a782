"""The connection to the browser: everything that calls JavaScript."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .database import has_choice
    from .fetch import FetchTransport
    from .ffi import Rejected, promise_of, settle
    from .page import is_locked, page_facts
    from .policies import Policies
    from .storage import open_cache, open_store

__getattr__, __dir__, __all__ = hand_on(__name__)
