"""Where this Python runs, in a browser or on CPython; chosen once, loaded when first needed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Protocol

from pyodide_mirror.storage import NO_CACHE, Cache, ChoiceStore, MemoryStore
from pyodide_mirror.transport import PageFacts

if TYPE_CHECKING:
    from pyodide_mirror.transport import Transport

_NO_PAGE: Final = PageFacts()


class Host(Protocol):
    """Where this Python runs."""

    store: ChoiceStore
    cache: Cache

    async def transport(self) -> Transport:
        """The way to make requests from here."""
        ...


class BrowserHost:
    """Pyodide, in a window, a worker or Node."""

    def __init__(self) -> None:
        from pyodide_mirror import browser  # works in Pyodide only

        self._browser = browser
        self._policies = browser.Policies()
        self.store: ChoiceStore = browser.open_store()
        self.cache: Cache = browser.open_cache()

    async def transport(self) -> Transport:
        """The browser's fetch. The page's permissions are asked for anew each time."""
        return self._browser.FetchTransport(await self._browser.page_facts(), self._policies)


class CPythonHost:
    """CPython; ``page`` is the page in whose name it asks, by default none."""

    def __init__(self, page: PageFacts = _NO_PAGE) -> None:
        self._page = page
        self.store: ChoiceStore = MemoryStore()
        self.cache: Cache = NO_CACHE

    async def transport(self) -> Transport:
        """A transport that applies the browser's rules by itself."""
        from pyodide_mirror.transport import CorsTransport  # not needed in a browser

        return CorsTransport(self._page)


def this_host() -> Host:
    """The host that this Python runs on."""
    return BrowserHost() if sys.platform == "emscripten" else CPythonHost()
