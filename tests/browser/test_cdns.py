"""Packages of Pyodide's lock file come from whichever CDN can be read."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.engines import Engine
from tests.zoo.cdns import ARRAYS, FRAMES, LIBRARY, CDNZoo, lock_entries
from tests.zoo.zoo import Zoo

LOCK = """
import importlib, json, sys
import js
import micropip
import pyodide_js
from pyodide.ffi import to_js
from pyodide_js._api import lockfile_packages

import pyodide_mirror
from pyodide_mirror.api import SESSION
from pyodide_mirror.installing.site_packages import installed

LOCKED = json.loads(ENTRIES)

def lock():
    known = micropip.install.__self__.compat_layer.lockfile_packages
    for name, entry in LOCKED.items():
        known[name] = entry
        setattr(lockfile_packages, name, to_js(entry, dict_converter=js.Object.fromEntries))

async def clean():
    pyodide_mirror.reset()
    await SESSION.settled()
    await pyodide_mirror.clear_cache()
    names = [name for name in installed() if name.startswith("zoo-") or name == "iniconfig"]
    if names:
        micropip.uninstall(names)
    for name in LOCKED:
        if hasattr(pyodide_js.loadedPackages, name):
            delattr(pyodide_js.loadedPackages, name)
    for name in [name for name in sys.modules if name.startswith("zoo_")]:
        del sys.modules[name]
    importlib.invalidate_caches()

def zoo_installed():
    return sorted(name for name in installed() if name.startswith("zoo-"))

lock()
await clean()
""".replace("ENTRIES", repr(json.dumps(lock_entries())))


@pytest.fixture(scope="module")
def cdns() -> Iterator[CDNZoo]:
    """The zoo of CDNs."""
    with CDNZoo() as zoo:
        yield zoo


def run(page: Engine, code: str, **names: object) -> Any:
    """What the code's last expression is, in a page whose lock file has the zoo's packages."""
    given = "".join(
        f"{name} = json.loads({json.dumps(value)!r})\n" for name, value in names.items()
    )
    text = json.dumps(f"{LOCK}\n{given}\n{code}")
    return json.loads(page.run_js(f"return await pyodide.runPythonAsync({text});"))


INSTALL = """
events = []
report = await pyodide_mirror.install(
    "zoo-frames", cdns=cdns, mirrors=mirror, canary="zoo-canary", timeout=3, on_event=events.append
)
import zoo_arrays, zoo_frames
manager = pyodide_js._api.packageManager
json.dumps({
    "installed": {
        one.name: [one.source, one.url, one.sha256, one.size] for one in report.installed
    },
    "outcomes": {one.cdn.base_url: str(one.reason) for one in report.report.cdns},
    "events": [[one.kind, one.text] for one in events],
    "version": pyodide_js.version,
    "own": manager.hasOwnProperty("downloadPackage"),
    "value": zoo_arrays.VALUE,
})
"""


def test_packages_come_from_the_first_cdn_that_works(page: Engine, cdns: CDNZoo, zoo: Zoo) -> None:
    urls = [cdns.url(name) for name in ("closed", "wrong-bytes", "good")]
    found = run(page, INSTALL, cdns=urls, mirror=zoo.url("healthy"))
    good = cdns.url("good").replace("{version}", found["version"])
    assert found["installed"] == {
        wheel.name: ["lockfile", good + wheel.filename, wheel.sha256, len(wheel.data)]
        for wheel in (ARRAYS, LIBRARY, FRAMES)
    }
    assert found["outcomes"] == dict(zip(urls, ["unreachable", "hash-mismatch", "ok"], strict=True))
    assert found["value"] == "zoo-arrays 1.0"
    assert not found["own"]
