"""PyScript from npm."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

from tests.support import provision
from tests.support.provision import CACHE, made

VERSION: Final = "0.7.31"


def pyscript() -> Path:
    """Return the folder of PyScript's own files. Raises `provision.ProvisionError`."""

    def install(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            modules = provision.npm_install([f"@pyscript/core@{VERSION}"], Path(scratch))
            dist = modules / "@pyscript" / "core" / "dist"
            maps = shutil.ignore_patterns("*.map")
            shutil.copytree(dist, folder, ignore=maps, dirs_exist_ok=True)

    return made(CACHE / "pyscript" / VERSION, install)
