"""What is told of requests: how each was handled, the access log, and what is counted."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .counts import FORGETS, Counts
    from .handled import COMPLETE, Handled, note_user
    from .log import access_log
    from .observed import Observed
    from .shared_counts import VARIABLE, counted_together, forget_process

__getattr__, __dir__, __all__ = hand_on(__name__)
