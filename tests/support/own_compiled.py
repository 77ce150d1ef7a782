"""Compiles modules of this package for its wheels: ``python -m tests.support.own_compiled``.

Only a Pyodide compiles for its Python; Node runs it. What it makes lies in the package, and not
in the repository: a build takes it from there. It is made anew when the sources have changed.
"""

import json
import shutil
import tempfile
from pathlib import Path

from pyodide_mirror import own_wheels
from tests.support import provision

BUDGET = provision.ROOT / "tests" / "browser" / "first_install.txt"
"""What a first install imports."""
PYTHONS = {"cp314": provision.PYODIDE_VERSION}
"""A Pyodide with each Python that we compile for."""
_PACKAGE = provision.ROOT / "pyodide_mirror"
_DRIVER = Path(__file__).with_name("compile_driver.mjs")
_INSIDE = """
import sys
from pathlib import Path

sys.path.insert(0, "/dist/package")
from pyodide_mirror.own_wheels import compile_modules

Path("/dist/compiled.bin").write_bytes(compile_modules(PATHS))
"""
# Where an error was in a line is not kept, which saves a quarter of the bytes.
_LINES_ALONE = "PYTHONNODEBUGRANGES=1"


def modules() -> list[str]:
    """Return the paths in the package of what is worth to be compiled: modules of the budget."""
    names = [name for name in BUDGET.read_text().split() if name.startswith("pyodide_mirror.")]
    places = [name.partition(".")[2].replace(".", "/") for name in names]
    return [
        f"{place}/__init__.py" if (_PACKAGE / place).is_dir() else f"{place}.py" for place in places
    ]


def compile_own(python: str) -> Path:
    """Compile for a Python, unless that was done; return the file. Raises `ProvisionError`."""
    target = _PACKAGE / "compiled" / f"{python}.bin"
    if own_wheels.compiled_wheel(python) is not None and _listed_in(target) == modules():
        return target
    dist = provision.pyodide_dist(PYTHONS[python])
    with tempfile.TemporaryDirectory(dir=provision.CACHE) as name:
        folder = Path(name)
        for part in ("pyodide.*", "python_stdlib.zip", "pyodide-lock.json", "node_modules"):
            for path in dist.glob(part):
                (folder / path.name).symlink_to(path)
        shutil.unpack_archive(provision.project_wheel(), folder / "package", "zip")
        inside = folder / "inside.py"
        inside.write_text(_INSIDE.replace("PATHS", repr(modules())))
        driver = [str(provision.node()), str(_DRIVER), str(folder), str(inside), _LINES_ALONE]
        provision.run(driver)
        target.parent.mkdir(exist_ok=True)
        (folder / "compiled.bin").replace(target)
    return target


def _listed_in(file: Path) -> list[str]:
    return list(json.loads(file.read_bytes().partition(b"\n")[0])["modules"])


def main() -> None:
    """Compile for each Python; print the files."""
    for python in PYTHONS:
        print(compile_own(python))


if __name__ == "__main__":
    main()
