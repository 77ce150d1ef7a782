"""What was installed, locked, and installed from the lock file: the same bytes."""

import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from packaging.pylock import Pylock

from pyodide_mirror import DigestMismatch, IncompleteInstall, InstallReport, Mirror, MirrorError
from pyodide_mirror.api.locks import freeze, install_pylock
from tests.support.fake_web import DOWN, GONE, OUTAGE, PRIVATE, TIMEOUT, A, Answer, B, file_url
from tests.support.install_world import World
from tests.support.pyodide_micropip import LOCKFILE, OWN_PLACE
from tests.support.wheels import Wheel, make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

ZPKG = make_wheel("zpkg", "1.0", requires=["zdep>=1", "zlocked"])
ZDEP, ZDEP2 = make_wheel("zdep", "1.0"), make_wheel("zdep", "2.0")
ALL = {"zpkg": "1.0", "zdep": "1.0", "zlocked": "1.0"}
OFFICIAL = "https://cdn.jsdelivr.net/pyodide/v314.0.7/full/"


def publish(world: World, *wheels: Wheel, mirror: Mirror = A) -> None:
    """Let a mirror have these, and Pyodide's own place its package."""
    for wheel in wheels or (ZPKG, ZDEP):
        world.web.publish(mirror, wheel)
    locked = LOCKFILE["zlocked"]
    world.web.answer(OWN_PLACE + locked.filename, Answer(body=locked.data))


async def made(world: World) -> str:
    """Install, and return the lock file."""
    publish(world)
    return (await world.install("zpkg", mirrors=A)).to_pylock()


async def locked(source: Any, *, mirrors: Any = B, **options: Any) -> InstallReport:
    """Install from a lock file."""
    return await install_pylock(source, mirrors=mirrors, **options)


def packages(text: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in tomllib.loads(text)["packages"]}


def pages_asked(world: World) -> list[str]:
    return [url for url in world.web.asked if "/simple/" in url]


def digests(world: World) -> dict[str, str]:
    """The digests that were noted beside what is installed."""
    return {path.parent.name: path.read_text() for path in world.folder.glob("*/PYODIDE_SHA256")}


# --- what is written ------------------------------------------------------------------------------


async def test_every_file_is_in_it_with_its_place_size_and_digest(world: World) -> None:
    text = await made(world)
    lock = Pylock.from_dict(tomllib.loads(text))
    assert str(lock.lock_version) == "1.0"
    assert lock.created_by == "pyodide-mirror"
    assert lock.tool is not None
    assert lock.tool["pyodide-mirror"]["pyodide"] == "314.0.7"
    found = {
        str(each.name): (each.index, each.wheels[0].url, each.wheels[0].size, each.wheels[0].hashes)
        for each in lock.packages
        if each.wheels
    }
    assert found == {
        wheel.name: (index, url, len(wheel.data), {"sha256": wheel.sha256})
        for wheel, index, url in (
            (ZPKG, A.index_url, file_url(A, ZPKG)),
            (ZDEP, A.index_url, file_url(A, ZDEP)),
            (LOCKFILE["zlocked"], None, OFFICIAL + LOCKFILE["zlocked"].filename),
        )
    }


async def test_freeze_says_the_same(world: World) -> None:
    assert await made(world) == freeze()


async def test_what_was_there_before_and_is_required_is_in_it(world: World) -> None:
    publish(world)
    await world.install("zdep", "zlocked", mirrors=A)
    publish(world, make_wheel("zother", "1.0"))
    await world.install("zother", mirrors=A)
    report = await world.install("zpkg", mirrors=A)
    assert packages(report.to_pylock()).keys() == ALL.keys()
    assert packages(freeze()).keys() == {*ALL, "zother"}
    assert packages(freeze(exclude=["Zother", "zdep"])).keys() == {"zpkg", "zlocked"}


async def test_what_pyodide_has_left_out_of_its_build_is_not_in_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    trimmed = make_wheel("zlocked", "1.0", requires=["zleft"])
    monkeypatch.setitem(LOCKFILE, "zlocked", trimmed)
    assert packages(await made(world)).keys() == ALL.keys()


async def test_an_install_of_micropip_alone_can_be_frozen(world: World) -> None:
    publish(world)
    await world.plain("zpkg", mirror=A)
    found = packages(freeze())
    assert found.keys() == ALL.keys()
    assert found["zdep"]["wheels"] == [
        {
            "name": ZDEP.filename,
            "url": file_url(A, ZDEP),
            "hashes": {"sha256": ZDEP.sha256},
        }
    ]


async def test_a_wheel_of_a_url_is_in_it_without_its_query(world: World) -> None:
    url = f"https://files.example/{ZDEP.filename}"
    world.web.answer(f"{url}?signature=secret", Answer(body=ZDEP.data))
    report = await world.install(f"{url}?signature=secret", mirrors=A)
    for text in (report.to_pylock(), freeze()):
        assert packages(text)["zdep"]["wheels"][0]["url"] == url
        assert "secret" not in text


async def test_of_a_private_index_only_names_and_digests_are_in_it(
    world: World, new_world: Callable[..., World]
) -> None:
    world.web.publish(PRIVATE, ZDEP)
    text = (await world.install("zdep", mirrors=PRIVATE)).to_pylock()
    assert text == freeze()
    assert "private.example" not in text
    assert packages(text)["zdep"]["wheels"][0]["path"] == ZDEP.filename
    world = new_world()
    with pytest.raises(MirrorError, match="zdep is of a private index: name that"):
        await locked(text, mirrors=B)
    assert world.web.asked == []
    world.web.publish(PRIVATE, ZDEP)
    world.web.publish(B, ZDEP)
    await locked(text, mirrors=[B, PRIVATE])
    assert world.installed == {"zdep": "1.0"}
    assert world.web.hosts == ["https://private.example"]


