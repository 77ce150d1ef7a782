"""The transport for CPython: plain HTTP/1.1, with the rules that a browser would apply.

What a browser only calls "failed to fetch" is known here, so every failure says what was seen.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import zlib
from base64 import b64encode
from contextlib import aclosing, asynccontextmanager, suppress
from functools import cache
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from ._fetch import Head, Travel
from .model import FailureKind, PageFacts, Request, Response
from .transport import NO_PROGRESS, Progress, TransportError, cut_off, timed_out, too_large
from .urls import HostKind, hide_user_info, host_kind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping

__all__ = ["CorsTransport"]

_PIECE: Final = 65_536
_CHUNK: Final = 1_048_576
"""Bytes that are unpacked at once, at most."""
_MAX_HEAD: Final = 262_144
"""Bytes of status line and headers; Chromium's limit."""
_NEXT_ADDRESS: Final = 0.25
"""Seconds until a host's next address is tried as well (RFC 8305, "Connection Attempt Delay")."""
_STATUS_LINE: Final = re.compile(rb"HTTP/\d\.\d (\d{3})(?: .*)?")
_EVERY_REQUEST: Final = {
    # Some mirrors turn away what does not look like a browser.
    "user-agent": "Mozilla/5.0 (compatible; pyodide-mirror)",
    "accept-encoding": "gzip, deflate",
    # Whether a mirror works now is not for a cache to say (Fetch, 4.6: "no-cache").
    "cache-control": "max-age=0",
    "connection": "close",
}


class CorsTransport:
    """:class:`~pyodide_mirror.transport.Transport` for CPython, as if from the page's scripts.

    Without an origin there is no page, and so no CORS. Cookies are never sent; credentials mode
    ``include`` only makes the rules stricter. ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and
    ``NO_PROXY`` are respected, except for loopback hosts.
    """

    def __init__(self, page: PageFacts) -> None:
        self.page = page

    async def fetch(self, request: Request, progress: Progress = NO_PROGRESS) -> Response:
        """See :class:`~pyodide_mirror.transport.Transport`."""
        reader = _Reader(request, progress)
        try:
            async with asyncio.timeout(request.timeout):
                return await reader.read(Travel(request, self.page))
        except TimeoutError:
            raise timed_out(request.timeout, reader.received) from None


class _Reader:
    """One request, and how far its answer has come."""

    def __init__(self, request: Request, progress: Progress) -> None:
        self.request = request
        self.progress = progress
        self.received: int | None = None

    async def read(self, travel: Travel) -> Response:
        while True:
            preflight = travel.preflight_headers()
            if preflight is not None:
                async with _exchange("OPTIONS", travel.url, preflight) as (head, _):
                    travel.check_preflight(head)
            async with _exchange("GET", travel.url, travel.request_headers()) as (head, stream):
                travel.check(head)
                if travel.redirect(head):
                    continue
                if self.request.opaque:
                    return Response(url=travel.url, status=0)
                return Response(
                    url=travel.url,
                    status=head.status,
                    headers=travel.readable(head),
                    body=await self._body(head, stream),
                )

    async def _body(self, head: Head, stream: asyncio.StreamReader) -> bytes:
        self.received = 0
        framing, decoder = _Framing(head), _Decoder(head)
        self.progress.headers(head.status, framing.length if decoder.idle else None)
        chunks: list[bytes] = []
        try:
            async with aclosing(framing.pieces(stream)) as pieces:
                async for piece in pieces:
                    for chunk in decoder.decode(piece):
                        self.received += len(chunk)
                        if self.received > self.request.max_bytes:
                            raise too_large(self.request.max_bytes)
                        chunks.append(chunk)
                        self.progress.received(len(chunk))
                        await asyncio.sleep(0)  # a bomb takes its time; let others go on
            decoder.finish()
        except (EOFError, OSError, ValueError) as error:
            raise cut_off(self.received) from error
        except zlib.error as error:
            what = f"the answer is not what its Content-Encoding says ({error})"
            raise TransportError(FailureKind.CUT_OFF, what) from error
        return b"".join(chunks)


# --- HTTP/1.1 (RFC 9112) ------------------------------------------------------------------------


