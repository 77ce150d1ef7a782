"""IPython's shell, and the magics ``%mirror`` and ``%pip`` in it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MAGIC = "mirror"
_OWN: list[Any] = []
"""pyodide-kernel's own ``%pip``, while ours is in its place."""


def add_magics(show_mirrors: Callable[[str], Any]) -> None:
    """Let ``%mirror`` call this function, and have our ``%pip``, if this is IPython."""
    found = shell()
    if found is None:
        return
    found.register_magic_function(show_mirrors, "line", _MAGIC)
    _replace(found, "pip_magic", _with_pip)


def remove_magics() -> None:
    """Take them away again."""
    found = shell()
    if found is not None:
        found.magics_manager.magics["line"].pop(_MAGIC, None)
        _replace(found, "_with_pip", *_OWN)


def shell() -> Any:
    """IPython's shell, if this is one; nothing is imported to find out."""
    module = sys.modules.get("IPython")
    return None if module is None else module.get_ipython()


def _replace(found: Any, name: str, other: Any = None) -> None:
    """Replace the function of this name, if it is there, among those that rewrite cells.

    pyodide-kernel does that before it looks for imports in them; IPython's own magics cannot be
    waited for.
    """
    manager = getattr(getattr(found, "kernel", None), "lite_transform_manager", None)
    transforms = getattr(manager, "line_transforms", [])
    for place, each in enumerate(transforms):
        if each.__name__ == name:
            transforms[place], _OWN[:] = other, [each]


async def _with_pip(lines: list[str]) -> list[str]:
    """The lines of a cell, where those with ``%pip`` are Python."""
    if any("%pip" in line for line in lines):
        from .pip_options import rewritten

        lines = rewritten(lines)
    return lines
