"""Index URLs as micropip takes them: with the project's name in them, and PyPI by its word."""

import pytest

from pyodide_mirror import Mirror
from pyodide_mirror.mirrors import PYPI_URL
from tests.support.fake_web import GONE, A, entry, page_of
from tests.support.install_world import World
from tests.support.wheels import Wheel, make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

ZPKG, ZDEP = make_wheel("zpkg", "1.0", requires=["zdep"]), make_wheel("zdep", "1.0")
URLS = [
    "https://a.example/simple/{package_name}/",
    "https://a.example/simple/{package_name}",
    "https://a.example/pypi/{package_name}/json",
    "https://a.example/{package_name}/{package_name}.json",
]


def publish(world: World, index_url: str, *wheels: Wheel) -> None:
    """Let there be pages where micropip asks for them."""
    for wheel in wheels:
        world.web.publish(A, wheel)
        world.web.answer(A.project_url(wheel.name), GONE)
        page = index_url.format(package_name=wheel.name)
        world.web.answer(page, page_of(wheel.name, [entry(A, wheel)]))


@pytest.mark.parametrize("how", ["index_urls", "mirrors", "Mirror", "plain"])
@pytest.mark.parametrize("index_url", URLS)
async def test_a_placeholder(world: World, index_url: str, how: str) -> None:
    publish(world, index_url, ZPKG, ZDEP)
    if how == "plain":
        await world.session.configure(index_url, canary="zpkg", remember=False)
        await world.micropip.install("zpkg")
    elif how == "index_urls":
        await world.install("zpkg", mirrors=None, index_urls=index_url)
    else:
        await world.install("zpkg", mirrors=Mirror(index_url) if how == "Mirror" else index_url)
    assert world.installed == {"zpkg": "1.0", "zdep": "1.0"}
    pages = {index_url.format(package_name=name) for name in ("zpkg", "zdep")}
    assert pages <= set(world.web.asked)


async def test_with_each_micropip(each_world: World) -> None:
    publish(each_world, URLS[2], ZPKG, ZDEP)
    await each_world.install("zpkg", mirrors=URLS[2])
    assert each_world.installed == {"zpkg": "1.0", "zdep": "1.0"}


async def test_the_word_for_pypi(world: World) -> None:
    pypi = Mirror(PYPI_URL)
    world.web.publish(pypi, ZDEP)
    report = await world.install("zdep", mirrors=None, index_urls="PYPI")
    assert world.installed == {"zdep": "1.0"}
    assert report.report.chosen == Mirror("PYPI")
    assert str(report.report).count("PyPI") == 1
    await world.install("zdep", mirrors=None, index_urls=["PYPI", PYPI_URL])


async def test_micropip_alone_does_the_same(world: World) -> None:
    publish(world, URLS[2], ZPKG, ZDEP)
    await world.micropip.install("zpkg", index_urls=URLS[2])
    assert world.installed == {"zpkg": "1.0", "zdep": "1.0"}