@asynccontextmanager
async def _exchange(
    method: str, url: str, headers: Mapping[str, str]
) -> AsyncIterator[tuple[Head, asyncio.StreamReader]]:
    """Send one request on a connection of its own, which ends with the context."""
    try:
        stream, writer, target = await _connect(url)
    except OSError as error:
        raise _network(error) from error
    try:
        host = urlsplit(url).netloc
        lines = [f"{method} {target.path} HTTP/1.1", f"host: {host}"]
        everything = {**_EVERY_REQUEST, **target.headers, **headers}
        lines += [f"{name}: {value}" for name, value in everything.items()]
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
            head = await _read_head(stream)
        except (OSError, ValueError, EOFError) as error:
            raise _network(error) from error
        yield head, stream
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def _read_head(stream: asyncio.StreamReader) -> Head:
    """The final head; interim ones (status 1xx) are skipped."""
    lines = _Lines(stream)
    while True:
        status = _STATUS_LINE.fullmatch(await lines.next())
        if status is None:
            raise ValueError("what answers does not speak HTTP/1.1")
        headers: list[tuple[str, str]] = []
        while text := (await lines.next()).decode("latin-1"):
            name, colon, value = text.partition(":")
            if text[0] in " \t" and headers:  # RFC 9112, 5.2: the line before goes on
                headers[-1] = (headers[-1][0], f"{headers[-1][1]} {text.strip()}".strip())
            elif colon:
                headers.append((name.strip().lower(), value.strip(" \t")))
        if int(status[1]) >= 200:  # noqa: PLR2004  # RFC 9110, 15.2
            return Head(int(status[1]), tuple(headers))


class _Lines:
    """The lines of heads, up to a limit."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        self._left = _MAX_HEAD

    async def next(self) -> bytes:
        """The next line; EOFError where none follows, ValueError where it is too much."""
        try:
            line = await self._stream.readline()
        except ValueError:
            line = b""  # longer than what a stream holds
            self._left = 0
        self._left -= len(line)
        if self._left <= 0:
            raise ValueError(f"the answer's headers are larger than {_MAX_HEAD:,} bytes")
        if not line.endswith(b"\n"):
            raise EOFError("the connection was closed without a complete answer")
        return line.rstrip(b"\r\n")


class _Framing:
    """Where a body ends (RFC 9112, section 6.3). ``length`` in bytes, if it is known."""

    def __init__(self, head: Head) -> None:
        self.chunked = "chunked" in (head.tokens("transfer-encoding") or ())
        lengths = {item.strip() for item in ",".join(head.get_all("content-length")).split(",")}
        text = lengths.pop()
        self.length = int(text) if text.isdecimal() and not (lengths or self.chunked) else None
        if head.status in {204, 304}:
            self.length = 0
        elif lengths and not self.chunked:
            raise TransportError(FailureKind.NETWORK, "the answer has several Content-Lengths")

    async def pieces(self, stream: asyncio.StreamReader) -> AsyncGenerator[bytes]:
        """The body, piece by piece; EOFError or ValueError where it breaks off."""
        if not self.chunked:
            async for piece in _exactly(stream, self.length):
                yield piece
            return
        while size := int((await stream.readline()).partition(b";")[0], 16):
            if size < 0:
                raise ValueError("a chunk's size is negative")
            async for piece in _exactly(stream, size):
                yield piece
            if (await stream.readline()).strip():
                raise ValueError("a chunk is longer than its size")


async def _exactly(stream: asyncio.StreamReader, length: int | None) -> AsyncIterator[bytes]:
    """So many bytes, or all that come where ``length`` is None."""
    while length != 0:
        piece = await stream.read(_PIECE if length is None else min(length, _PIECE))
        if not piece:
            if length is None:
                return
            raise EOFError
        length = None if length is None else length - len(piece)
        yield piece


class _Decoder:
    """Undoes a Content-Encoding (RFC 9110, section 8.4.1). ``idle``: there is none."""

    def __init__(self, head: Head) -> None:
        self._coding = head.tokens("content-encoding")
        self.idle = self._coding is not None and self._coding <= {"identity"}
        if not self.idle and self._coding not in ({"gzip"}, {"x-gzip"}, {"deflate"}):
            what = ", ".join(head.get_all("content-encoding"))
            raise TransportError(FailureKind.CUT_OFF, f"the answer's Content-Encoding is {what!r}")
        self._unpacker: Any = None

    def decode(self, data: bytes) -> Iterator[bytes]:
        """What the bytes mean, in chunks of bounded size, none empty; raises zlib.error."""
        if self.idle:
            yield data
            return
        if self._unpacker is None:
            # 47: gzip or zlib, as the header says. Some send "deflate" without zlib's header.
            raw = self._coding == {"deflate"} and data[0] & 15 != 8  # noqa: PLR2004  # RFC 1950, 2.2
            self._unpacker = zlib.decompressobj(-15 if raw else 47)
        chunk = b"-" * _CHUNK
        while len(chunk) == _CHUNK and not self._unpacker.eof:
            chunk = self._unpacker.decompress(data, _CHUNK)
            data = self._unpacker.unconsumed_tail
            if chunk:
                yield chunk

    def finish(self) -> None:
        """Raise EOFError if something is missing."""
        if self._unpacker is not None and not self._unpacker.eof:
            raise EOFError


# --- connections --------------------------------------------------------------------------------


class _Target(NamedTuple):
    """How a request is put to whom it is sent: to the server itself, or to a proxy."""

    path: str
    headers: Mapping[str, str]


async def _connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, _Target]:
    """Connect to the server of an http(s) URL, or to the proxy that the environment names."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    tls: dict[str, Any] = {}
    if parts.scheme == "https":
        tls = {"ssl": _tls(), "server_hostname": host}
    target = _Target(path, {})
    proxy = _proxy(url)
    if proxy is None:
        connected = await _dial(host, port)
    else:
        connected = await _dial(*proxy.address)
        if tls:
            await _tunnel(connected, f"{host}:{port}", proxy.headers)
        else:
            target = _Target(url, proxy.headers)
    stream, writer = await asyncio.open_connection(sock=connected, limit=_MAX_HEAD, **tls)
    return stream, writer, target


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def _dial(host: str, port: int) -> socket.socket:
    """A connection to the first address that accepts one; they are tried shortly one after another.

    This is RFC 8305 without its sorting, which the system has done (RFC 6724).
    """
    waiting = await _addresses(host, port)
    running: set[asyncio.Task[socket.socket]] = set()
    failure: BaseException = OSError("the host has no address")
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_dial_address(*waiting.pop(0))))
            done, _ = await asyncio.wait(
                running,
                timeout=_NEXT_ADDRESS if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                running.discard(task)
                error = task.exception()
                if error is None:
                    return task.result()
                failure = error
        raise failure
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_drop)


