"""What a bundle needs: files by name and digest, and where each may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

FILES = "files"
"""The folder of a bundle with the packages of an index."""
PYODIDE = "pyodide"
"""The folder of a bundle with Pyodide, and with the packages of its lock file."""


class BundleFile(NamedTuple):
    """A file. ``places``: paths and URLs in order. ``project``: it may be asked of mirrors, too.

    ``sha256``: in hexadecimal. ``size``: in bytes, where it is known. ``private``: only mirrors
    that were named may be asked.
    """

    filename: str
    sha256: str
    size: int | None
    places: tuple[str | Path, ...]
    project: str = ""
    private: bool = False


class Pin(NamedTuple):
    """A package: the one file of it. ``locked``: it is the one of Pyodide's own lock file."""

    name: str
    version: str
    file: BundleFile
    locked: bool = False

    @property
    def path(self) -> str:
        """Where its file is in the bundle."""
        return f"{PYODIDE if self.locked else FILES}/{self.file.filename}"
