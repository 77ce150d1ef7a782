"""The demonstration's own web server: a folder, on 127.0.0.1."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"


@contextmanager
def serve_folder(folder: Path, port: int = 0) -> Iterator[str]:
    """Serve a folder until the end of the context; the value is its address, with a slash.

    ``port`` 0 is any free one. Raises OSError when the port is taken.
    """
    with _Server(folder, port) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}/"
        finally:
            server.shutdown()


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # for connections that stay open
    disable_nagle_algorithm = True  # with it on, each response waits some 40 ms for an ACK
    wbufsize = 64 * 1024  # headers and a small body leave in one packet
    # The machine's own registry may have other types, and browsers insist on these.
    extensions_map = {  # noqa: RUF012  # the base class has it so
        **SimpleHTTPRequestHandler.extensions_map,
        ".css": "text/css; charset=utf-8",
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".mjs": "text/javascript; charset=utf-8",
        ".wasm": "application/wasm",
    }

    def list_directory(self, path: Any) -> None:
        """Refuse to list a folder."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        """Let the browser cache everything, but ask each time whether it is still right."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
        """Log nothing: the terminal is for the page's address."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a browser keeps connections open for as long as it likes
    request_queue_size = 64

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self._folder = folder

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection out of the folder."""
        _Handler(request, client_address, self, directory=str(self._folder))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report errors, except for connections that the browser ended."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)
