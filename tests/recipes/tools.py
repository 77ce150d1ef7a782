"""Programs that only these tests need, from PyPI or from Debian."""

from pathlib import Path

from tests.support import browsers
from tests.support.browsers import Program

SYSTEMD = Program(label="systemd", commands=("systemd-analyze",), package="systemd")
BUILDAH = Program(label="Buildah", commands=("buildah",), package="buildah")
CERTUTIL = Program(label="certutil", commands=("certutil",), package="libnss3-tools")
POETRY, PIPENV = "poetry==2.5.1", "pipenv==2026.10.3"
PDM = ("pdm==2.29.4", "hishel<2")  # which has what this PDM calls
UWSGI = "pyuwsgi==2.0.30"


def debian(program: Program) -> Path:
    """Return the path of a program, which is installed if it is not there and that can be done."""
    browsers.install((program,))
    return browsers.find(program)
