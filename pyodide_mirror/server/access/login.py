"""Who may read and upload: ASGI middleware that asks for a login.

It is inside the CORS middleware: preflights carry no login, and a page must be able to read why it
was refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders

from pyodide_mirror.server.observing import note_user
from pyodide_mirror.server.source import UnreadableError
from pyodide_mirror.server.web import error_response

from .authorization import TOKEN_USER, Password, Token, read_authorization
from .tokens import Action, KnownToken, allowed_by, line_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .users import Users
    from .watched import WatchedFile

HAS_LOGIN: Final = "pyodide_mirror.has_login"
"""The key of the ASGI scope that says whether the request may see all that one may read."""
WHO: Final = "pyodide_mirror.who"
"""The key of the ASGI scope that says, for the log, by which login something is changed."""
_CHALLENGES: Final = (
    'Basic realm="pyodide-mirror", charset="UTF-8"',
    'Bearer realm="pyodide-mirror"',
)
_NEEDED: Final = "this server needs a login: a user and a password (Basic), or a token (Bearer)"
_WRONG: Final = "no such user with this password, or no such token, is known here"

_TOKENS_UPLOAD: Final = (
    "; a user may read only, and tokens may upload: take the user name __token__, and a token as"
    " the password"
)


class Logins:
    """The users and tokens that are known.

    Reading needs a login where there are users, or tokens that may read; once it does, it does so
    until the server ends, whatever is removed from the files.
    """

    def __init__(
        self, users: Users | None, tokens: WatchedFile[Sequence[KnownToken]] | None
    ) -> None:
        self._users = users
        self._tokens = tokens
        self._closed = users is not None
        self.needed_to_read()

    def needed_to_read(self) -> bool:
        """Whether reading needs a login, which it also does while that cannot be told."""
        if not self._closed and self._tokens is not None:
            try:
                self._closed = any(Action.READ in each.actions for each in self._tokens.value())
            except UnreadableError:
                return True
        return self._closed

    async def refusal(self, asked: Headers, action: Action) -> Response | None:
        """The answer to who may not do this; None to who may."""
        try:
            given = read_authorization(asked.getlist("authorization"))
            actions = await self._allowed(given)
        except ValueError as error:
            return _unauthorized(str(error))
        except UnreadableError as error:
            return error_response(503, str(error), {"retry-after": "5"})
        if actions is None:
            return _unauthorized(_WRONG if given else _NEEDED)
        if action in actions:
            return None
        advice = _TOKENS_UPLOAD if action is Action.UPLOAD and isinstance(given, Password) else ""
        return error_response(403, f"this login may not {action}{advice}")

    def may_be_uploaded(self) -> bool:
        """Whether there is a token that may upload; UnreadableError when that is not known."""
        tokens = () if self._tokens is None else self._tokens.value()
        return any(Action.UPLOAD in each.actions for each in tokens)

    def who(self, asked: Headers) -> str:
        """Whose login a request has that was not refused; a token's name is its line."""
        given = read_authorization(asked.getlist("authorization"))
        if isinstance(given, Password):
            return given.user
        line = None
        if given is not None and self._tokens is not None:
            line = line_of(self._tokens.value(), given.token)
        return "a token" if line is None else f"the token of line {line}"

    async def _allowed(self, given: Password | Token | None) -> frozenset[Action] | None:
        """What a login allows; None where it is not known."""
        tokens = () if self._tokens is None else self._tokens.value()
        if isinstance(given, Token):
            return allowed_by(tokens, given.token)
        # A user may read; for uploads there are tokens, one for each program that uploads.
        known = given and self._users is not None and await self._users.knows(*given)
        return frozenset({Action.READ}) if known else None


class LoginMiddleware:
    """Lets those read who may. ``is_public``: tells of a path whether everybody may read it."""

    def __init__(
        self, app: ASGIApp, logins: Logins, is_public: Callable[[str], Awaitable[bool]]
    ) -> None:
        self._app = app
        self._logins = logins
        self._is_public = is_public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "http" and scope["method"] not in {"GET", "HEAD"}:
            await self._change(scope, receive, send)
            return
        if scope["type"] != "http" or not self._logins.needed_to_read():
            await self._app(scope, receive, send)
            return

        async def send_privately(message: Message) -> None:
            if message["type"] == "http.response.start":
                _keep_from_others(MutableHeaders(scope=message))
            await send(message)

        refusal = await self._logins.refusal(Headers(scope=scope), Action.READ)
        scope = {**scope, HAS_LOGIN: refusal is None}
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if refusal is None:
            note_user(scope, _user_of(Headers(scope=scope)))
            await self._app(scope, receive, send_privately)
        elif await self._is_public(path):
            await self._app(scope, receive, send)
        else:
            await refusal(scope, receive, send_privately)

    async def _change(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Headers(scope=scope)
        # A browser that has stored a login would send it with the request of any page.
        if "origin" in asked or "sec-fetch-site" in asked:
            refusal: Response | None = error_response(403, "web pages may change nothing here")
        else:
            refusal = await self._logins.refusal(asked, Action.UPLOAD)
        if refusal is None:
            note_user(scope, _user_of(asked))
            await self._app({**scope, WHO: self._logins.who(asked)}, receive, send)
        else:
            await refusal(scope, receive, send)


def _user_of(asked: Headers) -> str:
    """How the log calls who has shown a login that is right: a user's name, or that of tokens."""
    given = read_authorization(asked.getlist("authorization"))
    return given.user if isinstance(given, Password) else TOKEN_USER


def _unauthorized(sentence: str) -> Response:
    answer = error_response(401, sentence)
    for challenge in _CHALLENGES:
        answer.headers.append("www-authenticate", challenge)
    return answer


def _keep_from_others(headers: MutableHeaders) -> None:
    """Let no cache give to others what one may read (RFC 9111, section 5.2.2.7)."""
    headers.add_vary_header("Authorization")
    told = headers.get("cache-control", "")
    if "no-store" not in told:
        kept = told.removeprefix("public").lstrip(", ")
        headers["cache-control"] = f"private, {kept}" if kept else "private"
