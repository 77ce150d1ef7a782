"""The head start of a page's first install: it asks the first mirror before it loads its code.

A browser fetches while Python compiles. What comes back waits for the probe of that mirror, which
judges it as any other answer; what no probe asks for was a request in vain, and nothing else.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Final

from pyodide_mirror import _micropip, index, installing, probing, storage
from pyodide_mirror._imports import quick_imports
from pyodide_mirror.transport import Response, request_to, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyodide_mirror.installing import InstallRequest
    from pyodide_mirror.model import File
    from pyodide_mirror.transport import Failure, Transport

    from .configuration import DeferredConfiguration
    from .host import Host

    _Asked = asyncio.Task[Response | Failure]

_MOMENT: Final = 0.01
"""Seconds; less than the wheel's request saves by being made now."""
_BLINK: Final = 0.002
"""Seconds between two pieces of code, for a wheel that may have arrived."""
_SMALL_PAGE: Final = 262_144
"""Bytes of a page that may be read twice: that takes less than a round trip."""


async def head_start(host: Host, plan: DeferredConfiguration, request: InstallRequest) -> None:
    """Ask for the first page, load an install's code, and ask for the wheel as soon as can be.

    Where something may be remembered, that is read meanwhile instead.
    """
    first = await _first_requests(host, plan, request)
    if first is None:
        _read_ahead(host, plan, request)
    else:
        first.ask_for_page()
    await asyncio.sleep(0)  # the request goes out
    for _ in _load_micropip():
        await asyncio.sleep(0)  # the browser has its turn
    for _ in _load_ours():
        if first is None:
            await asyncio.sleep(0)
        else:
            await first.go_on()


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
    return _FirstRequests(plan, transport, project, request)


async def _is_plain(host: Host, plan: DeferredConfiguration, project: str) -> bool:
    """Whether the first mirror is sure to be asked for this project first of all."""
    mirrors = plan.settings.mirrors.mirrors
    special = any(mirror.projects or mirror.is_exclusive for mirror in mirrors)
    if special or plan.settings.canary != probing.DEFAULT_CANARY:
        return False
    if project in installing.dist_info_folders():
        return False
    return await host.is_cold(project, remembers=plan.remember, prefer=plan.prefer)


class _FirstRequests:
    """The requests for a project to the first mirror; ``early``: see ProbeDownloads.

    The page, then the wheel in it that the probe will want, then the pages of what that requires.
    """

    def __init__(
        self,
        plan: DeferredConfiguration,
        transport: Transport,
        project: str,
        request: InstallRequest,
    ) -> None:
        self._plan = plan
        self._mirror = plan.settings.mirrors.mirrors[0]
        self._transport = transport
        self._project = project
        self._request = request
        self._file: File | None = None
        self._asked: _Asked | None = None
        """What comes next, once it is answered."""

    def ask_for_page(self) -> None:
        """Ask for the project's page."""
        self._asked = self._ask_for_page_of(self._project)

    async def go_on(self) -> None:
        """Ask for what the last answer leads to, if it has come; else give the browser its turn."""
        if self._asked is None:
            await asyncio.sleep(0)
            return
        # To hand over what has arrived meanwhile takes Chromium several turns.
        await asyncio.wait({self._asked}, timeout=_MOMENT if self._file is None else _BLINK)
        if not self._asked.done():
            return
        answer, self._asked = self._asked.result(), None
        if not isinstance(answer, Response) or not answer.ok:
            return
        if self._file is None:
            self._ask_for_wheel(answer)
        else:
            self._ask_for_pages(self._file, answer)

    def _ask_for_wheel(self, page: Response) -> None:
        if len(page.body) > _SMALL_PAGE:
            return
        try:
            specifier = index.specifier_of(self._project, self._request.requirements)
            file = index.best_wheel(index.read_page(page, self._project), specifier)
        except index.PageError:
            return
        if file is None or file.size is None or file.size > index.SMALL_WHEEL:
            return
        if not probing.refuse_file_url(file.url, self._mirror, self._transport.page):
            self._file = file
            self._asked = self._ask(file.url, probing.MAX_WHEEL_BYTES)

    def _ask_for_pages(self, file: File, wheel: Response) -> None:
        """Ask for the pages of what the wheel requires, as far as an install will."""
        if not self._request.options.get("deps", True) or probing.check_bytes(file, wheel):
            return
        try:
            metadata = index.metadata_of(wheel.body, file.filename)
        except ValueError:
            return
        is_elsewhere = _micropip.provided_elsewhere(lockfile=self._plan.prefer == "lockfile")
        there = installing.dist_info_folders()
        for name in map(index.requirement_name, index.requirements_of(metadata, ())):
            if name and name not in there and not is_elsewhere(name):
                self._ask_for_page_of(name)

    def _ask_for_page_of(self, project: str) -> _Asked:
        url = self._mirror.project_url(project)
        return self._ask(url, index.MAX_PAGE_BYTES, accept=index.ACCEPT)

    def _ask(self, url: str, max_bytes: int, *, accept: str = "") -> _Asked:
        # Whoever waits for an answer has a time-out of their own, which begins later. No minute
        # for all: in Node, a program ends when the last time-out is over, answered or not.
        patience = 2 * self._plan.settings.timeout
        request = request_to(
            self._mirror, url, accept=accept, timeout=patience, max_bytes=max_bytes, stall=True
        )
        asked = asyncio.ensure_future(send(self._transport, request))
        return self._request.downloads.early.setdefault(url, asked)


def _load_micropip() -> Iterator[object]:
    """Load micropip, part by part."""
    for name in ("platform", "micropip"):
        with quick_imports():
            module = import_module(name)
        yield module


def _load_ours() -> Iterator[object]:
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
