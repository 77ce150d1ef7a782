"""The Fetch standard's rules for a GET request that a page makes, without any I/O.

Section numbers are those of the Fetch standard (fetch.spec.whatwg.org). Left out is what a single
request cannot meet: the preflight cache, cookies, HSTS.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from pyodide_mirror.model import (
    HostKind,
    hide_user_info,
    host_kind,
    is_http_token,
    origin,
    split_http_url,
)

from .base import PageFacts, TransportError
from .messages import FailureKind, Request

_MAX_REDIRECTS: Final = 20
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})  # 2.2.3, "redirect status"
_ALLOW_ORIGIN: Final = "Access-Control-Allow-Origin"
_NON_WILDCARD: Final = "authorization"  # 2.2.2, "CORS non-wildcard request-header name"
# 2.2.2, "CORS-unsafe request-header byte" and the rules of "CORS-safelisted request-header".
_SAFE: Final = {
    "accept": re.compile(r"[^\x00-\x08\x0a-\x1f\"():<>?@\[\\\]{}\x7f]*"),
    "accept-language": re.compile(r"[0-9A-Za-z *,.;=-]*"),
    "content-language": re.compile(r"[0-9A-Za-z *,.;=-]*"),
    "range": re.compile(r"bytes=\d+-\d*"),
}
_FORBIDDEN: Final = re.compile(  # 2.2.2, "forbidden request-header"
    r"(proxy-|sec-).*|accept-(charset|encoding)|access-control-request-.*|connection|cookie2?"
    r"|content-length|date|dnt|expect|host|keep-alive|origin|referer|set-cookie|te|trailer"
    r"|transfer-encoding|upgrade|via"
)
_READABLE: Final = frozenset(  # 2.2.2, "CORS-safelisted response-header name"
    {
        *("cache-control", "content-language", "content-length", "content-type", "expires"),
        *("last-modified", "pragma"),
    }
)
_NEVER_READABLE: Final = frozenset({"set-cookie", "set-cookie2"})
_BAD_PORTS: Final = frozenset(  # 2.9, "port blocking"
    {
        *(1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101),
        *(102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389),
        *(427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636),
        *(989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566),
        *(6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080),
    }
)


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """Status and headers of an answer; the names are lower-case, in order of arrival."""

    status: int
    headers: tuple[tuple[str, str], ...]

    @property
    def ok(self) -> bool:
        """Whether the status is a success (2.2.3, "ok status")."""
        return 200 <= self.status <= 299

    def get_all(self, name: str) -> list[str]:
        """All values of a header, line by line."""
        return [value for key, value in self.headers if key == name.lower()]

    def combined(self) -> dict[str, str]:
        """Each header's values, joined as 2.2.2 ("get") has it."""
        names = dict.fromkeys(name for name, _ in self.headers)
        return {name: ", ".join(self.get_all(name)) for name in names}

    def tokens(self, name: str) -> set[str] | None:
        """The lower-case names that a header lists, or None if it is not a list of names."""
        items = [item.strip(" \t") for item in ",".join(self.get_all(name)).split(",")]
        found = {item.lower() for item in items if item}
        return found if all(map(is_http_token, found)) else None


