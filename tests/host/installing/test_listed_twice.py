"""A file that is listed under several URLs is one file: its digest says so."""

import pytest

from pyodide_mirror import IncompleteInstall, MirrorError, NoUsableMirror, Reason
from pyodide_mirror.model import Mirror
from tests.support.fake_web import DOWN, GONE, PRIVATE, A, Answer, B, entry
from tests.support.install_world import World
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

WHEEL = make_wheel("zpkg", "1.0")
OTHER = make_wheel("zpkg", "1.0", modules={"zmore.py": ""})
WRONG = Answer(body=b"not the file")
KNOWN = pytest.mark.parametrize("known", [True, False], ids=["known mirror", "race"])


def publish(
    world: World, mirror: Mirror, fault: Answer, *, dead: int = 0, urls: int = 2
) -> list[str]:
    """List the file under many URLs, of which the one of this number has a fault."""
    listed = [f"https://files{n}.example/{WHEEL.filename}" for n in range(urls)]
    rows = [entry(mirror, WHEEL, core_metadata=None, url=url) for url in listed]
    world.web.list_files(mirror, "zpkg", rows)
    for url in listed[:2]:
        world.web.answer(url, Answer(body=WHEEL.data))
    world.web.answer(listed[dead], fault)
    return listed


@KNOWN
async def test_a_url_that_must_not_be_asked_is_passed_by(world: World, known: bool) -> None:
    publish(world, A, GONE)
    rows = [
        entry(A, WHEEL, core_metadata=None, url=url)
        for url in (f"http://10.0.0.1/{WHEEL.filename}", f"https://files1.example/{WHEEL.filename}")
    ]
    for order in (rows, rows[::-1]):
        world.web.list_files(A, "zpkg", order)
        await install(world, A, known=known)
        assert world.installed == {"zpkg": "1.0"}
        world.micropip.uninstall("zpkg")
    assert "http://10.0.0.1" not in world.web.hosts


async def install(world: World, *mirrors: Mirror, known: bool) -> None:
    if known:
        for mirror in mirrors:
            world.web.publish(mirror, make_wheel("iniconfig", "1.0"))
        await world.session.configure(mirrors, remember=False)
    await world.install("zpkg", mirrors=mirrors)


@KNOWN
@pytest.mark.parametrize("dead", [0, 1])
@pytest.mark.parametrize("fault", [GONE, DOWN, WRONG], ids=["gone", "down", "wrong"])
@pytest.mark.parametrize("mirror", [A, PRIVATE], ids=["public", "private"])
async def test_the_other_url_is_tried(
    world: World, mirror: Mirror, fault: Answer, dead: int, known: bool
) -> None:
    publish(world, mirror, fault, dead=dead)
    await install(world, mirror, known=known)
    assert world.installed == {"zpkg": "1.0"}


@KNOWN
async def test_before_another_mirror_is_asked(world: World, known: bool) -> None:
    publish(world, A, GONE)
    world.web.publish(B, WHEEL)
    await install(world, A, B, known=known)
    assert B.project_url("zpkg") not in world.web.asked


async def test_what_has_another_digest_is_another_file(world: World) -> None:
    rows = [
        entry(A, WHEEL, core_metadata=None),
        entry(A, OTHER, core_metadata=None, url=f"https://other.example/{OTHER.filename}"),
    ]
    world.web.list_files(A, "zpkg", rows)
    with pytest.raises(MirrorError, match="zpkg"):
        await install(world, A, known=True)
    assert rows[0]["url"] in world.web.asked
    assert rows[1]["url"] not in world.web.asked


@KNOWN
async def test_no_page_makes_the_browser_ask_everywhere(world: World, known: bool) -> None:
    listed = publish(world, A, GONE, urls=5_000)
    world.web.answer(listed[1], GONE)
    with pytest.raises(MirrorError):
        await install(world, A, known=known)
    assert len([url for url in world.web.asked if url.endswith(".whl")]) < 10


async def test_if_none_has_it_the_advice_fits_what_was_seen(world: World) -> None:
    listed = publish(world, A, GONE)
    world.web.answer(listed[1], GONE)
    with pytest.raises(NoUsableMirror) as caught:
        await install(world, A, known=False)
    (outcome,) = caught.value.report.outcomes
    assert outcome.reason == Reason.FILES_BLOCKED
    assert outcome.detail == f"{WHEEL.filename}: HTTP 404"
    assert "HTTP 404" in outcome.hint
    assert "CORS" not in str(caught.value)
    assert "Access-Control" not in str(caught.value)


async def test_through_a_known_mirror_the_error_says_nothing_of_cors(world: World) -> None:
    listed = publish(world, A, GONE)
    world.web.answer(listed[1], GONE)
    with pytest.raises(IncompleteInstall) as caught:
        await install(world, A, known=True)
    said = "\n".join([str(caught.value), *caught.value.__notes__])
    assert "HTTP 404" in said
    assert "CORS" not in said
