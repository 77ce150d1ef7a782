"""The page server: Pyodide, pytest-pyodide's pages and our wheel, over http: and https:.

The headers of a page are chosen by the address it is asked for with: below ``/~h/HEADERS/``, where
HEADERS is JSON in URL-safe base64, every response carries them. What a page loads relative to its
own address (Pyodide, a worker's script) lies below the same prefix and so carries them too, which
is what Cross-Origin-Embedder-Policy demands and how a worker gets its Content-Security-Policy.
"""

import base64
import json
import mimetypes
import shutil
import ssl
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import trustme

PAGE = "module_test.html"
WORKER = "module_webworker_runner.js"

# Names that every browser which can map names has for 127.0.0.1 (`engines` tells them so). The
# top-level domain `test` is reserved for this (RFC 6761).
LOOPBACK_NAMES = ("page.test", "other.test", "mirror.test", "files.test")

_HEADERS_PREFIX = "~h"
# The registry of the machine knows neither for sure, and a browser refuses a module or compiles
# WebAssembly slowly under another type.
_MEDIA_TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}


@cache
def authority() -> trustme.CA:
    """Return the certificate authority of this run."""
    return trustme.CA()


@cache
def tls_context() -> ssl.SSLContext:
    """Return a server's TLS context whose certificate covers loopback and all ``.test`` names."""
    names = ("localhost", "127.0.0.1", "*.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(*names).configure_cert(context)
    return context


class PageServer:
    """Serves a Pyodide distribution and wheels on 127.0.0.1; a context manager.

    Wheels lie below ``/wheels/``, everything else comes from the distribution's folder.
    """

    def __init__(self, dist: Path, *wheels: Path) -> None:
        """Take the distribution's folder and the wheels to serve beside it."""
        self.dist = dist
        self.wheels = {wheel.name: wheel for wheel in wheels}
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        """Listen on two free ports."""
        with ExitStack() as stack:
            self.port = stack.enter_context(_Listener(self, tls=None)).server_port
            self.https_port = stack.enter_context(_Listener(self, tls=tls_context())).server_port
            self._closing = stack.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self._closing.close()

    def base_url(
        self,
        headers: Mapping[str, str] | None = None,
        *,
        https: bool = False,
        host: str = "127.0.0.1",
    ) -> str:
        """Return the address, without a slash at its end, below which all carries ``headers``."""
        origin = f"https://{host}:{self.https_port}" if https else f"http://{host}:{self.port}"
        if not headers:
            return origin
        packed = base64.urlsafe_b64encode(json.dumps(dict(headers)).encode()).decode()
        return f"{origin}/{_HEADERS_PREFIX}/{packed}"

    def find(self, path: str) -> Path | None:
        """Return the file for a request's path without its headers prefix."""
        if path.startswith("/wheels/"):
            return self.wheels.get(path.removeprefix("/wheels/"))
        if path in {f"/{PAGE}", f"/{WORKER}"}:
            return Path(str(files("pytest_pyodide") / "_templates" / path[1:]))
        file = (self.dist / path.lstrip("/")).resolve()
        return file if file.is_relative_to(self.dist.resolve()) and file.is_file() else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # for connections that stay open
    disable_nagle_algorithm = True  # with it on, each response waits some 40 ms for an ACK
    wbufsize = 64 * 1024  # headers and a small body leave in one packet
    server: "_Listener"

    def do_GET(self) -> None:
        path, headers = _split(self.path)
        file = self.server.pages.find(path)
        if file is None:
            self._start(HTTPStatus.NOT_FOUND, headers, "text/plain", 0)
            return
        guessed = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        media_type = _MEDIA_TYPES.get(file.suffix, guessed)
        self._start(HTTPStatus.OK, headers, media_type, file.stat().st_size)
        with file.open("rb") as body:
            shutil.copyfileobj(body, self.wfile)

    def _start(
        self, status: HTTPStatus, headers: Mapping[str, str], media_type: str, length: int
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(length))
        # The port is new in each run, and so is what the browser keeps: nothing gets stale, and
        # a second page need not fetch and compile Pyodide again.
        self.send_header(
            "Cache-Control", "max-age=86400" if status == HTTPStatus.OK else "no-store"
        )
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the pages themselves are what is tested."""


def _split(target: str) -> tuple[str, dict[str, str]]:
    """Split a request's target into the path of a file and the headers it asks for."""
    path = unquote(urlsplit(target).path)
    match path.split("/", 3):
        case ["", prefix, packed, rest] if prefix == _HEADERS_PREFIX:
            headers: dict[str, str] = json.loads(base64.urlsafe_b64decode(packed))
            return f"/{rest}", headers
        case _:
            return path, {}


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a browser keeps connections open for as long as it likes
    request_queue_size = 64

    def __init__(self, pages: PageServer, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = pages
        self._tls = tls
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def server_close(self) -> None:
        """Stop the thread, too, when the context ends."""
        self.shutdown()
        super().server_close()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection, in its own thread: a slow handshake keeps nobody waiting."""
        if not self._tls:
            super().finish_request(request, client_address)
            return
        with self._tls.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that the browser ended; of anything else, what it was."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)
