"""Which versions an install ends with: those that all requirements take, one of each project."""

import asyncio
import gc
from collections.abc import Sequence

import pytest

from pyodide_mirror import MirrorError
from tests.support.fake_web import A, B, entry
from tests.support.install_world import World
from tests.support.wheels import Wheel, make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

ONE, TWO = (make_wheel("zpkg", version) for version in ("1.0", "2.0"))
METADATA = pytest.mark.parametrize("promised", [True, False], ids=["metadata", "no metadata"])


def publish(world: World, *wheels: Wheel, promised: bool = True) -> None:
    """Let A have these wheels."""
    for name in dict.fromkeys(wheel.name for wheel in wheels):
        same = [wheel for wheel in wheels if wheel.name == name]
        world.web.publish(A, *same, **({} if promised else {"core_metadata": None}))


def needs(name: str, *requirements: str, version: str = "1.0") -> Wheel:
    return make_wheel(name, version, requires=requirements)


async def got(world: World, *requirements: str, **options: object) -> list[str]:
    """Install; the distributions that are there then, by the names of their folders."""
    report = await world.install(*requirements, mirrors=[A], **options)
    assert {each.name: each.version for each in report.installed} == world.installed
    # What can be imported is the version that is said to be there.
    stems = {name.replace("-", "_"): version for name, version in world.installed.items()}
    assert world.modules == stems
    return world.folders


async def refused(world: World, *requirements: str, **options: object) -> str:
    """Install what must fail and leave nothing; the text of the error."""
    with pytest.raises(MirrorError) as caught:
        await world.install(*requirements, mirrors=[A], **options)
    assert world.folders == []
    assert world.modules == {}
    return str(caught.value)


# --- one version of each --------------------------------------------------------------------------


@METADATA
@pytest.mark.parametrize("deps", [True, False], ids=["deps", "no deps"])
@pytest.mark.parametrize("roots", [("zpkg==1.0", "zpkg"), ("zpkg", "zpkg==1.0")], ids=" ".join)
async def test_two_roots_of_one_project(
    each_world: World, roots: Sequence[str], deps: bool, promised: bool
) -> None:
    publish(each_world, ONE, TWO, promised=promised)
    assert await got(each_world, *roots, deps=deps) == ["zpkg-1.0"]


@METADATA
@pytest.mark.parametrize("order", [("za", "zb"), ("zb", "za")], ids=" ".join)
@pytest.mark.parametrize("reinstall", [False, True], ids=["install", "reinstall"])
async def test_two_that_require_one_project(
    world: World, order: Sequence[str], reinstall: bool, promised: bool
) -> None:
    za, zb = needs("za", "zpkg==1.0"), needs("zb", "zpkg")
    publish(world, needs("zroot", *order), za, zb, ONE, TWO, promised=promised)
    folders = await got(world, "zroot", reinstall=reinstall)
    assert folders == ["za-1.0", "zb-1.0", "zpkg-1.0", "zroot-1.0"]


async def test_a_requirement_that_is_met_late(each_world: World) -> None:
    chain = [needs("zc1", "zc2"), needs("zc2", "zc3"), needs("zc3", "zpkg<2")]
    publish(each_world, *chain, ONE, TWO)
    folders = await got(each_world, "zpkg", "zc1")
    assert folders == ["zc1-1.0", "zc2-1.0", "zc3-1.0", "zpkg-1.0"]


async def test_what_only_the_other_version_required_is_not_installed(world: World) -> None:
    two = needs("zpkg", "zmore", version="2.0")
    publish(world, ONE, two, needs("zmore"), needs("za", "zpkg<2"))
    assert await got(world, "zpkg", "za") == ["za-1.0", "zpkg-1.0"]


