"""What a site's kernels run at their start: next to nothing, until something is to be installed.

A kernel is started far more often than something is installed in it, so what is loaded here is only
micropip, which is there already. All else comes with the first install, the first ``%mirror`` or
the first use of :mod:`pyodide_mirror`.
"""

from __future__ import annotations

from typing import Any

from pyodide_mirror._micropip import PREPARED, InstallHook

from .ipython import add_magic


def prepare(**settings: Any) -> None:
    """Have the first install configure with these arguments of :func:`.extension.activate`."""

    def configure(session: Any) -> None:
        from .extension import activate

        activate(session, **settings)

    hook = InstallHook(_first_install)
    hook.install()
    PREPARED[:] = [(hook, configure)]
    add_magic(_magic)


async def _first_install(arguments: dict[str, Any]) -> None:
    from pyodide_mirror.api import SESSION  # which takes the hook over

    await SESSION.plain_install(arguments)


def _magic(line: str) -> Any:
    """Show the mirrors with their verdicts, the chosen one first."""
    from .extension import show_mirrors

    return show_mirrors(line)
