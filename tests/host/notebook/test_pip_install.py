"""Cells with ``%pip install``, and what each of them shows."""

import pytest

from tests.support.fake_web import A, B
from tests.support.install_world import World
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

ONE, TWO = (make_wheel("zpkg", version) for version in ("1.0", "2.0"))


async def test_it(world: World, run) -> None:
    world.web.publish(A, ONE, TWO)
    out = await run(f"%pip install zpkg==1.0 -i {A.index_url}")
    print(out)
    assert world.installed == {"zpkg": "1.0"}
    out = await run(f"%pip install -U zpkg -i {A.index_url}")
    print(out)
    assert world.installed == {"zpkg": "2.0"}
    assert 0
