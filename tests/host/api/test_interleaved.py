"""Installs, configurations, resets and cancellations in any order, on a virtual clock.

Whatever happens at the same time: who reports success has what he asked for, complete; nothing of
the others stays; micropip is as it was after `reset`, and nobody asks for anything any more.
"""

import asyncio
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import looptime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyodide_mirror.api import Session
from tests.support.fake_host import FakeHost
from tests.support.fake_web import A, Answer, B, Web, file_url
from tests.support.pyodide_micropip import FakePyodide, PlainFetch, pyodide_micropip
from tests.support.wheels import Wheel, make_wheel


def spoilt(wheel: Wheel) -> Wheel:
    """The wheel with a member whose CRC is wrong."""
    return replace(wheel, data=wheel.data.replace(b"VALUE = 1", b"VALUE = 2"))


BASE, BRANCH, OTHER = (
    make_wheel("zbase", "1.0"),
    make_wheel("zbranch", "1.0", requires=["zbase"]),
    make_wheel("zother", "1.0", requires=["zbase", "zlocked"]),
)
FAILING = (
    make_wheel("zbad", "1.0", requires=["zbase", "znowhere"]),
    # Only the closure check finds that something is missing, when all is unpacked.
    make_wheel("zlate", "1.0", requires=["zbranch", "zlost"]),
    # The last member cannot be unpacked.
    spoilt(
        make_wheel("zbroken", "1.0", requires=["zbase"], modules={"zbroken_data.py": "VALUE = 1"})
    ),
)
NEEDS = {
    "zbase": {"zbase"},
    "zbranch": {"zbranch", "zbase"},
    "zother": {"zother", "zbase", "zlocked"},
    "zlocked": {"zlocked"},
    "zbad": {"zbad", "zbase", "znowhere"},
    "zlate": {"zlate", "zbranch", "zbase", "zlost"},
    "zbroken": {"zbroken", "zbroken_data", "zbase"},
}
"""What each requirement brings, if it can be met."""
FILES = {wheel.name: wheel for wheel in (BASE, BRANCH, OTHER, *FAILING)}
PROJECTS = list(NEEDS)
DELAYS = st.sampled_from([0.0, 0.1, 1.0, 3.0])
URLS = [
    *(mirror.project_url(name) for mirror in (A, B) for name in (*FILES, "znowhere", "zlost")),
    *(file_url(mirror, wheel) for mirror in (A, B) for wheel in FILES.values()),
]


@dataclass(frozen=True)
class Step:
    """Something that somebody does at a time; ``cancel``: and gives up so much later."""

    at: float
    what: str
    wanted: tuple[str, ...] = ()
    mirrors: str = "A"
    cancel: float | None = None


STEPS = st.builds(
    Step,
    at=st.sampled_from([0.0, 0.05, 0.5, 1.0, 2.0, 4.0]),
    what=st.sampled_from(
        [*["install"] * 3, *["plain"] * 2, "own", "configure", "later", "reset", "probe"]
    ),
    wanted=st.lists(st.sampled_from(PROJECTS), min_size=1, max_size=2).map(tuple),
    mirrors=st.sampled_from(["A", "B", "AB"]),
    cancel=st.none() | st.sampled_from([0.0, 0.2, 1.5, 3.5]),
)


@dataclass
class World:
    """The web, and what is to be seen of a run."""

    pyodide: FakePyodide
    micropip: Any
    web: Web
    beside: Web
    """What is asked past us."""
    session: Session
    kept: set[str] = field(default_factory=set)
    """What somebody needs who has reported success."""
    allowed: set[str] = field(default_factory=set)
    """What micropip by itself may have left."""
    plain: list[Step] = field(default_factory=list)
    """The installs that are micropip's own."""

    async def run(self, steps: list[Step]) -> None:
        tasks = [asyncio.ensure_future(self.do(step)) for step in steps]
        await asyncio.gather(*tasks)
        self.session.reset()
        await self.session.settled()
        asked = len(self.web.requests)
        await asyncio.sleep(0.01)  # a few turns of the loop, less than any answer takes
        running = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.sleep(3600)
        assert len(self.web.requests) == asked, "somebody still asks"
        assert self.plain or not self.beside.requests, "something was asked past us"
        assert not running or self.plain, "something still runs"  # micropip leaves its own behind

    async def do(self, step: Step) -> None:
        await asyncio.sleep(step.at)
        work = asyncio.ensure_future(self.call(step))
        if step.cancel is not None:
            asyncio.get_running_loop().call_later(step.cancel, work.cancel)
        await asyncio.wait([work])
        if not work.cancelled() and work.exception() is None and step.what in INSTALLS:
            needed = set().union(*(NEEDS[name] for name in step.wanted))
            there = set(filter(self.has, needed))
            assert step in self.plain or there == needed, f"{step}: there is {there}"
            self.kept |= there

    async def call(self, step: Step) -> None:
        mirrors = [{"A": A, "B": B}[letter] for letter in step.mirrors]
        wanted = list(step.wanted)
        if step.what == "own" or (step.what == "plain" and self.session.status() is None):
            # micropip's own takes what is unpacked for complete, and leaves what it cannot finish.
            self.plain.append(step)
            self.allowed.update(*(NEEDS[name] for name in wanted))
        if step.what == "install":
            await self.session.install(wanted, mirrors=mirrors, canary="zbase")
        elif step.what == "plain":
            await self.micropip.install(wanted)
        elif step.what == "own":
            await self.micropip.install(wanted, index_urls=[one.index_url for one in mirrors])
        elif step.what == "configure":
            await self.session.configure(mirrors, canary="zbase")
        elif step.what == "later":
            self.session.configure_later(mirrors, canary="zbase")
        elif step.what == "probe":
            await self.session.probe(mirrors, canary="zbase")
        else:
            self.session.reset()

    def has(self, name: str) -> bool:
        """Whether it is there, and complete."""
        info = self.pyodide.folder / f"{name}-1.0.dist-info"
        module = self.pyodide.folder / f"{name}.py"
        return (
            all((info / each).is_file() for each in ("METADATA", "RECORD", "PYODIDE_SOURCE"))
            and module.is_file()
            and name in self.pyodide.loaded.to_py()
        )

    def leftovers(self) -> set[str]:
        """What is there and nobody needs."""
        found = {path.name.partition("-")[0] for path in self.pyodide.folder.iterdir()}
        names = {name.removesuffix(".py") for name in found} | self.pyodide.loaded.to_py().keys()
        assert self.kept == set(filter(self.has, self.kept)), "something is lost"
        return names - self.kept - self.allowed


