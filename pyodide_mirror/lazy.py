"""A delivery whose mirrors race when the first page is wanted, and not before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .client import Client
from .delivery import Delivery
from .errors import MirrorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .model import Credentials, Response
    from .report import Event
    from .router import Router
    from .standing import Standing


class LazyDelivery(Delivery):
    """Knows of its mirrors only that they are candidates, until one of them has to answer.

    What comes from Pyodide's lock file, or from a site's own wheels, then needs no mirror at all.
    ``provisional`` has the candidates unprobed; ``configure`` lets them race.
    """

    def __init__(
        self,
        provisional: Router,
        configure: Callable[[], Awaitable[Standing]],
        tell: Callable[[Event], None],
        *,
        credentials: Credentials | None = None,
    ) -> None:
        super().__init__(provisional, tell, credentials=credentials)
        self._provisional = provisional
        self._configure = configure
        self._credentials = credentials
        self._racing = asyncio.Lock()

    def project_of(self, url: str) -> str | None:
        """See Delivery; micropip may have begun with the index URL from before the race."""
        return super().project_of(url) or self._provisional.project_of(url)

    async def page(self, project: str) -> Response:
        """See Delivery; the first call lets the mirrors race."""
        async with self._racing:
            if self.router is self._provisional:
                await self._race()
        return await super().page(project)

    async def _race(self) -> None:
        if self.fatal is not None:
            raise OSError(str(self.fatal))
        try:
            self.router = (await self._configure()).router
        except MirrorError as error:
            raise self._end(error) from None
        self._client = Client(self.router, self._tell, self._credentials)
