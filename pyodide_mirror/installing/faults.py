"""What has gone wrong in an install and is not said by micropip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyodide_mirror.errors import DigestMismatch, IncompleteInstall, MirrorError

if TYPE_CHECKING:
    from pyodide_mirror.model import File, Mirror
    from pyodide_mirror.reporting import Report

    from .mirror_client import NoFileError


class InstallFaults:
    """The faults of one install, which decide with what error it ends.

    ``fatal``: what must end the install, whatever micropip makes of the failed request. ``lost``:
    projects of which a file that micropip chose could not be read from anywhere. ``mismatches``:
    those of which no mirror had the file as its page says.
    """

    def __init__(self) -> None:
        self.fatal: MirrorError | None = None
        self.lost: set[str] = set()
        self.mismatches: dict[str, DigestMismatch] = {}

    def end(self, error: MirrorError) -> OSError:
        """Note what must end the install; the result is what micropip is to be told."""
        self.fatal = error
        return OSError(str(error))

    def unavailable(
        self, file: File, project: str, faults: list[tuple[Mirror, NoFileError]]
    ) -> tuple[str, DigestMismatch | None]:
        """Note a file that no mirror delivers as its page says; what is to be said of it."""
        wrong = [(mirror, error.got) for mirror, error in faults if error.got]
        mismatch = None
        if wrong:
            mirrors = [mirror for mirror, _ in wrong]
            mismatch = DigestMismatch(file.filename, file.sha256, wrong[0][1], mirrors)
            self.mismatches[project] = mismatch
        return f"{file.filename} cannot be read: {faults[0][1].text}", mismatch

    def error_for(self, error: Exception, report: Report) -> Exception:
        """The error to raise for an install that micropip has ended with this one."""
        if self.fatal is not None:
            return self.fatal
        for project in sorted(self.lost & self.mismatches.keys()):
            return self.mismatches[project]
        return IncompleteInstall(sorted(self.lost), report) if self.lost else error
