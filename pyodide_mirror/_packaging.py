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

_PLACES = ["micropip._vendored.packaging.src.packaging", "packaging"]
"""Where micropip has it, in 0.9 to 0.11, and the project: in pages the first is preferred."""
if sys.platform != "emscripten":
    _PLACES.reverse()


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    preferred, other = _PLACES
    try:
        module = import_module(f"{preferred}.{name}")
    except ImportError:  # another version of micropip, or no page
        module = import_module(f"{other}.{name}")
    setattr(sys.modules[__name__], name, module)
    return module
