"""The loading that `tests.benchmarks.packages` measures; its source is sent into Pyodide."""

import json
import time

import js
import micropip
import pyodide_js
from pyodide.ffi import to_js

import pyodide_mirror
from pyodide_mirror._micropip.lockfile import _lockfile_packages
from pyodide_mirror.api import SESSION

_API = pyodide_js._api  # noqa: SLF001


def prepare(entries: str) -> None:
    """Let Pyodide's lock file have these packages."""
    for name, entry in json.loads(entries).items():
        _lockfile_packages()[name] = entry
        js_entry = to_js(entry, dict_converter=js.Object.fromEntries)
        setattr(_API.lockfile_packages, name, js_entry)


async def load(name: str, url: str, mirror: str, *, new: bool) -> float:
    """Load a package from a URL, and remove it; the milliseconds.

    By Pyodide itself where no mirror is given. ``new``: nothing of it is cached.
    """
    if new:
        await pyodide_mirror.clear_cache()
    own, _API.packageManager.installBaseUrl = _API.packageManager.installBaseUrl, url
    if mirror:
        await pyodide_mirror.configure(mirror, canary="zoo-canary", remember=False)
    said: list[str] = []
    started = time.perf_counter()
    await pyodide_js.loadPackage(name, errorCallback=said.append)
    took = time.perf_counter() - started
    _API.packageManager.installBaseUrl = own
    if not hasattr(pyodide_js.loadedPackages, name):
        raise AssertionError(said)
    await SESSION.settled()
    pyodide_mirror.reset()
    micropip.uninstall(name)
    if hasattr(pyodide_js.loadedPackages, name):
        delattr(pyodide_js.loadedPackages, name)
    return took * 1000
