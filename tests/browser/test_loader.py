"""Pyodide starts through the loader's folder, whichever CDN can be read, in real engines."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror import CDN, Mirror
from pyodide_mirror.loader import LocalFolder, write_loader
from pyodide_mirror.loader import folder as loader_folder
from tests.support import provision
from tests.support.compiled import compiled_core, compiled_dist
from tests.support.engines import Engine
from tests.support.pages import PageServer
from tests.support.wheels import make_wheel
from tests.zoo.cdns import ARRAYS, LIBRARY, LOCKED, SMALL, CDNZoo, lock_entries
from tests.zoo.server import LOOPBACK, Request, Response, Server

pytestmark = pytest.mark.engines(
    "chromium",
    "chromium-worker",
    "firefox",
    "firefox-worker",
    "webkit",
    "webkit-worker",
    "node",
    ci=("chromium-worker", "firefox", "webkit", "node"),
)

VERSION = provision.PYODIDE_VERSION
DIST = compiled_dist()
CORE = ("pyodide.asm.wasm", "python_stdlib.zip")
MIXED = ("hanging", "503", "wrong-bytes", "cut-off", "core-only", "good")
CORS = ("Access-Control-Allow-Origin", "*")


TREE = make_wheel("zoo-tree", "1.0", requires=["zoo-frames", "zoo-leaf"])
"""Needs packages of the lock file, and of the index."""
LEAF = make_wheel("zoo-leaf", "1.0")


@pytest.fixture(autouse=True)
def _digests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the digests of the Pyodide of tests, whose Python is compiled, for the release's."""
    monkeypatch.setattr(loader_folder, "core_files", compiled_core)


class Index:
    """An index with the tree, and with what mirrors are tested by."""

    def __init__(self) -> None:
        """Start it."""
        self._wheels = {wheel.filename: wheel for wheel in (SMALL, TREE, LEAF)}
        self.server = Server(self._answer)
        self.url = f"http://{LOOPBACK}:{self.server.port}/simple"

    def _answer(self, request: Request) -> Response:
        *_, name = request.path.rstrip("/").split("/")
        if name in self._wheels:
            return Response(headers=(CORS,), body=self._wheels[name].data)
        found = [one for one in self._wheels.values() if one.name == name]
        if not found:
            return Response(status=404, headers=(CORS,))
        files = [
            {
                "filename": one.filename,
                "url": f"http://{LOOPBACK}:{self.server.port}/files/{one.filename}",
                "hashes": {"sha256": one.sha256},
            }
            for one in found
        ]
        page = {"meta": {"api-version": "1.0"}, "name": name, "files": files}
        kind = ("Content-Type", "application/vnd.pypi.simple.v1+json")
        return Response(headers=(CORS, kind), body=json.dumps(page).encode())


def zoo_of(dist: Path) -> CDNZoo:
    """A zoo of CDNs whose good ones have this Pyodide."""
    core = {name: (dist / name).read_bytes() for name in CORE}
    return CDNZoo(core, {path.name: path.read_bytes() for path in dist.glob("*.whl")})


@pytest.fixture
def zoo() -> Iterator[CDNZoo]:
    """The zoo of CDNs."""
    with zoo_of(DIST) as zoo:
        yield zoo


@pytest.fixture
def index() -> Iterator[Index]:
    """An index."""
    started = Index()
    yield started
    started.server.close()


def lock_of(folder: Path, dist: Path = DIST) -> Path:
    """Write a lock file: that of the tests' Pyodide, with the zoo's packages."""
    lock = json.loads((dist / "pyodide-lock.json").read_bytes())
    lock["packages"] |= lock_entries()
    (folder / "lock.json").write_text(json.dumps(lock))
    return folder / "lock.json"


@contextmanager
def visiting(page: Engine, folder: Path) -> Iterator[PageServer]:
    """Serve the folder, and open a page from which Pyodide can be loaded."""
    with ExitStack() as stack:
        pages = stack.enter_context(PageServer(folder))
        stack.enter_context(page.page_of(pages))
        yield pages


def write(
    folder: Path,
    cdns: Sequence[str],
    *,
    version: str = VERSION,
    dist: Path = DIST,
    timeout: float = 30.0,
    **options: Any,
) -> Path:
    """Write a loader whose pages ask these CDNs."""
    sources = [LocalFolder(dist), *map(CDN, cdns)]
    lock = lock_of(folder.parent, dist)
    write_loader(folder, version, sources, lock=lock, timeout=timeout, **options)
    # With what Pyodide imports in Node.
    (folder.parent / "node_modules").symlink_to(DIST / "node_modules")
    return folder


START = """
const before = [globalThis.fetch, performance.now()];
const seen = {};
const onProgress = ({ file, cdn, received, total }) => {
    seen[file] = { cdn, received, total };
};
const options = Object.assign({ onProgress }, OPTIONS);
try {
    self.pyodide = await loadPyodide(options);
} catch (error) {
    const seconds = (performance.now() - before[1]) / 1000;
    return { error: String(error), seconds, restored: globalThis.fetch === before[0] };
}
const python = (code) => pyodide.runPythonAsync(code);
let result = null;
MORE
return { seen, result, restored: globalThis.fetch === before[0], version: pyodide.version };
"""


