"""The package index of a bundle, as files: PEP 503, 691, 658 and 714."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from pyodide_mirror.index import metadata_fields, metadata_of, to_json
from pyodide_mirror.model import File, ProjectPage
from pyodide_mirror.server import MediaType, html_page, project_list

from .errors import BundlingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SIMPLE: Final = "simple"
"""The folder of the index."""


LINKS: Final = "links.html"
"""A page with all files, for ``pip --find-links`` where a host has no index documents."""


class Listed(NamedTuple):
    """A wheel of the index: its path in the bundle, and what its page says of it."""

    path: str
    version: str
    sha256: str
    size: int
    metadata: bytes

    def file(self, base: str) -> File:
        """As pages list it; ``base`` is where the bundle is, with a slash at its end."""
        required = dict(metadata_fields(self.metadata)).get("requires-python", "")
        return File(
            filename=self.path.rpartition("/")[2],
            url=f"{base}{quote(self.path)}",
            hashes={"sha256": self.sha256},
            requires_python=required,
            metadata={"sha256": hashlib.sha256(self.metadata).hexdigest()},
            size=self.size,
        )


def listed(path: str, version: str, content: bytes) -> Listed:
    """A wheel as the index has it; BundlingError says that it is none."""
    filename = path.rpartition("/")[2]
    try:
        metadata = metadata_of(content, filename)
    except ValueError as error:
        raise BundlingError(f"{filename} {error}") from None
    return Listed(path, version, hashlib.sha256(content).hexdigest(), len(content), metadata)


def index_files(projects: Mapping[str, Sequence[Listed]], public_url: str) -> dict[str, bytes]:
    """The pages and the metadata files, by their paths in the bundle.

    ``projects``: the wheels of each, by normalized name. ``public_url``: where the bundle is, for
    JSON pages with absolute URLs, as micropip wants them; without it they are relative, as those of
    HTML pages always are: a bundle may be moved.
    """
    beside = "../../"  # from simple/NAME/
    json_base = f"{public_url}/" if public_url else beside
    found = {
        f"{SIMPLE}/index.html": project_list(sorted(projects), MediaType.HTML).body,
        f"{SIMPLE}/index.json": project_list(sorted(projects), MediaType.JSON).body,
    }
    for name, wheels in sorted(projects.items()):
        folder = f"{SIMPLE}/{name}"
        found[f"{folder}/index.html"] = html_page(_page(name, wheels, beside))
        found[f"{folder}/index.json"] = to_json(_page(name, wheels, json_base))
        found |= {f"{wheel.path}.metadata": wheel.metadata for wheel in wheels}
    files = [wheel for _, wheels in sorted(projects.items()) for wheel in wheels]
    return found | {LINKS: html_page(_page("all packages", files, ""))}


def _page(name: str, wheels: Sequence[Listed], base: str) -> ProjectPage:
    versions = tuple(dict.fromkeys(wheel.version for wheel in wheels))
    files = tuple(wheel.file(base) for wheel in wheels)
    return ProjectPage(name=name, files=files, versions=versions)
