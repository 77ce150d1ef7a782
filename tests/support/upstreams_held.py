"""Files that an upstream keeps back: half of each at once, the rest when it is let go."""

import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.wheels import Wheel
from tests.zoo.server import LOOPBACK


class _Quiet(ThreadingHTTPServer):
    """A server that reports no client that has left."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Print what went wrong, unless the other side just hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as it came


class Gate:
    """An origin of its own whose files come in two halves, the second when it is let go."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[bytes, threading.Event]] = {}
        self.asked: Counter[str] = Counter()
        """How often each file was asked for, by its name."""
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                gate.give(self)

            do_HEAD = do_GET  # noqa: N815  # the names are http.server's

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: the checks speak."""

        self._server = _Quiet((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.origin = f"http://{LOOPBACK}:{self._server.server_port}"

    def hold(self, wheel: Wheel) -> threading.Event:
        """Take a file in; its second half goes out when the event is set."""
        let_go = threading.Event()
        self._files[f"/held/{wheel.filename}"] = (wheel.data, let_go)
        return let_go

    def give(self, asked: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        found = self._files.get(asked.path)
        if found is None:
            asked.send_error(404)
            return
        data, let_go = found
        asked.send_response(200)
        asked.send_header("Content-Type", "application/octet-stream")
        asked.send_header("Content-Length", str(len(data)))
        asked.end_headers()
        if asked.command == "HEAD":
            return
        self.asked[asked.path.rpartition("/")[2]] += 1
        asked.wfile.write(data[: len(data) // 2])
        asked.wfile.flush()
        let_go.wait()
        asked.wfile.write(data[len(data) // 2 :])

    def close(self) -> None:
        """Let everything go, and free the port."""
        for _, let_go in self._files.values():
            let_go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
