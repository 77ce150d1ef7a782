"""A bundle on hosts that serve files: its own page, plain micropip and PyScript, in engines."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror.bundling import read_lock_file, write_bundle
from tests.hosts.pyscript import pyscript
from tests.support import bundles
from tests.support.compiled import compiled_dist
from tests.support.engines import Engine
from tests.support.static_hosts import HOSTS, python_server
from tests.support.wheels import make_wheel
from tests.zoo.cdns import ARRAYS, FRAMES, LIBRARY

BROWSERS = ("chromium", "firefox", "webkit")
pytestmark = pytest.mark.engines(*BROWSERS, ci=("chromium",))

OTHER = make_wheel("zoo-other", "1.0")


def on_hosts(**engines: str) -> list[Any]:
    """Every kind of host, in all browsers each night, and in these, by kind, on each change."""
    return [
        pytest.param(name, marks=pytest.mark.engines(*BROWSERS, ci=engines.get(name, "").split()))
        for name in HOSTS
    ]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A bundle with a package, and what it needs of the index and of Pyodide's lock file."""
    top = tmp_path_factory.mktemp("bundle")
    release = bundles.make_release(top / "release", compiled_dist())
    wheels = (*bundles.CHOSEN, OTHER)
    lock = read_lock_file(bundles.write_lock(top / "lock" / "pylock.toml", wheels))
    with bundles.known_release(release):
        write_bundle(top / "bundle", [lock], bundles.settings(release, top / "cache"))
    yield top / "bundle"
    shutil.rmtree(top)


STARTED = """
const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
const status = () => document.getElementById("status").textContent;
while (/ starts /.test(status())) await pause();
const prompt = document.getElementById("prompt");
const output = document.getElementById("output");
const type = async (line) => {
    output.textContent = "";
    prompt.value = line;
    prompt.form.requestSubmit();
    while (prompt.readOnly) await pause();
    return output.textContent;
};
const strangers = (...known) => {
    const asked = performance.getEntriesByType("resource").map(({ name }) => name);
    const ours = ["blob:", "data:", `${location.origin}/`, ...known];
    return asked.filter((name) => !ours.some((start) => name.startsWith(start)));
};
"""
TYPED = """
const lines = [];
for (const line of LINES) lines.push(await type(line));
return [status(), lines, strangers()];
"""
IN_PLAIN = """
const indexURL = new URL("pyodide/", location).href;
const { loadPyodide } = await import(`${indexURL}pyodide-VERSION.mjs`);
const plain = await loadPyodide({ indexURL, packages: ["micropip"] });
return await plain.runPythonAsync(PLAIN);
"""
IN_PYODIDE = """
await pyodide.loadPackage("micropip");
return await pyodide.runPythonAsync(PLAIN);
"""
LINES = [
    "import micropip; await micropip.install('zoo-tree')",
    "import zoo_tree, zoo_leaf, zoo_arrays, pyodide_mirror",
    "print(zoo_tree.VALUE, zoo_leaf.VALUE, zoo_arrays.VALUE)",
    "pyodide_mirror.status().chosen.index_url",
    "await pyodide_mirror.install_pylock('URL/pylock.toml')",
    "import zoo_other; zoo_other.VALUE",
    "for number in (1, 2):",
    "    print(number * 3)",
    "",
    ")",
]
PLAIN = """
import sys
import micropip
ours = "pyodide_mirror" in sys.modules
await micropip.install("zoo-tree", index_urls=INDEX)
import zoo_tree, zoo_leaf, zoo_arrays
await micropip.install("pyodide-mirror", index_urls=INDEX)
import pyodide_mirror
report = await pyodide_mirror.install("zoo-other", mirrors=PAGES)
import zoo_other
f"{ours} {zoo_leaf.VALUE}, {zoo_other.VALUE} {report.installed[0].mirror}"
"""


