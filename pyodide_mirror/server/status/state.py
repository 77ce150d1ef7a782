"""What a server has at a moment: for the page for people, and for the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyodide_mirror.server.cache import Downloads
    from pyodide_mirror.server.releases import Releases
    from pyodide_mirror.server.repository import Repository
    from pyodide_mirror.server.source import LocalState


@dataclass(frozen=True, slots=True)
class RemoteState:
    """Another index, or a CDN: its last problem, and how many of its projects are known."""

    name: str
    problem: str
    projects: int | None = None


@dataclass(frozen=True, slots=True)
class CacheState:
    """The cache: bytes that it has and may have, and what was last wrong."""

    size: int
    limit: int
    files: int
    problem: str


@dataclass(frozen=True, slots=True)
class State:
    """All of it. ``newest``: the version of Pyodide to show to people."""

    local: tuple[LocalState, ...]
    upstreams: tuple[RemoteState, ...]
    releases: tuple[str, ...]
    cdns: tuple[RemoteState, ...]
    cache: CacheState
    downloads: int
    newest: str | None


async def state_of(repository: Repository, releases: Releases, downloads: Downloads) -> State:
    """What there is now; nobody else is asked for it."""
    local: list[LocalState] = []
    for source in repository.local:
        local += await source.states()
    upstreams = [
        RemoteState(each.name, each.problem, len(list(await each.projects())))
        for each in repository.upstreams
    ]
    disk = downloads.disk
    return State(
        local=tuple(local),
        upstreams=tuple(upstreams),
        releases=tuple(folder.name for folder in releases.folders.values()),
        cdns=tuple(RemoteState(cdn.name, told) for cdn, told in releases.cdns.problems.items()),
        cache=CacheState(disk.size, disk.max_bytes, disk.count, disk.problem),
        downloads=downloads.running,
        newest=releases.newest,
    )
