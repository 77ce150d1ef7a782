"""The server as a program: its processes, sockets and certificates."""

from typing import TYPE_CHECKING

from pyodide_mirror._lazy import hand_on

if TYPE_CHECKING:
    from .run import run_server

__getattr__, __dir__, __all__ = hand_on(__name__)