def plainly(page: Engine, code: str, index: str, pages: str) -> str:
    """Install by plain micropip, then our wheel, and by that again; what there is then."""
    plain = PLAIN.replace("INDEX", repr(index)).replace("PAGES", repr(pages))
    code = code.replace("VERSION", bundles.VERSION).replace("PLAIN", json.dumps(plain))
    found: str = page.run_js(code, pyodide_checks=False)
    return found


@pytest.mark.parametrize("host", on_hosts(bucket="chromium"))
def test_the_page_of_a_bundle_and_plain_micropip_and_ours_install(
    page: Engine, host: str, bundle: Path, tmp_path: Path
) -> None:
    with HOSTS[host](bundle, tmp_path / "host") as url:
        pages = f"{url}/simple/{{package_name}}/index.json"
        with page.bare_tab():
            page.goto(f"{url}/index.html")
            code = STARTED + TYPED.replace("LINES", json.dumps(LINES).replace("URL", url))
            status, lines, strangers = page.run_js(code, pyodide_checks=False)
            if host != "bucket":
                value = plainly(page, IN_PLAIN, f"{url}/simple", pages)
        if host == "bucket":  # whose wasm plain Pyodide does not take for such
            with page.page_of_pyodide_alone():
                value = plainly(page, IN_PYODIDE, pages.replace("json", "html"), pages)
    assert status == f"Python 3.14.2 (Pyodide {bundles.VERSION})"
    assert strangers == []
    assert "zoo-tree 1.0 zoo-leaf 1.0 zoo-arrays 1.0" in lines[2], lines
    assert f"'{pages}'" in lines[3]
    assert "zoo-other 1.0" in lines[5], lines
    assert "3\n6\n" in lines[8]
    assert "unmatched" in lines[9]
    assert value == f"False zoo-leaf 1.0, zoo-other 1.0 {pages}"


@pytest.mark.nightly
@pytest.mark.parametrize("version", ["0.28.3", "0.29.5"])
@pytest.mark.parametrize("host", ["http.server", "bucket"])
def test_bundles_of_older_versions_start_as_well(
    page: Engine, version: str, host: str, tmp_path: Path
) -> None:
    release = bundles.make_release(tmp_path / "release", compiled_dist(version))
    lock = read_lock_file(bundles.write_lock(tmp_path / "lock" / "pylock.toml"))
    settings = bundles.settings(release, tmp_path / "cache", pyodide=version)
    with bundles.known_release(release, version):
        write_bundle(tmp_path / "bundle", [lock], settings)
    with HOSTS[host](tmp_path / "bundle", tmp_path / "host") as url, page.bare_tab():
        page.goto(f"{url}/index.html")
        code = STARTED + TYPED.replace("LINES", json.dumps(LINES[:3]))
        status, lines, strangers = page.run_js(code, pyodide_checks=False)
    assert status.endswith(f"(Pyodide {version})")
    assert "zoo-tree 1.0 zoo-leaf 1.0 zoo-arrays 1.0" in lines[2], lines
    assert strangers == []


PYSCRIPT = """<!doctype html>
<meta charset="utf-8">
<script src="BUNDLE/modules.js" crossorigin></script>
<script type="module" src="pyscript/core.js"></script>
<p id="status">Python starts …</p>
<py-config>
  interpreter = "BUNDLE/pyodide/pyodide.mjs"
  packages = ["zoo-tree"]
</py-config>
<script type="py">
  import pyodide_mirror, zoo_arrays, zoo_leaf
  from pyscript import document
  chosen = pyodide_mirror.status().chosen.index_url
  document.getElementById("status").textContent = f"{zoo_leaf.VALUE} {zoo_arrays.VALUE} {chosen}"
</script>
"""


