"""The page's own policies, and the requests that they stop."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import js
from pyodide.ffi import create_proxy

from pyodide_mirror.model import origin

from .ffi import to_js_object
from .page import IN_BROWSER, IN_WORKER

if TYPE_CHECKING:
    from collections.abc import Iterator

_REPORT_SECONDS: Final = 0.1


class Policies:
    """Learns which requests the page's own policies stop; one for the life of the page.

    Its listeners stay: browsers deliver queued events even after a removal, and would call proxies
    that are gone.
    """

    def __init__(self) -> None:
        self._watched: list[Blocked] = []
        if not IN_BROWSER:
            return
        js_target = js.document if hasattr(js, "document") else js
        js_target.addEventListener("securitypolicyviolation", create_proxy(self._on_violation))
        if hasattr(js, "ReportingObserver"):
            js_options = to_js_object(types=["coep"])
            js.ReportingObserver.new(create_proxy(self._on_reports), js_options).observe()

    @contextmanager
    def watch(self, url: str) -> Iterator[Blocked]:
        """Note what is reported about one URL meanwhile."""
        blocked = Blocked(url)
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
                blocked.reported.set()

    def _on_reports(self, js_reports: Any, _js_observer: Any) -> None:
        for js_report in js_reports:
            js_body = js_report.toJSON().body
            for blocked in self._watched:
                if js_body.disposition == "enforce" and str(js_body.blockedURL) == blocked.url:
                    blocked.coep = True
                    blocked.reported.set()


class Blocked:
    """What has been reported about one URL.

    ``csp``: the directive of the Content-Security-Policy that forbids it (CSP3, section 5).
    ``coep``: the embedder policy withheld an answer (HTML standard, 7.1.4).
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.csp = ""
        self.coep = False
        self.reported = asyncio.Event()

    async def wait(self, *, isolated: bool) -> None:
        """Wait a little where browsers report late: to workers, and the embedder policy."""
        if isolated or IN_WORKER:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.reported.wait(), _REPORT_SECONDS)
