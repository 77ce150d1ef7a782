"""The server as a program: ``pyodide-mirror serve``."""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import platformdirs
import uvicorn
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pyodide_mirror.server.build import build_app
from pyodide_mirror.server.cache import UNFINISHED, remove_orphans
from pyodide_mirror.server.observing import Observed, counted_together, forget_process
from pyodide_mirror.server.settings import make
from pyodide_mirror.server.web import CORSMiddleware, ZeroCopy

from .listening import listen
from .tls import OVERHEARD, may_be_overheard, tls_context
from .workers import Workers, check_workers

if TYPE_CHECKING:
    import argparse
    import socket
    import ssl
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

    from pyodide_mirror.server.settings import Settings

HEADERS_DUE: Final = 20.0
"""Seconds in which a client must have sent the head of its request."""
_LONGEST_HEAD: Final = 64 * 1024
MAX_CONNECTIONS: Final = 2_000
READ_WITHIN: Final = 120.0
"""Seconds in which a client must read what the server has ready for it: 256 KB at most."""
_LINGER: Final = 2.0
_TOO_LONG: Final = f"The head of the request has more than {_LONGEST_HEAD:,} bytes."
_NOTHING: Final = (
    "pyodide-mirror serve: with --offline and without a FOLDER there is nothing to serve but"
    " pyodide_mirror itself"
)
_LISTENS: Final = "Serving {}/simple/ (Ctrl-C ends it)"
_BUSY: Final = PlainTextResponse(
    "503: Too many clients; try again in a moment.\n",
    503,
    {"retry-after": "5", "cache-control": "no-store"},
)
_TIME: Final = "%Y-%m-%dT%H:%M:%S%z"
"""How the log writes it (ISO 8601)."""
GRACE: Final = 5
"""Seconds in which unfinished answers may end when the server stops."""


def run_server(given: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; the arguments are those of ``cli``. Returns the exit code."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    with counted_together(given.workers):
        return _run(given)


def _run(given: argparse.Namespace) -> int:
    try:
        settings = _checked(given)
        tls = tls_context(given.certfile, given.keyfile)
        check_workers(given.workers)
        app = build_app(settings)
        listening = listen(given.host, given.port)
    except (ValueError, OSError) as error:
        print(f"pyodide-mirror serve: {error}", file=sys.stderr)
        return 2
    if given.offline and not (given.folder or given.pyodide or given.upload):
        print(_NOTHING, file=sys.stderr)
    url = _shown(settings.public_url, listening, "http" if tls is None else "https")
    if (settings.auth or settings.token_file) and may_be_overheard(url, listening.getsockname()[0]):
        print(OVERHEARD, file=sys.stderr)
    _raise_file_limit()
    config = server_config(app, _logging(), tls)
    with listening:
        if given.workers == 1:
            _Server(config, url).run(sockets=[listening])
        else:
            _run_workers(config, url, listening, given.workers, settings)
    return 0


def _checked(given: argparse.Namespace) -> Settings:
    return make(
        given.folder,
        upstreams=[] if given.offline else given.upstream or None,
        cache=given.cache or platformdirs.user_cache_path("pyodide-mirror", appauthor=False),
        cache_size=given.cache_size,
        allow_origins=given.allow_origin or ("*",),
        # A server is known by the name that it listens on; an IPv6 address is none.
        allow_hosts=[*(given.allow_host or ()), *([] if ":" in given.host else [given.host])],
        public_url=given.public_url or "",
        timeout=given.timeout,
        cdns=[] if given.offline else given.cdn,
        pyodide=given.pyodide or (),
        auth=given.auth,
        token_file=given.token_file,
        page_ttl=given.page_ttl,
        only_local=given.only_local or (),
        allow=given.allow or (),
        deny=given.deny or (),
        rules=given.rules,
        trusted_proxies=given.trusted_proxy or (),
        access_log=given.access_log,
        metrics=given.metrics,
        upload=given.upload,
        upload_limit=given.upload_limit,
    )


def _run_workers(
    config: uvicorn.Config, url: str, listening: socket.socket, count: int, settings: Settings
) -> None:
    unfinished = (settings.cache or Path()) / UNFINISHED
    workers = Workers(
        count,
        lambda: _Server(config, "").run(sockets=[listening]),
        grace=GRACE + 1,
        sweep=lambda: remove_orphans(unfinished),
        ended=forget_process,
    )
    print(_LISTENS.format(url), flush=True)  # a connection waits until one of them takes it
    workers.run()


def server_config(
    app: ASGIApp,
    log_config: dict[str, Any] | None = None,
    tls: ssl.SSLContext | None = None,
) -> uvicorn.Config:
    """The configuration of uvicorn for the application.

    ``log_config``: None leaves Python's logging as it is. ``tls``: what :func:`tls_context`
    returned. The log of requests, and what trusted proxies say, are the application's.
    """
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        log_config=log_config,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=GRACE,
        access_log=False,
        proxy_headers=False,
    )
    if tls is not None:
        # uvicorn's own context has the ciphers of TLS 1.0, whatever the version.
        config.load()
        config.ssl = tls
    return config


