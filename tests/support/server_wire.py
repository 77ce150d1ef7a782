"""Bytes to a server and back with nothing normalised on the way, and what it costs the server."""

import hashlib
import http.client
import io
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PATIENCE = 60.0
"""Seconds after which a test gives up on the server."""
_EXPOSED = {"etag", "content-length", "content-range", "accept-ranges", "retry-after", "date"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. ``whole``: its body came to the end that its head announces."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class _Bytes(io.BytesIO):
    """Lets http.client read one answer after the other from the same bytes."""

    def close(self) -> None:
        """Stay open: http.client closes after each answer."""

    def makefile(self, *_: object, **__: object) -> "_Bytes":
        """Be the file of a socket, too."""
        return self


def parsed(received: bytes, *methods: str) -> list[Answer]:
    """The answers in what a connection gave, in order; ``methods`` tells which were to HEAD."""
    stream = _Bytes(received)
    found: list[Answer] = []
    while stream.tell() < len(received):
        method = methods[len(found)] if len(found) < len(methods) else "GET"
        answer = http.client.HTTPResponse(stream, method=method)  # type: ignore[arg-type]
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        try:
            body, whole = answer.read(), True
        except http.client.IncompleteRead as error:
            body, whole = error.partial, False
        found.append(Answer(answer.status, headers, body, whole))
    return found


def port_of(url: str) -> int:
    """The port of a URL."""
    port = urlsplit(url).port
    assert port is not None
    return port


@contextmanager
def connected(url: str, *, receive_buffer: int = 0) -> Iterator[socket.socket]:
    """A connection to the server at a URL."""
    connection = socket.socket()
    with connection:
        connection.settimeout(PATIENCE)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.connect(("127.0.0.1", port_of(url)))
        yield connection


def everything(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    pieces = []
    with suppress(ConnectionError):  # a reset ends it as well; what counts is what came before
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
    return b"".join(pieces)


def exchange(url: str, sent: bytes, *methods: str) -> list[Answer]:
    """Send bytes, read until the server closes, and take its answers apart."""
    with connected(url) as connection:
        with suppress(ConnectionError):  # it has heard enough; its answer may be there all the same
            connection.sendall(sent)
        return parsed(everything(connection), *methods)


def get(url: str, *headers: str, method: str = "GET") -> Answer:
    """One proper request for a URL on a connection of its own."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close", *headers]
    answers = exchange(url, "\r\n".join([*lines, "", ""]).encode("latin-1"), method)
    assert len(answers) == 1, f"{len(answers)} answers to one request"
    return answers[0]


def assert_readable(answer: Answer) -> None:
    """Assert that a page elsewhere may read the answer (Fetch standard: CORS), and nothing more."""
    headers = answer.headers
    assert headers.get("access-control-allow-origin") == "*", answer
    exposed = re.split(r"\s*,\s*", headers.get("access-control-expose-headers", "").lower())
    assert set(exposed) >= _EXPOSED, exposed
    assert headers.get("timing-allow-origin") == "*", answer
    assert headers.get("cross-origin-resource-policy") == "cross-origin", answer
    assert headers.get("x-content-type-options") == "nosniff", answer
    assert "access-control-allow-credentials" not in headers, answer
    assert "set-cookie" not in headers, answer
    if answer.status >= 400:
        assert headers.get("cache-control") == "no-store", answer
        assert headers.get("content-type", "").startswith("text/plain"), answer


def files_of(index_url: str, project: str) -> dict[str, str]:
    """The URLs of a project's files by their names, from its page."""
    answer = get(f"{index_url}/{project}/")
    assert answer.status == 200, answer
    return {file["filename"]: file["url"] for file in answer.document["files"]}


def sha256(content: bytes) -> str:
    """The digest, in lower case."""
    return hashlib.sha256(content).hexdigest()


class Costs:
    """What a process costs, as Linux counts it: memory in MB, time in seconds."""

    def __init__(self, process_id: int) -> None:
        self._folder = Path("/proc", str(process_id))

    def forget_peak(self) -> None:
        """Let the peak begin at what there is now (proc(5): clear_refs)."""
        self._folder.joinpath("clear_refs").write_text("5")

    @property
    def now(self) -> float:
        """What it has now."""
        return self._value("VmRSS")

    @property
    def peak(self) -> float:
        """The most that it had since the peak was forgotten."""
        return self._value("VmHWM")

    @property
    def seconds(self) -> float:
        """The processor's time that it has had so far."""
        fields = self._folder.joinpath("stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def open_files(self) -> int:
        """How many descriptors are open."""
        return len(list(self._folder.joinpath("fd").iterdir()))

    def _value(self, name: str) -> float:
        found = re.search(rf"{name}:\s*(\d+) kB", self._folder.joinpath("status").read_text())
        assert found is not None
        return int(found[1]) / 1024
