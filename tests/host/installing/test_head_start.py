"""What is asked for before the code of an install is there is what its probe would ask for."""

import asyncio
from typing import Any

import pytest

from pyodide_mirror import NoUsableMirror
from pyodide_mirror.api.arguments import Mirrors
from pyodide_mirror.api.configuration import DeferredConfiguration, ProbeSettings
from pyodide_mirror.api.head_start import head_start
from pyodide_mirror.index import SMALL_WHEEL
from pyodide_mirror.installing import InstallRequest
from pyodide_mirror.probing import DEFAULT_CANARY
from pyodide_mirror.reporting import EventLog
from pyodide_mirror.transport import Failure, FailureKind, Response
from tests.support.fake_web import DOWN, SLOW, TIMEOUT, A, Answer, B, file_url
from tests.support.install_world import World
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

WHEEL = make_wheel("zpkg", "1.0")
OTHER = make_wheel("zother", "1.0")
PAGE, FILE = A.project_url("zpkg"), file_url(A, WHEEL)


async def early_requests(world: World, requirement: str, **options: bool) -> dict[str, Any]:
    """What is asked for before the code of an install is there, by URL."""
    settings = ProbeSettings(Mirrors((A, B), named=True), DEFAULT_CANARY, TIMEOUT)
    request = InstallRequest([requirement], options, EventLog(None))
    await head_start(world.host, DeferredConfiguration(settings, "lockfile"), request)
    return dict(request.downloads.early)


@pytest.mark.parametrize("cold", [True, False])
async def test_nothing_is_asked_for_twice_or_more_than_without_it(world: World, cold: bool) -> None:
    world.host.cold = cold
    world.web.publish(A, WHEEL, size=len(WHEEL.data))
    await world.install("zpkg", mirrors=[A])
    assert world.folders == ["zpkg-1.0"]
    assert world.web.asked == [PAGE, FILE]


async def test_it_asks_for_the_page_and_for_the_wheel_that_the_probe_will_want(
    world: World,
) -> None:
    world.web.publish(A, WHEEL, make_wheel("zpkg", "0.9"), size=len(WHEEL.data))
    early = await early_requests(world, "zpkg>=0.5")
    assert list(early) == [PAGE, FILE]
    answers = await asyncio.gather(*early.values())
    assert [isinstance(each, Response) and each.status for each in answers] == [200, 200]


async def test_only_the_first_install_has_one(world: World) -> None:
    world.web.publish(A, WHEEL, size=len(WHEEL.data))
    world.web.publish(A, OTHER, size=len(OTHER.data))
    await world.install("zpkg", mirrors=[A])
    await world.install("zother", mirrors=[A])
    assert world.web.asked == [PAGE, FILE, A.project_url("zother"), file_url(A, OTHER)]


async def test_what_the_page_forbids_is_not_asked_for(world: World) -> None:
    inside = "http://192.168.0.7/zpkg-1.0-py3-none-any.whl"
    world.web.publish(A, WHEEL, size=len(WHEEL.data), url=inside)
    with pytest.raises(NoUsableMirror):
        await world.install("zpkg", mirrors=[A])
    assert inside not in world.web.asked


@pytest.mark.parametrize("cold", [True, False])
async def test_a_mirror_that_fails_gets_its_verdict(world: World, cold: bool) -> None:
    world.host.cold = cold
    world.web.answer(PAGE, DOWN)
    world.web.publish(B, WHEEL, size=len(WHEEL.data))
    report = await world.install("zpkg", mirrors=[A, B])
    found = {each.mirror.index_url: each.reason for each in report.report.outcomes}
    assert found == {A.index_url: "unreachable", B.index_url: "ok"}
    assert world.web.asked[:2] == [PAGE, PAGE]  # the second one is the probe's, opaque
    assert world.web.asked.count(PAGE) == 2


@pytest.mark.parametrize("cold", [True, False])
async def test_a_wheel_that_is_larger_than_promised_gets_its_verdict(
    world: World, cold: bool
) -> None:
    world.host.cold = cold
    world.web.publish(A, WHEEL, size=len(WHEEL.data))
    world.web.answer(FILE, Answer(body=bytes(SMALL_WHEEL + 1)))
    with pytest.raises(NoUsableMirror) as raised:
        await world.install("zpkg", mirrors=[A])
    assert [each.reason for each in raised.value.report.outcomes] == ["hash-mismatch"]


async def test_a_mirror_that_does_not_answer_has_no_longer_for_it(world: World) -> None:
    world.web.answer(PAGE, SLOW)
    started = asyncio.get_running_loop().time()
    with pytest.raises(NoUsableMirror) as raised:
        await world.install("zpkg", mirrors=[A])
    assert [each.reason for each in raised.value.report.outcomes] == ["timeout"]
    assert asyncio.get_running_loop().time() - started < TIMEOUT + 1
    assert world.web.cancelled == [PAGE]


async def test_what_never_comes_is_given_up(world: World) -> None:
    """In Node, a program ends when the last time-out of a request is over, answered or not."""
    world.web.answer(PAGE, Answer(delay=3 * TIMEOUT))
    early = await early_requests(world, "zpkg")
    assert isinstance(failure := await early[PAGE], Failure)
    assert failure.kind is FailureKind.TIMEOUT
    assert asyncio.get_running_loop().time() < 3 * TIMEOUT


async def test_what_nobody_asks_for_ends_with_the_install(world: World) -> None:
    world.web.answer(PAGE, SLOW)
    with pytest.raises(ValueError, match="requirement"):
        await world.install("zpkg", "no requirement", mirrors=[A])
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
    assert world.web.asked == world.web.cancelled == [PAGE]


ROOT = make_wheel("zroot", "1.0", requires=["zpkg", "zother>=1", 'zno; python_version < "3"'])


async def test_the_pages_of_what_the_wheel_requires_are_asked_for_early(world: World) -> None:
    for wheel in (ROOT, WHEEL, OTHER):
        world.web.publish(A, wheel, size=len(wheel.data))
    pages = [A.project_url(name) for name in ("zroot", "zpkg", "zother")]
    assert list(await early_requests(world, "zroot")) == [pages[0], file_url(A, ROOT), *pages[1:]]
    assert list(await early_requests(world, "zroot", deps=False)) == [pages[0], file_url(A, ROOT)]
    world.web.requests.clear()
    await world.install("zroot", mirrors=[A])
    assert world.folders == ["zother-1.0", "zpkg-1.0", "zroot-1.0"]
    assert len(world.web.asked) == len(set(world.web.asked)) == 6
    # What is there needs no page.
    assert list(await early_requests(world, "zroot")) == []


async def test_no_page_is_asked_for_because_of_a_wheel_that_is_not_what_its_page_says(
    world: World,
) -> None:
    world.web.publish(A, ROOT, size=len(ROOT.data), hashes={"sha256": "0" * 64})
    with pytest.raises(NoUsableMirror):
        await world.install("zroot", mirrors=[A])
    assert A.project_url("zpkg") not in world.web.asked


async def test_an_early_page_that_fails_is_asked_for_again(world: World) -> None:
    for wheel in (ROOT, WHEEL, OTHER):
        world.web.publish(A, wheel, size=len(wheel.data))
    url = A.project_url("zpkg")
    world.web.answer(url, DOWN, world.web.answers[url])
    await world.install("zroot", mirrors=[A])
    assert world.folders == ["zother-1.0", "zpkg-1.0", "zroot-1.0"]
