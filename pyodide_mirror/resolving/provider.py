"""What resolvelib asks for: the candidates for what is required, and what they require.

The rules are pip's: which version is preferred, which requirement is looked at first, when a
pre-release or a yanked file will do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror import _packaging
from pyodide_mirror.index import applicable, suits_this_python

from .candidates import Candidate, Facts, Need, needs_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.specifiers import SpecifierSet

_OFTEN: Final = 5
"""Conflicts after which a project is looked at first, as pip has it."""
_PYTHON: Final = "<Python>"


class Missing(Exception):
    """Something has to be read before it can go on: a project's page, a wheel, or metadata."""

    def __init__(self, name: str, url: str = "", candidate: Candidate | None = None) -> None:
        super().__init__(name)
        self.name = name
        self.url = url
        self.candidate = candidate


class Known:
    """What has been read, whatever is chosen of it.

    ``candidates``: by project, the preferred first. ``complete``: the projects of which there are
    no others. ``left_out``: why other versions are none. ``at``: the wheels at URLs.
    """

    def __init__(self) -> None:
        self.candidates: dict[str, list[Candidate]] = {}
        self.complete: set[str] = set()
        self.left_out: dict[str, list[str]] = {}
        self.at: dict[str, Candidate | None] = {}
        self.facts: dict[Candidate, Facts] = {}
        self._extras: dict[tuple[Candidate, str], Candidate] = {}
        self._taken: dict[tuple[str, str, int], frozenset[Candidate]] = {}
        self._needs: dict[Candidate, list[Need]] = {}

    def with_extra(self, candidate: Candidate, extra: str) -> Candidate:
        """The candidate for an extra, the same one each time."""
        if not extra:
            return candidate
        key = candidate, extra
        if key not in self._extras:
            self._extras[key] = candidate.with_extra(extra)
        return self._extras[key]

    def taken(self, name: str, specifier: SpecifierSet) -> frozenset[Candidate]:
        """Those of a project that a specifier takes, pre-releases or not."""
        candidates = self.candidates[name]
        key = name, str(specifier), len(candidates)
        if key not in self._taken:
            self._taken[key] = frozenset(
                each for each in candidates if specifier.contains(each.version, prereleases=True)
            )
        return self._taken[key]

    def needs(self, candidate: Candidate) -> list[Need]:
        """What a candidate requires; Missing if that is not known."""
        if candidate not in self._needs:
            facts = self.facts.get(candidate.base)
            if facts is None:
                raise Missing(candidate.name, candidate=candidate.base)
            self._needs[candidate] = list(self._read(candidate, facts))
        return self._needs[candidate]

    def _read(self, candidate: Candidate, facts: Facts) -> Iterator[Need]:
        anything = _packaging.specifiers.SpecifierSet()
        fault = facts.fault
        if not fault and not (facts.lenient or suits_this_python(facts.requires_python)):
            fault = f"requires Python {facts.requires_python}"
        if fault:
            yield Need(_PYTHON, anything, impossible=fault)
            return
        if candidate.extra:
            yield Need(candidate.name, anything, exact=candidate.base)
        for line in facts.requires:
            requirement = applicable(line, (candidate.extra,))
            if requirement is not None and not (candidate.extra and applicable(line, ("",))):
                yield from needs_of(requirement, lenient=facts.lenient)


