"""What runs inside Pyodide, in a session of a test."""

import json
import sys
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

import pyodide_mirror
from pyodide_mirror.bundling import inside
from pyodide_mirror.rebuilt import rebuilt_wheel
from pyodide_mirror.resolving import resolution
from tests.support.fake_web import A
from tests.support.install_world import World, world_in
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

TASK = {"mirrors": [{"index_url": A.index_url}], "cdns": [{"base_url": "https://folder-0.invalid"}]}


@pytest.fixture
def world(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    resolver = tmp_path_factory.mktemp("tools") / "resolver.whl"
    resolver.write_bytes(rebuilt_wheel("resolvelib")[1])
    monkeypatch.setattr(inside, "_RESOLVER", resolver)
    monkeypatch.setattr(inside, "_TOOLS", str(resolver.parent))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(resolution, "_LOADED", [])
    for name in [name for name in sys.modules if name.partition(".")[0] == "resolvelib"]:
        monkeypatch.delitem(sys.modules, name)  # which comes back in the end
    with world_in(tmp_path_factory.mktemp("site"), "0.11.1") as opened:
        opened.pyodide.manage_packages()
        opened.web.publish(A, make_wheel("iniconfig", "1.0"))
        monkeypatch.setattr(pyodide_mirror, "install", opened.session.install)
        yield opened


async def run(task: dict[str, Any]) -> tuple[dict[str, str], list[dict[str, str]]]:
    """The answer, and the events."""
    sent: list[str] = []
    answer = json.loads(await inside.main(json.dumps(task), sent.append))
    return answer, [json.loads(each) for each in sent]


async def test_what_it_installs_is_locked_and_told(world: World) -> None:
    world.web.publish(A, make_wheel("zpkg", "1.0"))
    answer, events = await run({**TASK, "requirements": ["zpkg"]})
    assert [each["name"] for each in tomllib.loads(answer["lock"])["packages"]] == ["zpkg"]
    kinds = [each["kind"] for each in events]
    assert {"page", "file"} <= {*kinds}
    assert kinds.count("progress") <= 1  # they are many, and a sign of life is enough


async def test_errors_are_answers(world: World) -> None:
    world.web.publish(A, make_wheel("zpkg", "1.0"))
    missing, _ = await run({**TASK, "requirements": ["znothing"]})
    assert "znothing" in missing["error"]
    unknown, _ = await run({**TASK, "mirrors": [], "requirements": ["zpkg"], "no_such": 1})
    assert unknown["error"].startswith("TypeError: ")
