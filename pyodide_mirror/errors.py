"""The exceptions that users may catch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyodide_mirror.model import Mirror
    from pyodide_mirror.reporting import Report


class MirrorError(Exception):
    """The base of all errors about mirrors; bad arguments are TypeError or ValueError."""

    __module__ = "pyodide_mirror"  # where users find it


class NoUsableMirror(MirrorError):
    """None of the mirrors can be used from here; ``report`` says why, and so does the text."""

    __module__ = "pyodide_mirror"

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.report = report

    def __str__(self) -> str:
        return f"none of the {len(self.report.outcomes)} mirrors can be used:\n{self.report}"


class IncompleteInstall(MirrorError):
    """Something that is required could not be installed.

    ``missing``: the requirements by name. ``report``: the mirrors that were looked at. ``why``:
    what is known of the reasons, in sentences.
    """

    __module__ = "pyodide_mirror"

    def __init__(
        self, missing: Iterable[str], report: Report | None = None, why: Iterable[str] = ()
    ) -> None:
        self.missing = tuple(missing)
        self.report = report
        self.why = tuple(why)
        super().__init__(self.missing, report, self.why)

    def __str__(self) -> str:
        return "\n".join(["could not be installed: " + ", ".join(self.missing), *self.why])


class ResolutionError(MirrorError, ValueError):
    """No versions fit together: ValueError because micropip raises that for what does not fit.

    ``chains``: sentences that say who requires what, through whom, which versions there are, and
    why others are out. ``projects``: their normalized names. ``hints``: what may help.
    """

    __module__ = "pyodide_mirror"

    def __init__(
        self, chains: Iterable[str], projects: Iterable[str] = (), hints: Iterable[str] = ()
    ) -> None:
        self.chains = tuple(chains)
        self.projects = tuple(sorted(projects))
        self.hints = tuple(hints)
        super().__init__(self.chains, self.projects, self.hints)

    def __str__(self) -> str:
        lines = ["no versions fit together:", *(f"  {each}" for each in self.chains)]
        if self.hints:
            lines.append(f"try to {'; or to '.join(self.hints)}")
        return "\n".join(lines)


class DigestMismatch(MirrorError):
    """A file does not have the SHA-256 that the index gives for it."""

    __module__ = "pyodide_mirror"

    def __init__(
        self, filename: str, expected: str, got: str, mirrors: Iterable[Mirror] = ()
    ) -> None:
        self.filename = filename
        self.expected = expected
        self.got = got
        self.mirrors = tuple(mirrors)
        super().__init__(filename, expected, got, self.mirrors)

    def __str__(self) -> str:
        said = ", ".join(mirror.name for mirror in self.mirrors) or "the index"
        return (
            f"{self.filename}: {said} promised sha256={self.expected}, "
            f"but the file has sha256={self.got}; the file was not installed"
        )
