"""The transport for CPython: urllib's HTTP under the rules that a browser applies.

What a browser only calls "failed to fetch" is known here, so every failure says what was seen.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache, partial
from threading import Thread
from typing import Any, Final, cast
from urllib.error import URLError
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, UnknownHandler
from urllib.request import Request as UrllibRequest

from pyodide_mirror.model import HostKind, host_kind

from .base import NO_PROGRESS, PageFacts, Progress, TransportError, cut_off, timed_out, too_large
from .cors import FetchPolicy, ResponseHead
from .messages import FailureKind, Request, Response

_PIECE: Final = 65_536
_CHUNK: Final = 1_048_576
"""Bytes that are unpacked at once, at most."""
_EVERY_REQUEST: Final = {
    # Some mirrors turn away what does not look like a browser.
    "user-agent": "Mozilla/5.0 (compatible; pyodide-mirror)",
    "accept-encoding": "gzip, deflate",
    # Whether a mirror works now is not for a cache to say (Fetch, 4.6: "no-cache").
    "cache-control": "max-age=0",
}


class CorsTransport:
    """:class:`~pyodide_mirror.transport.Transport` for CPython, as from a page's scripts.

    Without an origin there is no page, and so no CORS. Cookies are never sent; credentials mode
    ``include`` only makes the rules stricter. The environment's proxies are used as urllib does,
    except for loopback hosts.
    """

    def __init__(self, page: PageFacts) -> None:
        self.page = page

    async def fetch(self, request: Request, progress: Progress = NO_PROGRESS) -> Response:
        """See :class:`~pyodide_mirror.transport.Transport`."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Response] = loop.create_future()
        worker = _Worker(request, progress, loop)

        def settle(result: Response | Exception) -> None:
            if ended.done():
                return  # it was cancelled, or took too long
            if isinstance(result, Response):
                ended.set_result(result)
            else:
                ended.set_exception(result)

        def work() -> None:
            result: Response | Exception
            try:
                result = worker.read(FetchPolicy(request, self.page))
            except Exception as error:  # noqa: BLE001  # it is raised again where it is awaited
                result = error
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(settle, result)

        # Not one of the loop's own threads: those are waited for when the program ends.
        Thread(target=work, name=f"fetch {request.url}", daemon=True).start()
        try:
            async with asyncio.timeout(request.timeout) as limit:
                worker.limit = limit
                return await ended
        except TimeoutError:
            raise timed_out(request.timeout, worker.received) from None
        finally:
            worker.stop()


class _Worker:
    """Makes one request, hop by hop, in a thread of its own."""

    def __init__(
        self, request: Request, progress: Progress, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.request = request
        self.progress = progress
        self.loop = loop
        self.received: int | None = None
        self.limit: asyncio.Timeout | None = None
        self._socket: socket.socket | None = None
        self._stopped = False

    def stop(self) -> None:
        """End what is left of the request, from the loop's thread."""
        self._stopped = True
        if self._socket is not None:
            with suppress(OSError):  # it is closed already
                self._socket.shutdown(socket.SHUT_RDWR)

    def read(self, policy: FetchPolicy) -> Response:
        while True:
            preflight = policy.preflight_headers()
            if preflight is not None:
                with self._exchange("OPTIONS", policy.url, preflight) as answer:
                    policy.check_preflight(_head(answer))
            with self._exchange("GET", policy.url, policy.request_headers()) as answer:
                head = _head(answer)
                policy.check(head)
                if policy.redirect(head):
                    continue
                if self.request.opaque:
                    return Response(url=policy.url, status=0)
                return Response(
                    url=policy.url,
                    status=head.status,
                    headers=policy.readable(head),
                    body=self._body(head, answer),
                )

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        everything = {**_EVERY_REQUEST, **headers}
        # The policy lets http(s) through only.
        request = UrllibRequest(url, headers=everything, method=method)  # noqa: S310
        try:
            answer = self._opener(url).open(request, timeout=self.request.timeout)
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            raise self._timed_out(error) or _network(error) from error
        return cast("http.client.HTTPResponse", answer)  # of our handlers

    def _timed_out(self, error: Exception) -> TransportError | None:
        """The same as from the loop's limit, which a busy loop may notice after the socket's."""
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, TimeoutError) and cause.errno is None:  # else the system's own
            return timed_out(self.request.timeout, self.received)
        return None

    def _opener(self, url: str) -> OpenerDirector:
        """Urllib without its redirects, errors and cookies: those are decided by the policy."""
        opener = OpenerDirector()
        handlers = [_Http(self._note), _Https(self._note), UnknownHandler()]
        if host_kind(url) is not HostKind.LOOPBACK:
            handlers.append(ProxyHandler())
        for handler in handlers:
            opener.add_handler(handler)
        return opener

    def _note(self, connected: socket.socket) -> None:
        self._socket = connected
        if self._stopped:
            connected.close()
            raise OSError("stopped")

    def _body(self, head: ResponseHead, answer: http.client.HTTPResponse) -> bytes:
        self.received = 0
        decoder = _Decoder(head)
        self._tell(self.progress.headers, head.status, answer.length if decoder.idle else None)
        chunks: list[bytes] = []
        try:
            while piece := answer.read1(_PIECE):
                for chunk in decoder.decode(piece):
                    self.received += len(chunk)
                    if self.received > self.request.max_bytes:
                        raise too_large(self.request.max_bytes)
                    chunks.append(chunk)
                    self._tell(self._on_received, len(chunk))
            decoder.finish()
        except (OSError, EOFError, http.client.HTTPException) as error:
            raise self._timed_out(error) or cut_off(self.received) from error
        except zlib.error as error:
            what = f"the answer is not what its Content-Encoding says ({error})"
            raise TransportError(FailureKind.CUT_OFF, what) from error
        if answer.length:  # what is left of Content-Length
            raise cut_off(self.received)
        return b"".join(chunks)

    def _on_received(self, size: int) -> None:
        if self._stopped:
            return  # nobody waits any more, and the limit has ended
        self.progress.received(size)
        if self.request.stall and self.limit and not self.limit.expired():
            self.limit.reschedule(self.loop.time() + self.request.timeout)

    def _tell(self, listener: Callable[..., None], *arguments: object) -> None:
        """Call a method of the progress, in the loop's thread like everything else."""
        with suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(listener, *arguments)


