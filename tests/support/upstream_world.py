"""An upstream of the server over an index in the same loop, with a clock that stands."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyodide_mirror.server.cache.disk import Disk
from pyodide_mirror.server.cache.download import Downloads
from pyodide_mirror.server.fetching.client import UpstreamClient
from pyodide_mirror.server.upstreams.upstream import Limits, Upstream
from tests.support.asgi import WHEEL, Index, Origin, document, origin

TIMEOUT, HASTY = 30.0, 0.1


@dataclass
class World:
    """An upstream over an index, with a cache, and a clock that stands until it is set."""

    index: Index
    origin: Origin
    folder: Path
    upstream: Upstream
    downloads: Downloads
    now: float = 1_700_000_000.0

    def later(self, seconds: float) -> None:
        """Let seconds pass."""
        self.now += seconds

    @contextmanager
    def hasty(self) -> Iterator[None]:
        """Let the upstream be given up soon; otherwise it has all the time that it may need."""
        self.upstream.client.timeout = HASTY
        yield
        self.upstream.client.timeout = TIMEOUT

    @asynccontextmanager
    async def restarted(self, **limits: Any) -> AsyncIterator[Upstream]:
        """Another upstream over the same index and cache, with these limits."""
        async with opened(self.origin.url, self.folder, lambda: self.now, **limits) as (again, _):
            yield again

    @property
    def pages_asked(self) -> int:
        """How often the page of ``x`` was asked for."""
        return self.origin.paths.count("/simple/x/")


@asynccontextmanager
async def opened(
    url: str, cache: Path, clock: Callable[[], float], **limits: Any
) -> AsyncIterator[tuple[Upstream, Downloads]]:
    """An upstream; one that is busy is asked again at once."""
    downloads = Downloads(Disk(cache, 1 << 30))
    client = UpstreamClient(f"{url}/simple", login=None, timeout=TIMEOUT)
    chosen = Limits(**{"pause": 0, **limits})
    upstream = Upstream(client, downloads, limits=chosen, clock=clock)
    try:
        yield upstream, downloads
    finally:
        await downloads.close()
        await upstream.close()


@asynccontextmanager
async def a_world(cache: Path) -> AsyncIterator[World]:
    """An upstream over an index that has the project ``x``, whose only file is ``WHEEL``."""
    index = Index()
    index.page(document())
    index.file(WHEEL.filename, WHEEL.data)
    async with (
        origin(index) as running,
        opened(running.url, cache, lambda: world.now) as (upstream, downloads),
    ):
        world = World(index, running, cache, upstream, downloads)
        yield world
