"""Lock files are written in one browser, and installed from in another one, with other hosts."""

import hashlib
import io
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror import cli
from tests.browser.test_cdns import run
from tests.support import lock_place, provision, pylock_makers
from tests.support.engines import Engine
from tests.support.small_index import SmallIndex
from tests.support.wheels import Wheel, make_wheel
from tests.zoo.cdns import ARRAYS, FRAMES, LIBRARY, CDNZoo
from tests.zoo.server import LOOPBACK, Request, Response, Server

pytestmark = pytest.mark.engines("chromium")

ROOT = make_wheel("zoo-root", "1.0", requires=["zoo-dep-a>=1", "zoo-frames"])
DEP = make_wheel("zoo-dep-a", "1.0")
WHEELS = (ROOT, DEP, make_wheel("zoo-canary", "1.0"))
NAMES = sorted(wheel.name for wheel in (ROOT, DEP, ARRAYS, FRAMES))
"""What is in the lock file: of a shared library Pyodide's own has the digest."""
_CORS = (("Access-Control-Allow-Origin", "*"),)


@pytest.fixture(scope="module")
def writer() -> Wheel:
    """tomli-w itself, for Pyodide's lock file."""
    [path] = provision.real_wheels(["tomli-w"]).glob("tomli_w-*.whl")
    version = path.name.split("-")[1]
    data = path.read_bytes()
    return Wheel(filename=path.name, name="tomli-w", version=version, data=data, metadata=b"")


@pytest.fixture
def serve() -> Iterator[Callable[[dict[str, tuple[str, bytes]]], Server]]:
    """A function that serves these bodies, with their media types, by their paths."""
    with ExitStack() as stack:

        def start(bodies: dict[str, tuple[str, bytes]]) -> Server:
            def answer(request: Request) -> Response:
                kind, body = bodies.get(request.path, ("", b""))
                headers = (*_CORS, ("Content-Type", kind))
                return Response(status=200 if kind else 404, headers=headers, body=body)

            server = Server(answer)
            stack.callback(server.close)
            return server

        yield start


WRITE = """
# Another test may have had it, and micropip's uninstall forgets a name only as the wheel spells it.
sys.modules.pop("tomli_w", None)
if hasattr(pyodide_js.loadedPackages, "tomli-w"):
    delattr(pyodide_js.loadedPackages, "tomli-w")
js_entry = to_js(WRITER, dict_converter=js.Object.fromEntries)
setattr(js_packages(), "tomli-w", js_entry)
_lockfile_packages()["tomli-w"] = WRITER
report = await pyodide_mirror.install("zoo-root", cdns=CDN, **COMMON)
text = report.to_pylock()
frozen = pyodide_mirror.freeze(exclude=["iniconfig"])  # of which LOCKED has another version
RESULT({
    "text": text,
    "frozen": frozen,
    "traces": [n for n in (*installed(), *pyodide_js.loadedPackages.to_py()) if n == "tomli-w"],
    "digests": digests(),
})
"""
READ = """
error = ""
try:
    report = await pyodide_mirror.install_pylock(SOURCE, mirrors=MIRROR, cdns=CDN)
except pyodide_mirror.MirrorError as caught:
    error = f"{type(caught).__name__}: {caught}"
RESULT({"error": error, "there": zoo_installed(), "digests": digests()})
"""
DIGESTS = """
import hashlib
def digests():
    found = {}
    for name, item in installed().items():
        if name.startswith("zoo-"):
            for path in sorted(item.folder.parent.glob(name.replace("-", "_") + "*.py")):
                found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
"""


def inside(page: Engine, code: str, mirror: str, **names: object) -> Any:
    return run(page, DIGESTS + code, mirror, **names)


def entry(wheel: Wheel) -> dict[str, Any]:
    """What Pyodide's lock file has of a package."""
    return {
        "name": wheel.name,
        "version": wheel.version,
        "file_name": wheel.filename,
        "install_dir": "site",
        "sha256": wheel.sha256,
        "package_type": "package",
        "imports": [wheel.name.replace("-", "_")],
        "depends": [],
        "unvendored_tests": False,
    }


