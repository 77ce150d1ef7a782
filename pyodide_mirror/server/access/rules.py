"""Which projects are served, and from where: ``--only-local``, ``--allow`` and ``--deny``."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from pyodide_mirror.model import normalize
from pyodide_mirror.server.source import DeniedError, parse_filename, with_versions

from .watched import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pyodide_mirror.model import ProjectPage

    from .watched import WatchedFile

_PATTERN: Final = re.compile(
    r"(?P<name>[A-Za-z0-9*?]([A-Za-z0-9._*?-]{0,198}[A-Za-z0-9*?])?)\s*(?P<versions>.*)", re.ASCII
)
_MOST_FILTERED: Final = 64


class Pattern:
    """A project's name, in which ``*`` and ``?`` stand for others, and versions perhaps (PEP 440).

    Raises ValueError.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        match = _PATTERN.fullmatch(self.text)
        if match is None:
            raise ValueError(
                f"{text!r} does not begin with a project's name; * stands for any part"
            )
        name = re.escape(normalize(match["name"])).replace(r"\*", ".*").replace(r"\?", ".")
        self._name = re.compile(name)
        self.versions: SpecifierSet | None = None
        if match["versions"]:
            try:
                self.versions = SpecifierSet(match["versions"], prereleases=True)
            except InvalidSpecifier:
                raise ValueError(
                    f"{text!r}: {match['versions']!r} are no versions like <2 or >=1.4,!=1.5"
                ) from None

    def names(self, project: str) -> bool:
        """Whether a project, by its normalized name, is meant."""
        return self._name.fullmatch(project) is not None

    def holds(self, version: str | None, *, if_unknown: bool) -> bool:
        """Whether a version of a named project is meant; ``None`` is one that cannot be told."""
        if self.versions is None:
            return True
        return if_unknown if version is None else self.versions.contains(version)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is to be served.

    ``only_local``: projects that no upstream is ever asked for. ``allow``: what may be taken from
    the upstreams; all, if it is empty. ``deny``: what is not served, wherever it is from.
    """

    only_local: tuple[Pattern, ...] = ()
    allow: tuple[Pattern, ...] = ()
    deny: tuple[Pattern, ...] = ()

    def is_only_local(self, project: str) -> Pattern | None:
        """The pattern by which no upstream is asked for it."""
        return _first(self.only_local, project)

    def against(self, project: str, *, from_upstream: bool) -> str:
        """Why nothing of a project is served; empty where some of it may be."""
        for pattern in self.deny:
            if pattern.versions is None and pattern.names(project):
                return f"project {project!r} is denied here (deny {pattern.text})"
        if from_upstream and self.allow and _first(self.allow, project) is None:
            return f"project {project!r} is not among those that are allowed here (allow)"
        return ""

    def against_file(self, project: str, filename: str, *, from_upstream: bool) -> str:
        """Why a file of a project is not served; empty where it is.

        A version that the name does not tell counts as one that is denied, or not allowed.
        """
        if problem := self.against(project, from_upstream=from_upstream):
            return problem
        parsed = parse_filename(filename)
        version = parsed[1] if parsed else None
        for pattern in self.deny:
            if pattern.names(project) and pattern.holds(version, if_unknown=True):
                return f"{filename} is denied here (deny {pattern.text})"
        named = [pattern for pattern in self.allow if pattern.names(project)]
        held = any(pattern.holds(version, if_unknown=False) for pattern in named)
        if from_upstream and named and not held:
            allowed = ", ".join(pattern.text for pattern in named)
            return f"{filename} is not allowed here (allow {allowed})"
        return ""

    def tell_files_apart(self, project: str) -> bool:
        """Whether some files of a project may be served, and others not."""
        each = (*self.allow, *self.deny)
        return any(pattern.versions is not None and pattern.names(project) for pattern in each)


class CurrentRules:
    """The rules that hold now: those that were given, and those of a file that may change."""

    def __init__(self, given: Rules, file: WatchedFile[Rules] | None = None) -> None:
        self._given = given
        self._file = file
        self._made: tuple[Rules | None, Rules] = (None, given)
        self._filtered: dict[tuple[str, bool], tuple[ProjectPage, Rules, ProjectPage]] = {}

    def now(self) -> Rules:
        """Raises UnreadableError when the file cannot be used."""
        in_file = None if self._file is None else self._file.value()
        if in_file is not self._made[0]:
            self._made = in_file, _joined(self._given, in_file)
        return self._made[1]

    def about(self, project: str) -> tuple[str, tuple[str, ...]]:
        """The only-local pattern that names a project, if any, and the other rules that do.

        Raises UnreadableError.
        """
        rules = self.now()
        only = rules.is_only_local(project)
        named = (("deny", rules.deny), ("allow", rules.allow))
        told = [f"{word} {p.text}" for word, each in named for p in each if p.names(project)]
        return only.text if only else "", tuple(told)

    def applied(self, page: ProjectPage, *, from_upstream: bool) -> ProjectPage:
        """The page with the files that are served; it is the same one each time.

        Raises UnreadableError, and DeniedError when there is none.
        """
        rules = self.now()
        if not rules.tell_files_apart(page.name):
            return page
        key = page.name, from_upstream
        before, rules_then, filtered = self._filtered.get(key, (None, None, page))
        if before is not page or rules_then is not rules:
            filtered = _filtered(page, rules, from_upstream=from_upstream)
            self._filtered.pop(key, None)
            self._filtered[key] = page, rules, filtered
            if len(self._filtered) > _MOST_FILTERED:
                del self._filtered[next(iter(self._filtered))]
        return filtered


def make_rules(given: Mapping[str, Iterable[str]]) -> Rules:
    """Rules by the names of the fields of :class:`Rules`; ValueError says what is wrong."""
    return Rules(**{name: tuple(_patterns(name, given[name])) for name in given})


def read_rules(text: str) -> Rules:
    """The rules of a file's lines, such as ``deny numpy<2``; ValueError names a wrong one."""
    found: dict[str, list[str]] = {field.name: [] for field in fields(Rules)}
    for number, line in lines_of(text):
        word, _, pattern = line.partition(" ")
        try:
            kind = word.replace("-", "_")
            if kind not in found or "_" in word:
                raise ValueError("it does not begin with only-local, allow or deny")
            make_rules({kind: [pattern]})
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        found[kind].append(pattern)
    if not any(found.values()):
        raise ValueError("it has no rule; a file that is just being written looks like this")
    return make_rules(found)


