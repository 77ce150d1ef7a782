"""The resolver alone: what it chooses, how much it reads, and that it ends."""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence

import pytest
from packaging.requirements import Requirement

from pyodide_mirror import ResolutionError
from pyodide_mirror.resolving import resolution
from tests.support.conflict_worlds import CONFLICTS, needs, versions
from tests.support.version_source import WheelSource, resolver_of, versions_of
from tests.support.wheels import Wheel, make_wheel

pytestmark = pytest.mark.asyncio

WORLDS = 1000
Versions = Mapping[str, Mapping[str, Sequence[str]]]
"""Projects, their versions, and what each requires."""


@pytest.mark.parametrize(
    "kind", [kind for kind, each in CONFLICTS.items() if not (each.refused or each.before)]
)
async def test_the_versions_fit(kind: str) -> None:
    conflict = CONFLICTS[kind]
    source = WheelSource(conflict.wheels)
    constraints = conflict.options.get("constraints", ())
    resolver = resolver_of(source, conflict.wanted, constraints)
    assert await versions_of(resolver) == conflict.there
    assert len(source.pages) == len(set(source.pages))
    assert len(source.read) == len(set(source.read))


# --- random worlds --------------------------------------------------------------------------------


def drawn(random: random.Random) -> tuple[Versions, list[str]]:
    """Draw some projects with some versions each, and what is wanted."""
    names = [f"z{letter}" for letter in "abcdef"[: random.randint(2, 6)]]
    numbers = {name: random.randint(1, 4) for name in names}

    def requirement(of: str) -> str:
        operator = random.choice(["", "==", "<", "<=", ">", ">=", "!="])
        return of + (f"{operator}{random.randint(1, numbers[of])}" if operator else "")

    made: dict[str, dict[str, list[str]]] = {}
    for name in names:
        others = [each for each in names if each != name]
        made[name] = {
            str(number): [requirement(of) for of in random.sample(others, min(2, len(others)))]
            if random.random() < 0.6
            else []
            for number in range(1, numbers[name] + 1)
        }
    return made, [requirement(of) for of in random.sample(names, random.randint(1, 2))]


def is_solution(world: Versions, wanted: Sequence[str], chosen: Mapping[str, str]) -> bool:
    """Whether this is what is wanted, with all that it requires."""
    waiting, seen = list(wanted), set()
    while waiting:
        need = Requirement(waiting.pop())
        version = chosen.get(need.name, "")
        if not version or not need.specifier.contains(version):
            return False
        if need.name not in seen:
            seen.add(need.name)
            waiting += world[need.name][version]
    return True


def all_choices(world: Versions) -> Iterator[Mapping[str, str]]:
    """Yield a version of each project, in all ways."""
    for chosen in itertools.product(*world.values()):
        yield dict(zip(world, chosen, strict=True))


async def test_a_thousand_random_worlds_end_with_what_fits_or_because_nothing_does() -> None:
    rounds, refused = [], 0
    for seed in range(WORLDS):
        world, wanted = drawn(random.Random(seed))  # noqa: S311  # no secrets
        wheels = [
            needs(name, *requires, version=version)
            for name, releases in world.items()
            for version, requires in releases.items()
        ]
        resolver = resolver_of(WheelSource(wheels), wanted)
        try:
            chosen = await versions_of(resolver)
        except ResolutionError:
            refused += 1
            assert not any(is_solution(world, wanted, each) for each in all_choices(world)), seed
        else:
            assert is_solution(world, wanted, chosen), seed
        rounds.append(resolver.rounds)
        assert resolver.runs <= 1 + sum(map(len, world.values())), seed
    assert 0.1 * WORLDS < refused < 0.7 * WORLDS
    assert max(rounds) < 300


# --- bounds ---------------------------------------------------------------------------------------


async def test_it_gives_up_after_so_many_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolution, "MOST_ROUNDS", 10)
    source = WheelSource(CONFLICTS["twenty roots"].wheels)
    with pytest.raises(ResolutionError, match="among 10 choices") as caught:
        await resolver_of(source, CONFLICTS["twenty roots"].wanted).resolve()
    assert caught.value.hints == (
        "ask for less at once, or for the versions that you want, as in 'demo>=2'",
    )


