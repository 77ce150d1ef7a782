"""Requirements that want different versions of a project, as the next try has to respect them.

This is no resolver: it takes no choice back to try an older version of what requires too much.
"""

from __future__ import annotations

import platform
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from pyodide_mirror import _packaging
from pyodide_mirror._micropip import locked_version
from pyodide_mirror.errors import MirrorError
from pyodide_mirror.index import metadata_fields, suits_this_python
from pyodide_mirror.reporting import Event

from .choices import is_within, takes
from .closure import Found, closure, installed_finder

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from pyodide_mirror.model import ProjectPage

    from .choices import Choices
    from .closure import Closure, Want

_MOST_TRIES: Final = 50
_LATEST: Final = 100
"""Files of a page among which one is looked for that would fit."""
_SHOWN: Final = 3
"""Files that an error shows of those that are not for this Python."""
_HERE: Final = f"this is Python {platform.python_version()}"


class Conflicts:
    """The conflicts of one install: what they teach the next try, or how they end it.

    ``tell`` is called with each event.
    """

    def __init__(
        self,
        choices: Choices,
        requirements: list[str],
        tell: Callable[[Event], None],
        *,
        deps: bool,
    ) -> None:
        self._choices = choices
        self._requirements = requirements
        self._deps = deps
        self._tell = tell
        self._seen: set[object] = set()

    def after(self, named: set[str]) -> bool:
        """Learn from a try that has ended with an error; whether another may do better.

        ``named``: the projects that the error names.
        """
        choices = self._choices
        if choices.news:
            self._again(f"again without {choices.news}")
            return sum(map(len, choices.unfit.values())) < _MOST_TRIES
        there = installed_finder()
        # What was there before is not replaced unasked; micropip's own words say how to.
        disputed = {name for name in named if name in choices.files or there(name) is None}
        return self._learn(disputed | choices.clashes.keys())

    def after_unpacking(self, found: Closure, new: Container[str], doubles: set[str]) -> None:
        """Learn from what is installed, and must be removed again. Raises MirrorError."""
        learned = False
        for name in found.unfit(new):
            item, file = found.found[name], self._choices.files.get(name)
            why = f"requires Python {item.value('requires-python') if item else ''}"
            if file is None:
                raise MirrorError(f"{name} {why}; {_HERE}")
            self._again(f"again without {self._choices.reject(name, file, why)}")
            learned = True
        disputed = {*found.misfits(new), *doubles}
        if not self._learn(disputed) and not learned:
            said = f"more than one version of {', '.join(sorted(disputed))} is installed"
            raise self.error(disputed) or MirrorError(said)

    def excludes_locked(self, project: str) -> bool:
        """Whether the version in Pyodide's lock file is none that all requirements take."""
        limit = self._choices.limits.get(project)
        return bool(limit) and not takes(limit or "", locked_version(project))

    def error(self, projects: Iterable[str]) -> MirrorError | None:
        """The error that names who wants which version; None if that is not why it fails."""
        texts = []
        for project in sorted(projects):
            wants = self._choices.wants.get(project, [])
            unfit = _some([*self._choices.unfit.get(project, {}).values()])
            if self._choices.limits.get(project) or (wants and not unfit):
                text = f"no version of {project} meets all requirements: {_all_said(wants)}"
                texts.append("; ".join([text, *unfit, *self._advice(project, wants)]))
            elif unfit:
                texts.append(f"no version of {project} fits: {'; '.join(unfit)}")
        return MirrorError("\n".join(texts)) if texts else None

    def _advice(self, project: str, wants: list[Want]) -> list[str]:
        """What may help: another version of what alone is in the way, the farthest first."""
        page = self._choices.pages.get(project)
        for want in reversed(wants):
            others = _joined(each for each in wants if each is not want)
            name, version = want.by
            if name and page and any(is_within(others, f.filename) for f in page.files[-_LATEST:]):
                return [f"another version of {name} may fit, such as one of '{name}<{version}'"]
        return []

    def notes(self, projects: set[str]) -> list[str]:
        """What micropip does not say of projects of which it has found no wheel.

        Who requires them, what their pages have for another Python, by what the pages say, and
        that there are only pre-releases.
        """
        found = self._chosen()
        wants = [found.wants.get(project, []) for project in sorted(projects)]
        texts = [_all_said(each) for each in wants if any(want.by[0] for want in each)]
        for project in sorted(self._choices.pages.keys() & set(projects)):
            wheels = [
                file
                for file in self._choices.pages[project].files
                if file.filename.endswith(".whl") and not suits_this_python(file.requires_python)
            ]
            if wheels:
                last = f"{wheels[-1].filename} requires Python {wheels[-1].requires_python}"
                more = f" (and {len(wheels) - 1} more)" if len(wheels) > 1 else ""
                texts.append(f"left out of the page of {project}: {last}{more}; {_HERE}")
            texts += _only_pre_releases(self._choices.pages[project])
        return texts

    def _chosen(self) -> Closure:
        """The closure of the requirements in what was chosen, as far as that is known."""
        there = installed_finder()

        def find(name: str) -> Found | None:
            metadata = self._choices.metadata.get(name)
            if metadata is None:
                return there(name)
            found = Found(metadata_fields(metadata))
            limit = self._choices.limits.get(name, "")
            # A version that was chosen earlier, and must not be any more, requires nothing.
            return found if takes(limit, found.value("version")) else None

        return closure(self._requirements, deps=self._deps, find=find)

    def _learn(self, disputed: set[str]) -> bool:
        """Limit these projects to what all requirements take; whether that is worth a try."""
        choices = self._choices
        if not disputed:
            return False
        for _ in range(_MOST_TRIES):
            found = self._chosen()
            before = dict(choices.limits)
            self._limit(found, disputed | before.keys())
            more = (choices.files.keys() - disputed) & {*found.misfits(found.found)}
            if more:
                # The nearest one only: without what it excludes, the others may be none.
                disputed.add(next(name for name in found.found if name in more))
            elif choices.limits == before:
                break
        state = frozenset(choices.limits.items()), frozenset(choices.clashes.items())
        if state in self._seen or len(self._seen) >= _MOST_TRIES:
            return False
        self._seen.add(state)
        said = [_all_said(choices.wants[name]) for name in sorted(disputed & choices.wants.keys())]
        self._again(f"again with one version for all: {'; '.join(said)}")
        return True

    def _limit(self, found: Closure, projects: Iterable[str]) -> None:
        for project in projects:
            wants = [want for want in found.wants.get(project, ()) if not want.lenient]
            if wants:
                self._choices.wants[project] = wants
                self._choices.limits[project] = _joined(wants)

    def _again(self, text: str) -> None:
        self._tell(Event("again", text))


