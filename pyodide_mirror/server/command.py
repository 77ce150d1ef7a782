"""``pyodide-mirror serve``: the server as a program of its own."""

from __future__ import annotations

import logging
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import platformdirs
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from . import build, settings

if TYPE_CHECKING:
    import argparse
    import asyncio
    from collections.abc import Iterator


_HEADERS_DUE: Final = 20.0
"""Seconds in which a client must have sent the head of its request."""
_LONGEST_HEAD: Final = 64 * 1024
_MAX_CONNECTIONS: Final = 2_000
_GRACE: Final = 5
"""Seconds that answers under way have at the end."""


def run(given: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM; the arguments are those of ``cli``. Returns the exit code."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    try:
        wanted = settings.make(
            given.folder,
            upstreams=[] if given.offline else given.upstream or None,
            cache=given.cache or platformdirs.user_cache_path("pyodide-mirror", appauthor=False),
            cache_size=given.cache_size,
            allow_origins=given.allow_origin or ("*",),
            public_url=given.public_url or "",
            timeout=given.timeout,
        )
        app = build(wanted)
        listening = _listen(given.host, given.port)
    except (ValueError, OSError) as error:
        print(f"pyodide-mirror serve: {error}", file=sys.stderr)
        return 2
    config = uvicorn.Config(
        app,
        http=_Patient,
        log_config=_logging(),
        server_header=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE,
        proxy_headers=False,
    )
    _raise_file_limit()
    with listening:
        _Server(config, _shown(wanted.public_url, listening)).run(sockets=[listening])
    return 0


class _Server(uvicorn.Server):
    """Says where it is as soon as it is there."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A stop that was asked for is no failure: uvicorn would raise the signal once more."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            print(f"Serving {self._url}/simple/ (Ctrl-C ends it)", flush=True)


class _Patient(HttpToolsProtocol):
    """uvicorn's protocol, but patience has an end: a client must say what it wants in time."""

    _due: asyncio.TimerHandle | None = None
    _head_size = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_size = 0

    def data_received(self, data: bytes) -> None:
        if self._due is not None:
            self._head_size += len(data)
            if self._head_size > _LONGEST_HEAD:
                self.transport.abort()
                return
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._stop_waiting()
        self._head_size = 0
        self._due = self.loop.call_later(_HEADERS_DUE, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; OSError says what to do."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise OSError(f"--host {host}: {error.strerror}") from None
    listening = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # there it would let two servers share a port
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
    """Each client takes a socket, and often a file; the usual 1,024 are too few."""
    try:
        import resource
    except ModuleNotFoundError:
        return  # Windows has no such limit
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * _MAX_CONNECTIONS
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _shown(public_url: str, listening: socket.socket) -> str:
    if public_url:
        return public_url
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{host}:{port}"


def _logging() -> dict[str, Any]:
    """One line a request to stdout, as uvicorn writes it; what goes wrong to stderr."""
    logging_config: dict[str, Any] = {**uvicorn.config.LOGGING_CONFIG}
    logging_config["loggers"] = {
        **logging_config["loggers"],
        "pyodide_mirror.server": {"handlers": ["default"], "level": "INFO", "propagate": False},
        "uvicorn.error": {"level": "WARNING"},
    }
    return logging_config