_Note = Callable[[socket.socket], None]


class _Http(HTTPHandler):
    """urllib's handler, which reports its sockets."""

    def __init__(self, note: _Note) -> None:
        super().__init__()
        self._note = note

    def http_open(self, request: UrllibRequest) -> http.client.HTTPResponse:
        return self.do_open(partial(_noted(http.client.HTTPConnection), self._note), request)


class _Https(HTTPSHandler):
    """The same handler for TLS, with the default verification."""

    def __init__(self, note: _Note) -> None:
        super().__init__()
        self._note = note

    def https_open(self, request: UrllibRequest) -> http.client.HTTPResponse:
        made = partial(_noted(http.client.HTTPSConnection), self._note, context=_tls())
        return self.do_open(made, request)


@cache
def _noted(
    connection: type[http.client.HTTPConnection],
) -> Callable[..., http.client.HTTPConnection]:
    """A kind of connection that reports its socket as soon as it is connected."""

    class Noted(connection):  # type: ignore[valid-type, misc]  # one of two classes
        def __init__(self, note: _Note, host: str, **options: Any) -> None:
            super().__init__(host, **options)
            self._note = note

        def connect(self) -> None:
            super().connect()
            self._note(self.sock)

    return Noted


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _head(answer: http.client.HTTPResponse) -> ResponseHead:
    pairs = answer.headers.items()
    return ResponseHead(
        answer.status, tuple((name.lower(), value.strip()) for name, value in pairs)
    )


class _Decoder:
    """Undoes a Content-Encoding (RFC 9110, section 8.4.1). ``idle``: there is none."""

    def __init__(self, head: ResponseHead) -> None:
        self._coding = ",".join(head.get_all("content-encoding")).strip().lower()
        self.idle = self._coding in {"", "identity"}
        if not self.idle and self._coding not in {"gzip", "x-gzip", "deflate"}:
            what = f"the answer's Content-Encoding is {self._coding!r}"
            raise TransportError(FailureKind.CUT_OFF, what)
        self._unpacker: Any = None

    def decode(self, data: bytes) -> Iterator[bytes]:
        """What the bytes mean, in chunks of bounded size, none empty; raises zlib.error."""
        if self.idle:
            yield data
            return
        if self._unpacker is None:
            # 47: gzip or zlib, as the header says. Some send "deflate" without zlib's header.
            raw = self._coding == "deflate" and data[0] & 15 != 8  # RFC 1950, 2.2
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


def _network(error: Exception) -> TransportError:
    """A failure before the answer's headers were complete."""
    cause = error.reason if isinstance(error, URLError) else error
    match cause:
        case ssl.SSLCertVerificationError():
            what = f"TLS: the certificate is not valid ({cause.verify_message})"
        case ssl.SSLError():
            what = f"TLS: {(cause.reason or str(cause)).replace('_', ' ').lower()}"
        case socket.gaierror() | UnicodeError():
            what = f"DNS: the host has no address ({getattr(cause, 'strerror', None) or cause})"
        case ConnectionRefusedError():
            what = "the connection was refused"
        case http.client.RemoteDisconnected():
            what = "the connection was closed without a complete answer"
        case ConnectionResetError():
            what = "the connection was reset"
        case http.client.HTTPException():
            what = f"what answers does not speak HTTP/1.1 ({type(cause).__name__})"
        case OSError() if cause.strerror:
            what = f"no connection ({cause.strerror})"
        case _:
            what = str(cause) or type(cause).__name__
    return TransportError(FailureKind.UNREACHABLE, what)
