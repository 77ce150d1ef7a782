"""What was kept is a hint: where it does not do, the mirror is asked before anything fails."""

import time
from datetime import UTC, datetime

import pytest

from pyodide_mirror import DigestMismatch, IncompleteInstall, InstallReport
from pyodide_mirror.index import JSON_TYPE
from pyodide_mirror.model import Mirror
from pyodide_mirror.storage import CachedPage, Choice
from tests.support.fake_web import DOWN, GONE, PRIVATE, TIMEOUT, A, B, entry, file_url, page_of
from tests.support.install_world import World
from tests.support.wheels import Wheel, make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

OLD, NEW = (make_wheel("zpkg", version) for version in ("1.0", "1.1"))
PAGE = A.project_url("zpkg")


async def keep(world: World, *mirrors: Mirror, wheel: Wheel = OLD) -> None:
    """Let the cache have the page of each of these mirrors, as it is with this wheel alone."""
    for mirror in mirrors:
        world.web.publish(mirror, wheel)
        url = mirror.project_url(wheel.name)
        body = page_of(wheel.name, [entry(mirror, wheel)]).body
        await world.host.cache.save_page(url, CachedPage(body, JSON_TYPE, url, time.time()))


async def install(
    world: World, *requirements: str, mirrors: list[Mirror], **options: object
) -> InstallReport:
    """Install by mirrors that are known to work, so that none is probed with the project's page."""
    for mirror in mirrors:
        world.web.publish(mirror, make_wheel("iniconfig", "1.0"))
    await world.session.configure(mirrors, timeout=TIMEOUT)
    world.web.requests.clear()
    return await world.install(*requirements, mirrors=mirrors, cache=True, **options)


async def test_what_is_on_a_kept_page_is_not_asked_for_again(world: World) -> None:
    await keep(world, A)
    world.web.publish(A, OLD, NEW)
    await install(world, "zpkg==1.0", mirrors=[A])
    assert PAGE not in world.web.asked


async def test_a_release_that_was_published_since(world: World) -> None:
    world.web.publish(A, OLD)
    await install(world, "zpkg", mirrors=[A])
    world.web.publish(A, OLD, NEW)
    report = await install(world, "zpkg==1.1", mirrors=[A], reinstall=True)
    assert world.installed == {"zpkg": "1.1"}
    assert world.web.asked.count(PAGE) == 1
    assert [event.text for event in report.events if event.kind == "again"] == [
        "page of 'zpkg' again, from a.example instead of the cache"
    ]
    world.micropip.uninstall("zpkg")
    await install(world, "zpkg==1.1", mirrors=[A])
    assert PAGE not in world.web.asked, "what the mirror has said is kept"


async def test_by_plain_micropip_after_configure(world: World) -> None:
    await keep(world, A)
    world.web.publish(A, OLD, NEW)
    world.web.publish(A, make_wheel("iniconfig", "1.0"))
    await world.session.configure([A], timeout=TIMEOUT)
    await world.micropip.install("zpkg==1.1")
    assert world.installed == {"zpkg": "1.1"}


@pytest.mark.parametrize("roots", [["za"], ["zpkg", "za"], ["za", "zpkg"]], ids=" ".join)
async def test_that_a_dependency_asks_for(world: World, roots: list[str]) -> None:
    await keep(world, A)
    world.web.publish(A, OLD, NEW)
    world.web.publish(A, make_wheel("za", "1.0", requires=["zpkg>=1.1"]))
    await install(world, *roots, mirrors=[A])
    assert world.installed == {"za": "1.0", "zpkg": "1.1"}


async def test_with_keep_going(world: World) -> None:
    await keep(world, A)
    world.web.publish(A, OLD, NEW)
    await install(world, "zpkg==1.1", mirrors=[A], keep_going=True)
    assert world.installed == {"zpkg": "1.1"}


async def test_on_another_page_load_with_the_mirror_of_the_last_time(world: World) -> None:
    await keep(world, B)
    world.web.publish(A, OLD)
    world.web.publish(B, OLD, NEW)
    world.host.store.save(Choice(B.index_url, datetime.now(UTC)))
    report = await world.install("zpkg==1.1", mirrors=[A, B], cache=True, remember=True)
    assert world.installed == {"zpkg": "1.1"}
    assert report.report.chosen == B
    assert world.web.hosts == ["https://b.example"]


async def test_on_the_next_mirror(world: World) -> None:
    await keep(world, A, B)
    world.web.publish(B, OLD, NEW)
    await install(world, "zpkg==1.1", mirrors=[A, B])
    assert world.installed == {"zpkg": "1.1"}
    assert [url for url in world.web.asked if url.endswith("/zpkg/")] == [
        PAGE,
        B.project_url("zpkg"),
    ]


