"""The interface of a source of projects: a folder, an upstream, or our own wheels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion

from pyodide_mirror.model import origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pyodide_mirror.model import File, ProjectPage
    from pyodide_mirror.server.cache import Download

UNVERIFIED = "unverified"
"""The tag of a file whose page gives no digest."""


class Missing(LookupError):
    """Something that no source has; the text says what."""


class DeniedError(Exception):
    """Something that this server must not serve; the text says what and by which rule."""


class UnreadableError(Exception):
    """A source on this machine has something that cannot be read now; the text says what and why.

    No other source may be asked for it instead.
    """


@dataclass(frozen=True, slots=True)
class Stored:
    """A whole file on disk."""

    path: Path


@dataclass(frozen=True, slots=True)
class InMemory:
    """A whole file in memory."""

    content: bytes


class Source(Protocol):
    """Something that has projects. The URLs of its files have a meaning for itself only."""

    name: str
    immutable: bool
    """Whether a file of a given name and digest never changes."""

    async def page(self, project: str) -> ProjectPage | None:
        """The page of a normalized name; None when it has no such project.

        Raises :class:`~pyodide_mirror.server.fetching.UpstreamError`, or
        :class:`UnreadableError`, when it cannot tell.
        """

    async def projects(self) -> Iterable[str]:
        """Normalized names of the projects that it knows without a request."""

    async def blob(self, project: str, file: File) -> Stored | InMemory | Download:
        """A file of one of its pages; raises UpstreamError."""

    async def metadata(self, project: str, file: File) -> bytes:
        """The core metadata of a wheel of one of its pages (PEP 658).

        Raises Missing when there is none in the wheel, and UpstreamError.
        """

    async def close(self) -> None:
        """Release what it holds."""


@dataclass(frozen=True, slots=True)
class LocalState:
    """What a place on this machine has now, for people.

    ``left_out``: what of it is not served, as far as is known, and why. ``files``: None where
    they are made when somebody wants them. ``problem``: why it cannot be read now; the rest is then
    what it had before.
    """

    name: str
    projects: int
    files: int | None
    left_out: Mapping[str, str]
    problem: str = ""


class LocalSource(Source, Protocol):
    """A source on this machine."""

    async def states(self) -> Sequence[LocalState]:
        """What each of its places has."""


_USUAL_SEGMENTS = frozenset(
    ("simple", "+simple", "pypi", "web", "root", "index", "repository", "artifactory", "api", "")
)


def shown_name(index_url: str) -> str:
    """What may be shown of an upstream's index URL, which some hosts put a token into.

    A token cannot be recognised, so of the path only the words that indexes have in common are
    shown; each of the others becomes ``…``.
    """
    parts = urlsplit(index_url)
    segments = (one if one in _USUAL_SEGMENTS else "…" for one in parts.path.split("/"))
    return f"{origin(parts)}{'/'.join(segments)}"


def tag_of(file: File) -> str:
    """The part of a file's URL here that stands for its content: other content, other URL."""
    return file.sha256[:16] or UNVERIFIED


def file_key(file: File) -> str:
    """The key of a file in the disk cache: its digest, or else that of its URL."""
    if file.sha256:
        return f"file-{file.sha256}"
    return f"url-{hashlib.sha256(file.url.encode()).hexdigest()}"


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
    """The page with PEP 700's list of versions, made from the file names if it has none."""
    if page.versions:
        return page
    found = (parse_filename(file.filename) for file in page.files)
    versions = tuple(dict.fromkeys(parsed[1] for parsed in found if parsed))
    return replace(page, versions=versions)
