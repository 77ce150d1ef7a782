"""The distributions that are installed, and where each of them came from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, NamedTuple

from pyodide_mirror.index import metadata_fields
from pyodide_mirror.model import normalize
from pyodide_mirror.reporting import Installed


class Source(NamedTuple):
    """Where a file was really read: index URL of the mirror, URL, ``size`` in bytes.

    ``full_url`` has the query, which may be a signature, and is not for reports.
    """

    mirror: str
    full_url: str
    size: int
    place: Literal["mirror", "cache"] = "mirror"

    @property
    def url(self) -> str:
        """The URL as it may be shown."""
        return self.full_url.partition("?")[0]


def all_dist_info_folders() -> dict[str, list[Path]]:
    """The ``.dist-info`` folders on the path by normalized name, in the order of the path."""
    found: dict[str, list[Path]] = {}
    for entry in sys.path:
        for folder in Path(entry).glob("*.dist-info") if entry else ():
            found.setdefault(_project_of(folder), []).append(folder)
    return found


def dist_info_folders() -> dict[str, Path]:
    """The same; of several with one name the first one counts."""
    return {name: folders[0] for name, folders in all_dist_info_folders().items()}


def _project_of(folder: Path) -> str:
    """The normalized name; METADATA has it where old builders left dashes in that of the folder."""
    name, dash, version = folder.stem.partition("-")
    if not dash or "-" in version:
        name = _field("name", folder) or name
    return normalize(name)


def _field(name: str, folder: Path) -> str:
    """A field of METADATA; "" where it cannot be read."""
    path = folder / "METADATA"
    data = path.read_bytes() if path.is_file() else b""
    return next((value for field, value in metadata_fields(data) if field == name), "")


class InstalledDistribution(NamedTuple):
    """An installed distribution, by its ``.dist-info`` folder (PyPA: recording installs)."""

    name: str
    folder: Path

    @property
    def version(self) -> str:
        """The version, as METADATA has it."""
        return _field("version", self.folder) or self.folder.stem.rpartition("-")[2]

    def note(self, name: str) -> str:
        """What Pyodide or micropip noted beside the metadata, or an empty string."""
        path = self.folder / name
        return path.read_text("utf-8").strip() if path.is_file() else ""

    def describe(self, url: str, source: Source | None) -> Installed:
        """What a report says of it; ``url`` and ``source``: where its file came from."""
        if self.note("PYODIDE_SOURCE") == "pyodide":
            return Installed(name=self.name, version=self.version, source="lockfile")
        return Installed(
            name=self.name,
            version=self.version,
            source="url" if source is None else source.place,
            mirror="" if source is None else source.mirror,
            url=url if source is None else source.url,
            sha256=self.note("PYODIDE_SHA256"),
            size=None if source is None else source.size,
        )


def installed() -> dict[str, InstalledDistribution]:
    """All installed distributions by normalized name; of two the first on the path counts."""
    return {
        name: InstalledDistribution(name, folder) for name, folder in dist_info_folders().items()
    }
