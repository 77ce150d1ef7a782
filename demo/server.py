"""The demonstration's own web server: the page, Pyodide and our wheel, on 127.0.0.1."""

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LOOPBACK = "127.0.0.1"
_PAGE = Path(__file__).parent
# Nothing else of the folder is for the browser.
_PAGE_FILES = ("index.html", "demo.css", "demo.js", "demo.py")


class Files:
    """What is served: path → file, and the settings that the page reads."""

    def __init__(self, dist: Path, wheel: Path, settings: Mapping[str, Any]) -> None:
        """Take the folder of Pyodide, our wheel, and what ``mirrors.json`` says."""
        self.dist = dist.resolve()
        self.settings = json.dumps({**settings, "wheel": f"../wheels/{wheel.name}"}).encode()
        self.files = {f"/demo/{name}": _PAGE / name for name in _PAGE_FILES}
        self.files["/demo/"] = _PAGE / "index.html"
        self.files[f"/wheels/{wheel.name}"] = wheel

    def find(self, path: str) -> Path | None:
        """Return the file at a path, or None."""
        if path.startswith("/pyodide/"):
            file = (self.dist / path.removeprefix("/pyodide/")).resolve()
            return file if file.is_relative_to(self.dist) and file.is_file() else None
        return self.files.get(path)


@contextmanager
def serve_page(files: Files, port: int = 0) -> Iterator[str]:
    """Serve until the end of the context; the value is the page's address.

    ``port`` 0 is any free one. Raises OSError when the port is taken.
    """
    with _Server(files, port) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}/demo/"
        finally:
            server.shutdown()


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # for connections that stay open
    disable_nagle_algorithm = True  # with it on, each response waits some 40 ms for an ACK
    wbufsize = 64 * 1024  # headers and a small body leave in one packet
    # The registry of the machine knows these for sure as little as a browser forgives them.
    extensions_map = {  # noqa: RUF012  # the base class has it so
        **SimpleHTTPRequestHandler.extensions_map,
        ".css": "text/css; charset=utf-8",
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".mjs": "text/javascript; charset=utf-8",
        ".wasm": "application/wasm",
    }
    server: "_Server"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path in {"/", "/demo"}:
            self.send_response(302)
            self.send_header("Location", "/demo/")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path == "/demo/mirrors.json":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(self.server.files.settings)))
            self.end_headers()
            self.wfile.write(self.server.files.settings)
        elif path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()

    def translate_path(self, path: str) -> str:
        """Find the file for a target; one that does not exist is a 404."""
        return str(self.server.files.find(unquote(urlsplit(path).path)) or _PAGE / "no-such-file")

    def end_headers(self) -> None:
        """Let the browser keep what it has got, but ask each time whether it is still right."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
        """Log nothing: the terminal is for the page's address."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a browser keeps connections open for as long as it likes
    request_queue_size = 64

    def __init__(self, files: Files, port: int) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.files = files

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that the browser ended; of anything else, what it was."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)
