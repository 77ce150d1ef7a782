"""Requests to upstreams, and their bodies, bounded."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .body import TooLargeError, receive, unpacked
    from .client import UpstreamClient, UpstreamError

__getattr__, __dir__, __all__ = hand_on(__name__)
