"""The real setuptools, which vendors a dozen packages, by pip and by uv.

It comes from a folder, and from HTML-only upstreams without metadata files, of which one sends
parts of files and the other does not.
"""

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uv

from tests.support.own_server import Serving, clean_environment, serving
from tests.support.provision import real_wheels
from tests.support.server_wire import get
from tests.support.upstreams import part_of
from tests.support.wheels import make_wheel
from tests.zoo.server import Request, Response, Server

SETUPTOOLS = "setuptools==84.2.1"
NEEDED = make_wheel("zneeded", "1.0")
Install = Callable[..., None]
PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "zbuilt"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["zneeded"]

[tool.setuptools]
py-modules = ["zbuilt"]
"""


@pytest.fixture(scope="module")
def wheel() -> Path:
    [found] = real_wheels([SETUPTOOLS]).glob("setuptools-*.whl")
    return found


@pytest.fixture(scope="module")
def server(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("wheels")
    (folder / wheel.name).write_bytes(wheel.read_bytes())
    (folder / NEEDED.filename).write_bytes(NEEDED.data)
    with serving(folder) as running:
        yield running


@pytest.fixture(scope="module")
def above(wheel: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Serving, Server]]:
    """A server over an upstream, and this."""
    files = {wheel.name: wheel.read_bytes(), NEEDED.filename: NEEDED.data}

    def answer(asked: Request) -> Response:
        name = asked.path.rstrip("/").rpartition("/")[2]
        if name in files:
            whole = Response(body=files[name], headers=(("Accept-Ranges", "bytes"),))
            return part_of(asked, whole) if request.param == "parts" else whole
        found = [each for each in files if each.startswith(f"{name}-")]
        links = "".join(
            f"<a href='/files/{each}#sha256={digest(each)}'>{each}</a>" for each in found
        )
        html = (("Content-Type", "text/html"),)
        return Response(body=links.encode(), headers=html, status=200 if found else 404)

    def digest(name: str) -> str:
        return hashlib.sha256(files[name]).hexdigest()

    upstream = Server(answer)
    try:
        with serving(None, [f"http://127.0.0.1:{upstream.port}/simple"]) as running:
            yield running, upstream
    finally:
        upstream.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "zbuilt"
    made.mkdir()
    (made / "pyproject.toml").write_text(PROJECT)
    (made / "zbuilt.py").write_text("VALUE = 1\n")
    return made


def run(*command: str) -> None:
    env = clean_environment()
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr


def pip_install(server: Serving, target: Path, *what: str) -> None:
    options = ["--disable-pip-version-check", "--no-cache-dir", "--target", str(target)]
    run(sys.executable, "-m", "pip", "install", *options, "-i", server.index_url, *what)


def uv_pip_install(server: Serving, target: Path, *what: str) -> None:
    options = ["--no-cache", "--python", sys.executable, "--target", str(target)]
    run(uv.find_uv_bin(), "pip", "install", *options, "--default-index", server.index_url, *what)


def installed(target: Path) -> set[str]:
    return {path.name.removesuffix(".dist-info") for path in target.rglob("*-1.0.dist-info")}


def test_its_page_promises_the_metadata_at_its_root(server: Serving, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        right = archive.read(f"{SETUPTOOLS.replace('==', '-')}.dist-info/METADATA")
    assert len(names) > 1, "it vendors nothing any more"
    [file] = json.loads(get(f"{server.index_url}/setuptools/").body)["files"]
    assert file["filename"] == wheel.name
    assert file["core-metadata"] == {"sha256": hashlib.sha256(right).hexdigest()}
    assert file["requires-python"] == ">=3.10"
    assert get(f"{file['url']}.metadata").body == right


@pytest.mark.parametrize("install", [pip_install, uv_pip_install])
def test_it_is_installed_and_builds_a_project_in_isolation(
    server: Serving, tmp_path: Path, project: Path, install: Install
) -> None:
    install(server, tmp_path / "target", "setuptools", str(project))
    assert (tmp_path / "target" / "setuptools" / "build_meta.py").is_file()
    assert installed(tmp_path / "target") == {"zbuilt-1.0", "zneeded-1.0"}


@pytest.mark.parametrize(
    ("above", "install"),
    [
        ("parts", uv_pip_install),
        # pip takes several times as long for it.
        pytest.param("parts", pip_install, marks=pytest.mark.nightly),
        pytest.param("no parts", pip_install, marks=pytest.mark.nightly),
    ],
    indirect=["above"],
)
def test_over_an_upstream_without_metadata_it_is_installed_and_builds(
    above: tuple[Serving, Server], tmp_path: Path, project: Path, install: Install
) -> None:
    server, _ = above
    install(server, tmp_path / "target", "setuptools", str(project))
    assert (tmp_path / "target" / "setuptools" / "build_meta.py").is_file()
    assert installed(tmp_path / "target") == {"zbuilt-1.0", "zneeded-1.0"}


@pytest.mark.parametrize("above", ["parts", "no parts"], indirect=True)
def test_over_an_upstream_without_metadata_its_own_is_served_without_the_whole_wheel(
    above: tuple[Serving, Server], wheel: Path
) -> None:
    server, upstream = above
    with zipfile.ZipFile(wheel) as archive:
        right = archive.read(f"{SETUPTOOLS.replace('==', '-')}.dist-info/METADATA")
    with serving(None, [f"http://127.0.0.1:{upstream.port}/simple"]) as fresh:
        [file] = json.loads(get(f"{fresh.index_url}/setuptools/").body)["files"]
        before = len(upstream.requests)
        assert get(f"{file['url']}.metadata").body == right
        asked = upstream.requests[before:]
    if "core-metadata" in file:
        assert all(each.header("Range") for each in asked)
    else:
        assert [each.header("Range") for each in asked] == [None]
    assert server.process.poll() is None


def test_uv_syncs_such_a_project(server: Serving, project: Path) -> None:
    options = ["--no-cache", "--python", sys.executable, "--default-index", server.index_url]
    run(uv.find_uv_bin(), "sync", "--project", str(project), *options)
    assert installed(project / ".venv") == {"zbuilt-1.0", "zneeded-1.0"}
