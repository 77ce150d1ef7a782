"""A host of a session in tests: its requests go to a web of the test's own."""

from collections.abc import Callable, Container
from typing import Any

from pyodide_mirror.storage import NO_CACHE, Cache, ChoiceStore, MemoryStore


class FakeHost:
    """A host with this web.

    ``cold``: the first install has a head start, as in a page. ``locked``: names that Pyodide's
    lock file has.
    """

    def __init__(
        self,
        web: Any,
        *,
        cache: Cache = NO_CACHE,
        cold: bool = False,
        locked: Callable[[], Container[str]] = tuple,
    ) -> None:
        self.locked = locked
        self.web = web
        self.store: ChoiceStore = MemoryStore()
        self.cdn_store: ChoiceStore = MemoryStore()
        self.cache = cache
        self.cold = cold

    async def transport(self) -> Any:
        """Return the web."""
        return self.web

    async def is_cold(self, project: str, *, remembers: bool, prefer: str) -> bool:
        """Whether it is cold, nothing is remembered, and the project is not in the lock file."""
        locked = prefer == "lockfile" and project in self.locked()
        return self.cold and not locked and not (remembers and await self.store.load())
