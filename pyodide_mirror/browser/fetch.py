"""The transport of a browser: requests by its ``fetch``."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import js
from pyodide.ffi import create_proxy

from pyodide_mirror.transport import (
    NO_PROGRESS,
    FailureKind,
    PageFacts,
    Progress,
    Request,
    Response,
    TransportError,
    cut_off,
    timed_out,
    too_large,
)

from .ffi import BrowserBytes, Rejected, next_task, settle, to_js_object
from .page import says_offline

if TYPE_CHECKING:
    from .policies import Policies

_log = logging.getLogger(__name__)

_FAILED: Final = -1  # what fast.js answers instead of a status
_TOO_LARGE: Final = -2
_TOO_LATE: Final = -3
_LEAN_FROM: Final = 16_384
"""Bytes from which a page is worth a detour through JavaScript."""
_DIGEST_FROM: Final = 65_536
"""Bytes from which the browser's digest is faster than Python's."""
_BUFFER_TO: Final = 2**26
"""The most bytes for which a server's word is enough to reserve memory."""
_PROGRESS_MS: Final = 50.0
"""Milliseconds between two reports of a body's progress."""


class FetchTransport:
    """:class:`~pyodide_mirror.transport.Transport` by the browser's ``fetch``."""

    def __init__(self, page: PageFacts, policies: Policies) -> None:
        self.page = page
        self._policies = policies

    async def fetch(self, request: Request, progress: Progress = NO_PROGRESS) -> Response:
        """See :class:`~pyodide_mirror.transport.Transport`."""
        js_controller = js.AbortController.new()
        reader = _Reader(request, progress)
        try:
            with self._policies.watch(request.url) as blocked:
                try:
                    return await reader.read(js_controller)
                except TimeoutError:
                    raise timed_out(request.timeout, reader.received) from None
                except Rejected as error:
                    # Policy violations are reported a task later than the rejection.
                    await next_task()
                    if request.opaque:
                        await blocked.wait(isolated=self.page.isolated)
                    if blocked.coep and request.opaque:
                        return Response(url=request.url, status=0)
                    raise reader.failure(error, blocked.csp) from None
        finally:
            js_controller.abort()  # without effect on a complete request


class _Reader:
    """One request, and how much of its answer has arrived."""

    def __init__(self, request: Request, progress: Progress) -> None:
        self.request = request
        self.progress = progress
        self.received: int | None = None
        self.limit: asyncio.Timeout | None = None

    async def read(self, js_controller: Any) -> Response:
        """The answer; TimeoutError when the request's time is over."""
        request = self.request
        js_options = to_js_object(
            mode="no-cors" if request.opaque else "cors",
            credentials=request.credentials,
            headers=dict(request.headers),
            # Whether a mirror works now is not for the HTTP cache to say.
            cache="no-store" if request.opaque else "no-cache",
        )
        js_fast = fast()
        if js_fast is None:
            js_options.signal = js_controller.signal
            async with asyncio.timeout(request.timeout) as self.limit:
                return await self._read_slowly(js_options)
        js_want = to_js_object(
            controller=js_controller,
            timeout=request.timeout * 1000,
            stall=request.stall,
            maxBytes=request.max_bytes,
            every=_PROGRESS_MS,
            lean=request.lean,
            leanFrom=_LEAN_FROM,
            digest=request.digest,
            digestFrom=_DIGEST_FROM,
            bufferFrom=_DIGEST_FROM,
            bufferTo=min(_BUFFER_TO, request.max_bytes),
            live=True,
        )
        js_callbacks: list[Any] = [create_proxy(self._on_head), create_proxy(self._on_more)]
        try:
            js_answer = await js_fast.request(request.url, js_options, js_want, *js_callbacks)
        finally:
            js_want.live = False  # a cancelled request goes on for a moment, and must not call
            for js_proxy in js_callbacks:
                js_proxy.destroy()
        return self._response(*js_answer)

    def _response(self, status: int, *parts: Any) -> Response:
        if status == _TOO_LATE:
            raise TimeoutError
        if status == _TOO_LARGE:
            raise too_large(self.request.max_bytes)
        if status == _FAILED:
            raise Rejected(*parts)
        if self.request.opaque:
            return Response(url=self.request.url, status=0)
        url, headers, body, digest, checked = parts
        held = BrowserBytes(body) if self.request.hold else None
        return Response(
            url=url or self.request.url,
            status=status,
            headers={name.lower(): value for name, value in json.loads(headers)},
            body=body.encode() if isinstance(body, str) else b"" if held else body.to_bytes(),
            held=held,
            digest=digest,
            checked=checked,
        )

    def _on_head(self, status: int, length: str) -> None:
        self.received = 0
        self.progress.headers(status, int(length) if length.isdecimal() else None)

    def _on_more(self, size: int) -> None:
        self.received = (self.received or 0) + size
        self.progress.received(size)
        if self.request.stall and self.limit and not self.limit.expired():
            self.limit.reschedule(asyncio.get_running_loop().time() + self.request.timeout)

    async def _read_slowly(self, js_options: Any) -> Response:
        """Read the answer without ``fast.js``."""
        js_response = await settle(js.fetch, None, self.request.url, js_options)
        if self.request.opaque:
            return Response(url=self.request.url, status=0)
        headers = {str(name).lower(): str(value) for name, value in js_response.headers}
        self._on_head(js_response.status, headers.get("content-length", ""))
        body = bytearray()
        js_reader = js_response.body.getReader() if js_response.body else None
        while js_reader is not None:
            js_result = await settle(js_reader.read, js_reader)
            if js_result.done:
                break
            body += js_result.value.to_bytes()
            if len(body) > self.request.max_bytes:
                raise too_large(self.request.max_bytes)
            self._on_more(len(body) - (self.received or 0))
        return Response(
            url=str(js_response.url) or self.request.url,
            status=js_response.status,
            headers=headers,
            body=bytes(body),
        )

    def failure(self, error: Rejected, directive: str) -> TransportError:
        """What is known of a rejected request: to a page, all causes look alike."""
        if directive:
            return TransportError(FailureKind.CSP, f"blocked by {directive} of the page's policy")
        if self.received is not None:
            return cut_off(self.received)
        if says_offline(self.request.url):
            return TransportError(FailureKind.OFFLINE, "the browser is offline")
        return TransportError(FailureKind.NETWORK, f"the browser says {error.message!r}")


@functools.cache
def fast() -> Any:
    """The functions in ``fast.js``, or None where the page's policy forbids ``eval``."""
    # importlib.resources would cost more to import than all of this.
    source = Path(__file__).with_name("fast.js").read_text("utf-8")
    try:
        return js.eval(source)
    except Exception as error:  # noqa: BLE001  # EvalError, as a JsException of any version
        _log.debug("no eval here: %s", error)
        return None
