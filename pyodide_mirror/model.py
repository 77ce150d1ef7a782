"""Frozen values that travel between the rooms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, get_args
from urllib.parse import urlsplit

from .urls import HostKind, check_index_url, hide_user_info, origin

if TYPE_CHECKING:
    from .errors import Reason, Support

Credentials = Literal["omit", "same-origin", "include"]
"""The Fetch standard's credentials modes."""

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_FIELD_VALUE = re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Mirror:
    """A package index that may be used.

    ``index_url``: PEP 503's base URL, http or https, without query, fragment or credentials; kept
    without trailing slash. ``name``: for people; the host when empty. ``region``: where it stands.
    ``private``: its failure must never lead to another mirror. ``projects``: :mod:`fnmatch`
    patterns of normalized names that this index alone may answer. ``headers``: sent with each
    request to the index's own origin (they cost a CORS preflight); never shown or stored.
    ``credentials``: the Fetch standard's mode for cookies. ``note``: what is known of it.

    Raises TypeError or ValueError, which name the argument.
    """

    index_url: str
    name: str = field(default="", kw_only=True)
    region: str = field(default="", kw_only=True)
    private: bool = field(default=False, kw_only=True)
    projects: tuple[str, ...] = field(default=(), kw_only=True)
    headers: Mapping[str, str] | None = field(default=None, kw_only=True, repr=False, hash=False)
    credentials: Credentials = field(default="omit", kw_only=True, repr=False)
    note: str = field(default="", kw_only=True, repr=False)
    problem: str = field(default="", init=False, repr=False)
    """What is wrong with the URL of a mirror that came from the environment or the store."""

    def __post_init__(self) -> None:
        for name in ("index_url", "name", "region", "note"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(
                    f"{name} must be a string, not {type(getattr(self, name)).__name__}"
                )
        if not isinstance(self.private, bool):
            raise TypeError("private must be True or False")
        self._set("index_url", check_index_url(self.index_url))
        self._set("name", self.name or urlsplit(self.index_url).netloc)
        self._set("projects", _checked_projects(self.projects))
        self._set("headers", _checked_headers(self.headers))
        if self.credentials not in get_args(Credentials):
            raise ValueError(f"credentials must be one of {get_args(Credentials)}")

    @classmethod
    def from_untrusted(cls, text: str) -> Mirror:
        """A mirror of a URL that nobody typed here; a bad one is kept, with its ``problem``."""
        try:
            return cls(text)
        except ValueError as error:
            bad = cls("https://bad-url.invalid", name=hide_user_info(text))
            bad._set("index_url", hide_user_info(text))
            bad._set("problem", str(error))
            return bad

    @property
    def is_exclusive(self) -> bool:
        """Whether nobody else may answer where this mirror fails."""
        return self.private or bool(self.projects)

    def names(self, project: str) -> bool:
        """Whether a project, by its normalized name, is one of this mirror's own."""
        return any(fnmatchcase(project, pattern) for pattern in self.projects)

    def project_url(self, project: str) -> str:
        """URL of a project's page (PEP 503: normalized name, ends in a slash)."""
        return f"{self.index_url}/{project}/"

    def headers_for(self, url: str) -> Mapping[str, str]:
        """The mirror's own headers, for URLs of its origin only: they may hold a password."""
        same = self.headers is not None and origin(url) == origin(self.index_url)
        return self.headers if same and self.headers is not None else NO_HEADERS

    def credentials_for(self, url: str) -> Credentials:
        """The credentials mode for a URL; cookies go to the mirror's own origin only."""
        return self.credentials if origin(url) == origin(self.index_url) else "omit"

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


def _checked_projects(projects: object) -> tuple[str, ...]:
    if isinstance(projects, str) or not hasattr(projects, "__iter__"):
        raise TypeError("projects must be a sequence of patterns, like ('acme-*',)")
    patterns = tuple(projects)
    if not all(isinstance(pattern, str) and pattern for pattern in patterns):
        raise TypeError("projects must hold non-empty strings")
    return tuple(re.sub(r"[-_.]+", "-", pattern).lower() for pattern in patterns)


def _checked_headers(headers: object) -> Mapping[str, str] | None:
    if headers is None:
        return None
    if not isinstance(headers, Mapping):
        raise TypeError("headers must be a mapping of names to values, or None")
    for name, value in headers.items():
        # The value is not repeated: it may be a password.
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ValueError(f"headers: {name!r} is not a header name (RFC 9110)")
        if not isinstance(value, str) or not _FIELD_VALUE.fullmatch(value):
            raise ValueError(f"headers: the value of {name!r} is not a printable ASCII string")
    return MappingProxyType(dict(headers))


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What is known of the page (or worker) that the requests come from.

    ``origin``: its serialized origin, ``""`` outside a browser, where no rule of the web applies.
    ``host_kind``: where the page itself comes from. ``isolated``: it is cross-origin isolated, so
    that opaque requests may be blocked by its own embedder policy. ``tells_policies``: the browser
    says so when the page's Content-Security-Policy stops a request. ``local_network`` and
    ``loopback_network``: the state of the permission, ``""`` where the browser knows none.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A GET request.

    ``opaque``: the Fetch standard's ``no-cors`` mode; the answer only proves that there is one.
    ``timeout``: seconds for headers and body together; with ``stall`` for the first byte, and then
    from each byte to the next. ``max_bytes``: the largest body accepted.
    ``lean``: it is a project page, of which only what micropip can use is wanted, where leaving
    out the rest is cheap. ``digest``: the body's SHA-256 is wanted, where the browser has it for
    less than Python.
    """

    url: str
    timeout: float
    max_bytes: int
    headers: Mapping[str, str] = field(default_factory=dict)
    credentials: Credentials = "omit"
    opaque: bool = False
    stall: bool = False
    lean: bool = False
    digest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer with its whole body. ``url`` is the final one; header names are lower-case."""

    url: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    digest: str = ""
    """The body's SHA-256, if it was asked for and had for less."""
    checked: bool = False
    """It is a lean page of which each entry is as it must be."""

    @property
    def sha256(self) -> str:
        """The body's SHA-256."""
        return self.digest or sha256(self.body).hexdigest()

    @property
    def ok(self) -> bool:
        """Whether the status is a success (Fetch standard: ok status)."""
        return 200 <= self.status <= 299

    @property
    def is_short(self) -> bool:
        """Whether less came than Content-Length says.

        Only a hint where something else is wrong: with a Content-Encoding, which pages cannot
        see, it may be so of a complete body. WebKit reports a cut-off body in no other way.
        """
        length = self.headers.get("content-length", "")
        return length.isdecimal() and len(self.body) < int(length)


class FailureKind(StrEnum):
    """How a request failed, as far as the client can tell."""

    NETWORK = "network"
    """No readable answer; a browser does not say why (Fetch standard: network error)."""
    UNREACHABLE = "unreachable"
    """No answer, and the detail says why. Only our CPython transport knows."""
    CORS = "cors"
    """Answered, but not readable, and the detail says why. Only our CPython transport knows."""
    TIMEOUT = "timeout"
    CSP = "csp"
    OFFLINE = "offline"
    CUT_OFF = "cut-off"
    TOO_LARGE = "too-large"


@dataclass(frozen=True, slots=True)
class Failure:
    """A request without a usable answer; ``detail`` is the fact, in a clause."""

    kind: FailureKind
    detail: str

    @classmethod
    def cut_off(cls, received: int) -> Failure:
        """A body that ended too early, after ``received`` bytes."""
        return cls(FailureKind.CUT_OFF, f"the answer was cut off after {received:,} bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a project page; the fields are those of PEP 691, 700 and 714.

    ``url`` is absolute. ``metadata``: None when no core metadata is promised, else its digests
    (empty when promised without any).
    """

    filename: str
    url: str
    hashes: Mapping[str, str]
    requires_python: str = ""
    metadata: Mapping[str, str] | None = None
    yanked: str | bool = False
    size: int | None = None
    upload_time: str = ""

    @property
    def sha256(self) -> str:
        """The SHA-256 that the page gives, or an empty string."""
        return self.hashes.get("sha256", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPage:
    """A project page as the protocol means it, whatever it looked like.

    ``name`` is normalized. ``repairs``: what had to be changed. ``unusable``: files of the page
    that had to be left out, as ``filename: why``.
    """

    name: str
    files: tuple[File, ...]
    versions: tuple[str, ...] = ()
    repairs: tuple[Reason, ...] = ()
    unusable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was seen of a mirror: the reason it bears on, and the fact in a clause."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The verdict on a mirror.

    ``reason``: the one that decides. ``repairs``: all that is repaired when it is used.
    ``elapsed_ms``: milliseconds from the first request to the verdict. ``detail``: what was seen.
    ``hint``: what to do about it.
    """

    mirror: Mirror
    reason: Reason
    repairs: tuple[Reason, ...] = ()
    elapsed_ms: float = 0.0
    detail: str = ""
    hint: str = ""

    @property
    def support(self) -> Support:
        """How far the mirror can be used."""
        return self.reason.support

    @property
    def verdict(self) -> str:
        """The verdict as it is shown: all that is repaired, or the reason."""
        return " + ".join(self.repairs or (self.reason,))
