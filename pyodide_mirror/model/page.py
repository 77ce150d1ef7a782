"""A project page and its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a project page; the fields are those of PEP 691, 700 and 714.

    ``url`` is absolute. ``metadata``: the digests of promised core metadata, if any are given;
    None when no metadata is promised.
    """

    filename: str
    url: str
    hashes: Mapping[str, str]
    requires_python: str = ""
    metadata: Mapping[str, str] | None = None
    yanked: str | bool = False
    size: int | None = None
    upload_time: str = ""

    @property
    def sha256(self) -> str:
        """The SHA-256 that the page gives, or an empty string."""
        return self.hashes.get("sha256", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPage:
    """A project page, in whatever form it came.

    ``name`` is normalized. ``repairs``: what had to be changed. ``unusable``: files that had to be
    left out, as ``filename: why``. ``status``: of the project, with a reason perhaps (PEP 792).
    """

    name: str
    files: tuple[File, ...]
    versions: tuple[str, ...] = ()
    repairs: tuple[Reason, ...] = ()
    unusable: tuple[str, ...] = ()
    status: str = ""
    status_reason: str = ""