async def test_on_a_private_index(world: World) -> None:
    await keep(world, PRIVATE)
    world.web.publish(PRIVATE, OLD, NEW)
    await install(world, "zpkg==1.1", mirrors=[PRIVATE, A])
    assert world.installed == {"zpkg": "1.1"}
    assert world.web.hosts == ["https://private.example"]


async def test_a_project_that_was_published_since(world: World) -> None:
    with pytest.raises(ValueError, match="zpkg"):
        await install(world, "zpkg", mirrors=[A])
    world.web.publish(A, NEW)
    await install(world, "zpkg", mirrors=[A])
    assert world.installed == {"zpkg": "1.1"}


async def test_a_page_that_the_mirror_no_longer_has(world: World) -> None:
    await keep(world, A)
    world.web.answer(PAGE, GONE)
    with pytest.raises(ValueError, match="zpkg"):
        await install(world, "zpkg==1.1", mirrors=[A])
    assert world.web.asked.count(PAGE) == 1


async def test_a_mirror_that_cannot_be_read_any_more_is_asked_once(world: World) -> None:
    await keep(world, A)
    world.web.answer(PAGE, DOWN)
    with pytest.raises(ValueError, match=r"zpkg==1\.1") as caught:
        await install(world, "zpkg==1.1", mirrors=[A])
    assert world.web.asked.count(PAGE) == 1
    assert any("Failed to fetch" in note for note in caught.value.__notes__)


# --- files ----------------------------------------------------------------------------------------


async def test_a_file_that_has_moved_since(world: World) -> None:
    await keep(world, A)
    world.web.answer(file_url(A, OLD), GONE)
    moved = f"https://files.example/{OLD.filename}"
    world.web.publish(A, OLD, url=moved)
    await install(world, "zpkg", mirrors=[A, B])
    assert world.installed == {"zpkg": "1.0"}
    assert moved in world.web.asked
    assert B.project_url("zpkg") not in world.web.asked


@pytest.mark.parametrize("mirror", [A, PRIVATE], ids=["public", "private"])
async def test_a_file_that_was_replaced_since(world: World, mirror: Mirror) -> None:
    await keep(world, mirror)
    world.web.answer(file_url(mirror, OLD), GONE)
    world.web.publish(mirror, NEW)
    await install(world, "zpkg", mirrors=[mirror])
    assert world.installed == {"zpkg": "1.1"}


async def test_a_file_that_was_built_again_since(world: World) -> None:
    await keep(world, A)
    rebuilt = make_wheel("zpkg", "1.0", modules={"zmore.py": ""})
    world.web.publish(A, rebuilt)
    await install(world, "zpkg", mirrors=[A])
    assert "zmore" in world.modules


async def test_a_file_that_is_really_gone_is_looked_for_once(world: World) -> None:
    await keep(world, A)
    world.web.answer(file_url(A, OLD), GONE)
    with pytest.raises(IncompleteInstall, match="zpkg"):
        await install(world, "zpkg", mirrors=[A])
    assert world.web.asked.count(file_url(A, OLD)) == 1
    assert world.web.asked.count(PAGE) == 1


async def test_a_file_that_another_mirror_has_had_since(world: World) -> None:
    await keep(world, A)
    await keep(world, B, wheel=NEW)
    world.web.answer(file_url(A, OLD), GONE)
    world.web.publish(B, OLD, NEW)
    await install(world, "zpkg", mirrors=[A, B])
    assert world.installed == {"zpkg": "1.0"}
    assert world.web.asked[-1] == file_url(B, OLD)


# --- quorum ---------------------------------------------------------------------------------------

REBUILT = make_wheel("zpkg", "1.0", modules={"zmore.py": ""})


@pytest.mark.parametrize("before", [NEW, REBUILT], ids=["not there", "another digest"])
async def test_a_kept_page_of_a_second_host_says_nothing_against_a_file(
    world: World, before: Wheel
) -> None:
    await keep(world, A)
    await keep(world, B, wheel=before)
    world.web.publish(B, OLD)
    await install(world, "zpkg", mirrors=[A, B], verify="quorum")
    assert world.installed == {"zpkg": "1.0"}


async def test_nor_does_a_second_host_against_a_kept_page(world: World) -> None:
    await keep(world, A)
    world.web.publish(A, REBUILT)
    world.web.publish(B, REBUILT)
    await install(world, "zpkg", mirrors=[A, B], verify="quorum")
    assert "zmore" in world.modules


async def test_what_two_hosts_say_differently_now_is_refused(world: World) -> None:
    await keep(world, A)
    await keep(world, B, wheel=REBUILT)
    with pytest.raises(DigestMismatch, match="zpkg"):
        await install(world, "zpkg", mirrors=[A, B], verify="quorum")
    assert world.installed == {}
    assert world.web.asked.count(PAGE) == 1
    assert world.web.asked.count(B.project_url("zpkg")) == 1
