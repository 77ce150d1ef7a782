"""pip and uv install from a bundle on every kind of host, and our own server serves it whole."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv

from pyodide_mirror import cli
from pyodide_mirror.bundling import read_lock_file, write_bundle
from tests.support import bundles
from tests.support.own_server import clean_environment, serving, serving_here
from tests.support.static_hosts import HOSTS, nginx
from tests.zoo.cdns import LIBRARY

NAMES = ("zoo_tree", "zoo_leaf", "zoo_frames", "zoo_arrays", "zoo_dep_a")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A bundle."""
    top = tmp_path_factory.mktemp("bundle")
    release = bundles.make_release(top / "release", bundles.make_small_dist(top / "dist"))
    lock = read_lock_file(bundles.write_lock(top / "lock" / "pylock.toml"))
    with bundles.known_release(release):
        write_bundle(top / "bundle", [lock], bundles.settings(release, top / "cache"))
        yield top / "bundle"


def install(tool: str, folder: Path, *arguments: str) -> set[str]:
    """Install into a folder, and return what is in it."""
    target = ("--target", str(folder / "there"))
    command = {
        "pip": [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "install"],
        "uv": [uv.find_uv_bin(), "-q", "--cache-dir", str(folder / "cache"), "pip", "install"],
    }[tool]
    done = subprocess.run(
        [*command, *target, *arguments],
        env=clean_environment(),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {path.stem for path in (folder / "there").glob("zoo_*.py")}


@pytest.mark.parametrize(
    ("tool", "host"), [("pip", "http.server"), ("pip", "bucket"), *(("uv", host) for host in HOSTS)]
)
def test_installs_from_a_bundle(tool: str, host: str, bundle: Path, tmp_path: Path) -> None:
    with HOSTS[host](bundle, tmp_path / "host") as url:
        index = ["--index-url", f"{url}/simple/"]
        if host == "bucket":
            index = ["--no-index", "--find-links", f"{url}/links.html"]
        assert install(tool, tmp_path, *index, "zoo-tree") == {*NAMES}


def test_on_nginx_below_a_path_all_has_its_type_and_the_index_is_a_full_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = bundles.make_release(tmp_path / "release", bundles.make_small_dist(tmp_path / "dist"))
    lock = read_lock_file(bundles.write_lock(tmp_path / "lock" / "pylock.toml"))
    settings = bundles.settings(release, tmp_path / "cache", public_url="https://x.example/a/py")
    folder = tmp_path / "web" / "a" / "py"
    with bundles.known_release(release):
        write_bundle(folder, [lock], settings)
    kind_of_json = "application/vnd.pypi.simple.v1+json"
    expected = {
        "": "text/html",
        "simple/index.json": kind_of_json,
        "simple/zoo-tree/index.json": kind_of_json,
        "simple/zoo-tree/": "text/html",
        "pyodide/pyodide.mjs": "text/javascript",
        "pyodide/pyodide.asm.wasm": "application/wasm",
        "pyodide/pyodide-lock.json": "application/json",
        f"files/{bundles.TREE.filename}": "application/octet-stream",
        f"files/{bundles.TREE.filename}.metadata": "application/octet-stream",
    }
    with nginx(folder, tmp_path / "host", tmp_path / "web") as url:
        for path, kind in expected.items():
            with urllib.request.urlopen(f"{url}/a/py/{path}", timeout=30) as answer:  # noqa: S310
                assert answer.headers["content-type"] == kind, path
                assert answer.headers["access-control-allow-origin"] == "*", path
        with bundles.known_release(release):  # now that the address is known
            write_bundle(folder, [], settings._replace(public_url=f"{url}/a/py"))
        index = f"{url}/a/py/simple/{{package_name}}/index.json"
        assert cli.main(["check", "--canary", "zoo-tree", "--json", index]) == 0
    [outcome] = json.loads(capsys.readouterr().out)["outcomes"]
    assert (outcome["reason"], outcome["support"]) == ("ok", "full")


def read(url: str) -> bytes:
    """What is at a URL of this machine."""
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310
        found: bytes = answer.read()
    return found


def test_our_server_over_a_bundle_is_a_whole_index_with_pyodide(
    bundle: Path, tmp_path: Path
) -> None:
    with serving_here(folder=bundle) as server:
        index = ["--index-url", f"{server.url}/simple/"]
        assert install("uv", tmp_path, *index, "zoo-tree") == {*NAMES}
        base = f"{server.url}/pyodide/v{bundles.VERSION}/full/"
        pyodide = {path.name: path for path in (bundle / "pyodide").iterdir()}
        for name in ("pyodide.asm.wasm", "pyodide-lock.json", LIBRARY.filename):
            assert read(base + name) == pyodide[name].read_bytes()
        # Pyodide's own, and not the loader, whose index is beside it.
        own = pyodide[f"pyodide-{bundles.VERSION}.mjs"]
        assert read(f"{base}pyodide.mjs") == own.read_bytes()


def test_the_server_as_a_program_says_nothing_of_what_is_no_package(bundle: Path) -> None:
    with serving(bundle) as server:
        assert b"zoo_tree-1.0" in read(f"{server.url}/simple/zoo-tree/")
    assert "left out" not in server.output
