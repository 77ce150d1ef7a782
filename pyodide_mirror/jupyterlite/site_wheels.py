"""The wheels that the add-on for JupyterLite makes: a site's own, and of what is installed."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from pyodide_mirror.own_wheels import compiled_wheel, page_wheel, pure_wheel
from pyodide_mirror.rebuilt import rebuilt_wheel

SITE: Final = "pyodide_mirror_site"
"""The name of a site's wheel, as file names have it."""

# Earlier releases made one of packaging, too; it is to go when a site is built again.
MADE: Final = re.compile(
    rf"((pyodide_mirror|comm|packaging|resolvelib)-[^-/]+-0x[0-9a-f]{{12}}-(py3|cp3\d+)|{SITE}-[^-/]+-py3)"
    r"-none-any\.whl"
)
"""The names of the wheels that the add-on puts into a site: nobody else writes such a build tag."""

_STARTUP: Final = "data/etc/ipython/startup/00-pyodide-mirror.py"


def own_wheel(python: str = "") -> tuple[str, bytes]:
    """Name and content of our wheel for pages, under a name that every JupyterLite takes.

    ``python``: the tag of the kernels' Python, if it is known. A wheel whose modules are compiled
    for it is quicker to import. It gets into no index, which is for wheels for any Python.

    The add-on of jupyterlite-pyodide-kernel 0.7 looks for ``*emscripten_*_wasm32.whl`` and for
    ``*pyodide_*_wasm32.whl``; what is both, as our own name would be, ends the build. pip does not
    read a site's index, so the wheel may be for any platform there. It has what only the kernels of
    such a site need, too.
    """
    compiled = python and compiled_wheel(python, ("any",), for_site=True)
    return compiled or page_wheel(("any",), for_site=True)


def site_wheel(startup: str) -> tuple[str, bytes]:
    """Name and content of the wheel that brings the start-up file into each kernel."""
    # Digits only: a local version's "+" is a space to some servers.
    version = f"1.{int(hashlib.sha256(startup.encode()).hexdigest()[:15], 16)}"
    stem = f"{SITE}-{version}"
    return f"{stem}-py3-none-any.whl", pure_wheel(
        f"{stem}.dist-info",
        {
            f"{stem}.data/{_STARTUP}": startup.encode(),
            f"{stem}.dist-info/METADATA": (
                f"Metadata-Version: 2.1\nName: {SITE.replace('_', '-')}\nVersion: {version}\n"
                "Summary: Has the kernels of a JupyterLite site use pyodide_mirror\n"
            ).encode(),
        },
    )


def installed_wheel(project: str, *, why: str) -> tuple[str, bytes]:
    """Name and content of a wheel of a pure package that is installed here.

    ``why``: a clause for the ValueError that is raised when it is not installed whole.
    """
    try:
        return rebuilt_wheel(project)
    except ValueError as error:
        raise ValueError(
            f"PyodideMirrorAddon puts the package {project} into the site, {why}, but {error}"
        ) from error
