"""Why no versions fit together, and why others were chosen than the newest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror.errors import ResolutionError
from pyodide_mirror.model import printable

from .candidates import versions_said
from .provider import Missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .candidates import Candidate, Need
    from .provider import Known

_MOST_CHAINS: Final = 8
_MOST_WANTS: Final = 6
_MOST_VERSIONS: Final = 6
_MOST_LEFT_OUT: Final = 3
_LONGEST_CHAIN: Final = 6


Parents = Mapping[str, Sequence[tuple["Need", "Candidate | None"]]]
"""By project: how it is required, and who requires it."""


def explained(
    known: Known, parents: Parents, constraints: Mapping[str, Need], causes: Iterable[Any]
) -> ResolutionError:
    """The error for these causes, which resolvelib names: requirements and who has them."""
    told = _Told(known, parents, constraints)
    wants: dict[str, dict[str, None]] = {}
    for cause in causes:
        need, parent = cause.requirement, cause.parent
        if need.impossible:
            wants.setdefault(parent.name, {})
        elif need.exact is None:
            said = f"{need} ({told.by(need.key, parent)})"
            wants.setdefault(need.name, {})[said] = None
    chains = [told.chain(name, [*said]) for name, said in wants.items()]
    more = [f"and {len(chains) - _MOST_CHAINS} more"] if len(chains) > _MOST_CHAINS else []
    return ResolutionError([*chains[:_MOST_CHAINS], *more], wants, told.hints(wants))


class _Told:
    """Says what a resolver knows."""

    def __init__(self, known: Known, parents: Parents, constraints: Mapping[str, Need]) -> None:
        self._known = known
        self._parents = parents
        self._constraints = constraints

    def chain(self, name: str, wants: list[str]) -> str:
        """All about one project."""
        if len(wants) > _MOST_WANTS:
            wants = [*wants[:_MOST_WANTS], f"{len(wants) - _MOST_WANTS} more"]
        if name in self._constraints:
            wants.append(f"{self._constraints[name]} (a constraint)")
        parts = [", ".join(wants) or "is required", f"there is {self._there(name)}"]
        out = [*self._faults(name), *self._known.left_out.get(name, [])]
        rest = f", and {len(out) - _MOST_LEFT_OUT} more" if len(out) > _MOST_LEFT_OUT else ""
        if out:
            parts.append(f"left out: {', '.join(out[:_MOST_LEFT_OUT])}{rest}")
        return f"{name}: {'; '.join(printable(part) for part in parts)}"

    def by(self, key: str, parent: Candidate | None) -> str:
        """Who requires something, and who requires that, and so on."""
        steps: list[str] = []
        seen = {key}
        while parent is not None and parent.key not in seen and len(steps) < _LONGEST_CHAIN:
            seen.add(parent.key)
            steps.append(f"required by {parent}")
            found = [above for need, above in self._parents.get(parent.name, ()) if not need.exact]
            parent = found[0] if found else None
        return ", ".join(steps) or "requested"

    def _there(self, name: str) -> str:
        usable = [c for c in self._known.candidates.get(name, ()) if not self._fault(c)]
        installed = [each for each in usable if each.origin == "installed"]
        if installed:
            return f"{installed[0].version}, which is installed"
        return versions_said(usable, _MOST_VERSIONS) or "no version of it"

    def _faults(self, name: str) -> Iterator[str]:
        for candidate in self._known.candidates.get(name, ()):
            fault = self._fault(candidate)
            if fault:
                yield f"{candidate.version} {fault}"

    def _fault(self, candidate: Candidate) -> str:
        try:
            needs = self._known.needs(candidate)
        except Missing:
            return ""
        return next((need.impossible for need in needs if need.impossible), "")

    def hints(self, names: Iterable[str]) -> list[str]:
        """What may help."""
        found = []
        known = [*names]
        for name in known:
            there = self._known.candidates.get(name, ())
            if any(each.origin == "installed" for each in there) and len(there) == 1:
                found.append(f"replace the {name} that is installed, with reinstall=True")
        constrained = [name for name in known if name in self._constraints]
        if constrained:
            found.append(f"leave out the constraint on {', '.join(constrained)}")
        found.append("ask for other versions of what requires them")
        return found


def differences(
    known: Known,
    roots: Iterable[Need],
    chosen: Mapping[str, Candidate],
    before: Mapping[str, str],
) -> list[str]:
    """What was chosen instead of what micropip had, ``before``: versions by project; and why."""
    wants: dict[str, list[tuple[Need, str]]] = {}
    for need in roots:
        wants.setdefault(need.name, []).append((need, f"{need} is requested"))
    for each in chosen.values():
        for need in known.needs(each):
            said = f"{each.name} requires {need.specifier}"
            wants.setdefault(need.name, []).append((need, said))
    texts = []
    for name, candidate in sorted(chosen.items()):
        other = before.get(name)
        if other is not None and other != str(candidate.version):
            out = (said for need, said in wants.get(name, ()) if not _takes(need, other))
            because = next((f", because {said}" for said in out), "")
            because = because or _what_it_requires(known, chosen, name, other)
            texts.append(f"{name} {candidate.version} instead of {other}{because}")
    return texts


def _what_it_requires(
    known: Known, chosen: Mapping[str, Candidate], name: str, version: str
) -> str:
    """What a version requires that is not met by what was chosen."""
    for candidate in known.candidates.get(name, ()):
        if str(candidate.version) == version and candidate in known.facts:
            for need in known.needs(candidate):
                met = chosen.get(need.name)
                if need.impossible:
                    return f", which {need.impossible}"
                if met is None or not _takes(need, str(met.version)):
                    return f", which requires {need}"
    return ""


def _takes(need: Need, version: str) -> bool:
    return need.specifier.contains(version, prereleases=True)
