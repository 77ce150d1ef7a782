"""What tests of bundles share: a made-up release of Pyodide, packages for it, and their lock file.

The release is the Pyodide of tests with the packages of the zoo of CDNs in its lock file.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from pyodide_mirror.bundling import BundleSettings
from pyodide_mirror.bundling import folder as bundle_folder
from pyodide_mirror.bundling import node as bundle_node
from pyodide_mirror.loader import LOCK, CoreFile, LocalFolder
from pyodide_mirror.loader import folder as loader_folder
from pyodide_mirror.model import normalize
from pyodide_mirror.server import Disk
from tests.support import provision
from tests.support.wheels import Wheel, make_wheel
from tests.zoo.cdns import ARRAYS, FRAMES, LOCKED, lock_entries, lock_entry
from tools.core_digests import measured

VERSION = provision.PYODIDE_VERSION
TREE = make_wheel("zoo-tree", "1.0", requires=["zoo-frames", "zoo-leaf"])
"""Needs packages of the lock file, and of the index."""
LEAF = make_wheel("zoo-leaf", "1.0")
DEP = make_wheel("zoo-dep-a", "1.0")
CHOSEN = (TREE, LEAF, DEP, FRAMES, ARRAYS)
"""What a lock file of an install of `TREE` has."""


_SMALL = {
    "pyodide.mjs": f'export const version="{VERSION}";',
    "pyodide.asm.mjs": "export default () => {};",
    "pyodide.asm.wasm": "\0asm",
    "python_stdlib.zip": "PK",
}
_INFO = {"abi_version": "2026_0", "arch": "wasm32", "platform": "emscripten_5_0_3"}


def make_small_dist(folder: Path) -> Path:
    """Make a folder with what stands for Pyodide where it need not run; return it."""
    folder.mkdir(parents=True)
    for name, text in _SMALL.items():
        (folder / name).write_text(text)
    micropip = make_wheel("micropip", "0.11.1")
    (folder / micropip.filename).write_bytes(micropip.data)
    lock = {"info": {**_INFO, "python": "3.14.2"}, "packages": {"micropip": lock_entry(micropip)}}
    (folder / LOCK).write_text(json.dumps(lock))
    return folder


def make_release(folder: Path, dist: Path) -> Path:
    """Make a folder with a release: that Pyodide, and the zoo's packages; return it."""
    folder.mkdir(parents=True)
    for path in dist.iterdir():
        if path.is_file() and path.name != LOCK:
            (folder / path.name).symlink_to(path)
    lock = json.loads((dist / LOCK).read_bytes())
    lock["packages"] |= lock_entries()
    (folder / LOCK).write_text(json.dumps(lock))
    for wheel in LOCKED:
        if not (folder / wheel.filename).exists():
            (folder / wheel.filename).write_bytes(wheel.data)
    return folder


def core_of(release: Path, version: str = VERSION) -> Mapping[str, CoreFile]:
    """Its core files, for `pyodide_mirror.loader.core_files`, whose release is another one."""
    return {name: CoreFile(name, *each) for name, each in measured(release, version).items()}


@contextmanager
def known_release(release: Path, version: str = VERSION) -> Iterator[None]:
    """Take that release for the one of that version."""
    core = core_of(release, version)
    with pytest.MonkeyPatch.context() as patch:
        for module in (loader_folder, bundle_folder, bundle_node):
            patch.setattr(module, "core_files", lambda _: core)
        yield


def write_lock(path: Path, wheels: Iterable[Wheel] = CHOSEN, **changes: Any) -> Path:
    """Write the wheels beside a lock file with them, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = []
    for wheel in wheels:
        (path.parent / wheel.filename).write_bytes(wheel.data)
        file = {"name": wheel.filename, "path": wheel.filename, "size": len(wheel.data)}
        hashes = {"hashes": {"sha256": hashlib.sha256(wheel.data).hexdigest()}}
        entry = {"name": wheel.name, "version": wheel.version, "wheels": [{**file, **hashes}]}
        entries.append(entry)
    document = {"lock-version": "1.0", "created-by": "tests", "packages": entries, **changes}
    path.write_text(tomli_w.dumps(document))
    return path


def lock_entry_of(release: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """What a lock file (PEP 751) has of an entry of Pyodide's."""
    name, hashes = entry["file_name"], {"sha256": entry["sha256"]}
    wheel = {"name": name, "path": str(release / name), "hashes": hashes}
    return {"name": normalize(entry["name"]), "version": entry["version"], "wheels": [wheel]}


def settings(release: Path, cache: Path, **changes: Any) -> BundleSettings:
    """The settings of a bundle that asks nobody but that release."""
    plain = BundleSettings("", [LocalFolder(release)], Disk(cache, 2**30))
    return plain._replace(**changes)
