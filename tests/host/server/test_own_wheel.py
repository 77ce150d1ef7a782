"""Our own wheels: the whole one is for pip and uv, the other one for pages alone."""

import asyncio
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from importlib.metadata import distribution
from pathlib import Path

import pytest
import uv
from packaging.tags import parse_tag, sys_tags

from pyodide_mirror import __version__
from pyodide_mirror.own_wheels import page_wheel, page_wheels, pure_wheel, whole_wheel
from pyodide_mirror.rebuilt import rebuilt_wheel
from pyodide_mirror.server import build, create_app
from pyodide_mirror.server.access.rules import CurrentRules
from pyodide_mirror.server.own_wheel import PROJECT, MadeWheels, OwnWheel
from pyodide_mirror.server.repository import Repository
from pyodide_mirror.server.source import LocalSource
from pyodide_mirror.server.upstreams.upstream import Upstream
from tests.support.own_server import Serving, clean_environment, serving
from tests.support.wheels import make_wheel

DEPENDENCIES = ("micropip", "packaging")
EXTRA = (
    *("aiohttp", "bcrypt", "httptools", "platformdirs", "prometheus-client", "python-multipart"),
    *("starlette", "uvicorn", "uvloop"),
)
"""The dependencies of the extra ``serve``."""
WHOLE = whole_wheel()[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server without upstreams, over a folder with the dependencies, of which most are empty."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in (*EXTRA, "tomli-w"):
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
    assert {f"{name.replace('-', '_')}-99.0.dist-info" for name in EXTRA} <= installed
    [package] = venv.rglob("pyodide_mirror/__init__.py")
    assert (package.parent / "server" / "running" / "run.py").is_file()


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


def test_a_server_without_upstreams_has_the_resolver_that_is_installed(
    server: Serving, tmp_path: Path
) -> None:
    index = ("--index-url", f"{server.index_url}/", "--no-deps", "--only-binary", ":all:")
    pip("download", *index, "--dest", str(tmp_path), "resolvelib")
    [path] = tmp_path.iterdir()
    name, content = rebuilt_wheel("resolvelib")
    assert (path.name, path.read_bytes()) == (name, content)
    assert f"resolvelib-{distribution('resolvelib').version}-0x" in name  # not the name on PyPI
    with zipfile.ZipFile(path) as wheel:
        assert "resolvelib/resolvers/resolution.py" in wheel.namelist()


@pytest.mark.parametrize("upstreams", [(), ("http://127.0.0.1:9/simple",)], ids=["none", "one"])
async def test_one_with_upstreams_leaves_it_to_them(
    upstreams: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[list[str]] = []

    class Watched(Repository):
        def __init__(
            self,
            local: Sequence[LocalSource],
            others: Sequence[Upstream],
            rules: CurrentRules | None = None,
        ) -> None:
            made.append([name for source in local for name in asyncio.run(source.projects())])
            super().__init__(local, others, rules)

    monkeypatch.setattr(build, "Repository", Watched)
    await asyncio.to_thread(create_app, upstreams=upstreams)
    assert made == [[PROJECT] if upstreams else [PROJECT, "resolvelib"]]


def test_none_is_made_for_a_name_that_none_can_have() -> None:
    """Whoever asks for what is nowhere would make the server work for seconds."""
    made: list[int] = []
    wheel = make_wheel("zoo-made", "1.0")

    def make() -> dict[str, bytes]:
        made.append(1)
        return {wheel.filename: wheel.data}

    source = MadeWheels("made", "zoo-made", "1.0", make)
    for name in ("anything", "", "zoo-made", "zoo_made", "pyodide_mirror-1.0-py3-none-any.whl"):
        assert source.find(name) is None
    assert made == []
    assert source.find("zoo_made-2.0-py3-none-any.whl") is None
    assert made == [1]
