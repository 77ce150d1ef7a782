"""resolvelib, the resolver of pip and pdm, loaded where a conflict asks for it.

A page has it from a wheel that is not installed: users see no package that they did not ask for.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module, invalidate_caches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

LIBRARY: Final = "resolvelib"
VERSIONS: Final = ">=1.1,<2"
"""Those that ask as :class:`~pyodide_mirror.resolving.provider.Provider` answers."""
_LOADED: list[Any] = []


def loaded_library() -> Any:
    """The library, if it is loaded or can be imported; else None."""
    if not _LOADED and find_spec(LIBRARY) is not None:
        _LOADED.append(import_module(LIBRARY))
    return _LOADED[0] if _LOADED else None


def library_in(wheel: bytes) -> Any:
    """The library in its wheel. Raises ImportError, AttributeError or SyntaxError if it is none."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{LIBRARY}.whl")
        path.write_bytes(wheel)
        sys.path.insert(0, str(path))
        invalidate_caches()
        try:
            found: Any = import_module(LIBRARY)
            if found.resolvers.Resolution and found.BaseReporter:
                _LOADED.append(found)
        finally:
            sys.path.remove(str(path))
            for name in [name for name in sys.modules if name.partition(".")[0] == LIBRARY]:
                del sys.modules[name]  # who wants to import it has to install it
    return _LOADED[0]
