"""Programs that only these tests need: from PyPI in environments of their own, or from Debian."""

import re
import sys
from pathlib import Path

from tests.support import browsers, provision
from tests.support.browsers import Program

SYSTEMD = Program(label="systemd", commands=("systemd-analyze",), package="systemd")
BUILDAH = Program(label="Buildah", commands=("buildah",), package="buildah")
CERTUTIL = Program(label="certutil", commands=("certutil",), package="libnss3-tools")
POETRY, PIPENV = "poetry==2.5.1", "pipenv==2026.10.3"
PDM = ("pdm==2.29.4", "hishel<2")  # which has what this PDM calls
UWSGI = "pyuwsgi==2.0.30"


def python_with(*requirements: str) -> Path:
    """Return the Python of an environment with these, made at the first call."""

    def make(folder: Path) -> None:
        venv = [*provision.UV, "venv", "--quiet", "--python", sys.executable, str(folder)]
        provision.run(venv)
        python = str(folder / "bin" / "python")
        install = [*provision.UV, "pip", "install", "--quiet", "--python", python]
        provision.run([*install, *requirements])

    # Moved after it was made: its scripts are lost by that, its Python is not.
    key = re.sub(r"[^\w.-]+", "-", "-".join(requirements))
    return provision.made(provision.CACHE / "tools" / key, make) / "bin" / "python"


def debian(program: Program) -> Path:
    """Return the path of a program, which is installed if it is not there and that can be done."""
    browsers.install((program,))
    return browsers.find(program)
