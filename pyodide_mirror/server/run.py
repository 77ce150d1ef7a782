"""The server as a program: ``pyodide-mirror serve``."""

from __future__ import annotations

import logging
import socket
import sys
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import platformdirs
import uvicorn
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .build import build_app
from .cors import CORSMiddleware
from .settings import make

if TYPE_CHECKING:
    import argparse
    import asyncio
    from collections.abc import Iterator

    from starlette.types import ASGIApp

HEADERS_DUE: Final = 20.0
"""Seconds in which a client must have sent the head of its request."""
_LONGEST_HEAD: Final = 64 * 1024
MAX_CONNECTIONS: Final = 2_000
READ_WITHIN: Final = 120.0
"""Seconds in which a client must read what the server has ready for it: 256 KB at most."""
_LINGER: Final = 2.0
_TOO_LONG: Final = f"The head of the request has more than {_LONGEST_HEAD:,} bytes."
_BUSY: Final = PlainTextResponse(
    "503: Too many clients; try again in a moment.\n",
    503,
    {"retry-after": "5", "cache-control": "no-store"},
)
GRACE: Final = 5
"""Seconds in which unfinished answers may end when the server stops."""


def run_server(given: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; the arguments are those of ``cli``. Returns the exit code."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    try:
        settings = make(
            given.folder,
            upstreams=[] if given.offline else given.upstream or None,
            cache=given.cache or platformdirs.user_cache_path("pyodide-mirror", appauthor=False),
            cache_size=given.cache_size,
            allow_origins=given.allow_origin or ("*",),
            # A server is known by the name that it listens on; an IPv6 address is none.
            allow_hosts=[*(given.allow_host or ()), *([] if ":" in given.host else [given.host])],
            public_url=given.public_url or "",
            timeout=given.timeout,
        )
        app = build_app(settings)
        listening = listen(given.host, given.port)
    except (ValueError, OSError) as error:
        print(f"pyodide-mirror serve: {error}", file=sys.stderr)
        return 2
    _raise_file_limit()
    config = server_config(app, _logging())
    with listening:
        _Server(config, _shown(settings.public_url, listening)).run(sockets=[listening])
    return 0


def server_config(app: ASGIApp, log_config: dict[str, Any] | None = None) -> uvicorn.Config:
    """The configuration of uvicorn for the application; None leaves Python's logging as it is."""
    return uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        log_config=log_config,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=GRACE,
        proxy_headers=False,
    )


class _Server(uvicorn.Server):
    """Prints its address as soon as it listens."""

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
        if not self.should_exit:
            print(f"Serving {self._url}/simple/ (Ctrl-C ends it)", flush=True)


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

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if app is service_unavailable and isinstance(self.app, CORSMiddleware):
            app = self.app.around(_BUSY)
        super()._start_asgi_task(cycle, app)

    def _refuse(self, status: int, sentence: str) -> None:
        """Answer what the parser refused, and read nothing more."""
        self._refused = True
        if self.pipeline:
            self.transport.abort()
        elif self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False  # its answer is the last
        else:
            self.transport.write(_refusal(status, sentence, self.app))
            # If it were closed now, with input unread, the answer might never reach the client.
            self.transport.write_eof()
            self._wait(_LINGER)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._due = self.loop.call_later(seconds, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _stop_stalled(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


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
    if isinstance(app, CORSMiddleware):
        app.add(headers, Headers())
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [name + b": " + value for name, value in headers.raw]
    return b"\r\n".join([*lines, b"", body])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; OSError says what to do if there is none."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise OSError(f"--host {host}: {error.strerror}") from None
    listening = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # where it would let two servers share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise OSError(
            f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port"
        ) from None
    return listening


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


def _shown(public_url: str, listening: socket.socket) -> str:
    if public_url:
        return public_url
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{host}:{port}"


def _logging() -> dict[str, Any]:
    """One line per request to stdout, as uvicorn writes it; problems to stderr."""
    logging_config: dict[str, Any] = {**uvicorn.config.LOGGING_CONFIG}
    logging_config["loggers"] = {
        **logging_config["loggers"],
        "pyodide_mirror.server": {"handlers": ["default"], "level": "INFO", "propagate": False},
        "uvicorn.error": {"level": "WARNING"},
    }
    return logging_config
