"""PyScript from npm."""

from pathlib import Path
from typing import Final

from tests.support import provision

VERSION: Final = "0.7.31"


def pyscript() -> Path:
    """Return the folder of PyScript's own files. Raises `provision.ProvisionError`."""
    return provision.npm_files("@pyscript/core", VERSION, "dist")
