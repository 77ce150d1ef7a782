"""The CDNs of the demonstration: a good one and bad ones, and the lock file of what they have."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from demo.mirrors import Promise
from pyodide_mirror import CDN
from tests.support.wheels import Wheel
from tests.zoo.cdns import CDNZoo, lock_entry

# The good one comes last, so that all the others are tried before it.
CDN_PROMISES = (
    Promise("Hanging", "hanging", "timeout"),
    Promise("Always busy", "503", "http-status"),
    Promise("Wrong bytes", "wrong-bytes", "hash-mismatch"),
    Promise("Core only", "core-only", "incomplete"),
    Promise("Good", "good", "ok"),
)
GOOD = "Good"
_CORE = ("pyodide.mjs", "pyodide.asm.wasm", "python_stdlib.zip")


@contextmanager
def serve_cdns(dist: Path, locked: Wheel) -> Iterator[Sequence[CDN]]:
    """Start the CDNs, the good one with a Pyodide distribution and one more package."""
    core = {name: (dist / name).read_bytes() for name in _CORE}
    packages = {path.name: path.read_bytes() for path in dist.glob("*.whl")}
    with CDNZoo(core, {**packages, locked.filename: locked.data}) as zoo:
        yield [CDN(zoo.url(promise.animal), name=promise.name) for promise in CDN_PROMISES]


def write_lock(dist: Path, locked: Wheel, path: Path) -> None:
    """Write the lock file of a distribution, with one more package."""
    lock = json.loads((dist / "pyodide-lock.json").read_text("utf-8"))
    lock["packages"][locked.name] = lock_entry(locked)
    path.write_text(json.dumps(lock), "utf-8")
