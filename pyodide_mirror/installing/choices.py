"""What micropip chooses in an install, and what it must not choose again."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from pyodide_mirror import _packaging
from pyodide_mirror.index import metadata_fields, suits_this_python

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from pyodide_mirror.model import File, ProjectPage

    from .closure import Want

_TRY: ContextVar[dict[str, File] | None] = ContextVar("_TRY", default=None)
"""What was chosen in the try that runs here: micropip leaves tasks behind when one has ended."""


class ChoiceError(Exception):
    """micropip has chosen a file that this install cannot have, and must choose again.

    It is no OSError or ValueError, which micropip takes for a file that cannot be read.
    ``project``: its normalized name.
    """

    def __init__(self, project: str, text: str) -> None:
        super().__init__(text)
        self.project = project


class Choices:
    """The files that micropip has chosen, and the rules that its next try has to keep.

    Without a try that has begun, nothing is noted, and no file refused.

    ``limits``: version specifiers (PEP 440) by project, and ``wants`` where they come from.
    ``unfit``: why a file must not be chosen, by its SHA-256 or else its URL. ``news``: what was
    found out in this try, in a sentence. ``clashes``: projects of which it has chosen two files.
    """

    def __init__(self) -> None:
        self.limits: dict[str, str] = {}
        self.wants: dict[str, list[Want]] = {}
        self.unfit: dict[str, dict[str, str]] = {}
        self.news = ""
        self.clashes: dict[str, frozenset[str]] = {}
        self.pages: dict[str, ProjectPage] = {}
        """The pages that micropip chose from, with what was left out."""
        self.metadata: dict[str, bytes] = {}
        """The core metadata of what was chosen last, by project."""
        self.files: dict[str, File] = {}
        """What was chosen last, by project."""
        self._in_this_try: dict[str, File] | None = None

    def begin(self) -> None:
        """Begin a try."""
        self.news = ""
        self.clashes.clear()
        self._in_this_try = {}
        _TRY.set(self._in_this_try)

    def is_disputed(self, error: Exception, named: AbstractSet[str]) -> bool:
        """Whether a try has ended with this error because of what was chosen in it.

        ``named``: the projects that the error names. With ``keep_going`` micropip says of any
        requirement that there is no wheel for it.
        """
        chosen = bool(self.news or self.clashes or named & self.files.keys())
        return chosen or "is already installed" in str(error)

    def choose(self, project: str, file: File) -> None:
        """Note that micropip wants this wheel; ChoiceError when it wants another one as well."""
        chosen = _TRY.get()
        if chosen is None or chosen is not self._in_this_try:
            return
        self.files[project] = file
        other = chosen.setdefault(project, file)
        if other.filename != file.filename:
            self.clashes[project] = frozenset({other.filename, file.filename})
            raise ChoiceError(project, f"both {other.filename} and {file.filename} are wanted")

    def examine(self, project: str, file: File, metadata: bytes) -> None:
        """Note a chosen wheel's core metadata; ChoiceError when it is not for this Python.

        What the page says of that is a hint that indexes may leave out (PEP 503, 691).
        """
        if self._in_this_try is None or _TRY.get() is not self._in_this_try:
            return
        self.metadata[project] = metadata
        wanted = next((v for n, v in metadata_fields(metadata) if n == "requires-python"), "")
        if not suits_this_python(wanted):
            news = self.reject(project, file, f"requires Python {wanted}")
            raise ChoiceError(project, news)

    def reject(self, project: str, file: File, why: str) -> str:
        """Let a file not be chosen again."""
        self.news = f"{file.filename} {why}"
        self.unfit.setdefault(project, {})[file.sha256 or file.url] = self.news
        return self.news

    def allowed(self, page: ProjectPage, files: tuple[File, ...]) -> tuple[File, ...]:
        """Those of the usable files of a page that may be chosen."""
        project = page.name
        if self._in_this_try is not None:
            self.pages[project] = page
        unfit = self.unfit.get(project, ())
        files = tuple(file for file in files if (file.sha256 or file.url) not in unfit)
        limit = self.limits.get(project)
        if limit:
            files = tuple(file for file in files if is_within(limit, file.filename))
        return files


def takes(limit: str, version: str) -> bool:
    """Whether a version is one of those that a specifier takes (PEP 440)."""
    return _packaging.specifiers.SpecifierSet(limit).contains(version, prereleases=True)


def is_within(limit: str, filename: str) -> bool:
    """Whether a wheel's version is one that a specifier takes."""
    try:
        return takes(limit, str(_packaging.utils.parse_wheel_filename(filename)[1]))
    except _packaging.utils.InvalidWheelFilename:
        return False  # micropip cannot install it either
