"""Requirements that what micropip has chosen does not meet."""

from __future__ import annotations

import platform
from importlib.metadata import Distribution
from typing import TYPE_CHECKING, Final

from pyodide_mirror import _packaging
from pyodide_mirror._micropip import locked_version
from pyodide_mirror.index import metadata_fields, suits_this_python
from pyodide_mirror.model import normalize

from .choices import ChoiceError
from .closure import Found, closure, root_want

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pyodide_mirror.model import ProjectPage

    from .choices import Choices
    from .closure import Closure, Want
    from .site_packages import InstalledDistribution

HERE: Final = f"this is Python {platform.python_version()}"


class Conflicts:
    """What was chosen for an install, and whether it fits together.

    ``known``: what was installed before.
    """

    def __init__(
        self,
        choices: Choices,
        requirements: list[str],
        known: Mapping[str, InstalledDistribution],
        *,
        deps: bool,
    ) -> None:
        self._choices = choices
        self._requirements = requirements
        self._known = known
        self._deps = deps

    def check(self) -> None:
        """ChoiceError when what was chosen in this try does not fit together."""
        chosen = self._choices.chosen()
        found = self._closure(chosen)
        misfits = found.misfits(chosen)
        if misfits:
            raise ChoiceError(misfits, said_of(found, misfits))

    def excludes_installed(self) -> bool:
        """Whether the user wants another version than the installed one, which is not replaced."""
        return any(
            not want.takes(self._known[name].version)
            for want in filter(None, map(root_want, self._requirements))
            if (name := normalize(want.requirement.name)) in self._known
        )

    def said(self, projects: Collection[str]) -> str:
        """Who wants which version of these projects, as far as that is known."""
        return said_of(self._closure(self._choices.files), projects)

    def may_be_resolved(self, projects: Iterable[str]) -> bool:
        """Whether projects of which nothing fits may do with other versions of what wants them.

        Or with pre-releases, which micropip leaves out where a version is asked for.
        """
        found = self._closure(self._choices.files)
        waiting = [*projects]
        for name in waiting:
            page = self._choices.pages.get(name)
            if page is not None and any(
                all(want.takes(version) for want in found.wants.get(name, ()))
                for version in _versions(page)
            ):
                return True
        for name in waiting:
            for above in {want.by[0] for want in found.wants.get(name, ())} - {"", *waiting}:
                page = self._choices.pages.get(above)
                if page is not None and len(_versions(page)) > 1:
                    return True
                waiting.append(above)
        return False

    def notes(self, projects: Collection[str]) -> list[str]:
        """What micropip does not say of projects of which it has found no wheel.

        Who requires them, and what their pages have for another Python, by what the pages say.
        """
        found = self._closure(self._choices.files)
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
                texts.append(f"left out of the page of {project}: {last}{more}; {HERE}")
        return texts

    def _closure(self, chosen: Collection[str]) -> Closure:
        """The closure of the requirements in what was chosen, as far as that is known."""

        def find(name: str) -> Found | None:
            if name in chosen:
                metadata = self._choices.metadata.get(name)
                return None if metadata is None else Found(metadata_fields(metadata))
            if name in self._known:
                return Found.of(Distribution.at(self._known[name].folder))
            version = locked_version(name)
            return Found([("version", version)], lenient=True) if version else None

        return closure(self._requirements, deps=self._deps, find=find)


def _versions(page: ProjectPage) -> set[str]:
    """The versions of which a page has a wheel that may suit."""
    return {
        str(_packaging.utils.parse_wheel_filename(file.filename)[1])
        for file in page.files
        if file.filename.endswith("-none-any.whl") and suits_this_python(file.requires_python)
    }


def said_of(found: Closure, projects: Iterable[str]) -> str:
    """Who wants which version of these projects."""
    texts = [_all_said(found.wants.get(project, ())) for project in sorted(projects)]
    return "; ".join(filter(None, texts))


def _all_said(wants: Iterable[Want]) -> str:
    return ", ".join(map(_said, wants))


def _said(want: Want) -> str:
    name, version = want.by
    by = f"required by {name} {version}" if name else "requested"
    requirement = want.requirement
    shown = want.wheel or requirement.url or f"{requirement.name}{requirement.specifier}"
    return f"{shown} ({by})"