class FetchPolicy:
    """What one request sends at each hop of its redirects, and what of the answers may be read.

    Methods raise :class:`TransportError` where the standard says "network error", with the fact.
    """

    def __init__(self, request: Request, page: PageFacts) -> None:
        self.page = page
        self.opaque = request.opaque
        self.include = request.credentials == "include"
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.headers = {
            name: value
            for name, value in headers.items()
            if not _FORBIDDEN.fullmatch(name) and (not self.opaque or _is_safe(name, value))
        }
        self._cross_origin = False  # the response tainting is "cors"
        self._tainted = False  # the redirect-taint is not "same-origin"
        self._redirects = 0
        self.url = ""
        self._enter(request.url, "the address")

    @property
    def request_origin(self) -> str:
        """The serialized request origin (2.2.5)."""
        return "null" if self._tainted else self.page.origin

    def request_headers(self) -> dict[str, str]:
        """What goes out with the GET request itself."""
        headers = {"accept": "*/*", **self.headers}
        if self._cross_origin:
            headers["origin"] = self.request_origin
        return headers

    def preflight_headers(self) -> dict[str, str] | None:
        """What goes out with the preflight, or None where there must be none (4.8)."""
        names = self._unsafe_names()
        if not names:
            return None
        return {
            "accept": "*/*",
            "access-control-request-method": "GET",
            "access-control-request-headers": ",".join(names),
            "origin": self.request_origin,
        }

    def check_preflight(self, head: ResponseHead) -> None:
        """Fail unless the answer allows the request (4.8, from step 7)."""
        answer = f"the preflight's answer{self._of_url()} (HTTP {head.status})"
        self._check_cors(head, answer)
        if not head.ok:
            raise _cors(f"{answer} has no success status")
        allowed = head.tokens("access-control-allow-headers")
        if allowed is None or head.tokens("access-control-allow-methods") is None:
            raise _cors(f"{answer} has an Access-Control-Allow header that is not a list of names")
        # `*` is a wildcard without credentials only, and never covers Authorization.
        wild = "*" in allowed and not self.include
        for name in self._unsafe_names():
            if name not in allowed and (name == _NON_WILDCARD or not wild):
                raise _cors(f"{answer} does not allow the header {name!r}")

    def check(self, head: ResponseHead) -> None:
        """Fail unless the page may read the answer, or follow the redirect (4.4 and 4.10)."""
        if not self._cross_origin:
            return
        where = f"the answer{self._of_url()}"
        if head.status in _REDIRECTS:
            where = f"the redirect{self._of_url()} to {_shown(head.get_all('location'))}"
        elif not head.ok:
            where += f" (HTTP {head.status})"
        self._check_cors(head, where)

    def redirect(self, head: ResponseHead) -> bool:
        """Follow the answer, if it is a redirect, and say whether it was one (4.5)."""
        locations = head.get_all("location")
        if head.status not in _REDIRECTS or not locations:
            return False
        shown = _shown(locations)
        if len(set(locations)) > 1:
            raise _network(f"redirects to several places: {shown}")
        if self._redirects == _MAX_REDIRECTS:
            raise _network(f"more than {_MAX_REDIRECTS} redirects; the last to {shown}")
        self._redirects += 1
        before = self.url
        self._enter(_resolve(locations[0], before), f"the redirect to {shown}")
        if origin(before) != origin(self.url):
            self.headers.pop(_NON_WILDCARD, None)
            self._tainted |= bool(self.page.origin) and self.page.origin != origin(before)
        return True

    def readable(self, head: ResponseHead) -> dict[str, str]:
        """The headers that the page may read (2.2.6, "CORS filtered response")."""
        headers = head.combined()
        if not self.page.origin:
            return headers
        names = set(headers)
        if self._cross_origin:
            exposed = head.tokens("access-control-expose-headers") or set()
            if self.include or "*" not in exposed:
                names &= exposed | _READABLE
        return {name: headers[name] for name in headers if name in names - _NEVER_READABLE}

    def _enter(self, url: str, what: str) -> None:
        """Check the next URL, and make it the current one (4.1 and 4.5)."""
        address = _without_user_info(url)
        try:
            parts = split_http_url(address)
        except ValueError as error:
            raise _network(f"{what} cannot be fetched: {error}") from None
        here = origin(parts)
        away = bool(self.page.origin) and self.page.origin != here
        if address != url and (not self.url or (not self.opaque and (away or self._cross_origin))):
            raise _network(f"{what} contains a user name or password")
        self._refuse(address, what)
        self._cross_origin |= away and not self.opaque
        query = f"?{parts.query}" if parts.query else ""
        self.url = f"{here}{parts.path or '/'}{query}"

    def _refuse(self, url: str, what: str) -> None:
        kind, port = host_kind(url), urlsplit(url).port
        permitted = kind is HostKind.LOOPBACK or self.page.permission(kind) == "granted"
        if self.page.origin and port in _BAD_PORTS:
            raise _network(f"{what} has port {port}, which browsers block")
        # Mixed Content, 4.4; Local Network Access exempts private hosts, with its permission.
        mixed = self.page.https and url.startswith("http:")
        if mixed and (kind is HostKind.PUBLIC or not permitted):
            raise _network(f"{what} is http, which the https page {self.page.origin} blocks")
        # Local Network Access; here also so that no mirror sends us into the user's own network.
        inwards = (
            self.url and kind is not HostKind.PUBLIC and host_kind(self.url) is HostKind.PUBLIC
        )
        if inwards and self.page.permission(kind) != "granted":
            raise _network(f"{what} leads from a public to a {kind} address")

    def _check_cors(self, head: ResponseHead, where: str) -> None:
        """The CORS check (4.10); ``where`` says what was received."""
        allowed, wanted = head.get_all(_ALLOW_ORIGIN), self.request_origin
        # 4.5 leaves no other origin to a request that was redirected across origins.
        why = " (the request's Origin is 'null' after these redirects)" if self._tainted else ""
        if not allowed:
            raise _cors(f"{where} has no {_ALLOW_ORIGIN}{why}")
        if len(allowed) > 1:
            shown = " and ".join(map(repr, allowed))
            raise _cors(f"{where} has {_ALLOW_ORIGIN} more than once: {shown}")
        if allowed == ["*"] and not self.include:
            return
        if allowed != [wanted]:
            expected = repr(wanted) if self.include else f"'*' or {wanted!r}"
            raise _cors(f"{where} has {_ALLOW_ORIGIN} {allowed[0]!r}, not {expected}{why}")
        if self.include and head.get_all("access-control-allow-credentials") != ["true"]:
            raise _cors(f"{where} has no 'Access-Control-Allow-Credentials: true'")

    def _unsafe_names(self) -> list[str]:
        """Headers that must be allowed by a preflight, sorted (2.2.2)."""
        if not self._cross_origin:
            return []
        safe = {name: len(value) for name, value in self.headers.items() if _is_safe(name, value)}
        too_much = sum(safe.values()) > 1024  # safelistValueSize
        return sorted(name for name in self.headers if too_much or name not in safe)

    def _of_url(self) -> str:
        return f" of {hide_user_info(self.url)}" if self._redirects else ""


