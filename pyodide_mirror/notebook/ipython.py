"""IPython's shell, and the magic ``%mirror`` in it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MAGIC = "mirror"


def add_magic(function: Callable[[str], Any]) -> None:
    """Let ``%mirror`` call this function, if this is IPython."""
    shell = _shell()
    if shell is not None:
        shell.register_magic_function(function, "line", _MAGIC)


def remove_magic() -> None:
    """Take ``%mirror`` away again."""
    shell = _shell()
    if shell is not None:
        shell.magics_manager.magics["line"].pop(_MAGIC, None)


def add_comm_target(name: str, opened: Callable[[Any, Any], None]) -> None:
    """Have a function called with each comm of that name that a front end opens here."""
    comm = sys.modules.get("comm")  # a kernel that has comms has loaded it
    if comm is not None:
        comm.get_comm_manager().register_target(name, opened)


def _shell() -> Any:
    """IPython's shell, if this is one; nothing is imported to find out."""
    module = sys.modules.get("IPython")
    return None if module is None else module.get_ipython()