def _some(unfit: list[str]) -> list[str]:
    more = [f"and {len(unfit) - _SHOWN} more"] if len(unfit) > _SHOWN else []
    return [*unfit[:_SHOWN], *more, _HERE] if unfit else []


def _joined(wants: Iterable[Want]) -> str:
    return ",".join(sorted({part for want in wants for part in _parts(want)}))


def _parts(want: Want) -> list[str]:
    """The specifiers of a requirement; a wheel's URL asks for the version in its file name."""
    url = want.wheel or want.requirement.url
    if not url:
        return [str(part) for part in want.requirement.specifier]
    with suppress(_packaging.utils.InvalidWheelFilename):
        filename = unquote(urlsplit(url).path).rpartition("/")[2]
        return [f"=={_packaging.utils.parse_wheel_filename(filename)[1]}"]
    return []


def _all_said(wants: Iterable[Want]) -> str:
    return ", ".join(map(_said, wants))


def _said(want: Want) -> str:
    name, version = want.by
    by = f"required by {name} {version}" if name else "requested"
    requirement = want.requirement
    shown = want.wheel or requirement.url or f"{requirement.name}{requirement.specifier}"
    return f"{shown} ({by})"


def _only_pre_releases(page: ProjectPage) -> list[str]:
    """A note on a page that has nothing else: with a version asked for, micropip takes none."""
    last = ""
    for file in page.files:
        with suppress(_packaging.utils.InvalidWheelFilename):
            if not _packaging.utils.parse_wheel_filename(file.filename)[1].is_prerelease:
                return []
            last = file.filename
    return [f"{page.name} has only pre-releases, such as {last}: pre=True allows them"] * bool(last)
