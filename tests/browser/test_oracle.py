"""What is installed in CPython, where it is compared with pip and uv, is installed in pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from pytest_pyodide import run_in_pyodide

from tests.browser.test_install import clean
from tests.oracle.tools import Result, Tools, normalized
from tests.oracle.worlds import World, worlds
from tests.support.engines import Engine

# Node knows no CORS, and these worlds need none: they are about versions.
pytestmark = pytest.mark.engines("chromium", "node", ci=("chromium",))

WORLDS = 12


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    with Tools(Path(tmp_path_factory.mktemp("uv"))) as tools:
        yield tools


@pytest.fixture(autouse=True)
def _clean(page: Engine) -> Iterator[None]:
    yield
    clean(page)


@run_in_pyodide
async def install(selenium: Engine, wanted: list[str], index_url: str, **options: object) -> list:
    """Install into the page, and leave nothing there: the versions by name, and the error."""
    import micropip

    import pyodide_mirror
    from pyodide_mirror.installing.site_packages import installed

    error = ""
    try:
        await pyodide_mirror.install(
            wanted, mirrors=index_url, cache=False, remember=False, timeout=30, **options
        )
    except Exception as caught:
        error = type(caught).__name__
    found = {name: item.version for name, item in installed().items() if name.startswith("zq")}
    for name in found:
        micropip.uninstall([name])
    pyodide_mirror.reset()
    return [found, error]


def drawn() -> list[World]:
    """Draw worlds whose result does not depend on the minor version of Python."""
    found: list[World] = []

    @seed(7)
    @settings(
        max_examples=3 * WORLDS,
        phases=(Phase.generate,),
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(worlds())
    def draw(world: World) -> None:
        if "3.11" not in repr(world):
            found.append(world)

    draw()
    return found[-WORLDS:]


def test_pages_install_what_cpython_does(page: Engine, tools: Tools) -> None:
    wrong = []
    results: list[Result] = []
    for world in drawn():
        asked = tools.asked_about(world)
        results.append(asked.ours())
        options = {"pre": world.pre, "constraints": list(world.constraints)}
        versions, error = install(page, list(world.wanted), asked.index.index_url, **options)
        here = results[-1]
        if (
            dict(here.versions) != normalized(list(versions.items()))
            or here.error.partition(":")[0] != error
        ):
            wrong.append((world, here, versions, error))
    assert wrong == []
    assert any(result.ok for result in results)
    assert not all(result.ok for result in results)
