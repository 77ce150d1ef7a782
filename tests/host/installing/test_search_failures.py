"""A search for mirrors that fails ends the install, whatever micropip makes of the failed page."""

import pytest

from pyodide_mirror.errors import MirrorError
from pyodide_mirror.installing import DeferredMirrors, Failover, MirrorClient
from pyodide_mirror.installing.deferred import FindMirrors, LoadPage
from pyodide_mirror.installing.mirror_order import MirrorOrder
from tests.support.fake_web import DEMO, TIMEOUT, A, Web, order_of

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


def searching(web: Web, find: FindMirrors) -> Failover:
    client = MirrorClient(web, TIMEOUT, lambda _: None)
    return Failover(DeferredMirrors(order_of(), find), client, lambda _: None)


def failing(error: Exception, asked: list[str]) -> FindMirrors:
    async def find(project: str, _: LoadPage) -> MirrorOrder:
        asked.append(project)
        raise error

    return find


async def test_an_error_of_the_search_is_the_error_of_the_install() -> None:
    error = MirrorError("no mirror works")
    failover = searching(Web(), failing(error, []))
    with pytest.raises(OSError, match="no mirror works"):
        await failover.page("demo")
    assert failover.faults.fatal is error


async def test_any_other_error_of_the_search_is_told_with_its_cause() -> None:
    error = RuntimeError("a bug")
    failover = searching(Web(), failing(error, []))
    with pytest.raises(OSError, match="the search for a mirror failed") as raised:
        await failover.page("demo")
    assert raised.value.__cause__ is error
    assert "RuntimeError('a bug')" in str(failover.faults.fatal)


async def test_after_a_failed_search_no_other_project_begins_one() -> None:
    asked: list[str] = []
    failover = searching(Web(), failing(MirrorError("no mirror works"), asked))
    for project in ("demo", "other"):
        with pytest.raises(OSError, match="no mirror works"):
            await failover.page(project)
    assert asked == ["demo"]


async def test_a_search_is_made_once_for_all_projects() -> None:
    web, asked = Web(), []
    web.publish(A, DEMO)

    async def find(project: str, _: LoadPage) -> MirrorOrder:
        asked.append(project)
        return order_of(A, web=web)

    failover = searching(web, find)
    assert (await failover.page("demo")).status == 200
    assert (await failover.page("other")).status == 404
    assert asked == ["demo"]
