"""A source of versions for the resolver alone: wheels in memory."""

from collections.abc import Iterable, Sequence

import resolvelib
from packaging.requirements import Requirement
from packaging.version import Version

from pyodide_mirror.model import File
from pyodide_mirror.resolving import (
    Candidate,
    Facts,
    Need,
    Problem,
    Resolver,
    facts_of,
    needs_of,
)
from tests.support.wheels import Wheel


class WheelSource:
    """See `pyodide_mirror.resolving.Source`; counts what is read.

    ``installed``: names of projects of which the first wheel is there, and not to be replaced.
    """

    def __init__(self, wheels: Iterable[Wheel], installed: Sequence[str] = ()) -> None:
        self.pages: list[str] = []
        self.read: list[str] = []
        self._installed = installed
        self._wheels: dict[str, dict[Version, Wheel]] = {}
        for wheel in wheels:
            self._wheels.setdefault(wheel.name, {})[Version(wheel.version)] = wheel

    def local(self, name: str) -> tuple[list[Candidate], bool]:
        """See Source."""
        if name not in self._installed:
            return [], False
        return [Candidate(name, next(iter(self._wheels[name])), "installed")], True

    async def listed(self, name: str) -> tuple[list[Candidate], list[str]]:
        """See Source."""
        self.pages.append(name)
        found = sorted(self._wheels.get(name, {}), reverse=True)
        return [Candidate(name, version, "index", file=FILE) for version in found], []

    async def at(self, name: str, url: str) -> Candidate | None:
        """See Source."""
        return None

    async def facts(self, candidate: Candidate) -> Facts:
        """See Source."""
        self.read.append(str(candidate))
        return facts_of(self._wheels[candidate.name][candidate.version].metadata)


FILE = File(filename="", url="", hashes={})


def resolver_of(
    source: WheelSource, wanted: Iterable[str], constraints: Iterable[str] = (), **options: bool
) -> Resolver:
    """A resolver of these requirements."""
    roots = [need for text in wanted for need in needs_of(Requirement(text))]
    held: dict[str, Need] = {n.name: n for t in constraints for n in needs_of(Requirement(t))}
    return Resolver(resolvelib, source, Problem(roots, held, **options))


async def versions_of(resolver: Resolver) -> dict[str, str]:
    """The versions that are chosen, by name."""
    return {name: str(each.version) for name, each in (await resolver.resolve()).items()}