async def test_what_another_version_would_require_is_no_requirement(world: World) -> None:
    # zb 2.0 is tried first, and wants a zpkg that nobody else does.
    zbs = needs("zb", version="1.0"), needs("zb", "zpkg==1.0", version="2.0")
    publish(world, *zbs, needs("za", "zb<2", "zpkg"), ONE, TWO)
    folders = await got(world, "zb", "za")
    assert folders == ["za-1.0", "zb-1.0", "zpkg-2.0"]


async def test_a_pre_release_only_if_nothing_else_fits(world: World) -> None:
    others = make_wheel("zpkg", "2.0b1"), make_wheel("zpkg", "3.0")
    publish(world, *others, needs("za", "zpkg<3"), needs("zb", "zpkg<2"))
    assert await got(world, "zpkg", "za") == ["za-1.0", "zpkg-2.0b1"]
    publish(world, ONE, *others)
    world.micropip.uninstall(["za", "zpkg"])
    assert await got(world, "zpkg", "za", "zb") == ["za-1.0", "zb-1.0", "zpkg-1.0"]


async def test_extras_count(world: World) -> None:
    za = make_wheel("za", "1.0", extras={"x": ["zpkg==1.0"]})
    publish(world, za, ONE, TWO)
    assert await got(world, "zpkg", "za[x]") == ["za-1.0", "zpkg-1.0"]


async def test_several_at_once(world: World) -> None:
    others = [make_wheel("zother", version) for version in ("1.0", "2.0")]
    publish(world, ONE, TWO, *others, needs("za", "zpkg<2", "zother<2"))
    folders = await got(world, "zpkg", "zother", "za")
    assert folders == ["za-1.0", "zother-1.0", "zpkg-1.0"]


async def test_a_version_that_another_mirror_has(world: World) -> None:
    publish(world, TWO, needs("za", "zpkg<2"))
    world.web.publish(B, ONE)
    await world.install("zpkg", "za", mirrors=[A, B])
    assert world.folders == ["za-1.0", "zpkg-1.0"]


async def test_by_plain_micropip_after_configure(world: World) -> None:
    publish(world, ONE, TWO)
    await world.session.configure([A], canary="zpkg", remember=False)
    await world.micropip.install(["zpkg==1.0", "zpkg"])
    assert world.folders == ["zpkg-1.0"]


# --- Pyodide's lock file --------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("za", "zb"), ("zb", "za")], ids=" ".join)
async def test_a_locked_version_that_one_does_not_take(
    each_world: World, order: Sequence[str]
) -> None:
    each_world.lock(TWO)
    za, zb = needs("za", "zpkg==1.0"), needs("zb", "zpkg")
    publish(each_world, needs("zroot", *order), za, zb, ONE, TWO)
    folders = await got(each_world, "zroot")
    assert folders == ["za-1.0", "zb-1.0", "zpkg-1.0", "zroot-1.0"]


async def test_a_locked_version_that_all_take(world: World) -> None:
    world.lock(ONE)
    publish(world, needs("za", "zpkg<2"), needs("zb", "zpkg"), ONE, TWO)
    assert await got(world, "za", "zb") == ["za-1.0", "zb-1.0", "zpkg-1.0"]
    assert not any("zpkg" in url for url in world.web.asked)


async def test_what_a_locked_build_requires_is_best_effort(world: World) -> None:
    world.lock(needs("zbuild", "zpkg==1.0"))
    publish(world, ONE, TWO)
    await world.install("zpkg", "zbuild", mirrors=[A])
    assert world.folders == ["zbuild-1.0", "zpkg-2.0"]


# --- no version of it -----------------------------------------------------------------------------


async def test_two_roots_that_exclude_each_other(world: World) -> None:
    publish(world, ONE, TWO)
    assert await refused(world, "zpkg==1.0", "zpkg==2.0") == (
        "no versions fit together:\n"
        "  zpkg: zpkg==1.0 (requested), zpkg==2.0 (requested); there is 2.0, 1.0\n"
        "try to ask for other versions of what requires this"
    )


