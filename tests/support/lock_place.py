"""What `pyodide-mirror lock` needs in tests: Pyodide as npm has it, and a CDN that is a folder."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support import provision
from tests.support.wheels import Wheel
from tests.zoo.cdns import LIBRARY, LOCKED, lock_entry

VERSION = provision.PYODIDE_VERSION


def node_cache(folder: Path) -> Path:
    """Return a cache in which Pyodide is, whose other files are put there."""
    cache = folder / "cache"
    cache.mkdir(exist_ok=True)
    (cache / VERSION).symlink_to(provision.pyodide_package())
    return cache


def cdn_folder(folder: Path, wheels: Sequence[Wheel] = ()) -> Path:
    """Return a folder with the packages of the tests, the zoo's, and these; and their lock file."""
    cdn, dist = folder / "cdn", provision.pyodide_dist()
    cdn.mkdir()
    for path in dist.glob("*.whl"):
        (cdn / path.name).symlink_to(path)
    lock: dict[str, Any] = json.loads((dist / "pyodide-lock.json").read_bytes())
    for wheel in (*LOCKED, *wheels):
        if wheel is LIBRARY or wheel.name not in lock["packages"]:
            (cdn / wheel.filename).write_bytes(wheel.data)
            lock["packages"][wheel.name] = lock_entry(wheel)
    (cdn / "pyodide-lock.json").write_text(json.dumps(lock))
    return cdn


def places(folder: Path, wheels: Sequence[Wheel] = ()) -> list[str]:
    """Return the command's arguments that name these places."""
    cdn = cdn_folder(folder, wheels)
    lock = str(cdn / "pyodide-lock.json")
    return ["--cache", str(node_cache(folder)), "--cdn", str(cdn), "--pyodide-lock", lock]


def without_tools(folder: Path) -> dict[str, str]:
    """Return an environment in which npm reaches nobody."""
    return {**os.environ, "npm_config_registry": "http://127.0.0.1:9/", "HOME": str(folder)}
