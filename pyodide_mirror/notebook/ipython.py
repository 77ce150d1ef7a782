"""IPython's shell, and the magics ``%mirror`` and ``%pip`` in it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MAGIC = "mirror"
_BEFORE: list[Callable[[], None]] = []
"""What takes ``%pip`` away again."""


def add_magics(show_mirrors: Callable[[str], Any]) -> None:
    """Let ``%mirror`` call this function, and have ``%pip``, if this is IPython."""
    found = shell()
    if found is None:
        return
    found.register_magic_function(show_mirrors, "line", _MAGIC)
    if not _BEFORE:
        _add_pip(found)


def remove_magics() -> None:
    """Take them away again."""
    found = shell()
    if found is not None:
        found.magics_manager.magics["line"].pop(_MAGIC, None)
    while _BEFORE:
        _BEFORE.pop()()


def shell() -> Any:
    """IPython's shell, if this is one; nothing is imported to find out."""
    module = sys.modules.get("IPython")
    return None if module is None else module.get_ipython()


def _add_pip(found: Any) -> None:
    """Have cells rewritten before IPython does it, whose magics cannot be waited for.

    pyodide-kernel does it for its own ``%pip``, before it loads what a cell imports; ours takes
    the place of that.
    """
    kernel = getattr(found, "kernel", None)
    manager = getattr(kernel, "lite_transform_manager", None)
    transforms = getattr(manager, "line_transforms", None)
    if transforms is None:
        transforms, ours = found.input_transformers_cleanup, with_pip
    else:
        ours = _with_pip_later
    own = list(transforms)
    transforms[:] = [*(each for each in own if each.__name__ != "pip_magic"), ours]

    def undo() -> None:
        transforms[:] = own

    _BEFORE.append(undo)


def with_pip(lines: list[str]) -> list[str]:
    """The lines of a cell, where those with ``%pip`` are Python."""
    if not any("%pip" in line for line in lines):
        return lines
    from .pip_cell import rewritten

    return rewritten(lines)


async def _with_pip_later(lines: list[str]) -> list[str]:
    return with_pip(lines)
