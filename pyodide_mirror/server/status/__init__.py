"""What the server tells of itself: its start page, its state as JSON, its metrics."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .metrics import Metrics
    from .status import Status

__getattr__, __dir__, __all__ = hand_on(__name__)
