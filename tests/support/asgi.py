"""The server without a server: an ASGI client in the same process, and upstreams in the same loop.

async with origin(handler) as upstream:      # aiohttp's server, on a free port
    answer = await ask(app, "/simple/x/")    # of a Starlette application, say
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.wheels import Wheel, make_wheel

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
WHEEL = make_wheel("x", "1.0", requires_python=">=3.8")

ASGI = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]


@dataclass
class Answer:
    """What came; names of headers are in lower case. ``complete``: the body had its end."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


def _scope(
    target: str, headers: Mapping[str, str], method: str, root_path: str, scheme: str
) -> MutableMapping[str, Any]:
    """A request as ASGI writes it."""
    path, _, query = target.partition("?")
    sent = {"host": "mirror.localhost", **headers}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": root_path + path,
        "raw_path": (root_path + path).encode(),
        "root_path": root_path,
        "query_string": query.encode(),
        "headers": [
            (name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }


async def ask(
    app: ASGI,
    target: str,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    root_path: str = "",
    scheme: str = "http",
    into: Answer | None = None,
    leaves: bool = False,
    change: Callable[[MutableMapping[str, Any]], None] | None = None,
    body: Sequence[bytes] = (b"",),
    breaks_off: bool = False,
) -> Answer:
    """Send one request; ``target`` is a path below the root path, and a query perhaps.

    ``into``: the answer to fill, which shows what came before an error. ``leaves``: the client has
    left, which the application learns from an OSError when it sends. ``change`` changes the scope.
    ``body``: the pieces of the request's body; with ``breaks_off`` the client leaves after them.
    """
    scope = _scope(target, headers or {}, method, root_path, scheme)
    if change is not None:
        change(scope)
    answer, sent = into or Answer(), iter(body)
    count = len(body)
    pieces: list[bytes] = []

    async def receive() -> MutableMapping[str, Any]:
        nonlocal count
        piece = next(sent, None)
        if piece is None and breaks_off:
            return {"type": "http.disconnect"}
        if piece is None:
            await asyncio.Event().wait()  # the client stays until it has its answer
        count -= 1
        return {"type": "http.request", "body": piece, "more_body": count > 0 or breaks_off}

    async def send(message: MutableMapping[str, Any]) -> None:
        if leaves:
            raise OSError("the client has left")
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            for name, value in message["headers"]:
                before = answer.headers.get(name.decode())  # RFC 9110, section 5.3
                joined = f"{before}, {value.decode()}" if before else value.decode()
                answer.headers[name.decode()] = joined
        else:
            pieces.append(message.get("body", b""))
            answer.complete = not message.get("more_body", False)

    try:
        await app(scope, receive, send)
    finally:
        answer.body = b"".join(pieces)
    return answer


async def shut(app: ASGI) -> None:
    """What a server does at the end."""
    messages = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> MutableMapping[str, Any]:
        return {"type": next(messages)}

    async def send(message: MutableMapping[str, Any]) -> None:
        assert message["type"].endswith(".complete"), message

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)


def check_readable(answer: Answer) -> None:
    """What every answer must have, so that a page may read it."""
    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
    for name in ("etag", "content-length", "content-range", "accept-ranges", "last-modified"):
        assert name in exposed
    assert {"retry-after", "date"} <= set(exposed)
    assert answer.headers["timing-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-credentials" not in answer.headers
    assert "set-cookie" not in answer.headers


Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class Origin:
    """An HTTP server that runs; its log has each request as it came."""

    url: str
    requests: list[web.BaseRequest] = field(default_factory=list)
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def heard(self, count: int = 1) -> None:
        """Wait for so many requests."""
        async with asyncio.timeout(30), self._came:
            await self._came.wait_for(lambda: len(self.requests) >= count)

    async def note(self, request: web.BaseRequest) -> None:
        """Put a request into the log."""
        async with self._came:
            self.requests.append(request)
            self._came.notify_all()

    @property
    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [request.path for request in self.requests]


@asynccontextmanager
async def origin(handler: Handler) -> AsyncIterator[Origin]:
    """Serve on a free port of this machine; handlers that hang are cancelled at the end."""
    running = Origin("")

    async def logged(request: web.BaseRequest) -> web.StreamResponse:
        await running.note(request)
        return await handler(request)

    runner = web.ServerRunner(web.Server(logged, handler_cancellation=True), shutdown_timeout=0.05)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        running.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield running
    finally:
        await runner.cleanup()


# --- an index -----------------------------------------------------------------------------------


def entry(wheel: Wheel = WHEEL, /, **fields: Any) -> dict[str, Any]:
    """A file of a JSON page; None leaves a field out."""
    made: dict[str, Any] = {
        "filename": wheel.filename,
        "url": f"/files/{wheel.filename}",
        "hashes": {"sha256": wheel.sha256},
        **fields,
    }
    return {name: value for name, value in made.items() if value is not None}


def document(*files: dict[str, Any], **fields: Any) -> bytes:
    """A JSON page of the project ``x``; its only file is ``WHEEL``, unless others are given."""
    made = {"meta": {"api-version": "1.0"}, "name": "x", "files": list(files) or [entry()]}
    return json.dumps(made | fields).encode()


@dataclass
class Index:
    """An index that answers as it is told, by path: with a response, or a function's."""

    answers: dict[str, web.Response | Handler] = field(default_factory=dict)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        answer = self.answers.get(request.path)
        if answer is None:
            return web.Response(status=404)
        if isinstance(answer, web.Response):  # one can be sent only once
            return web.Response(body=answer.body, status=answer.status, headers=answer.headers)
        return await answer(request)

    def page(
        self,
        body: bytes,
        kind: str = JSON_TYPE,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """What the page of ``x`` is from now on."""
        self.answers["/simple/x/"] = web.Response(
            body=body, status=status, headers={"content-type": kind, **(headers or {})}
        )

    def file(self, name: str, body: bytes, *, parts: bool = True) -> None:
        """What a file is; ``parts``: Range requests for it are answered."""

        async def part(request: web.BaseRequest) -> web.Response:
            wanted = request.http_range
            start, stop, _ = slice(wanted.start, wanted.stop).indices(len(body))
            if wanted.start is None and wanted.stop is None:
                return web.Response(body=body)
            headers = {"content-range": f"bytes {start}-{stop - 1}/{len(body)}"}
            return web.Response(body=body[start:stop], status=206, headers=headers)

        self.answers[f"/files/{name}"] = part if parts else web.Response(body=body)