def start(page: Engine, more: str = "", **options: Any) -> dict[str, Any]:
    """Start Pyodide in the page with these options, and run more JavaScript."""
    code = START.replace("OPTIONS", json.dumps(options)).replace("MORE", more)
    found: dict[str, Any] = page.run_js(code, pyodide_checks=False)
    return found


INSTALL = """
result = JSON.parse(await python(`
import json, os, sys
found = {"before": "pyodide_mirror" in sys.modules}
found["first"] = os.environ["PYODIDE_MIRROR_CDNS"].split()[0]
import micropip
await micropip.install("zoo-tree")
import zoo_arrays, zoo_frames, zoo_leaf, zoo_tree, pyodide_mirror
report = pyodide_mirror.status()
found["mirror"] = report and report.chosen.index_url
found["value"] = zoo_arrays.VALUE
await pyodide_mirror.api.SESSION.settled()
json.dumps(found)
`));
"""
AGAIN = """
const told = [];
await pyodide.loadPackage("zoo-frames");
await pyodide.loadPackage("pluggy", { errorCallback: (line) => told.push(line) });
const value = await python("import zoo_arrays; zoo_arrays.VALUE");
result = { told, value };
"""
"""Node keeps nothing of an index, and so this is not the tree."""
IN_A_BROWSER = """
await python("import micropip\\nawait micropip.install('zoo-tree')\\nimport zoo_leaf");
"""


def test_python_starts_and_installs_whichever_cdn_is_good_and_again_without_a_network(
    page: Engine, zoo: CDNZoo, index: Index, tmp_path: Path
) -> None:
    cdns = [zoo.url(name) for name in MIXED]
    folder = write(tmp_path / "py", cdns, mirrors=[Mirror(index.url)])
    with visiting(page, folder) as pages:
        first = start(page, INSTALL, packages=["micropip"])
        zoo.close()
        index.server.close()
        with page.page_of(pages):
            more = AGAIN if page.name == "node" else IN_A_BROWSER + AGAIN
            second = start(page, more, packages=["micropip"])
    assert first["version"] == VERSION
    assert first["restored"]
    for name in CORE:
        size = (DIST / name).stat().st_size
        assert first["seen"][name]["received"] == first["seen"][name]["total"] == size
        assert first["seen"][name]["cdn"] in [CDN(url).url("", VERSION) for url in cdns[-2:]]
    assert first["result"] == {
        "before": False,
        "first": CDN(cdns[-1]).url("", VERSION),  # not the one that has the core alone
        "mirror": index.url,
        "value": "zoo-arrays 1.0",
    }
    assert second["seen"] == {}
    assert second["result"]["value"] == "zoo-arrays 1.0"
    [said] = [line for line in second["result"]["told"] if "could not be loaded" in line]
    for url in cdns:
        assert f"{url.split('/')[2]}: " in said


CHECKED = """
const { isRight } = await import("URL");
const bytes = new TextEncoder().encode("abc");
const digest = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
return [await isRight(bytes, digest), await isRight(bytes.slice(1), digest)];
"""
"""How an insecure page checks a digest."""
DEAD = {
    "hanging": "no answer within 3 s",
    "503": "HTTP 503",
    "wrong-bytes": "other bytes than it must have",
    "cut-off": "",  # each engine has words of its own
    "slow-then-dead": "no answer within 3 s",
    "no-cors": "no readable answer (",
    "empty": "HTTP 404",
    "html": "",
    "closed": "no readable answer (",
}


@pytest.mark.engines(
    "chromium", "firefox", "firefox-worker", "webkit", "node", ci=("firefox", "node")
)
def test_all_cdns_dead_is_one_error_that_says_why_of_each(
    page: Engine, zoo: CDNZoo, tmp_path: Path
) -> None:
    urls = {name: zoo.url(name) for name in DEAD if (name, page.name) != ("no-cors", "node")}
    folder = write(tmp_path / "py", list(urls.values()), timeout=3)
    with visiting(page, folder) as pages:
        found = start(page)
        if page.name != "node":  # which always has a digest of its own
            url = f"{pages.base_url()}/{next(folder.glob('pyodide-mirror-*')).name}"
            assert page.run_js(CHECKED.replace("URL", url), pyodide_checks=False) == [True, False]
    assert found["seconds"] < 2 * 3  # one time-out, and not those of two that never end
    assert found["restored"]
    assert "could not be loaded from any CDN: " in found["error"]
    for name, url in urls.items():
        assert f"{url.split('/')[2]}: {DEAD[name]}" in found["error"]


