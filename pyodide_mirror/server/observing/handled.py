"""One request, and what is known of it once it has been answered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from starlette.types import Message, Scope

HANDLED: Final = "pyodide_mirror.handled"
"""The key of the ASGI scope for what is known of the request."""
COMPLETE: Final = "complete"
LEFT: Final = "left"
"""The client had gone before it had everything."""
BROKEN: Final = "broken"
"""The server could not complete its answer."""


class Handled:
    """One request, and how it was answered.

    ``status``: None if there was no answer. ``sent``: bytes of the body. ``seconds``: from the head
    of the request to the end of the answer. ``user``: who has shown a login that is right.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.user = ""
        self.status: int | None = None
        self.sent = 0
        self.seconds = 0.0
        self._begun = time.perf_counter()
        self._promised = 0
        self._is_complete = False
        self._has_left = False

    @property
    def end(self) -> str:
        """How it ended: COMPLETE, LEFT or BROKEN."""
        if self._is_complete:
            return COMPLETE
        return LEFT if self._has_left else BROKEN

    def note_sent(self, message: Message) -> None:
        """Note what the server took to send it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            length = Headers(raw=list(message.get("headers", ()))).get("content-length", "")
            self._promised = int(length) if length.isdecimal() and len(length) < 20 else 0
            return
        if message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        elif not self._has_left:  # extensions by which a server sends a file itself
            self.sent += message.get("count", self._promised)
        is_last = not message.get("more_body", False)
        self._is_complete = is_last and not self._has_left

    def note_left(self) -> None:
        """Note that the client has left, if it has not got everything before."""
        self._has_left = self._has_left or not self._is_complete

    def finish(self) -> None:
        """Stop the clock."""
        self.seconds = time.perf_counter() - self._begun


def note_user(scope: Scope, user: str) -> None:
    """Tell who it is that asks, once the login is known to be right."""
    handled = scope.get(HANDLED)
    if isinstance(handled, Handled):
        handled.user = user
