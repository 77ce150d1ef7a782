"""A web server that can misbehave on the wire: one thread per connection, plain sockets.

It knows nothing of package indexes. A handler makes a `Response` of a `Request`; the response's
`Manner` says how the bytes go out, down to the rude ways that `http.server` has no words for.
"""

import enum
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import BinaryIO

LOOPBACK = "127.0.0.1"
_LINE_LIMIT = 65_536
_DRIP_SECONDS = 1.0
_JOIN_SECONDS = 10.0

Headers = tuple[tuple[str, str], ...]


class Manner(enum.Enum):
    """How a response goes out."""

    PLAIN = "with Content-Length, and the connection stays open"
    CHUNKED = "chunk by chunk, without Content-Length"
    UNTIL_CLOSE = "as HTTP/1.0 did it: the body ends with the connection"
    CUT = "with the right Content-Length, but half the body; then the connection ends"
    CHUNKS_CUT = "half of the body in chunks; then the connection ends without the last chunk"
    HALF = "headers and half of the body; then nothing more, while the connection stays open"
    DRIP = "headers, then one byte of the body a second"
    HANG = "not at all, while the connection stays open"
    RESET = "not at all: the connection is reset"
    RAW = "the body alone, without status line and headers; then the connection ends"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it came in."""

    method: str
    target: str
    headers: Headers
    port: int

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the question mark, or nothing."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """Return the first header of that name, in any case."""
        return header_of(self.headers, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One response to come; `stream` replaces `body` where it is too big to hold."""

    status: int = 200
    phrase: str | None = None
    headers: Headers = ()
    body: bytes = b""
    stream: Callable[[], Iterator[bytes]] | None = None
    manner: Manner = Manner.PLAIN

    def with_header(self, name: str, value: str) -> "Response":
        """Set one header in place of those of its name."""
        kept = self.without_header(name)
        return replace(kept, headers=(*kept.headers, (name, value)))

    def without_header(self, name: str) -> "Response":
        """Drop the headers of that name."""
        kept = tuple(pair for pair in self.headers if pair[0].lower() != name.lower())
        return replace(self, headers=kept)


Handler = Callable[[Request], Response]


def header_of(headers: Headers, name: str) -> str | None:
    """Return the first header of that name, in any case."""
    return next((value for key, value in headers if key.lower() == name.lower()), None)