@pytest.mark.nightly
@pytest.mark.driver_timeout(120)
def test_what_one_browser_has_installed_another_one_installs(
    page: Engine,
    start_engine: Callable[..., Engine],
    serve: Callable[[dict[str, tuple[str, bytes]]], Server],
    writer: Wheel,
) -> None:
    with ExitStack() as stack:
        cdns = stack.enter_context(CDNZoo(packages={writer.filename: writer.data}))
        index, other = (stack.enter_context(SmallIndex(*WHEELS)) for _ in range(2))
        made = inside(page, WRITE, index.url, WRITER=entry(writer), CDN=cdns.url("good"))
        packages = {each["name"]: each for each in tomllib.loads(made["text"])["packages"]}
        assert sorted(packages) == NAMES
        assert made["traces"] == []
        frozen = {each["name"]: each for each in tomllib.loads(made["frozen"])["packages"]}
        assert {name: frozen[name] for name in NAMES} == packages

        lock = ("application/toml", made["text"].encode())
        place = f"http://{LOOPBACK}:{serve({'/pylock.toml': lock}).port}/pylock.toml"
        for reader in ("firefox", "webkit"):
            index.paths.clear()
            another = stack.enter_context(CDNZoo())
            names = {"SOURCE": place, "MIRROR": other.url, "CDN": another.url("good")}
            found = inside(start_engine(reader), READ, other.url, **names)
            assert found["error"] == ""
            assert found["digests"] == made["digests"]
            assert len(made["digests"]) == len(NAMES) + 1
            assert sorted(index.paths) == sorted(f"/files/{each.filename}" for each in (ROOT, DEP))
            assert other.paths == []
            assert {wheel.filename for wheel in (ARRAYS, FRAMES, LIBRARY)} <= {
                *another.start("good").asked
            }

        # One bit is another one.
        broken = DEP.data[:-1] + bytes([DEP.data[-1] ^ 1])
        for each in (index, other):
            each._wheels[DEP.filename] = replace(DEP, data=broken)
        found = inside(page, READ, other.url, **names)
        assert found["there"] == []
        assert found["error"].startswith(f"DigestMismatch: {DEP.filename}: ")


# --- made elsewhere ------------------------------------------------------------------------------

ADD = """
LOCKED["zoo-wasm"] = WASM
BEFORE["zoo-wasm"] = lock()["zoo-wasm"]
"""