def _patterns(name: str, patterns: Iterable[str]) -> Iterator[Pattern]:
    if isinstance(patterns, str):
        raise TypeError(f"{name} must be several patterns, not one string")
    for text in patterns:
        pattern = Pattern(text)
        if name == "only_local" and pattern.versions is not None:
            raise ValueError(
                f"{text!r}: only-local is for whole projects, so leave out the versions"
            )
        yield pattern


def _first(patterns: Iterable[Pattern], project: str) -> Pattern | None:
    return next((pattern for pattern in patterns if pattern.names(project)), None)


def _joined(given: Rules, more: Rules | None) -> Rules:
    if more is None:
        return given
    each = (field.name for field in fields(Rules))
    return Rules(**{name: (*getattr(given, name), *getattr(more, name)) for name in each})


def _filtered(page: ProjectPage, rules: Rules, *, from_upstream: bool) -> ProjectPage:
    files, problem = [], ""
    for file in page.files:
        against = rules.against_file(page.name, file.filename, from_upstream=from_upstream)
        problem = problem or against
        if not against:
            files.append(file)
    if problem and not files:
        raise DeniedError(f"no file of project {page.name!r} may be served: {problem}")
    if len(files) == len(page.files):
        return page
    # The versions (PEP 700) that were told had files that are denied now.
    return with_versions(replace(page, files=tuple(files), versions=()))
