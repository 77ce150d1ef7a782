"""What we install must be right where others are right, or refused with the reason."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pyodide_mirror.model import normalize

from .tools import Asked, Result
from .worlds import PROJECTS, Release, World, suits

FAULTS = frozenset(
    {
        "another set",
        "installed what all refuse",
        "refused what plain micropip installs",
        "refused what pip and uv install",
        "an error without a reason",
        "a broken set",
        "two versions",
        "a wrong report",
        "left-overs",
    }
)
"""The kinds of verdicts that should not be."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a world: a word for the kind, and the results it is drawn from."""

    kind: str
    ours: Result
    uv: Result
    pip: Result | None = None
    plain: Result | None = None

    @property
    def is_fault(self) -> bool:
        """Whether we are wrong."""
        return self.kind in FAULTS

    def __str__(self) -> str:
        lines = [f"{self.kind}:"]
        for name in ("ours", "uv", "pip", "plain"):
            result: Result | None = getattr(self, name)
            if result is not None:
                lines.append(f"  {name:5} {dict(result.versions)} {result.error.strip()[:600]}")
        return "\n".join(lines)


def judge(asked: Asked, *, thorough: bool = False) -> Verdict:
    """Say what is to be thought of our install.

    pip, which is slow, is asked only where its answer makes a difference; ``thorough``: always.
    """
    ours, uv = asked.ours(), asked.uv()
    own = _own_fault(asked.world, ours)
    if own:
        return Verdict(own, ours, uv)
    same = ours.versions == uv.versions
    if ours.ok == uv.ok and same and not thorough:
        return Verdict("the same" if ours.ok else "all refuse", ours, uv)
    plain = asked.plain()
    plain_is_right = plain.ok and not _own_fault(asked.world, plain)
    pip = asked.pip()
    if uv.ok != pip.ok or uv.versions != pip.versions:
        return Verdict("pip and uv differ", ours, uv, pip, plain)
    kind = _compared(asked.world, ours, uv, plain if plain_is_right else None)
    return Verdict(kind, ours, uv, pip, plain)


def _compared(world: World, ours: Result, agreed: Result, plain: Result | None) -> str:
    """Compare with what pip and uv agree on, and with plain micropip where its result is right."""
    if ours.ok and ours.versions == agreed.versions:
        return "the same"
    if ours.ok:
        as_plain = plain is not None and plain.versions == ours.versions
        if as_plain or _takes_yanked(world, ours):
            return "as plain micropip"
        return "another set" if agreed.ok else "installed what all refuse"
    if not agreed.ok:
        return "all refuse"
    if plain is not None and plain.versions == agreed.versions:
        return "refused what plain micropip installs"
    return "refused what pip and uv install"


def _takes_yanked(world: World, result: Result) -> bool:
    """Whether something yanked is in a set because nothing else meets what this set requires.

    PEP 592 lets pip and uv refuse it, or try other versions of what requires it, and micropip take
    it as a last resort.
    """
    yanked = [name for name, version in result.versions.items() if _is_yanked(world, name, version)]
    return bool(yanked) and not any(_choices(world, result, name) for name in yanked)


def _is_yanked(world: World, name: str, version: str) -> bool:
    """Whether a release is yanked."""
    return bool(_release(world, name, version).yanked)


def _choices(world: World, result: Result, name: str) -> list[Version]:
    """Return the versions that are not yanked and meet what a set requires, in their order."""
    specifier = SpecifierSet()
    for requirement in (*_walk(world, result), *map(Requirement, world.constraints)):
        if normalize(requirement.name) == name:
            specifier &= requirement.specifier
    there = [one.version for one in world.projects[name] if suits(one) and not one.yanked]
    return sorted(map(Version, specifier.filter(there, prereleases=world.pre or None)))


def _own_fault(world: World, ours: Result) -> str:
    """What is wrong with a result whatever others say."""
    if ours.error.partition(":")[0] in FAULTS:
        return ours.error.partition(":")[0]
    if not ours.ok:
        first = ours.error.partition(":")[0]
        names = any(name in ours.error.lower().replace("_", "-") for name in PROJECTS)
        expected = first in {"ValueError", "IncompleteInstall", "ResolutionError", "NoUsableMirror"}
        return "" if names and expected else "an error without a reason"
    broken = next(_unmet(world, ours), "")
    return "a broken set" if broken else ""


def _unmet(world: World, result: Result) -> Iterator[str]:
    """Yield what is wrong with an installed set: what it lacks, and what it has in vain."""
    needed = set()
    for wanted in _walk(world, result):
        name = normalize(wanted.name)
        needed.add(name)
        version = result.versions.get(name, "")
        if not version or not wanted.specifier.contains(version, prereleases=True):
            yield f"{wanted}, but {version or 'nothing'}"
        elif not _meets(world.constraints, name, version):
            yield f"{name} {version} meets no constraint"
        elif not suits(_release(world, name, version)):
            yield f"{name} {version} is not for this Python"
    yield from (f"{name} is not needed" for name in result.versions.keys() - needed)


def _meets(constraints: Iterable[str], name: str, version: str) -> bool:
    """Whether a version meets the constraints."""
    requirements = [one for one in map(Requirement, constraints) if normalize(one.name) == name]
    return all(one.specifier.contains(version, prereleases=True) for one in requirements)


def _walk(world: World, result: Result) -> Iterator[Requirement]:
    """Yield all requirements: those of the user, and those of what is installed for them."""
    queue = list(world.wanted)
    seen = set()
    while queue:
        wanted = Requirement(queue.pop())
        yield wanted
        name = normalize(wanted.name)
        version = result.versions.get(name, "")
        for extra in {"", *map(normalize, wanted.extras)} if version else ():
            if (name, extra) not in seen:
                seen.add((name, extra))
                queue += _needs(_release(world, name, version), extra)


def _needs(release: Release, extra: str) -> Iterator[str]:
    """Yield the requirements of a release that apply here, with this extra or with none."""
    for name, requires in (("", release.requires), *release.extras):
        if normalize(name) == normalize(extra):
            for text in requires:
                marker = Requirement(text).marker
                if marker is None or marker.evaluate():
                    yield text.partition(";")[0]


def _release(world: World, name: str, version: str) -> Release:
    wheels = [one for one in world.projects[name] if not one.is_sdist]
    same = [one for one in wheels if Version(one.version) == Version(version)]
    return same[0]
