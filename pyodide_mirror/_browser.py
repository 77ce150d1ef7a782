"""The browser's side: the only module that imports ``js`` or ``pyodide``.

Names that start with ``js_`` are JavaScript objects.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import js
from pyodide.ffi import create_once_callable, create_proxy, to_js

from ._browser_fast import DIGEST_FROM, LEAN_FROM, fast
from .model import FailureKind, PageFacts, Request, Response
from .transport import NO_PROGRESS, Progress, TransportError, cut_off, timed_out, too_large
from .urls import HostKind, host_kind, origin

if TYPE_CHECKING:
    from collections.abc import Iterator

# In a window `globalThis` is `window`, in a worker its global scope; in Node neither exists.
_IN_BROWSER: Final = hasattr(js, "location") and hasattr(js, "addEventListener")
_IN_WORKER: Final = _IN_BROWSER and not hasattr(js, "document")
_REPORT_SECONDS: Final = 0.1
_FAILED: Final = -1
_TOO_MUCH: Final = -2
"""What `_browser_fast` answers instead of a status."""
_TELL_MS: Final = 50.0
"""Milliseconds between two words about a body that arrives."""


# --- facts about the page -----------------------------------------------------------------------


async def page_facts() -> PageFacts:
    """What the rules of the web make of the page or worker that this Python runs in."""
    if not _IN_BROWSER:
        return PageFacts()
    # `origin` and not `location`: a worker made from a blob: URL has the origin of its maker.
    page_origin = str(js.origin) if hasattr(js, "origin") else ""
    if not page_origin.startswith(("http:", "https:")):
        page_origin = ""  # file:, or the opaque origin of a sandboxed frame
    local, loopback = await asyncio.gather(
        _permission("local-network"), _permission("loopback-network")
    )
    return PageFacts(
        origin=page_origin,
        host_kind=host_kind(page_origin) if page_origin else HostKind.PUBLIC,
        isolated=bool(getattr(js, "crossOriginIsolated", False)),
        tells_policies=not (_is_webkit() and _IN_WORKER),
        local_network=local,
        loopback_network=loopback,
    )


def _is_webkit() -> bool:
    """Whether this is WebKit itself; Chromium names it, too."""
    agent = str(js.navigator.userAgent)
    return "AppleWebKit/" in agent and "Chrom" not in agent


async def _permission(name: str) -> str:
    """State of a permission, or ``""`` where this browser does not know it."""
    permissions = getattr(js.navigator, "permissions", None)
    if permissions is None:
        return ""
    try:
        return str((await settle(permissions.query, permissions, to_js_object(name=name))).state)
    except Rejected:
        return ""  # TypeError: no such permission in this browser


def _says_offline(url: str) -> bool:
    """HTML standard: ``onLine`` is false when it certainly makes no sense to try."""
    navigator = getattr(js, "navigator", None)
    on_line = getattr(navigator, "onLine", True)
    return on_line is False and host_kind(url) is not HostKind.LOOPBACK


# --- requests -----------------------------------------------------------------------------------


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
                    async with asyncio.timeout(request.timeout) as limit:
                        return await reader.read(js_controller.signal, limit)
                except TimeoutError:
                    raise timed_out(request.timeout, reader.received) from None
                except Rejected as error:
                    # Policy violations are reported a task later than the rejection.
                    await _next_task()
                    if request.opaque:
                        await blocked.wait(isolated=self.page.isolated)
                    if blocked.coep and request.opaque:
                        return Response(url=request.url, status=0)
                    raise reader.failure(error, blocked.csp) from None
        finally:
            # Ends what is left of the request; without effect on one that is complete.
            js_controller.abort()


class _Reader:
    """One request, and how far its answer has come."""

    def __init__(self, request: Request, progress: Progress) -> None:
        self.request = request
        self.progress = progress
        self.received: int | None = None
        self.limit: asyncio.Timeout | None = None

    async def read(self, js_signal: Any, limit: asyncio.Timeout) -> Response:
        request, self.limit = self.request, limit
        js_options = to_js_object(
            mode="no-cors" if request.opaque else "cors",
            credentials=request.credentials,
            headers=dict(request.headers),
            # Whether a mirror works now is not for the HTTP cache to say.
            cache="no-store" if request.opaque else "no-cache",
        )
        js_options.signal = js_signal
        js_fast = fast()
        if js_fast is None:
            return await self._read_slowly(js_options)
        js_want = to_js_object(
            maxBytes=request.max_bytes,
            every=_TELL_MS,
            lean=request.lean,
            leanFrom=LEAN_FROM,
            digest=request.digest,
            digestFrom=DIGEST_FROM,
            live=True,
        )
        js_tell: list[Any] = [create_proxy(self._on_head), create_proxy(self._on_more)]
        try:
            js_answer = await js_fast.request(request.url, js_options, js_want, *js_tell)
        finally:
            js_want.live = False  # a cancelled request may go on for a moment, and must not call
            for js_proxy in js_tell:
                js_proxy.destroy()
        return self._response(*js_answer)

    def _response(self, status: int, *parts: Any) -> Response:
        if status == _TOO_MUCH:
            raise too_large(self.request.max_bytes)
        if status == _FAILED:
            raise Rejected(*parts)
        if self.request.opaque:
            return Response(url=self.request.url, status=0)
        url, headers, body, digest, checked = parts
        return Response(
            url=url or self.request.url,
            status=status,
            headers={name.lower(): value for name, value in json.loads(headers)},
            body=body.encode() if isinstance(body, str) else body.to_bytes(),
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
        """The same, without JavaScript of our own."""
        js_response = await settle(js.fetch, None, self.request.url, js_options)
        if self.request.opaque:
            return Response(url=self.request.url, status=0)
        headers = {str(name).lower(): str(value) for name, value in js_response.headers}
        self._on_head(js_response.status, headers.get("content-length", ""))
        chunks: list[bytes] = []
        js_reader = js_response.body.getReader() if js_response.body else None
        while js_reader is not None:
            js_result = await settle(js_reader.read, js_reader)
            if js_result.done:
                break
            chunks.append(js_result.value.to_bytes())
            if (self.received or 0) + len(chunks[-1]) > self.request.max_bytes:
                raise too_large(self.request.max_bytes)
            self._on_more(len(chunks[-1]))
        url = str(js_response.url) or self.request.url
        status, body = js_response.status, b"".join(chunks)
        return Response(url=url, status=status, headers=headers, body=body)

    def failure(self, error: Rejected, directive: str) -> TransportError:
        """What is known of a request that was rejected: to a page, causes look all alike."""
        if directive:
            return TransportError(FailureKind.CSP, f"blocked by {directive} of the page's policy")
        if self.received is not None:
            return cut_off(self.received)
        if _says_offline(self.request.url):
            return TransportError(FailureKind.OFFLINE, "the browser is offline")
        return TransportError(FailureKind.NETWORK, f"the browser says {error.message!r}")


class Policies:
    """Learns which requests the page's own policies stop. One for the life of the page.

    Its listeners are never removed: browsers deliver what was queued even after that, and would
    call into proxies that are gone.
    """

    def __init__(self) -> None:
        self._watched: list[_Blocked] = []
        if not _IN_BROWSER:
            return
        js_target = js.document if hasattr(js, "document") else js
        js_target.addEventListener("securitypolicyviolation", create_proxy(self._on_violation))
        if hasattr(js, "ReportingObserver"):
            js_options = to_js_object(types=["coep"])
            js.ReportingObserver.new(create_proxy(self._on_reports), js_options).observe()

    @contextmanager
    def watch(self, url: str) -> Iterator[_Blocked]:
        """Note what is said about one URL meanwhile."""
        blocked = _Blocked(url)
        self._watched.append(blocked)
        try:
            yield blocked
        finally:
            self._watched.remove(blocked)

    def _on_violation(self, js_event: Any) -> None:
        if js_event.disposition != "enforce":
            return
        # After a redirect only the origin is given.
        url = str(js_event.blockedURI)
        for blocked in self._watched:
            if url == blocked.url or url.rstrip("/") == origin(blocked.url):
                blocked.csp = str(js_event.effectiveDirective)
                blocked.told.set()

    def _on_reports(self, js_reports: Any, _js_observer: Any) -> None:
        for js_report in js_reports:
            js_body = js_report.toJSON().body
            for blocked in self._watched:
                if js_body.disposition == "enforce" and str(js_body.blockedURL) == blocked.url:
                    blocked.coep = True
                    blocked.told.set()


class _Blocked:
    """What the page's policies have said about one URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.told = asyncio.Event()
        self.csp = ""
        """The directive of the Content-Security-Policy that forbids it (CSP3, section 5)."""
        self.coep = False
        """An answer came, and the embedder policy withheld it (HTML standard, 7.1.4)."""

    async def wait(self, *, isolated: bool) -> None:
        """Give what browsers tell late some time: policies to workers, and the embedder's."""
        if isolated or _IN_WORKER:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.told.wait(), _REPORT_SECONDS)


