"""We install what pip and uv agree on, or what plain micropip installs, or refuse with a reason."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.oracle.__main__ import look, options_of
from tests.oracle.compare import FAULTS, judge
from tests.oracle.tools import Tools
from tests.oracle.worlds import Release, World
from tests.support.conflict_worlds import CONFLICTS, Conflict
from tests.support.fake_web import A, Answer, entry, page_of
from tests.support.wheels import Wheel


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    """Return the tools, with a cache of their own."""
    with Tools(Path(os.fspath(tmp_path_factory.mktemp("uv")))) as tools:
        yield tools


def test_some_worlds_show_no_fault(tools: Tools) -> None:
    # The same worlds each time; `nox -s oracle -- --worlds 2000` looks at many more.
    counts = look(tools, options_of(["--worlds=20", "--seed=20"]))
    assert not FAULTS & counts.keys()  # they have been printed
    assert counts["the same"] >= 5


ONE, TWO = Release(version="1.0"), Release(version="2.0")
FOUND = {
    "pip and uv go back to a version that needs nothing yanked": (
        World(
            wanted=("zqa",),
            projects={
                "zqa": (ONE, Release(version="2.0", requires=("zqc",))),
                "zqc": (Release(version="1.0", yanked=True),),
            },
        ),
        "as plain micropip",
    ),
    "pip and uv go back to a version that needs nothing that is not there": (
        World(
            wanted=("zqa",),
            projects={"zqa": (ONE, Release(version="2.0", requires=("zqc",)))},
        ),
        "the same",
    ),
    "pip and uv take a pre-release if nothing else fits a specifier": (
        World(wanted=("zqa>0",), projects={"zqa": (Release(version="2.0rc1"),)}),
        "the same",
    ),
    "the page does not say which Python a version is for": (
        World(
            wanted=("zqa",),
            projects={
                "zqa": (ONE, Release(version="2.0", requires_python=">=3.99", says_python=False))
            },
        ),
        "the same",
    ),
    "two requirements want different versions": (
        World(wanted=("zqa", "zqa<2"), projects={"zqa": (ONE, TWO)}),
        "the same",
    ),
    "an extra of a project needs another extra of it": (
        World(
            wanted=("zqa[all]",),
            projects={
                "zqa": (
                    Release(
                        version="1.0",
                        extras=(("HF.transfer", ("zqc",)), ("all", ("zqa[hf_transfer]",))),
                    ),
                ),
                "zqc": (ONE,),
            },
        ),
        "the same",
    ),
    "the description looks like headers, and the folder has dashes": (
        World(
            wanted=("zqb.x",),
            projects={"zqb-x": (Release(version="1.0", style="described", folder="dashes"),)},
        ),
        "the same",
    ),
}
"""What was met, and how we compare."""


@pytest.mark.parametrize("case", FOUND)
def test_what_was_found_stays_so(tools: Tools, case: str) -> None:
    world, kind = FOUND[case]
    verdict = judge(tools.asked_about(world))
    assert verdict.kind == kind, verdict


@dataclass(frozen=True, slots=True)
class Published(World):
    """A world with these wheels."""

    wheels: tuple[Wheel, ...] = ()

    def answers(self, base: str) -> Iterator[tuple[str, Answer]]:
        for name in {wheel.name for wheel in self.wheels}:
            same = [wheel for wheel in self.wheels if wheel.name == name]
            urls = {wheel.filename: f"{base}/files/{wheel.filename}" for wheel in same}
            rows = [entry(A, wheel, url=urls[wheel.filename]) for wheel in same]
            yield f"{base}/simple/{name}/", page_of(name, rows)
            for wheel in same:
                yield urls[wheel.filename], Answer(body=wheel.data)
                yield f"{urls[wheel.filename]}.metadata", Answer(body=wheel.metadata)


@pytest.mark.parametrize("kind", [kind for kind, each in CONFLICTS.items() if not each.before])
def test_our_own_conflicts_end_as_with_pip_or_uv(tools: Tools, kind: str) -> None:
    conflict: Conflict = CONFLICTS[kind]
    constraints = tuple(conflict.options.get("constraints", ()))
    world = Published(
        wanted=tuple(conflict.wanted), constraints=constraints, wheels=tuple(conflict.wheels)
    )
    asked = tools.asked_about(world)
    pip, uv = asked.pip(), asked.uv()
    assert pip.ok is uv.ok is not conflict.refused
    assert conflict.there in (pip.versions, uv.versions)
