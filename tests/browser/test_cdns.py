"""Packages of Pyodide's lock file come from whichever CDN can be read, in real engines."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.engines import Engine
from tests.zoo.cdns import ARRAYS, FRAMES, KINDS, LIBRARY, CDNZoo, lock_entries
from tests.zoo.zoo import Zoo

pytestmark = pytest.mark.engines(
    "chromium",
    "chromium-worker",
    "firefox",
    "firefox-worker",
    "webkit",
    "webkit-worker",
    ci=("chromium-worker", "firefox"),
)

LOCK = """
import importlib, json, logging, sys
import js
import micropip
import pyodide_js
from pyodide.ffi import create_proxy, to_js

import pyodide_mirror
from pyodide_mirror.api import SESSION
from pyodide_mirror._micropip.lockfile import _lockfile_packages
from pyodide_mirror.installing.site_packages import installed

LOCKED = json.loads(ENTRIES)
manager = getattr(pyodide_js._api, "packageManager", None)

def js_packages():
    new = getattr(pyodide_js._api, "lockfile_packages", None)
    return pyodide_js._api.repodata_packages if new is None else new

def lock():
    before = {}
    for name, entry in LOCKED.items():
        before[name] = _lockfile_packages().get(name), getattr(js_packages(), name, None)
        _lockfile_packages()[name] = entry
        setattr(js_packages(), name, to_js(entry, dict_converter=js.Object.fromEntries))
        pyodide_js._api._import_name_to_package_name.set(entry["imports"][0], name)
    return before

def unlock():
    for name, (entry, js_entry) in BEFORE.items():
        if js_entry is None:
            del _lockfile_packages()[name]
            delattr(js_packages(), name)
            pyodide_js._api._import_name_to_package_name.delete(LOCKED[name]["imports"][0])
        else:
            _lockfile_packages()[name] = entry
            setattr(js_packages(), name, js_entry)

def uninstall():
    names = zoo_installed()
    if names:
        micropip.uninstall(names)
    for name in LOCKED:
        if name.startswith("zoo-") and hasattr(pyodide_js.loadedPackages, name):
            delattr(pyodide_js.loadedPackages, name)
    for name in [name for name in sys.modules if name.startswith("zoo_")]:
        del sys.modules[name]
    importlib.invalidate_caches()

async def clean():
    pyodide_mirror.reset()
    await SESSION.settled()
    await pyodide_mirror.clear_cache()
    uninstall()

def zoo_installed():
    return sorted(name for name in installed() if name.startswith("zoo-"))

async def install(**options):
    return await pyodide_mirror.install("zoo-frames", **COMMON, **options)

BEFORE = lock()
await clean()
""".replace("ENTRIES", repr(json.dumps(lock_entries())))
_END = """
await clean()
unlock()
"""
NAMES = ["zoo-arrays", "zoo-blas", "zoo-frames"]


@pytest.fixture(scope="module")
def cdns() -> Iterator[CDNZoo]:
    """The zoo of CDNs."""
    with CDNZoo() as zoo:
        yield zoo


def run(page: Engine, code: str, mirror: str, **names: object) -> Any:
    """What the code's last expression is, in a page whose lock file has the zoo's packages."""
    names["COMMON"] = {"mirrors": mirror, "canary": "zoo-canary", "timeout": 5}
    given = [f"{name} = json.loads({json.dumps(value)!r})" for name, value in names.items()]
    code = "\n".join([LOCK, *given, code.replace("RESULT", "result = json.dumps"), _END])
    text = json.dumps(f"{code}\nresult")
    return json.loads(page.run_js(f"return await pyodide.runPythonAsync({text});"))


INSTALL = """
events = []
report = await install(cdns=cdns, on_event=events.append)
import zoo_arrays, zoo_frames

