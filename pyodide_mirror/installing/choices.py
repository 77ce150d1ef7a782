"""What micropip chooses in an install, whether that fits together, and what it is to choose."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import replace
from importlib.metadata import Distribution
from typing import TYPE_CHECKING, NamedTuple
from zipfile import BadZipFile

from pyodide_mirror._micropip import locked_version
from pyodide_mirror.errors import ResolutionError
from pyodide_mirror.index import metadata_fields, suits_this_python
from pyodide_mirror.model import ProjectPage, normalize

from .archive import cannot_unpack
from .closure import Found, closure, root_want

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from pyodide_mirror.model import File

    from .closure import Closure, Want
    from .mirror_order import RankedMirror
    from .site_packages import InstalledDistribution

_TRY: ContextVar[dict[str, File] | None] = ContextVar("_TRY", default=None)
"""What was chosen in the try that runs here: micropip leaves tasks behind when one has ended."""


class ChoiceError(Exception):
    """What micropip has chosen cannot be installed together, or here.

    It is no OSError or ValueError, which micropip takes for a file that cannot be read.
    ``projects``: their normalized names.
    """

    def __init__(self, projects: Sequence[str], text: str) -> None:
        super().__init__(text)
        self.projects = tuple(projects)


class ServedFile(NamedTuple):
    """A file on a page that was handed to micropip. Pages have thousands of them."""

    file: File
    project: str
    ranked: RankedMirror


class Plan(NamedTuple):
    """Versions that were chosen for micropip: what it is to install, and nothing else.

    ``requirements``: pins, and URLs of wheels. ``files``: of the projects that are to come from an
    index. ``replaced``: what gives way to them, by normalized name. ``check`` raises
    NoFileError for bytes that are not those of a file.
    """

    requirements: Sequence[str]
    files: Mapping[str, ServedFile]
    replaced: Sequence[str] = ()
    check: Callable[[bytes, File], None] | None = None

    def page(self, project: str) -> tuple[RankedMirror, ProjectPage] | None:
        """A page of the one file that was chosen, or None."""
        served = self.files.get(project)
        if served is None:
            return None
        # micropip is not to ask for what it requires; that is read in the wheel.
        file = replace(served.file, metadata=None)
        return served.ranked, ProjectPage(name=project, files=(file,))


class Choices:
    """The files that micropip has chosen, or is to choose by a ``plan``.

    Without a try that has begun, nothing is noted, and no file refused.
    """

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.pages: dict[str, ProjectPage] = {}
        """The pages that micropip chose from, with what was left out."""
        self.metadata: dict[str, bytes] = {}
        """The core metadata of what was chosen last, by project."""
        self.files: dict[str, File] = {}
        """What was chosen last, by project."""
        self.unverified: dict[str, bytes] = {}
        """Core metadata that no digest has verified, by the URL of their wheel."""
        self._in_this_try: dict[str, File] | None = None

    def begin(self, plan: Plan | None) -> None:
        """Begin a try."""
        self.plan = plan
        self._in_this_try = {}
        _TRY.set(self._in_this_try)

    def end(self) -> None:
        """End it: what is read from now on is not chosen."""
        self._in_this_try = None

    def chosen(self) -> dict[str, File]:
        """What was chosen in this try, by project."""
        return self._in_this_try or {}

    def metadata_of(self, project: str, file: File) -> bytes | None:
        """The core metadata of this file, if it was the last one of its project to be chosen."""
        chosen = self.files.get(project)
        same = chosen is not None and chosen.url == file.url
        return self.metadata.get(project) if same else None

    def choose(self, project: str, file: File) -> None:
        """Note that micropip wants this wheel; ChoiceError when it wants another one as well."""
        chosen = _TRY.get()
        if chosen is None or chosen is not self._in_this_try:
            return
        self.files[project] = file
        other = chosen.setdefault(project, file)
        if other.filename != file.filename:
            text = f"both {other.filename} and {file.filename} are wanted"
            raise ChoiceError([project], text)

    def examine(self, project: str, file: File, metadata: bytes) -> None:
        """Note a chosen wheel's core metadata; ChoiceError when it is not for this Python.

        What the page says of that is a hint that indexes may leave out (PEP 503, 691).
        """
        if self._in_this_try is None or _TRY.get() is not self._in_this_try:
            return
        self.metadata[project] = metadata
        if self.unverified.get(file.url, metadata) != metadata:
            raise ChoiceError([project], f"the end of {file.filename} is not what its mirror said")
        wanted = next((v for n, v in metadata_fields(metadata) if n == "requires-python"), "")
        if not suits_this_python(wanted):
            raise ChoiceError([project], f"{file.filename} requires Python {wanted}")


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
