"""Why no versions fit together, and why others were chosen than the newest."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror.errors import ResolutionError
from pyodide_mirror.model import printable

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


def chain(name: str, wants: Sequence[str], there: Sequence[str], out: Sequence[str]) -> str:
    """All that is to be said of one project: who wants it, what there is, and what is left out."""
    text = f"{name}: {_some(wants, _MOST_WANTS) or 'is required'}; there is "
    text += f"{_some(there, _MOST_VERSIONS) or 'no version of it that can be installed here'}"
    if out:
        text += f"; left out: {_some(out, _MOST_LEFT_OUT)}"
    if any("requires Python" in each for each in out[:_MOST_LEFT_OUT]):
        text += f"; this is Python {platform.python_version()}"
    return text


def _some(texts: Sequence[str], most: int) -> str:
    shown = ", ".join(map(printable, texts[:most]))
    return f"{shown}, and {len(texts) - most} more" if len(texts) > most else shown


def explained(
    known: Known, parents: Parents, constraints: Mapping[str, Need], causes: Iterable[Any]
) -> ResolutionError:
    """The error for these causes, which resolvelib names: requirements and who has them."""
    told = _Told(known, parents, constraints)
    names: dict[str, dict[str, None]] = {}
    for cause in causes:
        need, parent = cause.requirement, cause.parent
        if need.impossible:
            names.setdefault(parent.name, {}).update(told.all_wants(parent.name))
        elif need.exact is None:
            names.setdefault(need.name, {})[told.want(need, parent)] = None
    chains = [told.chain(name, [*wants]) for name, wants in names.items()]
    more = [f"and {len(chains) - _MOST_CHAINS} more"] if len(chains) > _MOST_CHAINS else []
    return ResolutionError([*chains[:_MOST_CHAINS], *more], names, told.hints(names))


class _Told:
    """Says what a resolver knows."""

    def __init__(self, known: Known, parents: Parents, constraints: Mapping[str, Need]) -> None:
        self._known = known
        self._parents = parents
        self._constraints = constraints

    def chain(self, name: str, wants: list[str]) -> str:
        """All about one project."""
        if name in self._constraints:
            wants.insert(0, f"{self._constraints[name]} (a constraint)")
        out = [*self._faults(name), *self._known.left_out.get(name, [])]
        return chain(name, wants, self._there(name), out)

    def all_wants(self, name: str) -> dict[str, None]:
        """Who wants a project."""
        wants = self._parents.get(name, ())
        return dict.fromkeys(self.want(need, by) for need, by in wants if need.exact is None)

    def want(self, need: Need, parent: Candidate | None) -> str:
        """A requirement, who has it, who requires that, and so on."""
        steps: list[str] = []
        seen = {need.key}
        while parent is not None and parent.key not in seen and len(steps) < _LONGEST_CHAIN:
            seen.add(parent.key)
            steps.append(f"required by {parent}")
            above = [by for need, by in self._parents.get(parent.name, ()) if need.exact is None]
            parent = above[0] if above else None
        return f"{need} ({', '.join(steps) or 'requested'})"

    def _candidates(self, name: str) -> list[Candidate]:
        at = [each for each in self._known.at.values() if each is not None and each.name == name]
        return [*at, *self._known.candidates.get(name, ())]

    def _there(self, name: str) -> list[str]:
        usable = [each for each in self._candidates(name) if not self._fault(each)]
        return [
            f"{each.version}, which is already installed"
            if each.origin == "installed"
            else f"{each.version}{' (yanked)' if each.yanked else ''}"
            for each in usable
        ]

    def _faults(self, name: str) -> Iterator[str]:
        for candidate in self._candidates(name):
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
        found.append("ask for other versions of what requires this")
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