@pytest.mark.driver_timeout(120)
def test_what_the_command_has_locked_a_page_installs(
    page: Engine,
    serve: Callable[[dict[str, tuple[str, bytes]]], Server],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ExitStack() as stack:
        iniconfig = make_wheel("iniconfig", "1.0")
        index, other = (
            stack.enter_context(SmallIndex(*lock_place.INDEX, iniconfig)) for _ in range(2)
        )
        asked = ("zoo-app", "zoo-capped<2", "--mirror", index.url)
        done = cli.main(["lock", *asked, *lock_place.places(tmp_path, [lock_place.WASM])])
        shown = capsys.readouterr()
        assert done == 0, shown.err
        index.paths.clear()

        wasm = lock_place.WASM
        zoo = stack.enter_context(CDNZoo(packages={wasm.filename: wasm.data}))
        # From this machine, because a lock file of another host leads to no host of this one.
        lock = ("application/toml", shown.out.encode())
        place = f"http://{LOOPBACK}:{serve({'/pylock.toml': lock}).port}/pylock.toml"
        names = {"SOURCE": place, "MIRROR": other.url, "WASM": entry(wasm)}
        damaged = {**names, "CDN": zoo.url("wrong-bytes")}
        found = inside(page, ADD + READ, other.url, **damaged)
        assert found["there"] == []
        assert "hash-mismatch" in found["error"]
        assert any(wheel.filename in found["error"] for wheel in (ARRAYS, FRAMES, LIBRARY, wasm))
        found = inside(page, ADD + READ, other.url, **{**names, "CDN": zoo.url("good")})
        assert found["error"] == ""
        wheels = {f"{each.name}-{each.version}": each for each in lock_place.INDEX}
        pure = [wheels["-".join(each)] for each in lock_place.PURE.items()]
        assert found["digests"] == modules([*pure, *lock_place.LOCKED.values(), LIBRARY])
        assert other.paths == []
        assert set(index.paths) == {f"/files/{wheel.filename}" for wheel in pure}


def modules(wheels: Iterable[Wheel]) -> dict[str, str]:
    """The digests of the modules of wheels."""
    found = {}
    for wheel in wheels:
        name = f"{wheel.name.replace('-', '_')}.py"
        with zipfile.ZipFile(io.BytesIO(wheel.data)) as opened:
            found[name] = hashlib.sha256(opened.read(name)).hexdigest()
    return found


OTHERS = """
found = []
for text in TEXTS:
    report = await pyodide_mirror.install_pylock(text, mirrors=MIRROR)
    found.append({one.name: one.sha256 for one in report.installed})
    micropip.uninstall([*found[-1]])
    await pyodide_mirror.clear_cache()
RESULT(found)
"""


def test_lock_files_of_pip_uv_and_pdm_are_installed(page: Engine, tmp_path: Path) -> None:
    with SmallIndex(*pylock_makers.WHEELS) as index:
        texts = []
        for make in pylock_makers.MAKERS:
            folder = tmp_path / make.__name__
            folder.mkdir()
            make(folder, index)
            texts.append((folder / "pylock.toml").read_text())
        index.paths.clear()
        found = inside(page, OTHERS, index.url, TEXTS=texts, MIRROR=index.url)
        wanted = (pylock_makers.ROOT, pylock_makers.ZDEP)
        assert found == [{wheel.name: wheel.sha256 for wheel in wanted}] * len(texts)
        assert sorted(index.paths) == sorted(f"/files/{each.filename}" for each in wanted * 4)


# --- an index in a bucket, which has no index documents -------------------------------------------

BUCKET = """
mirror = pyodide_mirror.Mirror(INDEX)
probed = await pyodide_mirror.probe(mirror, canary="zoo-canary")
report = await pyodide_mirror.install("zoo-dep-a", mirrors=mirror, canary="zoo-canary")
await clean()
await pyodide_mirror.configure(INDEX, canary="zoo-canary", remember=False)
await micropip.install("zoo-dep-a")
RESULT({
    "probed": [str(probed.outcomes[0].reason), probed.outcomes[0].mirror.name],
    "installed": [[each.name, each.mirror, each.url] for each in report.installed],
    "by_micropip": zoo_installed(),
})
"""


def test_an_index_url_with_a_placeholder(
    page: Engine, serve: Callable[[dict[str, tuple[str, bytes]]], Server]
) -> None:
    bodies = {}
    for wheel in WHEELS:
        link = f"../../files/{wheel.filename}#sha256={wheel.sha256}"
        text = f"<!DOCTYPE html><title>x</title><a href='{link}'>{wheel.filename}</a>"
        bodies[f"/simple/{wheel.name}/index.html"] = ("text/html", text.encode())
        bodies[f"/files/{wheel.filename}"] = ("application/octet-stream", wheel.data)
    server = serve(bodies)
    base = f"http://{LOOPBACK}:{server.port}"
    index = f"{base}/simple/{{package_name}}/index.html"
    found = inside(page, BUCKET, base, INDEX=index)
    assert found == {
        "probed": ["html-only", f"{LOOPBACK}:{server.port}"],
        "installed": [["zoo-dep-a", index, f"{base}/files/{DEP.filename}"]],
        "by_micropip": ["zoo-dep-a"],
    }
