"""Lock files of pip, uv and pdm are installed by us, and ours by pip and uv."""

import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyodide_mirror.api.locks import freeze, install_pylock
from pyodide_mirror.transport import CorsTransport, PageFacts
from tests.support.install_world import World
from tests.support.pylock_makers import MAKERS, ROOT, THERE, WHEELS, ZDEP, pip, run_uv
from tests.support.small_index import SmallIndex

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def index() -> Iterator[SmallIndex]:
    """An index on this machine."""
    with SmallIndex(*WHEELS) as started:
        yield started


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
async def test_theirs_by_us(
    new_world: Callable[..., World],
    index: SmallIndex,
    folder: Path,
    make: Callable[[Path, SmallIndex], None],
) -> None:
    make(folder, index)
    world = new_world(web=CorsTransport(PageFacts()))
    index.paths.clear()
    report = await install_pylock(folder / "pylock.toml", mirrors=index.url)
    assert world.installed == THERE
    assert sorted(index.paths) == sorted(f"/files/{each.filename}" for each in (ROOT, ZDEP))
    assert {each.name: each.sha256 for each in report.installed} == {
        each.name: each.sha256 for each in (ROOT, ZDEP)
    }
    again = tomllib.loads(report.to_pylock())
    assert [each["name"] for each in again["packages"]] == ["zdep", "zroot"]


async def test_ours_by_them(
    new_world: Callable[..., World], index: SmallIndex, folder: Path
) -> None:
    world = new_world(web=CorsTransport(PageFacts()))
    await world.install("zroot", mirrors=index.url, canary="iniconfig")
    (folder / "pylock.toml").write_text(freeze())
    pip("install", "-r", "pylock.toml", "--target", "by-pip", folder=folder)
    run_uv("pip", "sync", "pylock.toml", "--target", "by-uv", "-p", sys.executable, folder=folder)
    for target in ("by-pip", "by-uv"):
        assert {path.name for path in (folder / target).glob("*.dist-info")} == {
            "zroot-1.0.dist-info",
            "zdep-1.5.dist-info",
        }


async def test_of_ours_they_take_the_pure_part(
    new_world: Callable[..., World], index: SmallIndex, folder: Path
) -> None:
    world = new_world(web=CorsTransport(PageFacts()))
    await world.install("zroot", mirrors=index.url, canary="iniconfig")
    # A package for Pyodide alone, as micropip leaves it.
    info = world.folder / "zwasm-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zwasm\nVersion: 1.0\n")
    (info / "PYODIDE_SHA256").write_text("0" * 64)
    name = "zwasm-1.0-cp314-cp314-pyemscripten_2026_0_wasm32.whl"
    (info / "PYODIDE_URL").write_text(f"https://gone.example/{name}")
    (folder / "pylock.toml").write_text(freeze())
    pip("install", "-r", "pylock.toml", "--target", "by-pip", folder=folder)
    run_uv("pip", "sync", "pylock.toml", "--target", "by-uv", "-p", sys.executable, folder=folder)
    for target in ("by-pip", "by-uv"):
        assert len([*(folder / target).glob("*.dist-info")]) == len(THERE)