SIDE_BY_SIDE = """
const seen = [];
const onProgress = ({ file, cdn }) => {
    seen.push([file, cdn]);
    throw new Error("the page's own fault");
};
const old = ["1", "2", "3"].map((name) => `pyodide-mirror-loader-${name}`);
for (const name of old) await caches.open(name);
const before = globalThis.fetch;
const lines = [];
const options = { env: { ZOO: "1" }, stdout: (line) => lines.push(line), packages: ["zoo-arrays"] };
const starting = [loadPyodide({ onProgress, ...options }), loadPyodide()];
const asked = fetch("pyodide-lock.json").then((answer) => answer.json());
const [one, two] = await Promise.all(starting);
one.runPython("import os, zoo_arrays; print(os.environ['ZOO'], zoo_arrays.VALUE)");
const env = two.runPython("import os; os.environ.get('ZOO', 'none')");
while (await caches.has(old[0])) await new Promise((resolve) => setTimeout(resolve, 10));
return {
    kept: (await caches.keys()).filter((name) => old.includes(name)).length,
    files: [...new Set(seen.map(([file]) => file))].sort(),
    cdns: [...new Set(seen.map(([, cdn]) => cdn))],
    packages: Object.keys((await asked).packages).includes("zoo-arrays"),
    lines,
    env,
    loaded: [Object.keys(one.loadedPackages), Object.keys(two.loadedPackages)],
    restored: globalThis.fetch === before,
};
"""


@pytest.mark.engines("chromium", "firefox", "webkit", ci=("chromium",))
def test_a_folder_that_has_everything_needs_no_cdn_and_starts_two_at_once(
    page: Engine, tmp_path: Path
) -> None:
    release = tmp_path / "release"
    release.mkdir()
    for path in [*DIST.glob("*.whl"), *(DIST / name for name in CORE)]:
        (release / path.name).symlink_to(path)
    for wheel in LOCKED:
        (release / wheel.filename).write_bytes(wheel.data)
    lock = lock_of(tmp_path)
    write_loader(tmp_path / "py", VERSION, [LocalFolder(release), LocalFolder(DIST)], lock=lock)
    with visiting(page, tmp_path / "py") as pages:
        found = page.run_js(SIDE_BY_SIDE, pyodide_checks=False)
        here = f"{pages.base_url()}/"
    wheels = [ARRAYS.filename, LIBRARY.filename]
    assert found == {
        "files": sorted([*CORE, *wheels]),
        "cdns": [here],
        "packages": True,
        "lines": ["1 zoo-arrays 1.0"],
        "env": "none",
        "loaded": [["zoo-blas", "zoo-arrays"], []],
        "restored": True,
        "kept": 2,
    }


KEPT = """
const databases = (await indexedDB.databases()).map(({ name }) => name);
result = [typeof caches, typeof crypto.subtle, databases.includes("pyodide-mirror-loader-VERSION")];
""".replace("VERSION", VERSION)


@pytest.mark.nightly
@pytest.mark.engines("chromium", "chromium-worker")
def test_an_insecure_page_checks_and_keeps_what_it_loads_as_well(
    page: Engine, zoo: CDNZoo, tmp_path: Path
) -> None:
    folder = write(tmp_path / "py", [zoo.url("wrong-bytes"), zoo.url("good")])
    with PageServer(folder) as pages, page.page_of(pages, host="page.test"):
        first = start(page, KEPT)
        zoo.close()
        with page.page_of(pages, host="page.test"):
            second = start(page)
    assert first["result"] == ["undefined", "undefined", True]
    assert {one["cdn"] for one in first["seen"].values()} == {CDN(zoo.url("good")).url("", VERSION)}
    assert (second["seen"], second["version"]) == ({}, VERSION)


PLAIN = """
result = [pyodide.version];
await pyodide.loadPackage("zoo-arrays");
result.push(await python("import zoo_arrays; zoo_arrays.VALUE"));
result.push(await python("import micropip, sys; 'pyodide_mirror' in sys.modules"));
result.push(self.logs.filter((line) => `${line}`.includes("Python has no pyodide_mirror")).length);
"""


@pytest.mark.nightly
@pytest.mark.engines("chromium", "firefox", "node")
@pytest.mark.parametrize("version", ["0.28.3", "0.29.5"])
def test_older_versions_start_the_same_way(page: Engine, version: str, tmp_path: Path) -> None:
    dist, cache = compiled_dist(version), tmp_path / "cache"
    whole = version == "0.28.3"
    with zoo_of(dist) as zoo:
        urls = [zoo.url("wrong-bytes"), zoo.url("good")]
        folder = write(tmp_path / "py", urls, version=version, dist=dist)
        options = {}
        if page.name == "node":
            options = {"packageCacheDir": str(cache)} if whole else {"indexURL": str(folder)}
        if not whole:
            next(folder.glob("pyodide_mirror-*.whl")).unlink()
        with visiting(page, folder):
            found = start(page, PLAIN, packages=["micropip"], **options)
    assert found["result"] == [version, "zoo-arrays 1.0", whole, int(not whole)]
    if page.name == "node":
        kept = {path.name for path in (cache if whole else folder).iterdir()}
        assert {*CORE, "pyodide.asm.js", ARRAYS.filename, LIBRARY.filename} <= kept
