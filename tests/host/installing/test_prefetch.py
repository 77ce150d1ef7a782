"""Looking ahead, with fakes for what fetches: what is fetched, in which order, and what is not."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from pyodide_mirror.index import SMALL_WHEEL, best_wheel, specifier_of
from pyodide_mirror.installing.prefetch import Prefetcher
from pyodide_mirror.model import File, ProjectPage
from tests.support.wheels import Wheel, make_wheel

virtual_clock = [pytest.mark.asyncio, pytest.mark.looptime]

PURE = "py3-none-any"
NOWHERE = frozenset[str]()

# --- which wheel micropip will choose -----------------------------------------------------------


def entry(version: str, tag: str = PURE, *, name: str = "", **fields: object) -> File:
    filename = name or f"demo-{version}-{tag}.whl"
    return File(filename=filename, url=f"https://f.example/{filename}", hashes={}, **fields)  # type: ignore[arg-type]


def listing(*files: File) -> ProjectPage:
    return ProjectPage(name="demo", files=files)


def chosen(wants: str, *files: File) -> str | None:
    file = best_wheel(listing(*files), wants)
    return file and file.filename.split("-")[1]


ONE, TWO, THREE = entry("1.0"), entry("2.0"), entry("3.0")


@pytest.mark.parametrize(
    ("wants", "files", "version"),
    [
        pytest.param("", [ONE, TWO, THREE], "3.0", id="the best_wheel"),
        pytest.param("", [THREE, ONE, TWO], "3.0", id="in any order"),
        pytest.param("", [entry("9.0"), entry("10.0")], "10.0", id="by version, not by text"),
        pytest.param("", [entry("1.0"), entry("1.0.post1")], "1.0.post1", id="post-releases count"),
        pytest.param("", [entry("1!1.0"), entry("2.0")], "1!1.0", id="epochs count"),
        pytest.param("", [entry("2.0+local"), TWO], "2.0+local", id="local versions count"),
        pytest.param("<3", [ONE, TWO, THREE], "2.0", id="that the specifier allows"),
        pytest.param("==1.0", [ONE, TWO, THREE], "1.0", id="a pinned one"),
        pytest.param("!=3.0", [TWO, THREE], "2.0", id="an excluded one"),
        pytest.param("~=1.4", [entry("1.4"), entry("1.9"), TWO], "1.9", id="a compatible one"),
        pytest.param(">=4", [ONE, TWO, THREE], None, id="none that is allowed"),
        pytest.param(">=3a1", [TWO, entry("3.0a1")], "3.0a1", id="a pre-release that is asked for"),
        pytest.param("==3.0rc1", [TWO, entry("3.0rc1")], "3.0rc1", id="a pinned pre-release"),
        pytest.param("", [ONE, entry("2.0", yanked=True)], "1.0", id="not a yanked one"),
        pytest.param("", [ONE, entry("2.0", yanked="why")], "1.0", id="nor one that says why"),
        pytest.param("==2.0", [ONE, entry("2.0", yanked=True)], None, id="not even if pinned"),
        pytest.param(
            "", [ONE, entry("2.0", requires_python=">=99")], "1.0", id="for this Python only"
        ),
        pytest.param("", [ONE, entry("2.0", requires_python="<3")], "1.0", id="not an older one"),
        pytest.param("", [ONE, entry("2.0", requires_python="?")], "2.0", id="nonsense is allowed"),
        pytest.param("", [ONE, entry("2.0", "py2-none-any")], "1.0", id="Python 2"),
        pytest.param("", [ONE, entry("2.0", "py2.py3-none-any")], "2.0", id="Python 2 and 3"),
        pytest.param(
            "", [ONE, entry("2.0", "cp314-cp314-manylinux_2_28_x86_64")], "1.0", id="a platform"
        ),
        pytest.param(
            "", [ONE, entry("2.0", "cp314-cp314-pyemscripten_2026_0_wasm32")], "1.0", id="wasm"
        ),
        pytest.param("", [ONE, entry("2.0", name="demo-2.0.tar.gz")], "1.0", id="an archive"),
        pytest.param(
            "", [ONE, entry("2.0", name="demo-2.0-1-py3-none-any.whl")], "2.0", id="build"
        ),
        pytest.param(
            "", [ONE, entry("", name="demo-dev-version-py3-none-any.whl")], "1.0", id="no version"
        ),
        pytest.param("", [ONE, entry("", name="demo-py3-none-any.whl")], "1.0", id="no wheel name"),
        pytest.param("", [entry("", name="-py3-none-any.whl")], None, id="only such a name"),
        pytest.param("", [], None, id="an empty page"),
    ],
)
def test_the_newest_wheel_that_micropip_would_choose(
    wants: str, files: list[File], version: str | None
) -> None:
    assert chosen(wants, *files) == version


@pytest.mark.parametrize("wants", ["", ">=1", "!=3.0"])
def test_a_pre_release_is_left_alone(wants: str) -> None:
    assert chosen(wants, ONE, TWO, entry("4.0a1"), entry("4.0.dev1"), entry("4.0rc2")) == "2.0"


def test_of_a_long_page_only_the_end_is_looked_at() -> None:
    old = [entry(f"1.{number}") for number in range(4_200)]
    assert chosen("", *old, TWO) == "2.0"
    assert chosen("", TWO, *old) == "1.4199"
    platforms = [entry("3.0", f"cp3{number}-none-win_amd64") for number in range(60)]
    assert chosen("", *old, TWO, *platforms) == "2.0"  # as micropip does


# --- the canary of an install -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requirements", "specifier"),
    [
        (["demo"], ""),
        (["Demo >= 2"], ">=2"),
        (["other==1", "demo<3", "demo>1"], "<3"),
        (["demo[x]~=1.0"], "~=1.0"),
        (["other"], ""),
        ([], ""),
        (["demo @ https://f.example/demo-1.0-py3-none-any.whl"], ""),
        (["https://f.example/demo-1.0-py3-none-any.whl"], ""),
        (["demo==1; python_version < '3'", "demo==2"], "==2"),
        (["demo >> 1", "demo==3"], "==3"),
    ],
)
def test_what_is_wanted_of_a_project_is_found_among_the_requirements(
    requirements: list[str], specifier: str
) -> None:
    assert specifier_of("demo", requirements) == specifier


# --- from page to page --------------------------------------------------------------------------

FETCH = 0.1
"""Seconds that a page or a wheel takes."""


@dataclass
class Ground:
    """Projects of one wheel each, and a log of what was fetched of them."""

    wheels: Mapping[str, Wheel]
    there: frozenset[str] = NOWHERE
    lost: frozenset[str] = NOWHERE
    """Projects whose page, or wheel, cannot be read."""
    asked: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    sizes: Mapping[str, int | None] = field(default_factory=dict)
    """What pages say of a wheel's size, where it is not the truth."""

    def prefetcher(self, *requirements: str) -> Prefetcher:
        return Prefetcher(requirements, self.there.__contains__, self.page, self.wheel)

    def listing(self, project: str) -> ProjectPage:
        wheel = self.wheels[project]
        file = File(
            filename=wheel.filename,
            url=f"https://f.example/{wheel.filename}",
            hashes={"sha256": wheel.sha256},
            size=self.sizes.get(project, len(wheel.data)),
        )
        return ProjectPage(name=project, files=(file,))

    async def page(self, project: str) -> ProjectPage | None:
        await self._fetch(f"page {project}")
        return None if f"page {project}" in self.lost else self.listing(project)

    async def wheel(self, project: str, file: File) -> bytes | None:
        await self._fetch(f"wheel {project}")
        return None if f"wheel {project}" in self.lost else self.wheels[project].metadata

    async def _fetch(self, what: str) -> None:
        self.asked.append(what)
        await asyncio.sleep(FETCH)
        self.ended.append(what)


