"""Whether what micropip has chosen fits together, before any of it is unpacked."""

from __future__ import annotations

from importlib.metadata import Distribution
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from pyodide_mirror._micropip import locked_version
from pyodide_mirror.errors import ResolutionError
from pyodide_mirror.index import metadata_fields
from pyodide_mirror.model import normalize

from .archive import cannot_unpack
from .choices import ChoiceError
from .closure import Found, closure, root_want

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .choices import Choices
    from .closure import Closure, Want
    from .site_packages import InstalledDistribution


class Conflicts:
    """What was chosen for an install, and what it requires.

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
        self.choices = choices
        self.requirements = requirements
        self.known = known
        self._deps = deps

    def check(self) -> None:
        """ChoiceError when what was chosen in this try does not fit together."""
        chosen = self.choices.chosen()
        misfits = self.closure(chosen).misfits(chosen)
        if misfits:
            raise ChoiceError(misfits, f"not all requirements of {', '.join(misfits)} are met")

    def closure(self, chosen: Collection[str] | None = None) -> Closure:
        """The closure of the requirements in what was chosen, now or before, as far as known."""
        chosen = self.choices.files if chosen is None else chosen
        direct = {normalize(want.requirement.name) for want in self.roots() if want.wheel}

        def find(name: str) -> Found | None:
            if name in chosen:
                metadata = self.choices.metadata.get(name)
                return None if metadata is None else Found(metadata_fields(metadata))
            if name in direct:
                return None  # micropip reads it itself
            if name in self.known:
                return Found.of(Distribution.at(self.known[name].folder))
            version = locked_version(name)
            return Found([("version", version)], lenient=True) if version else None

        return closure(self.requirements, deps=self._deps, find=find)

    def roots(self) -> list[Want]:
        """What the user wants."""
        return [want for text in self.requirements if (want := root_want(text))]

    def explained(self, error: Exception) -> Exception:
        """An error that has ended a try, or what it comes from."""
        if isinstance(error, ChoiceError):
            said = said_of(self.closure(), error.projects)
            return ResolutionError([str(error), *said], error.projects)
        if isinstance(error, BadZipFile):  # of a wheel of no index, which micropip does not name
            urls = [text for text in self.requirements if ".whl" in text]
            return cannot_unpack("a wheel", ", ".join(urls) or "a URL", str(error))
        return error

    def is_known(self, projects: Iterable[str]) -> bool:
        """Whether other versions may help projects of which nothing was found."""
        wants = self.closure().wants
        return any(
            name in self.choices.pages or any(want.by[0] for want in wants.get(name, ()))
            for name in projects
        )


def said_of(found: Closure, projects: Iterable[str]) -> list[str]:
    """Who wants which versions of these projects."""
    return [
        f"{project}: {', '.join(map(_said, found.wants[project]))}"
        for project in sorted(found.wants.keys() & set(projects))
    ]


def _said(want: Want) -> str:
    by = f"required by {' '.join(want.by)}" if want.by[0] else "requested"
    return f"{want.wheel or want.requirement} ({by})"
