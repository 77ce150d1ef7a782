"""Where this Python runs, in a browser or on CPython; chosen once, loaded when first needed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from .cache import NO_CACHE, Cache
from .model import PageFacts
from .store import ChoiceStore, MemoryStore

if TYPE_CHECKING:
    from .session import Host
    from .transport import Transport


_NO_PAGE: Final = PageFacts()


class BrowserHost:
    """Pyodide, in a window, a worker or Node."""

    def __init__(self) -> None:
        from . import _browser, _browser_store  # exist in Pyodide only

        self._browser = _browser
        self._policies = _browser.Policies()
        self.store: ChoiceStore = _browser_store.open_store()
        self.cache: Cache = _browser_store.open_cache()

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
        """The one that applies the browser's rules by itself."""
        from ._cors import CorsTransport  # not needed in a browser

        return CorsTransport(self._page)


def this_host() -> Host:
    """The host that this Python runs on."""
    return BrowserHost() if sys.platform == "emscripten" else CPythonHost()
