"""Pyodide distributions whose Python is compiled: a page with one starts in half the time.

A page compiles all the Python that it imports, with each load anew. For tests that is lost time;
benchmarks measure the distribution as it is published (`provision.pyodide_dist`), because there
users pay for it.
"""

import hashlib
import shutil
from pathlib import Path

from pyodide_mirror.loader import CoreFile
from tests.support import provision
from tools.core_digests import measured

_HERE = Path(__file__).parent
_DRIVER, _INSIDE = _HERE / "compile_driver.mjs", _HERE / "compile_inside.py"


def compiled_dist(version: str = provision.PYODIDE_VERSION) -> Path:
    """Return a folder with `provision.pyodide_dist`, compiled. Raises `ProvisionError`."""
    return compiled(provision.pyodide_dist(version))


def compiled_core(version: str = provision.PYODIDE_VERSION) -> dict[str, CoreFile]:
    """Return the core files of `compiled_dist`, whose digests are not those of the release.

    Tests put it in the place of `pyodide_mirror.loader.core_files`.
    """
    found = measured(compiled_dist(version), version)
    return {name: CoreFile(name, *file) for name, file in found.items()}


def compiled(dist: Path) -> Path:
    """Return the compiled copy of a Pyodide distribution. Raises `ProvisionError`.

    It lies beside the distribution, and is made anew when that or the way to compile has changed.
    """
    inputs = (dist / "pyodide-lock.json", _DRIVER, _INSIDE)
    key = hashlib.sha256(b"\0".join(path.read_bytes() for path in inputs)).hexdigest()[:8]

    def make(folder: Path) -> None:
        shutil.copytree(dist, folder, dirs_exist_ok=True)
        provision.run([str(provision.node()), str(_DRIVER), str(folder), str(_INSIDE)])

    return provision.made(dist.with_name(f"{dist.name}-compiled-{key}"), make)
