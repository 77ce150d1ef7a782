"""Random trees: what a lock file says of an install is what it installs elsewhere."""

import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.pylock import Pylock

from pyodide_mirror.api import locks
from tests.support.fake_web import A, B, file_url
from tests.support.install_world import world_in
from tests.support.wheels import Wheel, make_wheel

pytestmark = pytest.mark.asyncio

VERSIONS = ("1.0", "1.0rc1", "2!1.5.post1", "0.0.1", "1.0+local.1")
TAGS = ("py3-none-any", "py2.py3-none-any")


@st.composite
def trees(draw: st.DrawFn) -> list[Wheel]:
    """Wheels of which each may require those before it; the last one is the root."""
    found: list[Wheel] = []
    for number in range(draw(st.integers(1, 5))):
        before = draw(st.lists(st.sampled_from(found), unique=True)) if found else []
        found.append(
            make_wheel(
                f"zp-{number}",
                draw(st.sampled_from(VERSIONS)),
                requires=[f"{wheel.name}=={wheel.version}" for wheel in before],
                padding=draw(st.integers(0, 50)),
                tag=draw(st.sampled_from(TAGS)),
            )
        )
    return found


def noted(folder: Path) -> dict[str, str]:
    return {path.parent.name: path.read_text() for path in folder.glob("*/PYODIDE_SHA256")}


@given(tree=trees(), moved=st.booleans())
@settings(max_examples=12, deadline=None)
async def test_a_round_trip(tree: list[Wheel], moved: bool) -> None:
    root = tree[-1]
    with TemporaryDirectory() as first, world_in(Path(first)) as world:
        for wheel in tree:
            world.web.publish(A, wheel)
        report = await world.install(f"{root.name}=={root.version}", mirrors=A, canary=root.name)
        text, before = report.to_pylock(), noted(Path(first))
        with mock.patch.object(locks, "SESSION", world.session):
            assert locks.freeze() == text
    lock = Pylock.from_dict(tomllib.loads(text))
    by_name = {wheel.name: wheel for wheel in tree}
    for package in lock.packages:
        [locked] = package.wheels or ()
        wheel = by_name[str(package.name)]
        assert (locked.filename, locked.url) == (wheel.filename, file_url(A, wheel))
        assert (locked.size, locked.hashes) == (len(wheel.data), {"sha256": wheel.sha256})
    with TemporaryDirectory() as second, world_in(Path(second)) as world:
        for wheel in tree:
            world.web.publish(B if moved else A, wheel)
        with mock.patch.object(locks, "SESSION", world.session):
            await locks.install_pylock(text, mirrors=[B])
        assert noted(Path(second)) == before
        assert moved or not any("/simple/" in url for url in world.web.asked)
