"""The project ``packaging``: the copy that micropip has of it, where there is one.

A page loads micropip in any case, and with it that copy; the project itself would be one more wheel
to fetch, and 100 ms more to import.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from packaging import requirements, specifiers, tags, utils, version

__all__ = ["requirements", "specifiers", "tags", "utils", "version"]

_PLACES = ("micropip._vendored.packaging.src.packaging", "packaging")
"""Where micropip has it since 0.6, and the project."""


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{_place()}.{name}")
    setattr(sys.modules[__name__], name, module)
    return module


def _place() -> str:
    in_pages = sys.platform == "emscripten"
    try:
        import_module(_PLACES[0] if in_pages else _PLACES[1])
    except ImportError:  # another version of micropip, or no page
        in_pages = not in_pages
    return _PLACES[0] if in_pages else _PLACES[1]
