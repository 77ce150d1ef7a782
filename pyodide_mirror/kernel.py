"""What a site's kernels do at their start: next to nothing, until something is to be installed.

A kernel is started far more often than something is installed in it, so what is looked up here is
only micropip, which is loaded already. All else comes with the first install, the first ``%mirror``
or the first use of :mod:`pyodide_mirror`.
"""

from __future__ import annotations

import sys
from typing import Any

from .hook import InstallHook

__all__ = ["STARTED", "prepare", "shell"]

STARTED: list[tuple[InstallHook, dict[str, Any]]] = []
"""The hook, and the arguments of :func:`pyodide_mirror.notebook.activate`, until they are used."""


def prepare(**settings: Any) -> None:
    """Have :func:`pyodide_mirror.notebook.activate` called with these arguments when needed."""
    hook = InstallHook(_first_install)
    hook.install()
    STARTED[:] = [(hook, settings)]
    found = shell()
    if found is not None:
        found.register_magic_function(_magic, "line", "mirror")


def shell() -> Any:
    """IPython's shell, if this is one; nothing is imported to find out."""
    module = sys.modules.get("IPython")
    return None if module is None else module.get_ipython()


async def _first_install(arguments: dict[str, Any]) -> None:
    from . import _session  # which takes the hook over

    await _session.plain_install(arguments)


def _magic(line: str) -> Any:
    """Show the mirrors with their verdicts, the chosen one first."""
    from .notebook import show_mirrors

    return show_mirrors(line)
