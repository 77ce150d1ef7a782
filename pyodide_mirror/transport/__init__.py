"""Requests and their answers, under the rules of web pages."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .base import (
        NO_PROGRESS,
        PageFacts,
        Progress,
        Transport,
        TransportError,
        cut_off,
        timed_out,
        too_large,
    )
    from .client import RetryingClient, request_to, send
    from .cpython import CorsTransport
    from .messages import TRANSIENT, Failure, FailureKind, Request, Response
    from .once_map import OnceMap, begin

__getattr__, __dir__, __all__ = hand_on(__name__)