async def test_the_error_says_who_wants_which_version_through_whom(each_world: World) -> None:
    cores = [make_wheel("zcore", version) for version in ("1.0", "2.0", "3.0")]
    trans = [needs("ztrans", f"zcore>={n}", version=f"{n}.0") for n in (2, 3)]
    publish(each_world, needs("ztop", "zroot"), needs("zroot", "zcore==1.0", "ztrans"))
    publish(each_world, *trans, *cores)
    assert await refused(each_world, "ztop") == (
        "no versions fit together:\n"
        "  zcore: zcore==1.0 (required by zroot 1.0, required by ztop 1.0), "
        "zcore>=3 (required by ztrans 3.0, required by zroot 1.0, required by ztop 1.0), "
        "zcore>=2 (required by ztrans 2.0, required by zroot 1.0, required by ztop 1.0); "
        "there is 3.0, 2.0, 1.0\n"
        "try to ask for other versions of what requires this"
    )


async def test_the_error_says_which_versions_there_are_where_none_fits(world: World) -> None:
    publish(world, ONE, TWO, needs("za", "zpkg==9"), needs("zb", "zpkg>=1"))
    assert await refused(world, "za", "zb") == (
        "no versions fit together:\n"
        "  zpkg: zpkg==9 (required by za 1.0); there is 2.0, 1.0\n"
        "try to ask for other versions of what requires this"
    )


async def test_a_conflict_with_a_wheel_that_is_named_by_its_url(world: World) -> None:
    publish(world, ONE, TWO, needs("za", "zpkg>=2"))
    wheel = entry(A, ONE)["url"]
    text = await refused(world, wheel, "za")
    assert f"{wheel} (requested), zpkg>=2 (required by za 1.0)" in text


@pytest.mark.parametrize("named", ["{}", "zpkg @ {}"], ids=["URL", "name and URL"])
@pytest.mark.parametrize("order", [1, -1], ids=["first", "last"])
async def test_a_wheel_that_is_named_by_its_url_decides_for_the_others(
    world: World, named: str, order: int
) -> None:
    publish(world, ONE, TWO)
    wanted = [named.format(entry(A, ONE)["url"]), "zpkg"][::order]
    assert await got(world, *wanted) == ["zpkg-1.0"]


async def test_with_keep_going(world: World) -> None:
    publish(world, ONE, TWO)
    assert await got(world, "zpkg", "zpkg==1.0", keep_going=True) == ["zpkg-1.0"]


# --- what is there before -------------------------------------------------------------------------


async def test_what_does_not_fit_and_is_there_stays_as_with_micropip(world: World) -> None:
    publish(world, ONE, TWO, needs("za", "zpkg>=2"))
    await world.install("zpkg==1.0", mirrors=[A])
    for wanted in ("zpkg==2.0", "za"):
        for install in (world.plain(wanted, mirror=A), world.install(wanted, mirrors=[A])):
            with pytest.raises(ValueError, match=r"is already installed(.|\n)*reinstall=True"):
                await install
        assert world.folders == ["zpkg-1.0"]
    await world.install("za", mirrors=[A], reinstall=True)
    assert world.folders == ["za-1.0", "zpkg-2.0"]


async def test_what_fits_and_is_there_stays(world: World) -> None:
    publish(world, ONE, TWO, needs("za", "zpkg"))
    await world.install("zpkg==1.0", mirrors=[A])
    await world.install("za", mirrors=[A], reinstall=True)
    assert world.folders == ["za-1.0", "zpkg-1.0"]


async def test_a_conflict_that_was_there_before_is_left(world: World) -> None:
    publish(world, ONE, TWO, needs("za", "zpkg==1.0"), needs("zb", "za"))
    await world.install("za", mirrors=[A])
    await world.plain("zpkg==2.0", mirror=A, reinstall=True)
    await world.install("zb", mirrors=[A])
    assert world.folders == ["za-1.0", "zb-1.0", "zpkg-2.0"]


