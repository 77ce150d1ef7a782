"""What waits for the first install, in kernels and pages: next to nothing is loaded until then.

Python is started far more often than something is installed in it. All else comes with the first
install, the first ``%mirror`` or the first use of :mod:`pyodide_mirror`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pyodide_mirror._micropip import PREPARED, InstallHook
from pyodide_mirror.runtime import PackageHook

if TYPE_CHECKING:
    from collections.abc import Callable


def prepare_page() -> None:
    """Have the first ``micropip.install`` of a page configure as its environment says.

    What a kernel has prepared stays, and so does what the page itself has configured.
    """
    if not PREPARED and "pyodide_mirror.api.default" not in sys.modules:
        prepare_install(PackageHook(), lambda session: session.configure_later())


def prepare_install(packages: PackageHook, configure: Callable[[Any], None]) -> None:
    """Have ``configure`` called with the session when the first install makes that."""
    hook = InstallHook(_first_install)
    hook.install()
    PREPARED[:] = [(hook, packages, configure)]


async def _first_install(arguments: dict[str, Any]) -> None:
    from pyodide_mirror.api import SESSION  # which takes the hook over

    await SESSION.plain_install(arguments)
