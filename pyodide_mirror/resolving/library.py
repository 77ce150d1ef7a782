"""resolvelib, the resolver of pip and pdm, loaded where a conflict asks for it.

A page has it from a wheel that is not installed: users see no package that they did not ask for.
"""

from __future__ import annotations

import io
import sys
import zipfile
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from types import ModuleType

_NAME: Final = "resolvelib"
VERSIONS: Final = ">=1.1,<2"
"""Those that ask as :class:`~pyodide_mirror.resolving.provider.Provider` answers."""
_FOUND: list[Any] = []
"""The library, when it was loaded."""


def is_importable() -> bool:
    """Whether it need not be read from anywhere."""
    return bool(_FOUND) or find_spec(_NAME) is not None


def the_library() -> Any:
    """The library, which is loaded or can be imported."""
    if not _FOUND:
        _FOUND.append(import_module(_NAME))
    return _FOUND[0]


def library_in(wheel: bytes) -> Any:
    """The library in its wheel. Raises ValueError or ImportError, or what its code raises."""
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            sources = {
                name: archive.read(name).decode()
                for name in archive.namelist()
                if name.startswith(f"{_NAME}/") and name.endswith(".py")
            }
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"it is no readable wheel ({error})") from error
    finder = _SourceFinder(sources)
    sys.meta_path.insert(0, cast("Any", finder))
    try:
        _FOUND.append(import_module(_NAME))
    finally:
        sys.meta_path.remove(cast("Any", finder))
        for name in [name for name in sys.modules if name.partition(".")[0] == _NAME]:
            del sys.modules[name]  # who wants to import it has to install it
    return _FOUND[0]


class _SourceFinder:
    """Finds modules among sources, by their path."""

    def __init__(self, sources: dict[str, str]) -> None:
        self._sources = sources

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: object = None
    ) -> ModuleSpec | None:
        """The spec of a module that is there."""
        stem = name.replace(".", "/")
        for path in (f"{stem}/__init__.py", f"{stem}.py"):
            if path in self._sources:
                is_package = path.endswith("__init__.py")
                return ModuleSpec(name, cast("Loader", self), origin=path, is_package=is_package)
        return None

    def create_module(self, _spec: ModuleSpec) -> None:
        """Leave that to Python."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module."""
        path = str(getattr(module.__spec__, "origin", ""))
        exec(compile(self._sources[path], path, "exec"), vars(module))  # noqa: S102  # verified
