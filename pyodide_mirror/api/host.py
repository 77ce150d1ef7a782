"""Where this Python runs, in a browser or on CPython; chosen once, loaded when first needed."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from pyodide_mirror import browser, storage, transport

if TYPE_CHECKING:
    from pyodide_mirror._micropip import Prefer
    from pyodide_mirror.browser import Policies
    from pyodide_mirror.storage import Cache, ChoiceStore
    from pyodide_mirror.transport import PageFacts, Transport


class Host(Protocol):
    """Where this Python runs."""

    @property
    def store(self) -> ChoiceStore:
        """Where the chosen mirror is remembered."""
        ...

    @property
    def cdn_store(self) -> ChoiceStore:
        """Where the chosen CDN is remembered."""
        ...

    @property
    def cache(self) -> Cache:
        """What is kept of earlier installs."""
        ...

    async def transport(self) -> Transport:
        """The way to make requests from here."""
        ...

    async def is_cold(self, project: str, *, remembers: bool, prefer: Prefer) -> bool:
        """Whether nothing here knows anything of a project, by its normalized name.

        No mirror is remembered, where that counts, and nothing but an index has the project.
        """
        ...


class BrowserHost:
    """Pyodide, in a window, a worker or Node."""

    def __init__(self) -> None:
        self._remembers_nothing = False

    @cached_property
    def store(self) -> ChoiceStore:
        """The browser's storage."""
        return browser.open_store(empty=self._remembers_nothing)

    @cached_property
    def cdn_store(self) -> ChoiceStore:
        """The same, under a name of its own."""
        return browser.open_store("cdn")

    @cached_property
    def cache(self) -> Cache:
        """The browser's storage, too."""
        return browser.open_cache()

    @cached_property
    def _policies(self) -> Policies:
        return browser.Policies()

    async def transport(self) -> Transport:
        """The browser's fetch. The page's permissions are asked for anew each time."""
        return browser.FetchTransport(await browser.page_facts(), self._policies)

    async def is_cold(self, project: str, *, remembers: bool, prefer: Prefer) -> bool:
        """See :class:`Host`."""
        if "piplite" in sys.modules or (prefer == "lockfile" and browser.is_locked(project)):
            return False
        if remembers:
            self._remembers_nothing = not await browser.has_choice()
        return not remembers or self._remembers_nothing


class CPythonHost:
    """CPython; ``page`` is the page in whose name it asks, by default none."""

    def __init__(self, page: PageFacts | None = None) -> None:
        self._page = page or transport.PageFacts()
        self.store: ChoiceStore = storage.MemoryStore()
        self.cdn_store: ChoiceStore = storage.MemoryStore()
        self.cache: Cache = storage.NO_CACHE

    async def transport(self) -> Transport:
        """A transport that applies the browser's rules by itself."""
        return transport.CorsTransport(self._page)

    async def is_cold(self, project: str, *, remembers: bool, prefer: Prefer) -> bool:
        """See :class:`Host`: its code is there at once."""
        return False


def this_host() -> Host:
    """The host that this Python runs on."""
    return BrowserHost() if sys.platform == "emscripten" else CPythonHost()
