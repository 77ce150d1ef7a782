"""Where this Python runs, in a browser or on CPython; chosen once, loaded when first needed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .model import PageFacts
from .store import ChoiceStore, MemoryStore

if TYPE_CHECKING:
    from .session import Host
    from .transport import Transport


class BrowserHost:
    """Pyodide, in a window, a worker or Node."""

    def __init__(self) -> None:
        from . import _browser  # noqa: PLC0415  # exists in Pyodide only

        self._browser = _browser
        self._policies = _browser.Policies()
        self.store: ChoiceStore = _browser.open_store()

    async def transport(self) -> Transport:
        """The browser's fetch. The page's permissions are asked for anew each time."""
        return self._browser.FetchTransport(await self._browser.page_facts(), self._policies)


class CPythonHost:
    """CPython outside the browser, where no rule of the web applies."""

    def __init__(self) -> None:
        self.store: ChoiceStore = MemoryStore()

    async def transport(self) -> Transport:
        """The one of the command line, for no page at all."""
        from ._cors import CorsTransport  # noqa: PLC0415  # not needed in a browser

        return CorsTransport(PageFacts())


def this_host() -> Host:
    """The host that this Python runs on."""
    return BrowserHost() if sys.platform == "emscripten" else CPythonHost()
