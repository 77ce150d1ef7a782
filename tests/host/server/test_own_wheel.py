"""Our own wheels: the whole one is for pip and uv, the other one for pages alone."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
import uv
from packaging.tags import parse_tag, sys_tags

from pyodide_mirror import __version__
from pyodide_mirror.own_wheels import page_wheel, page_wheels, pure_wheel, whole_wheel
from pyodide_mirror.server.own_wheel import PROJECT, OwnWheel
from tests.support.own_server import Serving, clean_environment, serving
from tests.support.wheels import make_wheel

DEPENDENCIES = ("micropip", "packaging")
EXTRA = ("aiohttp", "httptools", "platformdirs", "starlette", "uvicorn", "uvloop")
"""The dependencies of the extra ``serve``."""
WHOLE = whole_wheel()[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server without upstreams, over a folder with the dependencies; the extra's are empty."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in EXTRA:
        wheel = make_wheel(name, "99.0")
        (folder / wheel.filename).write_bytes(wheel.data)
    for name in DEPENDENCIES:
        stem, content = wheel_of_installed(name)
        (folder / f"{stem}-py3-none-any.whl").write_bytes(content)
    with serving(folder) as running:
        yield running


def wheel_of_installed(name: str) -> tuple[str, bytes]:
    """Name and version of a package that is installed here, and a wheel of its files."""
    found = distribution(name)
    stem = f"{name}-{found.version}"
    info = f"{stem}.dist-info"
    wanted = {f"{info}/METADATA"}
    contents = {
        str(file): Path(str(file.locate())).read_bytes()
        for file in found.files or ()
        if str(file) in wanted or (str(file).startswith(f"{name}/") and file.suffix == ".py")
    }
    return stem, pure_wheel(info, contents)


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A virtual environment with nothing in it."""
    made = tmp_path / "venv"
    run(uv.find_uv_bin(), "venv", "--quiet", "--offline", "--python", sys.executable, str(made))
    return made


def run(*command: str) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*arguments: str) -> str:
    tool = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir")
    return run(*tool, "--retries", "0", *arguments)


def check_command(venv: Path) -> None:
    """The command is there with its parts, and the extra's dependencies are installed."""
    [scripts] = (path for path in (venv / "bin", venv / "Scripts") if path.is_dir())
    command = str(scripts / "pyodide-mirror")
    assert __version__ in run(command, "--version")
    assert "--upstream" in run(command, "serve", "--help")
    installed = {path.name for path in venv.rglob("*.dist-info")}
    assert {f"{name}-99.0.dist-info" for name in EXTRA} <= installed
    [package] = venv.rglob("pyodide_mirror/__init__.py")
    assert (package.parent / "server" / "run.py").is_file()


def test_pip_installs_a_command_that_works(server: Serving, venv: Path) -> None:
    index = ("--index-url", f"{server.index_url}/")
    said = pip("--python", str(venv), "install", *index, "pyodide-mirror[serve]")
    assert WHOLE in said
    check_command(venv)


def test_uv_installs_a_command_that_works(server: Serving, venv: Path) -> None:
    index = ("--index-url", f"{server.index_url}/")
    options = ("--no-cache", "--python", str(venv), *index)
    run(uv.find_uv_bin(), "pip", "install", *options, "pyodide-mirror[serve]")
    check_command(venv)


def test_pip_downloads_the_whole_wheel_for_other_desktops(server: Serving, tmp_path: Path) -> None:
    options = ("--platform", "win_amd64", "--platform", "macosx_11_0_arm64")
    index = ("--index-url", f"{server.index_url}/", "--no-deps", "--only-binary", ":all:")
    pip("download", *index, *options, "--dest", str(tmp_path), "pyodide-mirror")
    [path] = tmp_path.iterdir()
    assert path.name == WHOLE
    assert path.read_bytes() == whole_wheel()[1]


async def test_both_wheels_are_listed_and_no_desktop_has_a_tag_of_the_one_for_pages() -> None:
    own = OwnWheel()
    page = await own.page(PROJECT)
    assert page is not None
    assert [file.filename for file in page.files] == [
        WHOLE,
        *page_wheels(),
    ]  # micropip 0.9 takes the last
    assert own.filename == page_wheel()[0]
    *_, python, abi, platforms = own.filename.removesuffix(".whl").split("-")
    tags = parse_tag(f"{python}-{abi}-{platforms}")
    assert all("emscripten" in tag.platform for tag in tags)
    assert tags.isdisjoint(sys_tags())
    assert await own.page("another") is None
    assert own.find("another") is None
