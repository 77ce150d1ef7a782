"""Loads the names that a package hands on when they are first used (PEP 562)."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._imports import quick_imports, use_archive

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["hand_on"]


def hand_on(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return the ``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    The names are those that the package's ``__init__.py`` imports from its own modules for type
    checkers, under ``if TYPE_CHECKING``, so that they are listed only once. A page pays for each
    module that it imports; so a module is imported when the first of its names is used.
    """
    module = sys.modules[package]
    use_archive(module)
    # The package may be in an archive.
    loader: Any = module.__spec__ and module.__spec__.loader
    homes = _imported(loader.get_data(module.__file__).decode())

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with quick_imports():
            value = getattr(import_module(homes[name], package), name)
        setattr(module, name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(module), *homes})

    return load, names, sorted(homes)


def _imported(source: str) -> dict[str, str]:
    """The modules that names are imported from: ``from .module import (name, name as name)``."""
    statements = re.findall(r"from (\.\w+) import (\([^)]*|.*)", source)
    return {
        name.split()[-1]: home
        for home, names in statements
        for name in names.strip("()\n ").split(",")
        if name.strip()
    }