async def _dial_address(family: int, address: Any) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)  # noqa: FBT003  # its only parameter
        await asyncio.get_running_loop().sock_connect(made, address)
    except BaseException:
        made.close()
        raise
    return made


def _drop(task: asyncio.Task[socket.socket]) -> None:
    """Close a connection that came too late."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _addresses(host: str, port: int) -> list[tuple[int, Any]]:
    """Resolve a name in a daemon thread: the loop's own threads would hold up the program's end."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any) -> None:
        if not found.done():
            found.set_result(result)

    def resolve() -> None:
        # Let Localhost Be Localhost (WICG): such names are never looked up elsewhere.
        name = "localhost" if host.rstrip(".").endswith(".localhost") else host
        result: Any
        try:
            result = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            result = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result)

    Thread(target=resolve, name=f"resolve {host}", daemon=True).start()
    result = await found
    if isinstance(result, Exception):
        reason = getattr(result, "strerror", None) or str(result)
        raise OSError(f"DNS: no address of {host!r} ({reason})") from result
    return [(family, address) for family, _, _, _, address in result]


class _Proxy(NamedTuple):
    """An http proxy: host and port, and the headers that it wants."""

    address: tuple[str, int]
    headers: Mapping[str, str]


def _proxy(url: str) -> _Proxy | None:
    """The proxy for a URL by the rules of urllib; as in browsers, none for this machine."""
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415  # takes 20 ms

    parts = urlsplit(url)
    proxies = getproxies()
    text = proxies.get(parts.scheme) or proxies.get("all")
    if not text or host_kind(url) is HostKind.LOOPBACK or proxy_bypass(parts.netloc):
        return None
    proxy = urlsplit(text if "://" in text else f"http://{text}")
    if proxy.scheme != "http" or not proxy.hostname:
        raise OSError(f"the proxy {hide_user_info(text)!r} is not one of http:")
    headers = {}
    if proxy.username is not None:
        user_info = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        headers["proxy-authorization"] = f"Basic {b64encode(user_info.encode()).decode()}"
    return _Proxy((proxy.hostname, proxy.port or 80), headers)


async def _tunnel(connected: socket.socket, to: str, headers: Mapping[str, str]) -> None:
    """Make the proxy pass everything on (RFC 9110, section 9.3.6)."""
    loop = asyncio.get_running_loop()
    lines = [f"CONNECT {to} HTTP/1.1", f"host: {to}", *map(": ".join, headers.items()), "", ""]
    try:
        await loop.sock_sendall(connected, "\r\n".join(lines).encode("latin-1"))
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            # Byte by byte: what follows is TLS, and not for us to read.
            byte = await loop.sock_recv(connected, 1)
            answer += byte
            if not byte or len(answer) > _PIECE:
                break
    except BaseException:
        connected.close()
        raise
    if not re.match(rb"HTTP/\d\.\d 2\d\d\b", answer):
        connected.close()
        status = answer.partition(b"\r\n")[0].decode("latin-1")
        raise OSError(f"the proxy does not connect to {to}: it says {status!r}")


def _network(error: Exception) -> TransportError:
    """A failure before the answer's headers were complete."""
    match error:
        case ssl.SSLCertVerificationError():
            what = f"TLS: the certificate is not valid ({error.verify_message})"
        case ssl.SSLError():
            what = f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
        case ConnectionRefusedError():
            what = "the connection was refused"
        case ConnectionResetError():
            what = "the connection was reset"
        case OSError() if error.strerror:
            what = f"no connection ({error.strerror})"
        case _:
            what = str(error) or type(error).__name__
    return TransportError(FailureKind.NETWORK, what)
