"""What we install must be right where others are right, or refused with the reason."""

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.version import Version

from pyodide_mirror.model import normalize

from .tools import Asked, Result
from .worlds import PROJECTS, Release, World, suits

FAULTS = frozenset(
    {
        "another set",
        "installed what all refuse",
        "refused what plain micropip installs",
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
    if not (ours.ok or plain_is_right or thorough):
        return Verdict("refused what takes a resolver", ours, uv, plain=plain)
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
        yanked = any(_release(world, *item).yanked for item in ours.versions.items())
        if as_plain or (yanked and not agreed.ok):
            # PEP 592 lets pip and uv refuse what is yanked, and micropip take it as a last resort.
            return "as plain micropip"
        return "another set" if agreed.ok else "installed what all refuse"
    if not agreed.ok:
        return "all refuse"
    if plain is not None and plain.versions == agreed.versions:
        return "refused what plain micropip installs"
    return "refused what takes a resolver"


def _own_fault(world: World, ours: Result) -> str:
    """What is wrong with a result whatever others say."""
    if ours.error.partition(":")[0] in FAULTS:
        return ours.error.partition(":")[0]
    if not ours.ok:
        first = ours.error.partition(":")[0]
        names = any(name in ours.error.lower().replace("_", "-") for name in PROJECTS)
        expected = first in {"ValueError", "IncompleteInstall", "MirrorError", "NoUsableMirror"}
        return "" if names and expected else "an error without a reason"
    broken = next(_unmet(world, ours), "")
    return "a broken set" if broken else ""


def _unmet(world: World, result: Result) -> Iterator[str]:
    """Yield what is wrong with an installed set: what it lacks, and what it has in vain."""
    queue = list(world.wanted)
    seen = set()
    while queue:
        text = queue.pop()
        wanted = Requirement(text)
        name = normalize(wanted.name)
        version = result.versions.get(name, "")
        if not version or not wanted.specifier.contains(version, prereleases=True):
            yield f"{text}, but {version or 'nothing'}"
            continue
        release = _release(world, name, version)
        if not suits(release):
            yield f"{name} {version} is not for this Python"
        for extra in ("", *wanted.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                queue += _needs(release, extra)
    for name in result.versions.keys() - {name for name, _ in seen}:
        yield f"{name} is not needed"


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