RESULT({
    "installed": {
        one.name: [one.source, one.url, one.sha256, one.size] for one in report.installed
    },
    "outcomes": {one.cdn.base_url: str(one.reason) for one in report.report.cdns},
    "kinds": sorted({one.kind for one in events}),
    "version": pyodide_js.version,
    "own": manager.hasOwnProperty("downloadPackage"),
    "value": zoo_arrays.VALUE,
})
"""


def check_installed(found: dict[str, Any], good: str) -> None:
    """The packages came from this CDN, with the digests of the lock file, and the hook is gone."""
    base = good.replace("{version}", found["version"])
    assert found["installed"] == {
        wheel.name: ["lockfile", base + wheel.filename, wheel.sha256, len(wheel.data)]
        for wheel in (ARRAYS, LIBRARY, FRAMES)
    }
    assert found["outcomes"][good] == "ok"
    assert found["value"] == "zoo-arrays 1.0"
    assert not found["own"]


def test_packages_come_from_the_first_cdn_that_works(page: Engine, cdns: CDNZoo, zoo: Zoo) -> None:
    kinds = ("hanging", "503", "wrong-bytes", "cut-off", "core-only", "good")
    urls = [cdns.url(name) for name in kinds]
    found = run(page, INSTALL, zoo.url("healthy"), cdns=urls)
    check_installed(found, cdns.url("good"))
    assert set(found["outcomes"]) <= set(urls)
    assert {"chosen", "file", "outcome", "progress", "unpacked"} <= set(found["kinds"])


PROBE = """
report = await pyodide_mirror.probe(**COMMON | {"timeout": 2}, cdns=cdns)
RESULT([{one.cdn.base_url: str(one.reason) for one in report.cdns}, str(report)])
"""


def test_each_kind_gets_its_verdict(page: Engine, cdns: CDNZoo, zoo: Zoo) -> None:
    urls = {cdns.url(name): name for name in KINDS}
    found, text = run(page, PROBE, zoo.url("healthy"), cdns=list(urls))
    verdicts = {urls[url]: reason for url, reason in found.items()}
    assert verdicts == {name: kind.verdict for name, kind in KINDS.items()}
    assert "HTTP 451" in text


PLAIN = """
report = await pyodide_mirror.configure(**COMMON, cdns=cdns)
logged = []
log = create_proxy(logged.append)
options = to_js({"errorCallback": log}, dict_converter=js.Object.fromEntries)
await pyodide_js.loadPackage("zoo-frames", options)
found = [zoo_installed()]
uninstall()
await pyodide_mirror.clear_cache()
await pyodide_js.loadPackagesFromImports("import zoo_arrays")
found.append(zoo_installed())
uninstall()
await micropip.install("zoo-arrays")  # from the cache
found.append(zoo_installed())
uninstall()
await pyodide_mirror.configure(**COMMON | {"timeout": 1}, cdns=dead)
await pyodide_mirror.clear_cache()
loop = js.performance
before = loop.now()
await pyodide_js.loadPackage("zoo-arrays", options)
seconds = (loop.now() - before) / 1000
try:
    await micropip.install("zoo-frames")
except pyodide_mirror.IncompleteInstall as error:
    raised = str(error)