class Provider:
    """resolvelib's provider (its ``AbstractProvider``), for one run.

    ``roots``: the requested projects in their order. ``constraints``: what holds for projects that
    are installed anyway. ``preferred``: candidates by project, before all others. ``pre``:
    pre-releases will do as others do. ``deps``: what is required by candidates counts.
    """

    def __init__(
        self,
        known: Known,
        roots: Sequence[str],
        constraints: Mapping[str, Need],
        preferred: Mapping[str, Candidate],
        *,
        pre: bool,
        deps: bool,
    ) -> None:
        self._known = known
        self._roots = {name: place for place, name in reversed([*enumerate(roots)])}
        self._constraints = constraints
        self._preferred = preferred
        self._pre = pre
        self._deps = deps
        self._conflicts: dict[str, int] = {}

    # --- what resolvelib calls ------------------------------------------------------------------

    def identify(self, requirement_or_candidate: Need | Candidate) -> str:
        """The project, and the extra if it is one."""
        return requirement_or_candidate.key

    def find_matches(
        self,
        identifier: str,
        requirements: Mapping[str, Iterator[Need]],
        incompatibilities: Mapping[str, Iterator[Candidate]],
    ) -> list[Candidate]:
        """The candidates that meet all requirements, the preferred first."""
        name, _, extra = identifier.rstrip("]").partition("[")
        needs = list(requirements[identifier])  # none, if what had them was taken back
        if extra and name in requirements:
            needs += requirements[name]
        excluded = set(incompatibilities[identifier])
        bases = self.matching(name, needs, {each.base for each in excluded})
        return [self._known.with_extra(each, extra) for each in bases]

    def is_satisfied_by(self, requirement: Need, candidate: Candidate) -> bool:
        """Whether this candidate will do, a pre-release or not."""
        if requirement.exact is not None:
            return requirement.exact is candidate.base
        return self._is_at(requirement, candidate.base) and requirement.specifier.contains(
            candidate.version, prereleases=True
        )

    def get_dependencies(self, candidate: Candidate) -> list[Need]:
        """What it requires."""
        needs = self._known.needs(candidate)
        return needs if self._deps else [need for need in needs if need.impossible]

    def narrow_requirement_selection(
        self,
        identifiers: Iterable[str],
        resolutions: Mapping[str, Candidate],
        candidates: Mapping[str, Iterator[Candidate]],
        information: Mapping[str, Iterator[Any]],
        backtrack_causes: Sequence[Any],
    ) -> list[str]:
        """What has just been in conflict comes first, then what often is."""
        causes = {each for info in backtrack_causes for each in _keys(info)}
        for info in backtrack_causes:
            for key in _keys(info):
                if key not in resolutions:
                    self._conflicts[key] = self._conflicts.get(key, 0) + 1
        known = list(identifiers)
        often = [key for key in known if self._conflicts.get(key, 0) >= _OFTEN]
        return [key for key in known if key in causes] or often or known

    def get_preference(
        self,
        identifier: str,
        resolutions: Mapping[str, Candidate],
        candidates: Mapping[str, Iterator[Candidate]],
        information: Mapping[str, Iterator[Any]],
        backtrack_causes: Sequence[Any],
    ) -> tuple[object, ...]:
        """What leaves the fewest candidates comes first, then what was requested first."""
        needs = [info.requirement for info in information[identifier]]
        operators = [(part.operator, part.version) for need in needs for part in need.specifier]
        pinned = any(name[:2] == "==" and "*" not in version for name, version in operators)
        bounded = any(
            name in {"<", "<=", "~="} or (name == "==" and "*" in version)
            for name, version in operators
        )
        return (
            self._conflicts.get(identifier, 0) < _OFTEN,
            not any(need.url or need.exact for need in needs),
            not pinned,
            not bounded,
            self._roots.get(identifier, len(self._roots)),
            not operators,
            identifier,
        )

    # --- the rules ------------------------------------------------------------------------------

    def matching(
        self, name: str, needs: Sequence[Need], excluded: Iterable[Candidate] = ()
    ) -> list[Candidate]:
        """The candidates of a project that meet these needs, the preferred first."""
        if any(need.impossible for need in needs):
            return []
        if name in self._constraints:
            needs = [*needs, self._constraints[name]]
        found = self._fitting(name, needs, set(excluded))
        if not found and name not in self._known.complete and not any(n.url for n in needs):
            raise Missing(name)
        return found

    def _fitting(
        self, name: str, needs: Sequence[Need], excluded: set[Candidate]
    ) -> list[Candidate]:
        """Those among what is known, by PEP 440 and 592, as pip reads them."""
        if name not in self._known.candidates:
            raise Missing(name)
        pool = self._known.candidates[name]
        url = next((need.url for need in needs if need.url), "")
        if url:
            pool = [each for each in pool if each.origin == "installed"] or self._at(name, url)
            taken = [each for each in pool if all(self.is_satisfied_by(n, each) for n in needs)]
        else:
            sets = [self._known.taken(name, need.specifier) for need in needs]
            exact = {need.exact for need in needs if need.exact is not None}
            taken = [c for c in pool if exact <= {c} and all(c in some for some in sets)]
        specifiers = [need.specifier for need in needs]
        if not (self._pre or any(each.prereleases for each in specifiers)):
            taken = [c for c in taken if _is_final(c)] or taken
        if any(each.yanked for each in taken):
            pinned = any(map(_is_pinned, specifiers))
            if not (pinned and all(each.yanked for each in taken)):
                taken = [each for each in taken if not each.yanked]
        found = [each for each in taken if each not in excluded]
        return sorted(found, key=lambda each: each is not self._preferred.get(name))

    def _at(self, name: str, url: str) -> list[Candidate]:
        if url not in self._known.at:
            raise Missing(name, url)
        wheel = self._known.at[url]
        return [] if wheel is None else [wheel]

    def _is_at(self, need: Need, candidate: Candidate) -> bool:
        if not need.url or candidate.origin == "installed":
            return True
        return self._known.at.get(need.url) is candidate


def _keys(info: Any) -> list[str]:
    return [info.requirement.key, *([] if info.parent is None else [info.parent.key])]


def _is_final(candidate: Candidate) -> bool:
    return candidate.origin != "index" or not candidate.version.is_prerelease


def _is_pinned(specifier: SpecifierSet) -> bool:
    return any(
        part.operator == "===" or (part.operator == "==" and not part.version.endswith(".*"))
        for part in specifier
    )