class Server:
    """A listening port of its own, with a log of its requests, until `close()`."""

    def __init__(self, handler: Handler, *, latency: float = 0.0, greet: bool = True) -> None:
        """Listen at once. `latency` delays each response by so many seconds.

        Without `greet` each connection is reset as soon as it is accepted.
        """
        self._handler = handler
        self._latency = latency
        self._greet = greet
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._requests: list[Request] = []
        self._open: set[socket.socket] = set()
        self._peak = 0
        self._accepted = 0
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket()
        self._listener.bind((LOOPBACK, 0))
        self._listener.listen(128)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(
            target=self._accept, name=f"zoo-{self.port}-accept", daemon=True
        )
        self._acceptor.start()

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request so far, in the order of arrival."""
        with self._lock:
            return tuple(self._requests)

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        with self._lock:
            return self._accepted

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        with self._lock:
            return len(self._open)

    @property
    def peak_connections(self) -> int:
        """How many connections were open at once, at most."""
        with self._lock:
            return self._peak

    def forget(self) -> None:
        """Empty the log, and count connections afresh from those that are open."""
        with self._lock:
            self._requests.clear()
            self._peak = self._accepted = len(self._open)

    def close(self) -> None:
        """End every connection, hanging ones too, and free the port. Twice is once."""
        if self._closed.is_set():
            return
        self._closed.set()
        # A thread in accept() does not notice that its socket was closed: knock.
        with suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=1):
            pass
        self._acceptor.join(_JOIN_SECONDS)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                continue  # the peer was gone before it was accepted
            if self._closed.is_set() or not self._greet:
                _reset(connection)
                continue
            with self._lock:
                self._open.add(connection)
                self._accepted += 1
                self._peak = max(self._peak, len(self._open))
                self._threads = [thread for thread in self._threads if thread.is_alive()]
                thread = threading.Thread(
                    target=self._serve, args=(connection,), name=f"zoo-{self.port}", daemon=True
                )
                # Started under the lock, so that no other accept drops it as dead.
                thread.start()
                self._threads.append(thread)

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with connection.makefile("rb") as reader, suppress(OSError, ValueError):
                while self._answer_one(connection, reader):
                    pass
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _answer_one(self, connection: socket.socket, reader: BinaryIO) -> bool:
        """Answer the next request; say whether another may follow on this connection."""
        if _says_hello_in_tls(connection):
            # Without an answer the peer would wait for ever for the other half of its handshake;
            # unread, its own half would turn the answer into a reset.
            connection.recv(_LINE_LIMIT)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            return False
        request = _read_request(reader, self.port)
        if request is None:
            return False
        with self._lock:
            self._requests.append(request)
        response = self._handler(request)
        if self._latency and self._closed.wait(self._latency):
            return False
        return _Sender(connection, self._closed).send(request, response)


class _Sender:
    """Puts one response on one connection."""

    def __init__(self, connection: socket.socket, closed: threading.Event) -> None:
        self._connection = connection
        self._closed = closed

    def send(self, request: Request, response: Response) -> bool:
        """Send it all; say whether the connection is still of use."""
        put = self._connection.sendall
        half = response.body[: len(response.body) // 2]
        manner = response.manner
        stay = manner in {Manner.PLAIN, Manner.CHUNKED} and _wants_more(request)
        if manner is Manner.HANG:
            self._gone_within(None)
        elif manner is Manner.RESET:
            _reset(self._connection)
        elif manner is Manner.RAW:
            put(response.body)
        else:
            put(_head(response, stay=stay))
            if request.method != "HEAD":
                self._send_body(response, half)
        return stay

    def _send_body(self, response: Response, half: bytes) -> None:
        put = self._connection.sendall
        manner = response.manner
        if manner in {Manner.CHUNKED, Manner.CHUNKS_CUT}:
            whole = manner is Manner.CHUNKED
            pieces = response.stream() if response.stream else _pieces(response.body, half, whole)
            for piece in pieces:
                put(b"%x\r\n%b\r\n" % (len(piece), piece))
            put(b"0\r\n\r\n" if whole else b"")
        elif manner is Manner.DRIP:
            for byte in response.body:
                put(bytes((byte,)))
                if self._gone_within(_DRIP_SECONDS):
                    return
        elif manner in {Manner.CUT, Manner.HALF}:
            put(half)
            if manner is Manner.HALF:
                self._gone_within(None)
        else:
            put(response.body)

    def _gone_within(self, seconds: float | None) -> bool:
        """Wait; return True as soon as the peer is gone or the animal is being closed."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            while selector.select(seconds):
                # Whatever else the peer says meanwhile is not heard.
                if self._closed.is_set() or not self._connection.recv(_LINE_LIMIT):
                    return True
        return self._closed.is_set()


def _pieces(body: bytes, half: bytes, whole: bool) -> Iterator[bytes]:
    """Cut a body in two, and leave out what is empty: an empty chunk would be the last one."""
    yield from filter(None, (half, body[len(half) :] if whole else b""))


def _head(response: Response, *, stay: bool) -> bytes:
    phrase = response.phrase or HTTPStatus(response.status).phrase
    version = "HTTP/1.0" if response.manner is Manner.UNTIL_CLOSE else "HTTP/1.1"
    lines = [f"{version} {response.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    if response.manner in {Manner.CHUNKED, Manner.CHUNKS_CUT}:
        lines.append("Transfer-Encoding: chunked")
    elif response.manner is not Manner.UNTIL_CLOSE:
        lines.append(f"Content-Length: {len(response.body)}")
    lines.append(f"Connection: {'keep-alive' if stay else 'close'}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _wants_more(request: Request) -> bool:
    return (request.header("Connection") or "").lower() != "close"


def _says_hello_in_tls(connection: socket.socket) -> bool:
    return connection.recv(1, socket.MSG_PEEK) == b"\x16"


def _read_request(reader: BinaryIO, port: int) -> Request | None:
    """Read one request and throw its body away; None when the peer has finished."""
    start = reader.readline(_LINE_LIMIT).decode("latin-1").split()
    if len(start) != 3:
        return None
    headers: list[tuple[str, str]] = []
    while line := reader.readline(_LINE_LIMIT).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name.strip(), value.strip()))
    if start[2] == "HTTP/1.0":
        headers.append(("Connection", "close"))
    request = Request(method=start[0], target=start[1], headers=tuple(headers), port=port)
    reader.read(int(request.header("Content-Length") or 0))
    return request


def _reset(connection: socket.socket) -> None:
    # With a linger time of zero, close() sends RST in place of FIN.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class ClosedPort:
    """A port that refuses every connection, and that nobody else can take meanwhile."""

    def __init__(self) -> None:
        """Bind without listening: the system answers each connection with a refusal."""
        self._socket = socket.socket()
        self._socket.bind((LOOPBACK, 0))
        self.port: int = self._socket.getsockname()[1]

    def close(self) -> None:
        """Free the port."""
        self._socket.close()
