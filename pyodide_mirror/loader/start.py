"""What Python runs in a page when it has started; the loader's module carries its text.

It costs next to nothing: our wheel is unpacked, and micropip's ``install`` replaced by ours, once
micropip is imported.
"""

from __future__ import annotations

import os
import site
import sys
from importlib import invalidate_caches
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec


class _FirstImport:
    """Finds micropip and our package the first time (PEP 451), by the help of all other finders."""

    def __init__(self, unpack: Callable[[str], None]) -> None:
        self._names = {"micropip", "pyodide_mirror"}
        self._unpack = unpack

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """See importlib.abc.MetaPathFinder."""
        if name not in self._names:
            return None
        self._names.remove(name)  # what follows asks all finders, this one too
        spec = find_spec(name)
        if name == "pyodide_mirror":
            if spec is None:  # else somebody has loaded another wheel of ours
                self._unpack(site.getsitepackages()[0])
                invalidate_caches()
                spec = find_spec(name)
        elif spec is None:
            self._names.add(name)
        else:
            _before_use(spec.loader)
        return spec


def _before_use(loader: Any) -> None:
    """Have ours take the place of micropip's install when micropip has been executed."""
    execute = loader.exec_module

    def exec_module(module: Any) -> None:
        execute(module)
        from pyodide_mirror.notebook import prepare_page

        prepare_page()

    loader.exec_module = exec_module


def prepare(unpack: Callable[[str], None] | None, cdns: str, mirrors: str) -> None:
    """Put it into Python's imports. ``unpack`` puts our wheel into a folder; the rest are URLs.

    Without ``unpack`` the page sees to our package, and the URLs alone are told.
    """
    for name, urls in (("PYODIDE_MIRROR_CDNS", cdns), ("PYODIDE_MIRROR_URLS", mirrors)):
        if urls:
            os.environ.setdefault(name, urls)
    if unpack is not None:
        sys.meta_path.insert(0, _FirstImport(unpack))
