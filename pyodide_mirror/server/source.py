"""What a source of projects is: a folder, an upstream, or our own wheel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pyodide_mirror.model import File, ProjectPage

    from .download import Download

MAX_METADATA_BYTES = 4 * 1024 * 1024
UNVERIFIED = "unverified"
"""Stands for a digest where the page gives none."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A whole file on disk."""

    path: Path


class Source(Protocol):
    """Something that has projects. The URLs of its files mean something to itself only."""

    name: str
    immutable: bool
    """Whether a file of a given name and digest stays what it is, for ever."""

    async def page(self, project: str) -> ProjectPage | None:
        """The page of a normalized name; None when it has no such project.

        Raises :class:`~pyodide_mirror.server.upstream_client.UpstreamError` when it cannot say.
        """

    async def projects(self) -> Iterable[str]:
        """Normalized names of the projects that it can name without asking anybody."""

    async def blob(self, project: str, file: File) -> Stored | Download:
        """A file of one of its pages; raises UpstreamError."""

    async def metadata(self, project: str, file: File) -> bytes:
        """The core metadata of a wheel of one of its pages (PEP 658); raises UpstreamError."""

    async def close(self) -> None:
        """Let go of what it holds."""


def tag_of(file: File) -> str:
    """What stands for a file's content in its URL here, which so never changes its content."""
    return file.sha256[:16] or UNVERIFIED


def parse_filename(filename: str) -> tuple[str, str] | None:
    """Normalized project and version of a wheel or sdist (PyPA's file name conventions)."""
    try:
        if filename.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(filename)
        elif filename.endswith((".tar.gz", ".zip")):
            name, version = parse_sdist_filename(filename)
        else:
            return None
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return None
    return canonicalize_name(name), str(version)


def with_versions(page: ProjectPage) -> ProjectPage:
    """The page with PEP 700's list of versions; from the names of the files where it has none."""
    if page.versions:
        return page
    found = (parse_filename(file.filename) for file in page.files)
    versions = tuple(dict.fromkeys(parsed[1] for parsed in found if parsed))
    return replace(page, versions=versions)
