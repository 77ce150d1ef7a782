"""What an install has added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A distribution that an install has added or changed.

    ``source``: where it came from. ``mirror``: index URL, ``url``: of the file. ``sha256`` is that
    of the file in hexadecimal, ``size`` its bytes; None or empty where it is not known, as for
    packages of Pyodide's lock file.
    """

    __module__ = "pyodide_mirror"  # where users find it

    name: str
    version: str
    source: Literal["mirror", "cache", "lockfile", "url"]
    mirror: str = ""
    url: str = ""
    sha256: str = ""
    size: int | None = None

    @property
    def place(self) -> str:
        """Where it came from, for people: the mirror's index URL, or the kind of source."""
        return self.mirror if self.source == "mirror" else self.source

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {name: getattr(self, name) for name in self.__slots__}
