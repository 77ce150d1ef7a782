"""The quorum: a second host must publish the same digest for a file."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pyodide_mirror.errors import DigestMismatch, MirrorError

if TYPE_CHECKING:
    from pyodide_mirror.model import File

    from .mirror_order import RankedMirror
    from .pages import InstallPages


async def confirm(file: File, project: str, ranked: RankedMirror, pages: InstallPages) -> None:
    """Raise OSError for a file of this mirror's page that no other host confirms."""
    fault = await _fault(file, project, ranked, pages)
    if fault is not None:
        raise pages.end(project, fault)


async def _fault(
    file: File, project: str, ranked: RankedMirror, pages: InstallPages
) -> MirrorError | None:
    """What speaks against a file of this mirror's page, or None if another host confirms it."""
    mirror = ranked.mirror
    if not file.sha256:
        return MirrorError(
            f"verify='quorum': {mirror.name} publishes no SHA-256 for {file.filename}"
        )
    host = urlsplit(mirror.index_url).hostname
    async for other, same in pages.same_file(file, project, ranked):
        if urlsplit(other.mirror.index_url).hostname == host or not same.sha256:
            continue
        if same.sha256 == file.sha256:
            return None
        if pages.is_from_cache(other, project):
            continue  # what it has now comes next
        mirrors = (mirror, other.mirror)
        return DigestMismatch(file.filename, file.sha256, same.sha256, mirrors)
    return MirrorError(f"verify='quorum': only one mirror, {mirror.name}, has {file.filename}")