class _Server(uvicorn.Server):
    """Prints its address as soon as it listens, if that is not done by others."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End normally after a signal, which uvicorn would raise once more."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._url and not self.should_exit:
            print(_LISTENS.format(self._url), flush=True)


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol with time limits, and with refusals that a web page can read.

    A client must send its request in time, and read its answer in time.
    """

    _due: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _in_head = False
    _head_size = 0
    _refused = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._zero_copy = ZeroCopy(transport, READ_WITHIN)
        self._waiting: dict[_Protocol, None] = vars(self.server_state).setdefault("waiting", {})
        """All connections that wait for a request, those first that have waited longest."""
        # Who waits must not keep out who asks.
        while len(self.connections) >= MAX_CONNECTIONS and self._waiting:
            longest = next(iter(self._waiting))
            longest._stop_waiting()  # noqa: SLF001  # it is of this class
            longest.transport.abort()
            self.connections.discard(longest)
        self._wait(HEADERS_DUE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_size = True, 0

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        # The parser keeps an unfinished head, even while another answer is being sent.
        if self._in_head and not self._refused:
            self._head_size += len(data)
            if self._head_size > _LONGEST_HEAD:
                self._refuse(431, _TOO_LONG)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > _LONGEST_HEAD:
            self._refuse(431, _TOO_LONG)
            raise ValueError(_TOO_LONG)  # ends the parser
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Called where the parser ends with an error."""
        if not self._refused:
            self._refuse(400, "This is not valid HTTP.")

    def on_response_complete(self) -> None:
        more = bool(self.pipeline)  # the next request is already here, and is answered now
        super().on_response_complete()
        if not more and not self.transport.is_closing():
            self._wait(HEADERS_DUE)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(READ_WITHIN, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_stalled()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_stalled()
        super().connection_lost(exc)
        self._zero_copy.lost()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        cors = _cors_of(self.app)
        if app is service_unavailable and cors is not None:
            app = cors.around(_BUSY)
            if isinstance(self.app, Observed):
                app = self.app.around(app)
        super()._start_asgi_task(cycle, functools.partial(_quietly, app, cycle, self._zero_copy))

    def _refuse(self, status: int, sentence: str) -> None:
        """Answer what the parser refused, and read nothing more."""
        self._refused = True
        if self.pipeline:
            self.transport.abort()
        elif self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False  # its answer is the last
        else:
            answer = _refusal(status, sentence, self.app)
            self.transport.write(answer)
            if isinstance(self.app, Observed):
                self.app.refused(self.client, status, answer.partition(b"\r\n\r\n")[2])
            # If it were closed now, with input unread, the answer might never reach the client.
            if self.transport.can_write_eof():  # TLS has no half-closed connections
                self.transport.write_eof()
            self._wait(_LINGER)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._waiting[self] = None
        self._due = self.loop.call_later(seconds, self.transport.abort)

    def _stop_waiting(self) -> None:
        self._waiting.pop(self, None)
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _stop_stalled(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


async def _quietly(
    app: Any, cycle: Any, zero_copy: ZeroCopy, scope: Scope, receive: Receive, send: Send
) -> None:
    """Run the application; an answer that it does not complete ends with its connection.

    Why that was is in the log already, or the server is stopping: uvicorn would print a traceback.
    """
    is_stopping = False
    try:
        await app(scope, receive, zero_copy.offered(scope, cycle, send))
    except asyncio.CancelledError:
        is_stopping = True
    if is_stopping or (cycle.response_started and not cycle.response_complete):
        cycle.disconnected = True
        cycle.transport.close()


def _cors_of(app: object) -> CORSMiddleware | None:
    """Our middleware, which is inside the one that writes the log."""
    if isinstance(app, Observed):
        app = app.app
    return app if isinstance(app, CORSMiddleware) else None


def _refusal(status: int, sentence: str, app: object) -> bytes:
    body = f"{status}: {sentence}\n".encode()
    headers = MutableHeaders(
        {
            "content-type": "text/plain; charset=utf-8",
            "content-length": str(len(body)),
            "cache-control": "no-store",
            "connection": "close",
        }
    )
    cors = _cors_of(app)
    if cors is not None:
        cors.add(headers, Headers())
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [name + b": " + value for name, value in headers.raw]
    return b"\r\n".join([*lines, b"", body])


def _raise_file_limit() -> None:
    """Allow more open files: each client takes a socket and often a file; 1,024 are too few."""
    try:
        import resource
    except ModuleNotFoundError:
        return  # Windows has no such limit
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * MAX_CONNECTIONS
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _shown(public_url: str, listening: socket.socket, scheme: str) -> str:
    if public_url:
        return public_url
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"{scheme}://{host}:{port}"


class _LogHandler(logging.StreamHandler[TextIO]):
    """Writes the log; when nobody reads it any more, the server goes on without it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Tell what went wrong, but not once for each request that whoever read it has left."""
        if not isinstance(sys.exc_info()[1], BrokenPipeError):
            super().handleError(record)


def _logging() -> dict[str, Any]:
    """One line per request to stdout, as the application writes it; problems to stderr."""
    logging_config: dict[str, Any] = {**uvicorn.config.LOGGING_CONFIG}
    logging_config["formatters"] = {
        name: {**formatter, "fmt": f"%(asctime)s {formatter['fmt']}", "datefmt": _TIME}
        for name, formatter in logging_config["formatters"].items()
    }
    logging_config["handlers"] = {
        name: {**handler, "class": f"{__name__}.{_LogHandler.__name__}"}
        for name, handler in logging_config["handlers"].items()
    }
    logging_config["formatters"]["plain"] = {"format": "%(message)s"}
    logging_config["handlers"]["requests"] = {
        **logging_config["handlers"]["access"],
        "formatter": "plain",
    }
    logging_config["loggers"] = {
        **logging_config["loggers"],
        "pyodide_mirror.server": {"handlers": ["default"], "level": "INFO", "propagate": False},
        "pyodide_mirror.access": {"handlers": ["requests"], "level": "INFO", "propagate": False},
        "uvicorn.error": {"level": "WARNING"},
    }
    return logging_config