INSTALLS = {"install", "plain", "own"}
USUAL = settings(
    deadline=None,  # how fast the machine is says nothing about the package
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)


def stock(web: Web, delays: dict[str, float]) -> None:
    """Let both mirrors have all, at their own pace."""
    for mirror in (A, B):
        for wheel in FILES.values():
            web.publish(mirror, wheel)
    for url, delay in delays.items():
        [answer] = web._answers.get(url, [Answer(status=404)])
        web.answer(url, replace(answer, delay=delay))


@contextmanager
def world(version: str, delays: dict[str, float]) -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        place = Path(folder, "site-packages")
        place.mkdir()
        patch.setattr(tempfile, "tempdir", folder)
        web, plain = Web(), Web()
        stock(web, delays)
        stock(plain, delays)
        with pyodide_micropip(version, place, PlainFetch(plain)) as (pyodide, micropip):
            pyodide.dynlibs = lambda: asyncio.sleep(0.005)
            before = of_micropip(micropip)
            made = World(pyodide, micropip, web, plain, Session(FakeHost(web, cold=True)))
            yield made
            assert of_micropip(micropip) == before
            assert [path.name for path in Path(folder).iterdir()] == ["site-packages"]


def of_micropip(micropip: Any) -> list[Any]:
    """Whatever of micropip we might have changed."""
    manager = micropip.set_index_urls.__self__
    compat = importlib.import_module("micropip._compat._compat_in_pyodide")
    wheelinfo = importlib.import_module("micropip.wheelinfo")
    return [
        micropip.install,
        list(manager.index_urls),
        list(importlib.import_module("micropip.package_index").DEFAULT_INDEX_URLS),
        compat.pyfetch,
        compat.CompatibilityInPyodide.loadPackage,
        getattr(sys.modules["micropip.install"], "loadPackage", None)
        if "micropip.install" in sys.modules
        else None,
        wheelinfo.WheelInfo.install,
        wheelinfo._generate_package_hash,
        vars(type(manager)).get("_uninstall_distributions"),
        dict(getattr(getattr(manager, "compat_layer", None), "lockfile_packages", None) or {}),
        dict(getattr(manager, "repodata_packages", None) or {}),
    ]


STEPS_AND_DELAYS = {
    "steps": st.lists(STEPS, min_size=2, max_size=6),
    "delays": st.dictionaries(st.sampled_from(URLS), DELAYS, max_size=8),
}


def check(version: str, steps: list[Step], delays: dict[str, float]) -> None:
    """Do all that, and see to what is left."""
    with world(version, delays) as made:
        loop = looptime.patch_event_loop(asyncio.new_event_loop(), start=0, end=100_000)
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(made.run(steps))
        assert made.leftovers() == set()


@settings(USUAL, max_examples=40)
@given(**STEPS_AND_DELAYS)
def test_whatever_happens_at_once_everybody_has_what_he_was_told(
    steps: list[Step], delays: dict[str, float]
) -> None:
    check("0.11.1", steps, delays)


@settings(USUAL, max_examples=20)
@given(**STEPS_AND_DELAYS)
def test_so_it_is_with_the_oldest_micropip(steps: list[Step], delays: dict[str, float]) -> None:
    check("0.9.0", steps, delays)


LOST = A.project_url("zlost")
COUNTEREXAMPLES: dict[str, tuple[list[Step], dict[str, float]]] = {
    "a plain install takes what is unpacked for installed": (
        [Step(0.0, "install", ("zlate",)), Step(0.5, "own", ("zbranch",))],
        {LOST: 1.0},
    ),
    "so it does when the configuration is gone": (
        [
            Step(0.0, "install", ("zlate",)),
            Step(0.5, "reset"),
            Step(0.5, "plain", ("zlate",)),
        ],
        {LOST: 1.0},
    ),
    "a reset while an install goes on": (
        [Step(0.0, "install", ("zbranch",)), Step(0.5, "reset")],
        {A.project_url("zbase"): 1.0, file_url(A, BRANCH): 1.0},
    ),
    "a reset while an install fails": (
        [Step(0.0, "install", ("zlate", "zbad")), Step(0.0, "reset")],
        {A.project_url("zbase"): 3.0},
    ),
    "micropip goes on with what is left of an install that failed": (
        [Step(0.0, "install", ("zlate", "zbad"))],
        {
            A.project_url("zlate"): 1.0,
            A.project_url("zbase"): 3.0,
            A.project_url("znowhere"): 1.0,
        },
    ),
    "micropip loads a package while another install has it unpacked": (
        [Step(0.0, "install", ("zother",)), Step(0.05, "own", ("zother",))],
        {},
    ),
}
"""What went wrong once."""


@pytest.mark.parametrize("name", COUNTEREXAMPLES)
def test_what_went_wrong_once(name: str) -> None:
    steps, delays = COUNTEREXAMPLES[name]
    check("0.11.1", steps, delays)
