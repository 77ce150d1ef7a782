"""The protocol of what makes requests, and what its implementations share."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pyodide_mirror.model import HostKind

from .messages import Failure, FailureKind, Request, Response


class TransportError(Exception):
    """A request without a usable answer; ``failure`` says what is known of it."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(kind, detail)
        self.failure = Failure(kind, detail)


class Progress(Protocol):
    """Follows a request; its methods must not raise."""

    def headers(self, status: int, length: int | None) -> None:
        """The final answer's status, and its Content-Length: a hint, as the body may be encoded."""

    def received(self, size: int) -> None:
        """``size`` more bytes of the body are here."""


class _NoProgress:
    def headers(self, status: int, length: int | None) -> None:
        """Nobody watches."""

    def received(self, size: int) -> None:
        """Nobody watches."""


NO_PROGRESS: Progress = _NoProgress()


class Transport(Protocol):
    """Makes requests under the web's rules (Fetch standard) as they bind ``page``."""

    page: PageFacts

    async def fetch(self, request: Request, progress: Progress = NO_PROGRESS) -> Response:
        """Answer with the whole body, after redirects, or raise :class:`TransportError`.

        A cancelled fetch leaves no request behind. An opaque request is answered with status 0
        and no body.
        """


def too_large(limit: int) -> TransportError:
    """The error for a body of more than ``limit`` bytes."""
    return TransportError(FailureKind.TOO_LARGE, f"more than {limit:,} bytes")


def timed_out(seconds: float, received: int | None) -> TransportError:
    """The error for an answer that is not complete in time; ``received`` counts body bytes."""
    seen = "no answer" if received is None else f"only {received:,} bytes of the answer"
    return TransportError(FailureKind.TIMEOUT, f"{seen} within {seconds:g} s")


def cut_off(received: int) -> TransportError:
    """The error for a body that ends after ``received`` bytes, too early."""
    return TransportError(FailureKind.CUT_OFF, Failure.cut_off(received).detail)


class PageFacts(NamedTuple):
    """What is known of the page (or worker) that the requests come from.

    ``origin``: serialized, ``""`` outside a browser, where no rule of the web applies.
    ``host_kind``: where the page itself comes from. ``isolated``: cross-origin isolated, so that
    its own embedder policy may block opaque requests. ``tells_policies``: the browser reports when
    the page's Content-Security-Policy stops a request. ``local_network``, ``loopback_network``:
    state of the permission, ``""`` where the browser knows none.
    """

    origin: str = ""
    host_kind: HostKind = HostKind.PUBLIC
    isolated: bool = False
    tells_policies: bool = True
    local_network: str = ""
    loopback_network: str = ""

    @property
    def https(self) -> bool:
        """Whether mixed content is an issue (Mixed Content, section 4.3)."""
        return self.origin.startswith("https:")

    def permission(self, kind: HostKind) -> str:
        """State of the permission to ask hosts of this kind: granted, prompt, denied or ``""``."""
        return self.loopback_network if kind is HostKind.LOOPBACK else self.local_network
