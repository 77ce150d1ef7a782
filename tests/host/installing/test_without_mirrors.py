"""An install that needs no mirror works when every mirror is dead, as micropip's does."""

from collections.abc import Callable

import pytest

from pyodide_mirror import NoUsableMirror
from tests.support.fake_web import DOWN, A
from tests.support.install_world import World
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

LOCAL = make_wheel("zlocal", "1.0")
WANTED: dict[str, tuple[Callable[[World], str], list[str]]] = {
    "installed already": (lambda _: "zthere", []),
    "a local wheel": (lambda world: f"emfs:{world.folder / LOCAL.filename}", ["zlocal-1.0"]),
    "nothing": (lambda _: "", []),
    "for another platform": (lambda _: "zfoo; sys_platform == 'win32'", []),
    "from the lock file": (lambda _: "zlocked", ["zlocked-1.0"]),
}


@pytest.mark.parametrize("case", WANTED)
async def test_all_mirrors_are_dead(each_world: World, case: str) -> None:
    (each_world.folder / LOCAL.filename).write_bytes(LOCAL.data)
    there = each_world.folder / "zthere-1.0.dist-info"
    there.mkdir()
    (there / "METADATA").write_text("Metadata-Version: 2.1\nName: zthere\nVersion: 1.0\n")
    each_world.web.answer(A.project_url("iniconfig"), DOWN)
    wanted, folders = WANTED[case]
    requirement = wanted(each_world)
    await each_world.install(*[requirement] * bool(requirement), mirrors=[A])
    assert each_world.folders == [*folders, "zthere-1.0"]
    assert each_world.web.asked == []


async def test_what_needs_one_says_why_there_is_none(world: World) -> None:
    world.web.answer(A.project_url("zpkg"), DOWN)
    world.web.answer(A.project_url("iniconfig"), DOWN)
    with pytest.raises(NoUsableMirror, match="Failed to fetch"):
        await world.install("zpkg", mirrors=[A])
