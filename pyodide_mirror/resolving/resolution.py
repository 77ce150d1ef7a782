"""The search for versions that fit together.

resolvelib, the resolver of pip and pdm, waits for nothing, and what it asks about has to be
fetched. So it runs over what is known; where something is missing, that is read, with what will
probably be asked for next, and it runs again. It chooses the same each time, and takes little time.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from contextlib import suppress
from importlib import import_module, invalidate_caches
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyodide_mirror.errors import ResolutionError
from pyodide_mirror.transport import begin

from .provider import Known, Missing, Provider

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping, Sequence

    from .candidates import Candidate, Need, Source

MOST_ROUNDS: Final = 5_000
"""Choices in one run."""
MOST_READ: Final = 1_000
"""Pages and metadata that are read."""
_MOST_AHEAD: Final = 16
"""Versions whose metadata are read at once, where one after the other does not do."""


LIBRARY: Final = "resolvelib"
VERSIONS: Final = ">=1.1,<2"
"""Those that ask as :class:`Provider` answers."""
_LOADED: list[Any] = []


class Problem(NamedTuple):
    """What is to be resolved; ``constraints`` hold for what is installed anyway, by project."""

    roots: Sequence[Need]
    constraints: Mapping[str, Need]
    pre: bool = False
    deps: bool = True


class Resolver:
    """Finds versions that fit together; ``library`` is resolvelib, as it was loaded."""

    def __init__(self, library: Any, source: Source, problem: Problem) -> None:
        self.known = Known()
        self.parents: dict[str, list[tuple[Need, Candidate | None]]] = {}
        self.runs = 0
        self.rounds = 0
        self._library = library
        self._source = source
        self.problem = problem
        self._read = 0
        self._preferred: dict[str, Candidate] = {}
        self._followed: set[str] = set()
        self._ahead: dict[str, int] = {}

    async def resolve(self) -> dict[str, Candidate]:
        """A candidate for each project that is needed; raises ResolutionError."""
        await self._follow(self.problem.roots)
        chosen = await self._run_till_complete()
        stale = self._stale(chosen)
        if stale:
            self._preferred = {each.name: each for each in chosen if each.name not in stale}
            with suppress(ResolutionError):
                better = await self._run_till_complete()
                if set(self._preferred.values()) <= {*better}:
                    chosen = better
        return {each.name: each for each in chosen if not each.extra}

    def _stale(self, chosen: Sequence[Candidate]) -> set[str]:
        """What is older than it has to be.

        resolvelib does not widen a choice again when it takes back what has narrowed it.
        """
        provider = self._provider()
        needs: dict[str, list[Need]] = {}
        for need in (*self.problem.roots, *chain(*map(provider.get_dependencies, chosen))):
            if need.exact is None:
                needs.setdefault(need.name, []).append(need)
        return {
            each.name
            for each in chosen
            if each.key in needs and provider.matching(each.key, needs[each.key])[:1] != [each]
        }

    async def _run_till_complete(self) -> list[Candidate]:
        while True:
            self.runs += 1
            try:
                return self._run()
            except Missing as missing:
                await self._supply(missing)

    def _run(self) -> list[Candidate]:
        self.parents.clear()
        reporter = self._library.BaseReporter()
        reporter.adding_requirement = self._note
        reporter.starting_round = self._count
        provider = self._provider()
        # Not by its Resolver, which follows circles for ever among what is not needed any more.
        resolution = self._library.resolvers.Resolution(provider, reporter)
        try:
            state = resolution.resolve(self.problem.roots, max_rounds=MOST_ROUNDS)
        except self._library.ResolutionImpossible as error:
            from .explain import explained

            constraints = self.problem.constraints
            raise explained(self.known, self.parents, constraints, error.causes) from None
        except self._library.ResolutionTooDeep:
            raise given_up(f"{MOST_ROUNDS:,} choices") from None
        needed: dict[str, Candidate] = {}
        waiting = [*self.problem.roots]
        for need in waiting:
            if need.key not in needed:
                needed[need.key] = state.mapping[need.key]
                waiting += provider.get_dependencies(needed[need.key])
        return [*needed.values()]

    def _provider(self) -> Provider:
        problem = self.problem
        names = [need.key for need in problem.roots]
        rules = {"pre": problem.pre, "deps": problem.deps}
        return Provider(self.known, names, problem.constraints, self._preferred, **rules)

    def _note(self, requirement: Need, parent: Candidate | None) -> None:
        self.parents.setdefault(requirement.name, []).append((requirement, parent))

    def _count(self, index: int) -> None:
        self.rounds += 1

    # --- reading --------------------------------------------------------------------------------

    async def _supply(self, missing: Missing) -> None:
        """Read what is missing, and what will probably be missing next."""
        if missing.candidate is None:
            await self._find(missing.name, missing.url)
            return
        many = self._ahead.get(missing.name, 1)
        self._ahead[missing.name] = min(2 * many, _MOST_AHEAD)
        pool = self.known.candidates.get(missing.name, [])
        start = pool.index(missing.candidate) if missing.candidate in pool else len(pool)
        new = [each for each in pool[start + 1 :] if each not in self.known.facts]
        await _together(map(self._learn, [missing.candidate, *new[: many - 1]]))

    async def _find(self, name: str, url: str = "") -> None:
        """Look for candidates: at a URL, or else what is there, or else what indexes have."""
        known = self.known
        if url:
            if url not in known.at:
                self._count_reading()
                known.at[url] = await self._source.at(name, url)
            return
        if name not in known.candidates:
            known.candidates[name], complete = self._source.local(name)
            if complete:
                known.complete.add(name)
            if known.candidates[name]:
                return
        if name not in known.complete:
            self._count_reading()
            listed, left_out = await self._source.listed(name)
            if name not in known.complete:
                known.candidates[name] += listed
                known.left_out[name] = left_out
                known.complete.add(name)

    async def _learn(self, candidate: Candidate) -> None:
        """Read what a candidate requires, and look for that."""
        if candidate not in self.known.facts:
            if candidate.origin in {"index", "url"}:
                self._count_reading()
            self.known.facts[candidate] = await self._source.facts(candidate)
        if self.problem.deps:
            await self._follow(self.known.needs(candidate))

    async def _follow(self, needs: Iterable[Need]) -> None:
        new = [need for need in needs if need.key not in self._followed and not need.impossible]
        self._followed.update(need.key for need in new)
        await _together(map(self._follow_one, new))

    async def _follow_one(self, need: Need) -> None:
        """Read what a need will probably be met with, and so on."""
        first = None
        for _ in range(3):  # what is there, what indexes have, a wheel at a URL
            try:
                first = next(iter(self._provider().matching(need.name, [need])), None)
                break
            except Missing as missing:
                await self._find(missing.name, missing.url)
        if first is not None:
            await self._learn(first)
            if need.extra and self.problem.deps:
                await self._follow(self.known.needs(self.known.with_extra(first, need.extra)))

    def _count_reading(self) -> None:
        self._read += 1
        if self._read > MOST_READ:
            raise given_up(f"{MOST_READ:,} pages and versions")


def loaded_library() -> Any:
    """The library, if it is loaded or can be imported; else None."""
    if not _LOADED and find_spec(LIBRARY) is not None:
        _LOADED.append(import_module(LIBRARY))
    return _LOADED[0] if _LOADED else None


def library_in(wheel: bytes) -> Any:
    """The library in its wheel. Raises ImportError, AttributeError or SyntaxError if it is none."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{LIBRARY}.whl")
        path.write_bytes(wheel)
        sys.path.insert(0, str(path))
        invalidate_caches()
        try:
            found: Any = import_module(LIBRARY)
            if found.resolvers.Resolution and found.BaseReporter:
                _LOADED.append(found)
        finally:
            sys.path.remove(str(path))
            for name in [name for name in sys.modules if name.partition(".")[0] == LIBRARY]:
                del sys.modules[name]  # who wants to import it has to install it
    return _LOADED[0]


async def _together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all; if one fails, the others end."""
    tasks = [*map(begin, works)]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def given_up(after: str) -> ResolutionError:
    """The error of a search that would take too long; ``after``: what it has looked at."""
    return ResolutionError(
        [f"no versions that fit together were found among {after}"],
        hints=["ask for less at once, or for the versions that you want, as in 'demo>=2'"],
    )