found.append(zoo_installed())
owned = manager.hasOwnProperty("downloadPackage")
pyodide_mirror.reset()
log.destroy()
RESULT([found, logged, seconds, raised, owned, manager.hasOwnProperty("downloadPackage")])
"""


def test_pyodides_own_ways_and_plain_micropip_go_through_the_cdns_until_reset(
    page: Engine, cdns: CDNZoo, zoo: Zoo
) -> None:
    good = [cdns.url(name) for name in ("no-cors", "slow-then-dead", "good")]
    dead = {name: cdns.url(name) for name in ("hanging", "no-cors", "html", "closed")}
    found, logged, seconds, raised, owned, left = run(
        page, PLAIN, zoo.url("healthy"), cdns=good, dead=list(dead.values())
    )
    assert found == [NAMES, NAMES[:2], NAMES[:2], []]
    assert (owned, left) == (True, False)
    assert seconds < 2
    [said] = [line for line in logged if line.startswith("zoo-arrays ")]
    for name, url in dead.items():
        place = url.split("/")[2]
        assert f"{place}: {KINDS[name].verdict} (" in said
        assert f"{place}: {KINDS[name].verdict} (" in raised
    assert said.endswith("name a CDN that can be read, by cdns= or in PYODIDE_MIRROR_CDNS")
    assert raised.startswith("could not be installed: zoo-arrays, zoo-blas, zoo-frames\n")


FIRST_VISIT = """
report = await install(cdns=cdns)
await SESSION.settled()
uninstall()
clean = SESSION.settled  # what is kept is for the next visit
RESULT(await pyodide_mirror.cache_info() is not None)
"""
SECOND_VISIT = """
report = await install(cdns=cdns)
import zoo_frames
RESULT([one.url for one in report.installed])
"""


@pytest.mark.engines("chromium", "firefox", "webkit", ci=("chromium",))
def test_a_second_visit_needs_no_network(
    page: Engine, open_page: Callable[..., Engine], cdns: CDNZoo, zoo: Zoo
) -> None:
    run(page, FIRST_VISIT, zoo.url("healthy"), cdns=cdns.url("good"))
    code = SECOND_VISIT
    second = open_page()
    # Its own lock file has nothing of the zoo, and the cache must not be cleared before it is used.
    keep = "pyodide_mirror.clear_cache = lambda: SESSION.settled()\n"
    found = run_keeping(second, keep, code, cdns.url("closed"))
    assert found == ["", "", ""]


def run_keeping(page: Engine, keep: str, code: str, dead: str) -> Any:
    """The same as `run`, with the cache as it is and no network."""
    common = {"mirrors": dead.replace("{version}", "x"), "canary": "zoo-canary", "timeout": 1}
    lines = [
        LOCK.replace("LOCKED = json", f"{keep}LOCKED = json"),
        f"COMMON = {common!r}",
        f"cdns = {dead!r}",
        code.replace("RESULT", "result = json.dumps"),
        "result",
    ]
    text = json.dumps("\n".join(lines))
    return json.loads(page.run_js(f"return await pyodide.runPythonAsync({text});"))


OWN_FOLDER = """
before = manager.installBaseUrl
manager.installBaseUrl = folder
try:
    found = [[one.url for one in (await install()).installed]]
    uninstall()
    await pyodide_mirror.clear_cache()
    import os
    os.environ["PYODIDE_MIRROR_CDNS"] = cdn
    js.process.getBuiltinModule("node:fs").unlinkSync(f"{folder}/{missing}")
    js.process.getBuiltinModule("node:fs").writeFileSync(f"{folder}/{wrong}", "no wheel")
    found.append([one.url for one in (await install()).installed])
finally:
    os.environ.pop("PYODIDE_MIRROR_CDNS", None)
    manager.installBaseUrl = before
RESULT(found)
"""


@pytest.mark.engines("node")
def test_in_node_the_folder_comes_first_and_its_files_are_checked(
    page: Engine, cdns: CDNZoo, zoo: Zoo, tmp_path: Path
) -> None:
    wheels = ARRAYS, LIBRARY, FRAMES
    for wheel in wheels:
        (tmp_path / wheel.filename).write_bytes(wheel.data)
    first, second = run(
        page,
        OWN_FOLDER,
        zoo.url("healthy"),
        folder=str(tmp_path),
        cdn=cdns.url("good"),
        missing=ARRAYS.filename,
        wrong=LIBRARY.filename,
    )
    assert first == [f"{tmp_path}/{wheel.filename}" for wheel in wheels]
    assert [url.startswith("http") for url in second] == [True, True, False]
    # As Pyodide does: for the next time.
    assert (tmp_path / ARRAYS.filename).read_bytes() == ARRAYS.data
    assert (tmp_path / LIBRARY.filename).read_bytes() == LIBRARY.data
