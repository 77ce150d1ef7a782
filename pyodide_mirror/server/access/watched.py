"""A file of settings that is read again when it has changed."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from pyodide_mirror.server.source import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_log = logging.getLogger("pyodide_mirror.server")
_MAX_BYTES: Final = 1024 * 1024
_MAY_CHANGE_UNSEEN: Final = 2_000_000_000
"""Nanoseconds in which a second change may leave the same time stamp; FAT has the coarsest ones."""
T = TypeVar("T")
_Stamp = tuple[int, int, int, int]


class Changes:
    """Tells whether a file may have changed since it was looked at before; the first time, it has.

    For :data:`_MAY_CHANGE_UNSEEN` after a change it may have changed again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | None = None

    def look(self) -> bool:
        """Whether it may have changed; raises OSError."""
        stamp = _stamp_of(self._path)
        if stamp == self._stamp:
            return False
        self._stamp = stamp if time.time_ns() - stamp[0] > _MAY_CHANGE_UNSEEN else None
        return True

    def forget(self) -> None:
        """Take it for changed the next time."""
        self._stamp = None


class WatchedFile(Generic[T]):
    """A file whose text ``parse`` understands; ValueError of ``parse`` says what is wrong.

    What was in the file before does not hold when it cannot be understood now: who was removed from
    a list of users must not come in because of a slip of the pen in another line. ``what``: the
    file, for people, such as "the file of tokens".

    Raises ValueError when it cannot be read at the start.
    """

    def __init__(self, path: Path, what: str, parse: Callable[[str], T]) -> None:
        self._path = path
        self._what = what
        self._parse = parse
        self._changes = Changes(path)
        self._content = self._bytes()
        self._value: T | None = None
        self._problem = ""
        try:
            self._value = parse(self._content.decode())
        except ValueError as error:
            raise ValueError(f"{what} {str(path)!r}: {_detail(error)}") from None

    def value(self) -> T:
        """What is in it now; UnreadableError, without details, when that is not known."""
        try:
            self._look()
        except ValueError as error:
            self._note(str(error))
        if self._problem or self._value is None:
            raise UnreadableError(f"{self._what} cannot be used now; this server's log says why")
        return self._value

    def _look(self) -> None:
        try:
            if not self._changes.look():
                return
        except OSError as error:
            raise ValueError(self._unreadable(error)) from None
        content = self._bytes()
        if content == self._content and not self._problem:
            return
        self._content = content
        try:
            self._value = self._parse(content.decode())
        except ValueError as error:
            raise ValueError(f"{self._what} {str(self._path)!r}: {_detail(error)}") from None
        if self._problem:
            _log.info("%s can be used again", self._what)
        self._problem = ""

    def _bytes(self) -> bytes:
        try:
            with self._path.open("rb") as opened:
                content = opened.read(_MAX_BYTES + 1)
        except OSError as error:
            raise ValueError(self._unreadable(error)) from None
        if len(content) > _MAX_BYTES:
            raise ValueError(f"{self._what} {str(self._path)!r} has more than {_MAX_BYTES:,} bytes")
        return content

    def _unreadable(self, error: OSError) -> str:
        return f"{self._what} {str(self._path)!r} cannot be read: {error.strerror}"

    def _note(self, problem: str) -> None:
        if problem != self._problem:
            _log.error("%s; nobody is let in by it until it can be used", problem)
        self._problem = problem
        self._changes.forget()


def _detail(error: ValueError) -> str:
    # What Python says of a wrong byte quotes the text, which may be a password.
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _stamp_of(path: Path) -> _Stamp:
    told = path.stat()
    return told.st_mtime_ns, told.st_size, told.st_ino, told.st_ctime_ns


def lines_of(text: str) -> list[tuple[int, str]]:
    """The lines that say something, with their numbers: no empty ones, and no comments (``#``)."""
    numbered = enumerate((line.strip() for line in text.split("\n")), 1)
    return [(number, line) for number, line in numbered if line and not line.startswith("#")]
