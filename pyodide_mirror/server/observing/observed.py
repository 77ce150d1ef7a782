"""ASGI middleware that sees each request and how its answer ended: for the log and the metrics.

It is the outermost layer, so that what the others answer is seen as well, and so that all of them
see the client's own address behind a trusted proxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .handled import HANDLED, Handled

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from pyodide_mirror.server.web import TrustedProxies

    from .counts import Counts


class Observed:
    """Tells of each request once it has been answered.

    ``tell``: the access log, say. It is called in the loop, and must neither block nor raise.
    """

    def __init__(
        self,
        app: ASGIApp,
        proxies: TrustedProxies,
        counts: Counts,
        tell: Callable[[Handled], None] | None = None,
    ) -> None:
        self.app = app
        self._proxies = proxies
        self._counts = counts
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope = self._proxies.seen(scope)
        handled = Handled(scope)

        async def heard() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                handled.note_left()
            return message

        async def told(message: Message) -> None:
            try:
                await send(message)
            except OSError:  # so some servers say it (ASGI 2.4)
                handled.note_left()
                raise
            handled.note_sent(message)

        self._counts.begun()
        try:
            await self.app({**scope, HANDLED: handled}, heard, told)
        finally:
            handled.finish()
            self._ended(handled)

    def refused(self, client: tuple[str, int] | None, status: int, body: bytes) -> None:
        """Tell of what the server could not read as a request, and has answered by itself."""
        unknown = {"method": "-", "path": "-", "http_version": "-", "headers": []}
        handled = Handled({"type": "http", "client": client, **unknown})
        handled.note_sent({"type": "http.response.start", "status": status})
        handled.note_sent({"type": "http.response.body", "body": body})
        self._counts.begun()
        self._ended(handled)

    def _ended(self, handled: Handled) -> None:
        self._counts.answered(handled)
        if self._tell is not None:
            self._tell(handled)

    def around(self, app: ASGIApp) -> Observed:
        """The same middleware around another application."""
        return Observed(app, self._proxies, self._counts, self._tell)
