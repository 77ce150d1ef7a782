"""Installs that are resolved anew, because what micropip chooses first does not fit together."""

import pytest

from pyodide_mirror import ResolutionError
from tests.support.conflict_worlds import CONFLICTS, Conflict
from tests.support.fake_web import A
from tests.support.install_world import World
from tests.support.wheels import Wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


def publish(world: World, *wheels: Wheel, **changes: object) -> None:
    """Let A have these wheels."""
    for name in dict.fromkeys(wheel.name for wheel in wheels):
        world.web.publish(A, *(wheel for wheel in wheels if wheel.name == name), **changes)


async def outcome(world: World, conflict: Conflict, **changes: object) -> str:
    """Install; the text of the error, if there is one."""
    publish(world, *conflict.wheels, **changes)
    if conflict.before:
        await world.install(*conflict.before, mirrors=[A])
    try:
        await world.install(*conflict.wanted, mirrors=[A], **conflict.options)
    except ResolutionError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("promised", [True, False], ids=["metadata", "no metadata"])
@pytest.mark.parametrize("kind", CONFLICTS)
async def test_the_versions_are_those_that_fit(world: World, kind: str, promised: bool) -> None:
    conflict = CONFLICTS[kind]
    text = await outcome(world, conflict, **({} if promised else {"core_metadata": None}))
    assert conflict.refused in text
    assert bool(conflict.refused) is bool(text), text
    assert world.installed == conflict.there


async def test_by_each_micropip(each_world: World) -> None:
    assert not await outcome(each_world, CONFLICTS["one goes back"])
    assert each_world.installed == CONFLICTS["one goes back"].there