@pytest.mark.nightly
@pytest.mark.parametrize("host", on_hosts())
def test_pyscript_starts_from_a_bundle_and_installs(
    page: Engine, host: str, bundle: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "pyscript").symlink_to(pyscript())
    (site / "bundle").symlink_to(bundle)
    with (
        HOSTS[host](bundle, tmp_path / "host") as elsewhere,
        python_server(site) as url,
        page.bare_tab(),
    ):
        # Python's server does not let pages of others read.
        place = f"{url}/bundle" if host == "http.server" else elsewhere
        (site / "index.html").write_text(PYSCRIPT.replace("BUNDLE", place))
        page.goto(f"{url}/index.html")
        code = f"{STARTED} return [status(), strangers({json.dumps(place)})];"
        said, strangers = page.run_js(code, pyodide_checks=False)
    assert said == f"zoo-leaf 1.0 zoo-arrays 1.0 {place}/simple/{{package_name}}/index.json"
    assert strangers == []


@contextmanager
def one_bit_changed(path: Path, place: int = -1) -> Iterator[None]:
    """Change a bit of a file meanwhile."""
    before, time = path.read_bytes(), path.stat().st_mtime
    changed = bytearray(before)
    changed[place] ^= 1
    path.write_bytes(changed)
    os.utime(path, (time + 2, time + 2))  # by which browsers know another content
    try:
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, (time + 4, time + 4))


TRIED = """
return await pyodide.runPythonAsync(`
import micropip
from importlib.metadata import distributions
before = {each.name for each in distributions()}
try:
    await micropip.install("zoo-tree")
    error = ""
except Exception as fault:
    error = f"{type(fault).__name__}: {fault}"
error, sorted({each.name for each in distributions()} - before - {"pyodide-mirror"})
`).then((found) => found.toJs());
"""


def test_one_bit_changed_and_nothing_is_installed(
    page: Engine, bundle: Path, tmp_path: Path
) -> None:
    files, leaf = bundle / "files", bundles.LEAF.filename
    leaf_page = bundle / "simple" / "zoo-leaf" / "index.json"
    digest = leaf_page.read_bytes().index(bundles.LEAF.sha256.encode())
    wrong = [
        (leaf_page, digest, leaf),  # first: a right page is kept
        (files / leaf, -1, leaf),
        (bundle / "pyodide" / ARRAYS.filename, 500, ARRAYS.filename),
    ]
    with python_server(bundle) as url, page.bare_tab():
        page.goto(f"{url}/index.html")
        page.run_js(STARTED, pyodide_checks=False)
        for path, place, name in wrong:
            with one_bit_changed(path, place):
                error, installed = page.run_js(TRIED, pyodide_checks=False)
            assert name in error, path
            assert installed == [], path
        error, installed = page.run_js(TRIED, pyodide_checks=False)
        assert error == ""
        # What a build of Pyodide leaves out, as zoo-dep-a, is not demanded.
        there = (bundles.TREE, bundles.LEAF, FRAMES, ARRAYS, LIBRARY)
        assert installed == sorted(wheel.name for wheel in there)


@pytest.mark.parametrize("name", ["pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json"])
def test_one_bit_of_pyodide_changed_and_python_does_not_start(
    page: Engine, name: str, bundle: Path
) -> None:
    path = bundle / "pyodide" / name
    with (
        one_bit_changed(path, path.stat().st_size // 2),
        python_server(bundle) as url,
        page.bare_tab(),
    ):
        page.goto(f"{url}/index.html")
        said = page.run_js(f"{STARTED} return status();", pyodide_checks=False)
    assert said.startswith("Python did not start: ")
    assert name in said


@pytest.mark.engines("chromium")  # others may know no digests in import maps yet
@pytest.mark.parametrize("name", ["pyodide.mjs", "pyodide.asm.mjs"])
def test_one_bit_of_a_module_changed_and_it_is_not_imported(
    page: Engine, name: str, bundle: Path
) -> None:
    path = bundle / "pyodide" / name
    with (
        one_bit_changed(path, 4),
        python_server(bundle) as url,
        page.bare_tab(),
    ):
        page.goto(f"{url}/index.html")
        said = page.run_js(f"{STARTED} return status();", pyodide_checks=False)
    assert said.startswith("Python did not start: ")
    assert name in said