async def _next_task() -> None:
    """Let the browser run one task (HTML standard), so that queued events are delivered."""

    def start(js_resolve: Any, _js_reject: Any) -> None:
        js.setTimeout(js_resolve, 0)

    await js.Promise.new(create_once_callable(start))


class Rejected(Exception):
    """A JavaScript promise was rejected, with an error of this ``name`` and ``message``."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(name, message)
        self.name = name
        self.message = message

    @classmethod
    def because(cls, js_reason: Any) -> Rejected:
        """Made of a promise's reason."""
        message = str(getattr(js_reason, "message", js_reason))
        return cls(str(getattr(js_reason, "name", "")), message)


async def settle(js_function: Any, js_this: Any, *arguments: Any) -> Any:
    """Call a JavaScript function and wait for its promise: its value, or :class:`Rejected`.

    A promise that may be rejected must not reach Pyodide: it takes a reason without a ``stack``,
    as all of WebKit's network errors are, for no exception, and whoever awaits it waits for ever.
    So JavaScript makes the call (``Array.from`` with the bound function as its map function), and
    what is awaited is never rejected.
    """
    js_bound = js_function.bind(js_this, *arguments)
    js_promises = js.Array.from_(js.Array.of(0), js_bound)
    (js_outcome,) = await js.Promise.allSettled(js_promises)
    if js_outcome.status == "rejected":
        raise Rejected.because(js_outcome.reason)
    return js_outcome.value


def to_js_object(**members: object) -> Any:
    """A plain JavaScript object."""
    return to_js(members, dict_converter=js.Object.fromEntries)