def ground(needs: Mapping[str, Iterable[str]], **fields: object) -> Ground:
    wheels = {name: make_wheel(name, "1.0", requires=wanted) for name, wanted in needs.items()}
    return Ground(wheels, **fields)  # type: ignore[arg-type]


async def look(world: Ground, *requirements: str, saw: str = "root", seconds: float = 60) -> None:
    """Let the scout see a page, and give it so many seconds."""
    prefetcher = world.prefetcher(*requirements)
    prefetcher.page_served(saw, world.listing(saw))
    await asyncio.sleep(seconds)
    prefetcher.stop()


class TestFollowing:
    pytestmark = virtual_clock

    async def test_a_page_leads_to_its_wheel_and_that_to_the_pages_of_what_it_requires(
        self,
    ) -> None:
        world = ground({"root": ["left", "right"], "left": ["leaf"], "right": [], "leaf": []})
        # Whatever is known is fetched at the same time: as long as the tree is deep, not large.
        await look(world, "root", seconds=5.5 * FETCH)
        assert (
            world.ended
            == world.asked
            == [
                "wheel root",
                *("page left", "page right"),
                *("wheel left", "wheel right"),
                "page leaf",
                "wheel leaf",
            ]
        )

    async def test_nothing_is_fetched_before_micropip_asks(self) -> None:
        world = ground({"root": []})
        world.prefetcher("root")
        await asyncio.sleep(1)
        assert world.asked == []

    async def test_a_page_of_something_else_leads_nowhere(self) -> None:
        world = ground({"root": [], "other": []})
        await look(world, "root", saw="other")
        assert world.asked == []

    async def test_what_several_need_is_fetched_once(self) -> None:
        world = ground({"root": ["a", "b"], "a": ["c", "B>0"], "b": ["c<2", "root"], "c": ["a"]})
        await look(world, "root")
        assert sorted(world.asked) == sorted(set(world.asked))
        assert {what for what in world.asked if what.startswith("page")} == {
            *("page a", "page b", "page c")
        }

    async def test_a_page_that_micropip_sees_again_is_not_followed_again(self) -> None:
        world = ground({"root": ["a"], "a": []})
        prefetcher = world.prefetcher("root")
        for _ in range(3):
            prefetcher.page_served("root", world.listing("root"))
            await asyncio.sleep(1)
            prefetcher.page_served("a", world.listing("a"))
        await asyncio.sleep(1)
        assert world.asked == ["wheel root", "page a", "wheel a"]

    async def test_what_is_there_is_not_looked_for(self) -> None:
        world = ground({"root": ["there", "a"], "a": []}, there=frozenset({"there"}))
        await look(world, "root")
        assert world.asked == ["wheel root", "page a", "wheel a"]

    async def test_markers_and_specifiers_are_respected(self) -> None:
        needs = [
            'old; python_version < "3"',
            'new; python_version >= "3"',
            "late>=2",
            'both; python_version >= "3" and extra == "x"',
        ]
        world = ground({"root": needs, "new": [], "late": [], "old": [], "both": []})
        await look(world, "root")
        # Of `late` there is 1.0 only: its page tells, and then there is nothing to fetch.
        assert world.asked == ["wheel root", "page new", "page late", "wheel new"]

    @pytest.mark.parametrize(
        ("requirement", "pages"),
        [
            ("root", []),
            ("root[x]", ["page a"]),
            ("root[y,X]", ["page a", "page b"]),
            ("root[nothing]", []),
        ],
    )
    async def test_extras_that_are_asked_for_are_followed(
        self, requirement: str, pages: list[str]
    ) -> None:
        root = make_wheel("root", "1.0", extras={"x": ["a"], "y": ["b"]})
        others = {name: make_wheel(name, "1.0") for name in ("a", "b")}
        world = Ground({"root": root, **others})
        await look(world, requirement)
        assert [what for what in world.asked if what.startswith("page")] == pages

    async def test_extras_of_requirements_are_followed(self) -> None:
        extra = make_wheel("mid", "1.0", extras={"x": ["leaf"]})
        others = {"root": make_wheel("root", "1.0", requires=["mid[x]"])}
        world = Ground({**others, "mid": extra, "leaf": make_wheel("leaf", "1.0")})
        await look(world, "root")
        assert world.asked[-1] == "wheel leaf"

    @pytest.mark.parametrize("size", [None, SMALL_WHEEL + 1])
    async def test_a_large_wheel_is_fetched_and_not_waited_for(self, size: int | None) -> None:
        world = ground({"root": ["a"], "a": []}, sizes={"root": size})
        await look(world, "root")
        # Its metadata is asked for by itself, and comes first: micropip names what comes next.
        assert world.asked == ["wheel root"]

    async def test_the_largest_small_wheel_is_read(self) -> None:
        world = ground({"root": ["a"], "a": []}, sizes={"root": SMALL_WHEEL})
        await look(world, "root")
        assert world.asked == ["wheel root", "page a", "wheel a"]

    @pytest.mark.parametrize("lost", ["wheel root", "page a"])
    async def test_what_cannot_be_had_ends_that_way_only(self, lost: str) -> None:
        world = ground({"root": ["a", "b"], "a": [], "b": []}, lost=frozenset({lost}))
        await look(world, "root")
        after = {"wheel root": [], "page a": ["page a", "page b", "wheel b"]}
        assert world.asked == ["wheel root", *after[lost]]

    @pytest.mark.parametrize("requirement", ["root<1", "root; python_version < '3'", "root >> 1"])
    async def test_what_will_not_be_installed_is_not_fetched(self, requirement: str) -> None:
        world = ground({"root": []})
        await look(world, requirement)
        assert world.asked == []

    @pytest.mark.parametrize("metadata", [b"", b"\xff\x00" * 100, b"Requires-Dist"])
    async def test_metadata_that_is_none_leads_nowhere(self, metadata: bytes) -> None:
        root = replace(make_wheel("root", "1.0", requires=["a"]), metadata=metadata)
        world = Ground({"root": root, "a": make_wheel("a", "1.0")})
        await look(world, "root")
        assert world.asked == ["wheel root"]

    async def test_metadata_that_is_nonsense_leads_nowhere_and_its_good_lines_on(self) -> None:
        world = ground({"root": ["a >> 1", "b", "(c)", "\x00"], "a": [], "b": [], "c": []})
        await look(world, "root")
        assert world.asked == ["wheel root", "page b", "wheel b"]

    @pytest.mark.parametrize(
        "line",
        [
            "direct @ https://f.example/direct-1.0-py3-none-any.whl",
            'named; platform_machine != "a/b@c"',
        ],
    )
    async def test_only_projects_with_a_name_are_looked_for(self, line: str) -> None:
        world = ground({"root": [line], "named": []})
        await look(world, "root")
        assert "page " not in world.asked

    async def test_stopping_ends_every_fetch_at_once(self) -> None:
        world = ground({"root": ["a", "b"], "a": [], "b": []})
        prefetcher = world.prefetcher("root")
        prefetcher.page_served("root", world.listing("root"))
        await asyncio.sleep(1.5 * FETCH)
        assert world.asked == ["wheel root", "page a", "page b"]
        before = asyncio.all_tasks()
        prefetcher.stop()
        await asyncio.sleep(1)
        assert world.ended == ["wheel root"]
        assert asyncio.all_tasks() < before
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_stopping_what_has_ended_does_nothing(self) -> None:
        world = ground({"root": []})
        prefetcher = world.prefetcher("root")
        prefetcher.stop()
        prefetcher.page_served("root", world.listing("root"))
        await asyncio.sleep(1)
        prefetcher.stop()
        assert world.ended == ["wheel root"]

    async def test_a_failure_disturbs_nobody(self, caplog: pytest.LogCaptureFixture) -> None:
        world = ground({"root": ["a", "b"], "a": [], "b": []})

        async def page(project: str) -> ProjectPage | None:
            if project == "a":
                raise ZeroDivisionError
            return await world.page(project)

        prefetcher = Prefetcher(["root"], NOWHERE.__contains__, page, world.wheel)
        with caplog.at_level("DEBUG", "pyodide_mirror.installing.prefetch"):
            prefetcher.page_served("root", world.listing("root"))
            await asyncio.sleep(1)
        assert world.asked == ["wheel root", "page b", "wheel b"]
        assert "ZeroDivisionError" in caplog.text
