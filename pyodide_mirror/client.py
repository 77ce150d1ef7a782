"""Requests to mirrors during an install: with what they want, and once more when they are busy."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from .model import Failure, Request, Response
from .report import Event
from .transport import NO_PROGRESS, Progress, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .model import Credentials, File, Mirror
    from .router import Router

_BUSY: Final = frozenset({429, 503})
_PAUSE: Final = 0.5
"""Seconds before a busy mirror is asked again, where it does not say how long."""


class Client:
    """Asks mirrors. ``credentials`` is the install's own mode, instead of the mirrors'."""

    def __init__(
        self, router: Router, tell: Callable[[Event], None], credentials: Credentials | None
    ) -> None:
        self._router = router
        self._tell = tell
        self._credentials = credentials

    async def get(
        self,
        mirror: Mirror,
        url: str,
        max_bytes: int,
        *,
        accept: str = "",
        stall: bool = False,
        progress: Progress = NO_PROGRESS,
    ) -> Response | Failure:
        """One request, and a second one after a pause if the mirror is busy.

        ``accept``: the Accept header of a request for a page. ``stall``: it is for a file.
        """
        headers = {**mirror.headers_for(url), **({"accept": accept} if accept else {})}
        request = Request(
            url=url,
            timeout=self._router.timeout,
            stall=stall,
            lean=bool(accept),
            digest=stall,
            max_bytes=max_bytes,
            headers=headers,
            credentials=self._credentials or mirror.credentials_for(url),
        )
        response = await self._once_more(request, progress)
        if isinstance(response, Response) and response.status in _BUSY:
            pause = _retry_after(response)
            if pause <= self._router.timeout:
                text = f"{mirror.name} is busy; again in {pause:g} s"
                self._tell(Event("retry", text, mirror.index_url, url.partition("?")[0]))
                await asyncio.sleep(pause)
                response = await self._once_more(request, progress)
        return response

    async def _once_more(self, request: Request, progress: Progress) -> Response | Failure:
        try:
            return await self._router.transport.fetch(request, progress)
        except TransportError as error:
            return error.failure


class FileProgress:
    """Tells of the bytes of a file as they come."""

    def __init__(self, tell: Callable[[Event], None], mirror: Mirror, file: File) -> None:
        self._tell = tell
        self._mirror = mirror
        self._file = file
        self._url = file.url.partition("?")[0]
        self._size = 0

    def headers(self, status: int, length: int | None) -> None:
        """The page knows the size better than the headers."""

    def received(self, size: int) -> None:
        """Tell of these bytes."""
        self._size += size
        file = self._file
        text = f"{file.filename}: {self._size:,} bytes so far"
        self._tell(
            Event("progress", text, self._mirror.index_url, self._url, self._size, file.size)
        )


def _retry_after(response: Response) -> float:
    """Seconds that a busy mirror asks for (RFC 9110, 10.2.3), where it lets pages read it."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdecimal() and len(text) < 7 else _PAUSE