def _is_safe(name: str, value: str) -> bool:
    """CORS-safelisted request-header (2.2.2)."""
    pattern = _SAFE.get(name)
    return pattern is not None and len(value) <= 128 and bool(pattern.fullmatch(value))


def _resolve(location: str, base: str) -> str:
    """The URL that a Location header means, read as the URL Standard reads it.

    ``location`` has one character per byte, as it came; bytes beyond ASCII are percent-encoded.
    """
    text = re.sub(r"[\t\r\n]", "", location.strip("".join(map(chr, range(0x21)))))
    head, mark, tail = re.split(r"([?#]|$)", text, maxsplit=1)
    text = head.replace("\\", "/") + mark + tail
    text = quote(text.encode("latin-1"), safe="%/:=&?~#+!$,;'@()*[]")
    with suppress(ValueError):  # what cannot be parsed is refused a moment later
        text = urljoin(base, text)
    return text.partition("#")[0]


def _without_user_info(url: str) -> str:
    return re.sub(r"(?<=://)[^/?#]*@", "", url, count=1)


def _shown(values: list[str]) -> str:
    return " and ".join(hide_user_info(value) for value in values) or "nowhere"


def _network(detail: str) -> TransportError:
    return TransportError(FailureKind.UNREACHABLE, detail)


def _cors(detail: str) -> TransportError:
    return TransportError(FailureKind.CORS, detail)
