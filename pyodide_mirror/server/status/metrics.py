"""Metrics for Prometheus, by its own client library.

All labels have few values, whatever clients and upstreams send: kinds of addresses, never projects
or paths; the hosts of the upstreams that were named, never those of their files. Several processes
count together where the environment variable ``PROMETHEUS_MULTIPROC_DIR`` names a folder for it, as
the library has it.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from pyodide_mirror import __version__
from pyodide_mirror.server.observing import COMPLETE, VARIABLE, Counts

if TYPE_CHECKING:
    from pyodide_mirror.server.observing import Handled

    from .state import State

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"})
_KINDS: Final = (
    ("list", re.compile(r"(/pypi)?/simple/?")),
    ("page", re.compile(r"(/pypi)?/simple//?[^/]*/?")),
    ("metadata", re.compile(r"/files/.*\.metadata")),
    ("file", re.compile(r"/files/.*|/pyodide_mirror-[^/]*")),
    ("pyodide", re.compile(r"/pyodide/.*")),
    ("status", re.compile(r"/|/healthz|/metrics")),
    ("cache", re.compile(r"/cache/.*")),
    ("upload", re.compile(r"/legacy/?")),
)
_SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_THERE: Final = (
    ("cache_bytes", "What the cache has."),
    ("cache_limit_bytes", "What it may have."),
    ("cache_files", "Its files."),
    ("cache_problem", "1 while something cannot be stored."),
    ("downloads_in_progress", "Downloads from upstreams that are running."),
    ("local_projects", "Projects in a folder.", "source"),
    ("local_files", "Their files.", "source"),
    ("local_left_out", "What is in a folder and is not served.", "source"),
    ("local_problem", "1 while a folder cannot be read.", "source"),
    ("upstream_problem", "1 if an upstream's or CDN's last answer was of no use.", "upstream"),
)
_NAMESPACE: Final = "pyodide_mirror"


class Metrics(Counts):
    """Counts what happens, and adds to it what there is when it is asked."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = self._counter(
            "http_requests", "Requests that have been answered.", "method", "kind", "status"
        )
        self._unfinished = self._counter(
            "http_unfinished", "Answers that did not reach their end, and why.", "kind", "end"
        )
        self._sent = self._counter("http_sent_bytes", "Bytes of bodies that were sent.", "kind")
        self._seconds = self._histogram(
            "http_request_duration_seconds", "From a request's head to its answer's end.", "kind"
        )
        self._waiting = self._gauge(
            "http_requests_in_progress", "Requests that are being answered.", mode="livesum"
        )
        self._lookups = self._counter(
            "cache_lookups", "Pages and files that were looked up in the cache.", "kind", "result"
        )
        self._evicted = self._counter("cache_evicted_files", "Files removed to make room.")
        self._evicted_bytes = self._counter("cache_evicted_bytes", "Their bytes.")
        self._upstream = self._counter(
            "upstream_requests", "Requests to upstreams and CDNs.", "upstream", "kind", "result"
        )
        self._upstream_seconds = self._histogram(
            "upstream_request_duration_seconds",
            "How long these took, bodies included.",
            "upstream",
            "kind",
        )
        self._there = {name: self._gauge(name, text, *labels) for name, text, *labels in _THERE}
        self._gauge("build_info", "This server.", "version").labels(__version__).set(1)
        if VARIABLE not in os.environ:  # it knows nothing of processes
            ProcessCollector(registry=self._registry)

    # --- what happens ---------------------------------------------------------------------------

    def begun(self) -> None:
        """See Counts."""
        self._waiting.inc()

    def answered(self, handled: Handled) -> None:
        """See Counts."""
        self._waiting.dec()
        scope = handled.scope
        kind = kind_of(scope["path"].removeprefix(scope.get("root_path", "")))
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, kind, str(handled.status or "none")).inc()
        self._sent.labels(kind).inc(handled.sent)
        self._seconds.labels(kind).observe(handled.seconds)
        if handled.end != COMPLETE:
            self._unfinished.labels(kind, handled.end).inc()

    def looked_up(self, kind: str, *, hit: bool) -> None:
        """See Counts."""
        self._lookups.labels(kind, "hit" if hit else "miss").inc()

    def evicted(self, size: int) -> None:
        """See Counts."""
        self._evicted.inc()
        self._evicted_bytes.inc(size)

    def asked_upstream(self, host: str, kind: str, result: str, seconds: float) -> None:
        """See Counts."""
        self._upstream.labels(host, kind, result).inc()
        self._upstream_seconds.labels(host, kind).observe(seconds)

    # --- what there is --------------------------------------------------------------------------

    async def text(self, state: State) -> bytes:
        """All of it in the text format, of type CONTENT_TYPE."""
        self._note(state)
        return await asyncio.to_thread(self._text)

    def _note(self, state: State) -> None:
        there, cache = self._there, state.cache
        there["cache_bytes"].set(cache.size)
        there["cache_limit_bytes"].set(cache.limit)
        there["cache_files"].set(cache.files)
        there["cache_problem"].set(bool(cache.problem))
        there["downloads_in_progress"].set(state.downloads)
        for each in state.local:
            there["local_projects"].labels(each.name).set(each.projects)
            if each.files is not None:
                there["local_files"].labels(each.name).set(each.files)
            there["local_left_out"].labels(each.name).set(len(each.left_out))
            there["local_problem"].labels(each.name).set(bool(each.problem))
        hosts: dict[str, bool] = {}
        for other in (*state.upstreams, *state.cdns):
            host = urlsplit(other.name).netloc or other.name
            hosts[host] = hosts.get(host, False) or bool(other.problem)
        for host, problem in hosts.items():
            there["upstream_problem"].labels(host).set(problem)

    def _text(self) -> bytes:
        registry = self._registry
        if VARIABLE in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=_NAMESPACE, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str, mode: Any = "mostrecent") -> Gauge:
        return Gauge(
            name,
            text,
            labels,
            namespace=_NAMESPACE,
            registry=self._registry,
            multiprocess_mode=mode,
        )

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(
            name, text, labels, namespace=_NAMESPACE, registry=self._registry, buckets=_SECONDS
        )


def kind_of(path: str) -> str:
    """What kind of address a path below the server's own is; there are few."""
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(path)), "other")
