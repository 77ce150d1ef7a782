"""The head start of a page's first install: it asks the first mirror before it loads its code.

A browser fetches while Python compiles. What comes back waits for the probe of that mirror, which
judges it as any other answer; what no probe asks for was a request in vain, and nothing else.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

from pyodide_mirror import index, installing, probing, storage
from pyodide_mirror._imports import quick_imports
from pyodide_mirror.transport import Response, request_to, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyodide_mirror.installing import InstallRequest
    from pyodide_mirror.model import Mirror
    from pyodide_mirror.transport import Failure, Transport

    from .configuration import DeferredConfiguration
    from .host import Host

_PATIENCE: Final = 60.0
"""Seconds; whoever waits for an answer has a time-out of their own."""
_MOMENT: Final = 0.01
"""Seconds; less than the wheel's request saves by being made now."""
_SMALL_PAGE: Final = 262_144
"""Bytes of a page that may be read twice: that takes less than a round trip."""


async def head_start(host: Host, plan: DeferredConfiguration, request: InstallRequest) -> None:
    """Ask for the first page, load an install's code, and ask for the wheel as soon as can be.

    Where something may be remembered, that is read meanwhile instead.
    """
    first = await _first_requests(host, plan, request)
    page = first.ask_for_page() if first is not None else None
    if page is None:
        _read_ahead(host, plan, request)
    await asyncio.sleep(0)  # the request goes out
    for _ in _micropip():
        await asyncio.sleep(0)  # the browser has its turn
    if page is not None:
        # Most often it has arrived meanwhile; to hand it over takes Chromium several turns.
        await asyncio.wait({page}, timeout=_MOMENT)
    for _ in _ours():
        await asyncio.sleep(0)
        if first is not None and page is not None and page.done():
            first.ask_for_wheel(page.result(), request.requirements)
            page = None


def _read_ahead(host: Host, plan: DeferredConfiguration, request: InstallRequest) -> None:
    """Begin to read what is remembered of earlier visits."""
    if plan.remember:
        host.store.read_ahead()
    if request.cache:
        host.cache.warm()


async def _first_requests(
    host: Host, plan: DeferredConfiguration, request: InstallRequest
) -> _FirstRequests | None:
    """The requests to begin with, if they can be foreseen."""
    first = (*request.requirements, "")[0]
    # Whether a marker applies, only packaging can say.
    project = "" if ";" in first else index.requirement_name(first)
    if not project or not await _is_plain(host, plan, project):
        return None
    mirror = plan.settings.mirrors.mirrors[0]
    transport = await host.transport()
    if probing.refuse_mirror(mirror, transport.page, named=plan.settings.mirrors.named):
        return None
    return _FirstRequests(mirror, transport, project, request.downloads.early)


async def _is_plain(host: Host, plan: DeferredConfiguration, project: str) -> bool:
    """Whether the first mirror is sure to be asked for this project first of all."""
    mirrors = plan.settings.mirrors.mirrors
    special = any(mirror.projects or mirror.is_exclusive for mirror in mirrors)
    if special or plan.settings.canary != probing.DEFAULT_CANARY:
        return False
    if project in installing.dist_info_folders():
        return False
    return await host.is_cold(project, remembers=plan.remember, prefer=plan.prefer)


class _FirstRequests(NamedTuple):
    """The requests for a project to the first mirror; ``early``: see ProbeDownloads."""

    mirror: Mirror
    transport: Transport
    project: str
    early: dict[str, asyncio.Task[Response | Failure]]

    def ask_for_page(self) -> asyncio.Task[Response | Failure]:
        """Ask for the project's page."""
        url = self.mirror.project_url(self.project)
        return self._ask(url, index.MAX_PAGE_BYTES, accept=index.ACCEPT)

    def ask_for_wheel(self, page: Response | Failure, requirements: list[str]) -> None:
        """Ask for the wheel that the probe will want, if the page makes it plain which."""
        if not isinstance(page, Response) or not page.ok or len(page.body) > _SMALL_PAGE:
            return
        try:
            specifier = index.specifier_of(self.project, requirements)
            file = index.best_wheel(index.read_page(page, self.project), specifier)
        except index.PageError:
            return
        if file is None or file.size is None or file.size > index.SMALL_WHEEL:
            return
        if not probing.refuse_file_url(file.url, self.mirror, self.transport.page):
            self._ask(file.url, probing.MAX_WHEEL_BYTES)

    def _ask(
        self, url: str, max_bytes: int, *, accept: str = ""
    ) -> asyncio.Task[Response | Failure]:
        request = request_to(
            self.mirror, url, accept=accept, timeout=_PATIENCE, max_bytes=max_bytes
        )
        asked = self.early[url] = asyncio.ensure_future(send(self.transport, request))
        return asked


def _micropip() -> Iterator[object]:
    """Load micropip, part by part."""
    for name in ("html.parser", "platform", "micropip"):
        with quick_imports():
            module = import_module(name)
        yield module


def _ours() -> Iterator[object]:
    """Load what an install needs of ours, part by part."""
    yield index.best_wheel
    yield index.read_page
    yield probing.probe_mirror
    yield probing.run_race
    yield storage.Cache
    yield installing.MirrorClient
    yield installing.Failover
    yield installing.Ledgers
    yield installing.Installation
