"""What `pyodide-mirror lock` needs in tests: Pyodide as npm has it, and a CDN that is a folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support import provision
from tests.support.wheels import Wheel, make_wheel
from tests.zoo import cdns

VERSION = provision.PYODIDE_VERSION

WASM = make_wheel("zoo-wasm", "3.0", tag="cp314-cp314-pyemscripten_2026_0_wasm32")
INDEX = (
    make_wheel(
        "zoo-app",
        "1.0",
        requires=[
            *("zoo-frames", "zoo-wasm", "zoo-both", "zoo-old"),
            "zoo-here; sys_platform == 'emscripten'",
            "zoo-never; sys_platform != 'emscripten'",
        ],
    ),
    *(make_wheel(f"zoo-{name}", "1.0") for name in ("here", "never")),
    # micropip takes the newest zoo-both, and with that nothing fits.
    make_wheel("zoo-both", "2.0", requires=["zoo-shared>=2"]),
    make_wheel("zoo-both", "1.0", requires=["zoo-shared"]),
    make_wheel("zoo-old", "1.0", requires=["zoo-shared<2"]),
    make_wheel("zoo-shared", "1.0"),
    make_wheel("zoo-shared", "2.0"),
    make_wheel("zoo-capped", "1.0"),
    make_wheel("zoo-capped", "2.0"),
)
"""The wheels of an index, of which `zoo-app` needs some."""
PURE = {
    **{f"zoo-{name}": "1.0" for name in ("app", "both", "capped", "here", "old")},
    "zoo-shared": "1.0",
}
"""What of the index `zoo-app` and `zoo-capped<2` need, with the versions that fit."""
LOCKED = {"zoo-arrays": cdns.ARRAYS, "zoo-frames": cdns.FRAMES, "zoo-wasm": WASM}
"""What of Pyodide's lock file `zoo-app` needs, but for shared libraries."""


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
    for wheel in (*cdns.LOCKED, *wheels):
        if wheel.name not in lock["packages"]:
            (cdn / wheel.filename).write_bytes(wheel.data)
            lock["packages"][wheel.name] = cdns.lock_entry(wheel)
    (cdn / "pyodide-lock.json").write_text(json.dumps(lock))
    return cdn


def places(folder: Path, wheels: Sequence[Wheel] = ()) -> list[str]:
    """Return the command's arguments that name these places."""
    cdn = cdn_folder(folder, wheels)
    lock = str(cdn / "pyodide-lock.json")
    return ["--cache", str(node_cache(folder)), "--cdn", str(cdn), "--pyodide-lock", lock]
