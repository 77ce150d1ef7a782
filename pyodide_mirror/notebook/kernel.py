"""What the kernels of a site run at their start, with the add-on for JupyterLite.

Nothing is to be loaded for it but micropip, which is there already: see :mod:`.startup`.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from pyodide_mirror.runtime import PackageHook

from .ipython import add_magics
from .startup import prepare_install

if TYPE_CHECKING:
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

    comms = sys.modules.get("comm")  # a kernel that has comms has loaded it
    if comms is not None:
        comms.get_comm_manager().register_target("pyodide_mirror", opened)
    if "pyodide_mirror.api.default" in sys.modules:  # something has been installed
        from pyodide_mirror.api import SESSION

        configure(SESSION)
        return
    packages = PackageHook()
    packages.default = _first_request
    packages.install()
    prepare_install(packages, configure)
    add_magics(_magic)


def _first_request() -> PackageRequest:
    """How the first package is loaded that Pyodide is asked for."""
    from pyodide_mirror.api import SESSION  # which takes the hook over, and configures

    return SESSION.plain_request()


def _magic(line: str) -> Any:
    """Show the mirrors with their verdicts, the chosen one first."""
    from .extension import show_mirrors

    return show_mirrors(line)