async def test_a_reinstall_that_breaks_what_is_wanted_with_it(world: World) -> None:
    publish(world, ONE, TWO, needs("za", "zpkg==1.0"))
    await world.install("za", mirrors=[A])
    with pytest.raises(MirrorError, match=r"zpkg==1\.0 \(required by za 1\.0\)"):
        await world.install("za", "zpkg==2.0", mirrors=[A], reinstall=True)


# --- Requires-Python ------------------------------------------------------------------------------

FUTURE = make_wheel("zpkg", "2.0", requires_python=">=3.99")


@METADATA
@pytest.mark.parametrize("deps", [True, False], ids=["deps", "no deps"])
async def test_a_version_whose_page_does_not_say_that_it_is_for_another_python(
    each_world: World, deps: bool, promised: bool
) -> None:
    publish(each_world, ONE, FUTURE, needs("za", "zpkg"), promised=promised)
    wanted = "za" if deps else "zpkg"
    folders = await got(each_world, wanted, deps=deps)
    assert folders[-1] == "zpkg-1.0"
    assert len(folders) == 1 + deps


@METADATA
async def test_if_there_is_no_other_version_the_error_says_so(
    each_world: World, promised: bool
) -> None:
    publish(each_world, FUTURE, promised=promised)
    text = await refused(each_world, "zpkg")
    assert text.startswith(
        "no versions fit together:\n"
        "  zpkg: zpkg (requested); there is no version of it that can be installed here; "
        "left out: 2.0 requires Python >=3.99; this is Python 3."
    )


@pytest.mark.parametrize("wanted", ["zpkg", "zpkg>=2", "za"])
async def test_what_its_page_says_is_said_as_well(each_world: World, wanted: str) -> None:
    publish(each_world, needs("za", "zpkg==2.0"), make_wheel("iniconfig", "1.0"))
    files = [ONE, FUTURE] if wanted == "zpkg>=2" else [FUTURE]
    each_world.web.publish(A, *files)
    rows = [entry(A, wheel, requires_python=wheel.requires_python) for wheel in files]
    each_world.web.list_files(A, "zpkg", rows)
    text = await refused(each_world, wanted)
    assert "left out: 2.0 requires Python >=3.99; this is Python 3." in text
    assert ("zpkg==2.0 (required by za 1.0)" in text) is (wanted == "za")


async def test_another_mirror_has_another_version(world: World) -> None:
    publish(world, FUTURE)
    world.web.publish(B, ONE)
    await world.install("zpkg", mirrors=[A, B])
    assert world.folders == ["zpkg-1.0"]


async def test_a_wheel_that_is_named_by_its_url_is_refused(world: World) -> None:
    publish(world, FUTURE)
    text = await refused(world, entry(A, FUTURE)["url"])
    assert "left out: 2.0 requires Python >=3.99; this is Python 3." in text


async def test_with_a_version_that_another_requires(world: World) -> None:
    publish(world, ONE, FUTURE, needs("za", "zpkg>=2"))
    text = await refused(world, "za")
    assert "there is 1.0; left out: 2.0 requires Python >=3.99" in text


async def test_a_page_with_many_of_them_does_not_go_on_for_ever(world: World) -> None:
    future = [make_wheel("zpkg", f"2.{n}", requires_python=">=3.99") for n in range(200)]
    publish(world, *future)
    text = await refused(world, "zpkg")
    assert "left out: 2.199 requires Python >=3.99, 2.198 requires" in text
    assert text.count("requires Python") == 3
    assert ", and 197 more" in text


async def test_what_is_chosen_again_leaves_no_trace_in_the_log(world: World) -> None:
    said: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    publish(world, needs("zroot", "za", "zb"), needs("za", "zpkg==1.0"), needs("zb", "zpkg"))
    publish(world, ONE, FUTURE)
    await world.install("zroot", mirrors=[A])
    gc.collect()
    await asyncio.sleep(0)
    assert said == []