async def test_it_gives_up_after_so_much_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolution, "MOST_READ", 20)
    source = WheelSource(CONFLICTS["aioboto3"].wheels)
    with pytest.raises(ResolutionError, match="among 20 pages and versions"):
        await resolver_of(source, CONFLICTS["aioboto3"].wanted).resolve()
    assert len(source.read) <= 20


async def test_versions_that_go_back_far_are_read_in_few_turns() -> None:
    wheels = [needs("zroot", "zold", "zcore==1"), *versions("zcore", "1", "2")]
    wheels += [needs("zold", "zcore>=2", version=f"{n}") for n in range(2, 200)]
    wheels += [needs("zold", "zcore", version="1")]
    source = WheelSource(wheels)
    resolver = resolver_of(source, ["zroot"])
    assert await versions_of(resolver) == {"zroot": "1.0", "zold": "1", "zcore": "1"}
    assert resolver.runs < 25
    assert len(source.read) <= 202


# --- rules ----------------------------------------------------------------------------------------


async def test_what_has_narrowed_a_choice_and_is_taken_back_does_not_count() -> None:
    # resolvelib alone, and so pip, ends with zcore 1.0 here.
    zbs = [needs("zb"), needs("zb", "zcore==1.0", version="2.0")]
    wheels = [*zbs, needs("za", "zb<2", "zcore"), *versions("zcore", "1.0", "2.0")]
    resolver = resolver_of(WheelSource(wheels), ["zb", "za"])
    assert await versions_of(resolver) == {"za": "1.0", "zb": "1.0", "zcore": "2.0"}


async def test_a_newer_version_that_fits_only_with_older_others_is_left() -> None:
    zbs = [needs("zb"), needs("zb", "zcore==1.0", version="2.0")]
    zcores = [needs("zcore"), needs("zcore", "zd<2", version="2.0")]
    wheels = [*zbs, needs("za", "zb<2", "zcore", "zd"), *zcores, *versions("zd", "1.0", "2.0")]
    resolver = resolver_of(WheelSource(wheels), ["zb", "za"])
    there = {"za": "1.0", "zb": "1.0", "zcore": "1.0", "zd": "2.0"}
    assert await versions_of(resolver) == there


async def test_extras_come_with_the_very_version_of_their_project() -> None:
    wheels = [
        make_wheel("zroot", "2.0", extras={"x": ["zcore>=2"], "y": ["zcore<2"]}),
        make_wheel("zroot", "1.0", extras={"x": ["zcore"], "y": ["zcore<2"]}),
        *versions("zcore", "1.0", "2.0"),
    ]
    resolver = resolver_of(WheelSource(wheels), ["zroot[X,y]"])
    assert await versions_of(resolver) == {"zroot": "1.0", "zcore": "1.0"}


async def test_an_extra_that_there_is_not_is_passed_over() -> None:
    resolver = resolver_of(WheelSource(versions("zroot", "1.0", "2.0")), ["zroot[gone]"])
    assert await versions_of(resolver) == {"zroot": "2.0"}


async def test_a_circle_of_requirements_is_no_trouble() -> None:
    wheels: list[Wheel] = [needs("za", "zb==2"), needs("zb", "za", version="2"), needs("zb")]
    assert await versions_of(resolver_of(WheelSource(wheels), ["zb", "za"])) == {
        "za": "1.0",
        "zb": "2",
    }


async def test_what_is_installed_is_not_replaced() -> None:
    wheels = [*versions("zcore", "1.0", "2.0"), needs("ztrans", "zcore>=2", version="2.0")]
    wheels += [needs("ztrans", "zcore<2")]
    resolver = resolver_of(WheelSource(wheels, installed=["zcore"]), ["ztrans"])
    assert await versions_of(resolver) == {"zcore": "1.0", "ztrans": "1.0"}


async def test_without_dependencies_nothing_but_the_requested_is_chosen() -> None:
    wheels = [needs("zroot", "zcore"), *versions("zcore", "1.0")]
    resolver = resolver_of(WheelSource(wheels), ["zroot"], deps=False)
    assert await versions_of(resolver) == {"zroot": "1.0"}