async def test_what_has_no_known_file_is_named(world: World) -> None:
    await made(world)
    info = world.folder / "by_hand-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: by-hand\nVersion: 1.0\n")
    with pytest.raises(MirrorError, match=r"by-hand: nothing says which file.*exclude=\['by-hand'"):
        freeze()
    assert packages(freeze(exclude=["by-hand"])).keys() == ALL.keys()
    with pytest.raises(TypeError, match="exclude"):
        freeze(exclude="by-hand")


async def test_a_report_tells_of_its_install_whatever_was_installed_since(world: World) -> None:
    publish(world, ZDEP, ZPKG)
    report = await world.install("zdep", mirrors=A)
    before = report.to_pylock()
    publish(world, ZDEP2)
    await world.install("zdep==2", mirrors=A, reinstall=True)
    assert report.to_pylock() == before
    assert packages(freeze())["zdep"]["version"] == "2.0"


# --- what is installed from it --------------------------------------------------------------------


async def test_the_same_bytes_and_no_page(world: World, new_world: Callable[..., World]) -> None:
    text = await made(world)
    before = digests(world)
    world = new_world()
    publish(world)
    report = await locked(text)
    assert world.installed == ALL
    assert digests(world) == before
    assert pages_asked(world) == []
    assert {each.name: each.source for each in report.installed} == {
        "zdep": "mirror",
        "zpkg": "mirror",
        "zlocked": "lockfile",
    }
    assert report.to_pylock() == text
    again = await locked(text)
    assert again.installed == ()
    assert again.to_pylock() == text


@pytest.mark.parametrize("version", ["0.11.1", "0.10.1", "0.9.0"])
async def test_by_each_micropip(new_world: Callable[..., World], version: str) -> None:
    text = await made(new_world())
    world = new_world(version)
    publish(world)
    await locked(text)
    assert world.installed == ALL


@pytest.mark.parametrize("bad", [GONE, DOWN, OUTAGE, Answer(body=ZDEP2.data)])
async def test_where_the_url_is_gone_another_mirror_has_it(
    world: World, new_world: Callable[..., World], bad: Answer
) -> None:
    text = await made(world)
    world = new_world()
    publish(world)
    world.web.answer(file_url(A, ZDEP), bad)
    world.web.publish(B, ZDEP)
    report = await locked(text, mirrors=[A, B])
    assert world.installed == ALL
    assert {each.name: each.mirror for each in report.installed if each.mirror} == {
        "zdep": B.index_url,
        "zpkg": A.index_url,
    }
    assert B.project_url("zpkg") not in world.web.asked


async def test_the_cache_has_it_without_any_request(
    world: World, new_world: Callable[..., World]
) -> None:
    text = await made(world)
    first = new_world()
    publish(first)
    await locked(text)
    second = new_world()
    second.host.cache = first.host.cache
    report = await locked(text)
    assert second.installed == ALL
    assert second.web.asked == []
    assert {each.source for each in report.installed} == {"cache", "lockfile"}
    third = new_world()
    third.host.cache = first.host.cache
    with pytest.raises(IncompleteInstall):
        await locked(text, cache=False)


@pytest.mark.parametrize("wheel", [ZDEP, LOCKFILE["zlocked"]], ids=lambda wheel: wheel.name)
async def test_one_bit_changed_and_nothing_is_installed(
    world: World, new_world: Callable[..., World], wheel: Wheel
) -> None:
    text = await made(world)
    world = new_world()
    publish(world)
    broken = Answer(body=wheel.data[:-1] + bytes([wheel.data[-1] ^ 1]))
    world.web.answer(file_url(A, wheel), broken)
    world.web.answer(OWN_PLACE + wheel.filename, broken)
    with pytest.raises((DigestMismatch, IncompleteInstall)) as caught:
        await locked(text)
    assert wheel.name in str(caught.value)
    assert world.installed == {}


async def test_another_version_is_replaced_and_comes_back_if_the_install_fails(
    world: World, new_world: Callable[..., World]
) -> None:
    text = await made(world)
    world = new_world()
    publish(world, ZDEP2)
    await world.install("zdep", mirrors=A)
    publish(world)
    world.web.answer(file_url(A, ZPKG), GONE)
    with pytest.raises(IncompleteInstall):
        await locked(text)
    assert world.installed == {"zdep": "2.0"}
    publish(world)
    await locked(text)
    assert world.installed == ALL
    assert world.modules["zdep"] == "1.0"


async def test_another_file_of_the_same_version_is_replaced(
    world: World, new_world: Callable[..., World]
) -> None:
    text = await made(world)
    world = new_world()
    publish(world, make_wheel("zdep", "1.0", padding=10))
    await world.install("zdep", mirrors=A)
    publish(world)
    report = await locked(text)
    assert {each.name for each in report.installed} == ALL.keys()
    assert digests(world)["zdep-1.0.dist-info"] == ZDEP.sha256


async def test_old_micropips_replace_nothing(new_world: Callable[..., World]) -> None:
    text = await made(new_world())
    world = new_world("0.9.0")
    publish(world, ZDEP2)
    await world.install("zdep", mirrors=A)
    with pytest.raises(MirrorError, match="uninstall first: zdep"):
        await locked(text)
    assert world.installed == {"zdep": "2.0"}


async def test_what_was_configured_stays(world: World, new_world: Callable[..., World]) -> None:
    text = await made(world)
    world = new_world()
    publish(world)
    await world.session.configure([A], canary="zpkg", prefer="index", timeout=TIMEOUT)
    await install_pylock(text, mirrors=[A])
    assert world.installed == ALL
    assert world.session._configurator.in_force is not None
    assert world.session._configurator.in_force.prefer == "index"
