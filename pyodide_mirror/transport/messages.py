"""A request and its answer, or how it failed."""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyodide_mirror.model import Credentials
    from pyodide_mirror.storage import Content

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class Request(NamedTuple):
    """A GET request.

    ``opaque``: the Fetch standard's ``no-cors`` mode; the answer only proves that there is one.
    ``timeout``: seconds for headers and body together; with ``stall`` for the first byte, and then
    from each byte to the next. ``max_bytes``: the largest body accepted. ``lean``: it is a project
    page, of which only what micropip can use is wanted, if leaving out the rest is cheap.
    ``digest``: the body's SHA-256 is wanted, if the browser computes it faster than Python.
    ``hold``: the body goes back to the browser, and may stay there.
    """

    url: str
    timeout: float
    max_bytes: int
    headers: Mapping[str, str] = _NO_HEADERS
    credentials: Credentials = "omit"
    opaque: bool = False
    stall: bool = False
    lean: bool = False
    digest: bool = False
    hold: bool = False


class Response(NamedTuple):
    """An answer with its whole body.

    ``url`` is the final one; header names are lower-case. ``digest``: the body's SHA-256, or
    ``""``. ``checked``: it is a lean page of which each entry is as it must be. ``held``: what is
    there in place of ``body`` where that has stayed in the browser; ``content`` has either.
    """

    url: str
    status: int
    headers: Mapping[str, str] = _NO_HEADERS
    body: bytes = b""
    digest: str = ""
    checked: bool = False
    held: Content | None = None

    @property
    def content(self) -> Content:
        """The body, wherever it is."""
        return self.body if self.held is None else self.held

    @property
    def sha256(self) -> str:
        """The body's SHA-256."""
        return self.digest or sha256(bytes(self.content)).hexdigest()

    @property
    def ok(self) -> bool:
        """Whether the status is a success (Fetch standard: ok status)."""
        return 200 <= self.status <= 299

    @property
    def is_short(self) -> bool:
        """Whether less came than Content-Length says.

        A hint, for where something else is wrong: of a body with a Content-Encoding, which pages
        cannot see, it may be so, too. WebKit reports a cut-off body in no other way.
        """
        length = self.headers.get("content-length", "")
        return length.isdecimal() and len(self.content) < int(length)


class FailureKind(StrEnum):
    """How a request failed, as far as the client knows."""

    NETWORK = "network"
    """No readable answer; a browser does not say why (Fetch standard: network error)."""
    UNREACHABLE = "unreachable"
    """No answer, and the detail says why, as only the transport for CPython can."""
    CORS = "cors"
    """Answered, but not readable; also of CPython's transport only."""
    TIMEOUT = "timeout"
    CSP = "csp"
    OFFLINE = "offline"
    CUT_OFF = "cut-off"
    TOO_LARGE = "too-large"


class Failure(NamedTuple):
    """A request without a usable answer; ``detail`` is the fact, in a clause."""

    kind: FailureKind
    detail: str

    @classmethod
    def cut_off(cls, received: int) -> Failure:
        """A body that ended too early, after ``received`` bytes."""
        return cls(FailureKind.CUT_OFF, f"the answer was cut off after {received:,} bytes")


TRY_LATER: Final = frozenset({429, 503})
"""Statuses that ask to come again later (RFC 6585, section 4; RFC 9110, section 15.6.4)."""
TRANSIENT: Final = TRY_LATER | {500, 502, 504}
"""Statuses that may be gone a moment later: a server often has one upstream, and so asks again.

A page that has another mirror goes there at once, and only waits for those that ask it to.
"""
