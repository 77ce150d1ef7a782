"""A delivery whose mirrors race when the first page is wanted, and not before."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .delivery import Delivery
from .errors import MirrorError
from .router import Ranked
from .supply import NoPageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .delivery import ServedPage
    from .model import Mirror, ProjectPage
    from .report import Event
    from .router import Router
    from .supply import Supply


@dataclass(frozen=True, slots=True)
class Way:
    """How a lazy delivery comes to its mirrors.

    ``provisional`` has the candidates unprobed. ``race`` finds out which of them works. ``trusted``
    is the one that worked the last time, and may prove itself by its first page: ``trust`` is then
    called with that page.
    """

    provisional: Router
    race: Callable[[], Awaitable[Router]]
    trusted: Mirror | None
    trust: Callable[[ProjectPage], Router]


class LazyDelivery(Delivery):
    """Knows of its mirrors only that they are candidates, until one of them has to answer.

    What comes from Pyodide's lock file, or from a site's own wheels, then needs no mirror at all.
    """

    def __init__(
        self, way: Way, tell: Callable[[Event], None], supply: Supply, *, quorum: bool = False
    ) -> None:
        super().__init__(way.provisional, tell, supply=supply, quorum=quorum)
        self._way = way
        self._settling = asyncio.Lock()

    def project_of(self, url: str) -> str | None:
        """See Delivery; micropip may have begun with the index URL from before the race."""
        return super().project_of(url) or self._way.provisional.project_of(url)

    async def page(self, project: str) -> ServedPage:
        """See Delivery; the first call finds the mirror."""
        async with self._settling:
            if self.router is self._way.provisional:
                self._use(await self._trusted(project) or await self._raced())
        return await super().page(project)

    async def _trusted(self, project: str) -> Router | None:
        """The mirror of the last time, if it has the page; whatever is wrong, the race tells."""
        mirror = self._way.trusted
        if mirror is None:
            return None
        with suppress(NoPageError):
            return self._way.trust(await self._load(Ranked(mirror), project))
        return None

    async def _raced(self) -> Router:
        if self.fatal is not None:
            raise OSError(str(self.fatal))
        try:
            return await self._way.race()
        except MirrorError as error:
            raise self._end(error) from None
        except Exception as error:
            # micropip would take it for a page that cannot be fetched.
            raise self._end(MirrorError(f"no mirror could be looked for: {error!r}")) from error

    def _use(self, router: Router) -> None:
        self.router = router
        self._supply.use(router)
