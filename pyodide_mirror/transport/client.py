"""The requests that are made to mirrors, and a client that waits for a busy one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from .base import NO_PROGRESS, Progress, TransportError
from .messages import TRY_LATER, Failure, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyodide_mirror.model import Credentials, Mirror

    from .base import Transport

_PAUSE: Final = 0.5
"""Seconds before a busy mirror is asked again, where it does not say how long."""


def request_to(
    mirror: Mirror,
    url: str,
    *,
    accept: str = "",
    part: str = "",
    credentials: Credentials | None = None,
    **options: Any,
) -> Request:
    """A request to a mirror, or for one of its files.

    ``accept``: the Accept header of a request for a page. ``part``: the Range header of one for a
    part of a file. ``credentials``: instead of the mirror's own mode. ``options``: the other fields
    of :class:`Request`.
    """
    own = {"accept": accept} if accept else {"range": part} if part else {}
    return Request(
        url=url,
        headers={**mirror.headers_for(url), **own},
        credentials=credentials or mirror.credentials_for(url),
        lean=bool(accept),
        **options,
    )


async def send(
    transport: Transport, request: Request, progress: Progress = NO_PROGRESS
) -> Response | Failure:
    """The answer to a request, or what is known of its failure."""
    try:
        return await transport.fetch(request, progress)
    except TransportError as error:
        return error.failure


class RetryingClient:
    """Makes requests through a transport, and a second time where the mirror is busy.

    ``on_retry`` is called with the URL, and the seconds until it is asked for again.
    """

    def __init__(self, transport: Transport, on_retry: Callable[[str, float], None]) -> None:
        self._transport = transport
        self._on_retry = on_retry

    async def get(self, request: Request, progress: Progress = NO_PROGRESS) -> Response | Failure:
        """One request, and a second one if the mirror is busy for no longer than a time-out."""
        response = await send(self._transport, request, progress)
        if isinstance(response, Response) and response.status in TRY_LATER:
            pause = _retry_after(response)
            if pause <= request.timeout:
                self._on_retry(request.url, pause)
                await asyncio.sleep(pause)
                return await send(self._transport, request, progress)
        return response


def _retry_after(response: Response) -> float:
    """Seconds that a busy mirror asks for (RFC 9110, 10.2.3), where it lets pages read it."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdecimal() and len(text) < 7 else _PAUSE
