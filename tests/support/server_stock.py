"""An upstream index that can keep its files back at any byte, and counts what it is asked."""

import hashlib
import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.zoo.server import LOOPBACK

_PIECE = 64 * 1024


def content_of(name: str, size: int) -> bytes:
    """Bytes that are each file's own and the same in every run."""
    return hashlib.shake_256(name.encode()).digest(size)


def stock(count: int, size: int, project: str = "stock") -> dict[str, bytes]:
    """Files of a project, by name: sdists, which nobody opens."""
    names = [f"{project}-{number}.0.zip" for number in range(count)]
    return {name: content_of(name, size) for name in names}


class Stock:
    """An index over a port of its own; a file's name says which project it belongs to.

    ``files`` may be added to. ``gone``: each request finds its connection closed. ``hold``: every
    file stops after so many bytes until `release`; None lets them pass. ``counts``: requests by
    the last part of their path; ``resumed``: those for the rest of a file. ``pause``: seconds
    before each 64 KB.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.gone = False
        self.hold: Callable[[str], int | None] = lambda _: None
        self.counts: Counter[str] = Counter()
        self.resumed: Counter[str] = Counter()
        self.pause = 0.0
        self.last_byte_sent = threading.Event()
        self._gates = [threading.Event()]
        self._asked = threading.Condition()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 0
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                with suppress(ConnectionError):  # it was killed, or has left
                    upstream.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: the tests speak."""

        class Listening(ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

            def handle_error(self, *asked: Any) -> None:
                if not isinstance(sys.exc_info()[1], ConnectionError):  # it was killed
                    super().handle_error(*asked)

        self._server = Listening((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://{LOOPBACK}:{self._server.server_port}/simple"

    def release(self) -> None:
        """Let everything go on that is held."""
        for gate in self._gates:
            gate.set()

    def hold_again(self, hold: Callable[[str], int | None]) -> None:
        """Hold files at other places from now on; what is held stays so."""
        self._gates.append(threading.Event())
        self.hold = hold

    def wait_for(self, name: str, count: int) -> None:
        """Wait until files whose names begin so were asked for so many times."""

        def enough() -> bool:
            return sum(n for each, n in self.counts.items() if each.startswith(name)) >= count

        with self._asked:
            assert self._asked.wait_for(enough, 30)

    def answer(self, asked: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        if self.gone:
            asked.close_connection = True
            return
        kind, _, rest = asked.path.removeprefix("/").partition("/")
        name = rest.strip("/")
        with self._asked:
            self.counts[name] += 1
            self._asked.notify_all()
        listed = [each for each in self.files if each.partition("-")[0] == name]
        if kind == "simple" and listed:
            page = self._page(name, listed)
            self._send(asked, 200, page, "application/vnd.pypi.simple.v1+json")
        elif kind == "files" and name in self.files:
            self._send_file(asked, name)
        else:
            self._send(asked, 404, b"", "text/plain")

    def close(self) -> None:
        """End it, and free the port."""
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _page(self, project: str, names: Iterable[str]) -> bytes:
        files = [
            {
                "filename": name,
                "url": f"/files/{name}",
                "hashes": {"sha256": hashlib.sha256(self.files[name]).hexdigest()},
                "size": len(self.files[name]),
            }
            for name in names
        ]
        page = {"meta": {"api-version": "1.0"}, "name": project, "files": files}
        return json.dumps(page).encode()

    def _send(self, asked: BaseHTTPRequestHandler, status: int, body: bytes, kind: str) -> None:
        asked.send_response(status)
        asked.send_header("Content-Type", kind)
        asked.send_header("Content-Length", str(len(body)))
        asked.end_headers()
        asked.wfile.write(body)

    def _send_file(self, asked: BaseHTTPRequestHandler, name: str) -> None:
        content, gate = memoryview(self.files[name]), self._gates[-1]
        stop = self.hold(name)
        part = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("Range", ""))
        begin = int(part[1]) if part else 0
        asked.send_response(206 if part else 200)
        if part:
            self.resumed[name] += 1
            asked.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        content = content[begin:]
        asked.send_header("Content-Type", "application/octet-stream")
        asked.send_header("Content-Length", str(len(content)))
        asked.end_headers()
        if stop is not None:
            asked.wfile.write(content[:stop])
            content = content[stop:]
            gate.wait()
        for start in range(0, len(content), _PIECE):
            time.sleep(self.pause)
            asked.wfile.write(content[start : start + _PIECE])
        self.last_byte_sent.set()


@contextmanager
def stocked(files: Mapping[str, bytes]) -> Iterator[Stock]:
    """An upstream with these files, until the block ends."""
    upstream = Stock(files)
    try:
        yield upstream
    finally:
        upstream.close()
