"""ASGI middleware that decides which web pages may read the answers, whatever their status.

It is the outermost layer because errors need it too: an answer without CORS headers is a network
error to a browser, and its reason is lost (Fetch standard, section 4.9, "CORS check").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .hosts import AllowedHosts

_METHODS: Final = "GET, HEAD, OPTIONS"
_EXPOSED: Final = (
    "Accept-Ranges, Content-Length, Content-Range, Date, ETag, Last-Modified, Retry-After,"
    " Server-Timing, Content-Encoding, WWW-Authenticate"
)
_USUAL_HEADERS: Final = "Accept, Authorization, Cache-Control, If-None-Match, If-Range, Range"
_HEADER_NAMES: Final = re.compile(r"[A-Za-z0-9-]{1,64}(\s*,\s*[A-Za-z0-9-]{1,64}){0,50}")
_A_DAY: Final = "86400"
UPLOAD_PATHS: Final = ("/legacy/", "/legacy", "/", "/simple/", "/simple")
"""The first is documented; the others are what people give their clients for an index."""
_READ_ONLY: Final = (
    "only GET, HEAD and OPTIONS are answered here; there are no uploads: copy files into the folder"
    " that is served, or start the server with --upload"
)
_UPLOAD_ELSEWHERE: Final = (
    "files are uploaded by POST to /legacy/, and nothing else is changed here"
)
_FORGETTING: Final = (
    "a project's page is forgotten by DELETE, with a token that may upload; so the server must have"
    " been started with --token-file"
)


class CORSMiddleware:
    """Adds CORS headers; answers preflights, and what is not allowed: methods and hosts.

    ``allow_origins``: origins that may read, or ``("*",)`` for all. ``hosts``: the names that are
    answered to. ``has_logins``: pages of origins that are named may also use the login that the
    browser itself has stored (``credentials: "include"``). ``takes_uploads``: the application has
    the :data:`UPLOAD_PATHS`.
    """

    def __init__(
        self,
        app: ASGIApp,
        allow_origins: Sequence[str],
        hosts: AllowedHosts,
        *,
        has_logins: bool = False,
        takes_uploads: bool = False,
    ) -> None:
        self._app = app
        self._has_logins = has_logins
        self._takes_uploads = takes_uploads
        self._all = "*" in allow_origins
        self._origins = frozenset(allow_origins)
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)

        async def send_readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                self.add(headers, asked)
                if message["status"] >= 400:
                    headers.setdefault("cache-control", "no-store")
            elif message["type"] == "http.response.body" and scope["method"] == "HEAD":
                # not every server removes it
                message = {**message, "body": b""}
            await send(message)

        await self._answer(scope, asked)(scope, receive, send_readable)

    def _answer(self, scope: Scope, asked: Headers) -> ASGIApp:
        refusal = self._hosts.refusal(asked, scope["http_version"])
        if refusal is not None:
            return error_response(*refusal)
        if scope["method"] == "OPTIONS":
            return self._preflight(scope, asked)
        allowed = self._methods(scope)
        # The application itself says how files are uploaded, to who looks.
        of_app = scope["method"] in {"GET", "HEAD"} and not _is_of_cache(scope)
        if scope["method"] in allowed.split(", ") or of_app:
            return self._app
        return error_response(405, self._refused_method(scope), {"allow": allowed})

    def _methods(self, scope: Scope) -> str:
        """The methods of a path; who it is that asks for a change, the application looks."""
        if _is_of_cache(scope):
            return "DELETE, OPTIONS" if self._has_logins else "OPTIONS"
        if not (self._takes_uploads and _path(scope) in UPLOAD_PATHS):
            return _METHODS
        return "OPTIONS, POST" if "legacy" in _path(scope) else f"{_METHODS}, POST"

    def _refused_method(self, scope: Scope) -> str:
        if _is_of_cache(scope):
            return _FORGETTING
        return _UPLOAD_ELSEWHERE if self._takes_uploads else _READ_ONLY

    def around(self, app: ASGIApp) -> CORSMiddleware:
        """The same middleware around another application."""
        origins = ("*",) if self._all else tuple(self._origins)
        return CORSMiddleware(
            app,
            origins,
            self._hosts,
            has_logins=self._has_logins,
            takes_uploads=self._takes_uploads,
        )

    def _may_read(self, asked: Headers) -> bool:
        return self._all or asked.get("origin", "") in self._origins

    def add(self, headers: MutableHeaders, asked: Headers) -> None:
        """Add the CORS headers to an answer's headers; ``asked``: those of the request."""
        headers["access-control-expose-headers"] = _EXPOSED
        headers["cross-origin-resource-policy"] = "cross-origin"
        headers["x-content-type-options"] = "nosniff"
        if self._all:
            headers["access-control-allow-origin"] = "*"
            headers["timing-allow-origin"] = "*"
            return
        headers.add_vary_header("Origin")
        if self._may_read(asked):
            headers["access-control-allow-origin"] = asked["origin"]
            headers["timing-allow-origin"] = asked["origin"]
            if self._has_logins:
                headers["access-control-allow-credentials"] = "true"

    def _preflight(self, scope: Scope, asked: Headers) -> Response:
        """Allow the headers that are asked for (Fetch standard, section 4.8).

        Pages may not upload, whatever their origin.
        """
        headers = {"allow": self._methods(scope), "access-control-max-age": _A_DAY}
        if self._may_read(asked):
            headers["access-control-allow-methods"] = _METHODS
            # A star does not cover Authorization.
            wanted = asked.get("access-control-request-headers", "")
            names = wanted if _HEADER_NAMES.fullmatch(wanted) else _USUAL_HEADERS
            headers["access-control-allow-headers"] = names
        # It opens this network to a page from outside, even to one that may read nothing.
        is_private = asked.get("access-control-request-private-network") == "true"
        if is_private and self._may_read(asked):
            headers["access-control-allow-private-network"] = "true"
        headers["vary"] = "Access-Control-Request-Headers, Access-Control-Request-Private-Network"
        return Response(status_code=204, headers=headers)


def _path(scope: Scope) -> str:
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path


def _is_of_cache(scope: Scope) -> bool:
    return _path(scope).startswith("/cache/")


def error_response(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer for an error: a sentence, which no cache keeps."""
    line = f"{status}: {text[:1].upper()}{text[1:]}.\n"
    return PlainTextResponse(line, status, {**(headers or {}), "cache-control": "no-store"})
