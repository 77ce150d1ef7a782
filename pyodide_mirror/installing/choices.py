"""What micropip chooses in an install, or is to choose because it was resolved anew."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pyodide_mirror.index import metadata_fields, suits_this_python
from pyodide_mirror.model import ProjectPage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyodide_mirror.model import File

    from .mirror_order import RankedMirror

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
    index.
    """

    requirements: Sequence[str]
    files: Mapping[str, ServedFile]

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
