"""The real setuptools, which vendors a dozen packages, from a folder: by pip and by uv."""

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
from tests.support.wheels import make_wheel

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


def test_uv_syncs_such_a_project(server: Serving, project: Path) -> None:
    options = ["--no-cache", "--python", sys.executable, "--default-index", server.index_url]
    run(uv.find_uv_bin(), "sync", "--project", str(project), *options)
    assert installed(project / ".venv") == {"zbuilt-1.0", "zneeded-1.0"}
