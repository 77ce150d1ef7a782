"""What a site's kernels run at their start: next to nothing, until something is to be installed.

A kernel is started far more often than something is installed in it, so what is loaded here is only
micropip, which is there already. All else comes with the first install, the first ``%mirror`` or
the first use of :mod:`pyodide_mirror`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from pyodide_mirror._micropip import PREPARED, InstallHook
from pyodide_mirror.runtime import PackageHook

from .ipython import add_comm_target, add_magics

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyodide_mirror.runtime import PackageRequest


def prepare(*, locked: bool = False, **settings: Any) -> None:
    """Have the first install configure with these arguments of :func:`.extension.activate`.

    What the user has set in the page comes before them, unless they are ``locked``. The front end
    passes it on in the environment, as JSON.
    """
    preferences = "" if locked else os.environ.get("PYODIDE_MIRROR_PREFERENCES")

    def configure(session: Any) -> None:
        if preferences or f"{__package__}.comm" in sys.modules:
            from .comm import begin  # a front end may have told it other ones

            begin(session, settings, preferences)
            return
        from .extension import activate

        activate(session, **settings)

    def opened(comm: Any, message: Any) -> None:
        from .comm import MirrorComm

        MirrorComm(comm, message, settings, locked=locked)

    add_comm_target("pyodide_mirror", opened)
    if "pyodide_mirror.api.default" in sys.modules:  # something has been installed
        from pyodide_mirror.api import SESSION

        configure(SESSION)
        return
    packages = PackageHook()
    packages.default = _first_request
    packages.install()
    _prepare(packages, configure)
    add_magics(_magic)


def prepare_page() -> None:
    """Have the first ``micropip.install`` of a page configure as its environment says.

    What a kernel has prepared stays, and so does what the page itself has configured.
    """
    if not PREPARED and "pyodide_mirror.api.default" not in sys.modules:
        _prepare(PackageHook(), lambda session: session.configure_later())


def _prepare(packages: PackageHook, configure: Callable[[Any], None]) -> None:
    hook = InstallHook(_first_install)
    hook.install()
    PREPARED[:] = [(hook, packages, configure)]


async def _first_install(arguments: dict[str, Any]) -> None:
    from pyodide_mirror.api import SESSION  # which takes the hook over

    await SESSION.plain_install(arguments)


def _first_request() -> PackageRequest:
    """How the first package is loaded that Pyodide is asked for."""
    from pyodide_mirror.api import SESSION  # which takes the hook over, and configures

    return SESSION.plain_request()


def _magic(line: str) -> Any:
    """Show the mirrors with their verdicts, the chosen one first."""
    from .extension import show_mirrors

    return show_mirrors(line)
