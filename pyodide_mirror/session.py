"""Puts the rooms together: one session's configuration, and what is done with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from . import _micropip
from .arguments import (
    MirrorsArgument,
    check_callback,
    check_canary,
    check_choice,
    check_flag,
    check_mirrors,
    check_requirements,
    check_timeout,
)
from .delivery import Delivery
from .errors import NoUsableMirror
from .hook import InstallHook
from .installing import Events, Installation, Order
from .lazy import LazyDelivery, Way
from .model import Mirror, Outcome
from .probing import DEFAULT_CANARY, Harvest
from .race import check_all, race, tell
from .report import Event, Installed, InstallReport, Report
from .router import Ranked, Router
from .scout import canary_of
from .standing import (
    Later,
    OnConfigured,
    Question,
    Standing,
    ranking,
    recalled,
    report_of,
    without_project,
)
from .store import Choice, ChoiceStore

if TYPE_CHECKING:
    from .cache import Cache, CacheInfo
    from .model import ProjectPage
    from .transport import Transport

_log = logging.getLogger(__name__)

OnOutcome = Callable[[Outcome], None] | None
OnEvent = Callable[[Event], None] | None
Verify = Literal["index", "quorum"]


class Host(Protocol):
    """Where this Python runs."""

    store: ChoiceStore
    cache: Cache

    async def transport(self) -> Transport:
        """The way to make requests from here."""
        ...


class Session:
    """The state behind the public functions; there is one, in ``__init__``."""

    def __init__(self, host: Host, hook: InstallHook | None = None) -> None:
        self._host = host
        self._standing: Standing | None = None
        self._later: Later | None = None
        self._index_urls = _micropip.IndexUrls()
        self._seam = _micropip.FetchSeam()
        self._hook = hook or InstallHook(self.plain_install)
        self._hook.run = self.plain_install
        self._forgetting: Awaitable[None] | None = None
        self._configuring = asyncio.Lock()

    async def probe(
        self,
        mirrors: MirrorsArgument = None,
        *,
        canary: str = DEFAULT_CANARY,
        timeout: float = 5.0,  # of a request, not of this call
        on_outcome: OnOutcome = None,
    ) -> Report:
        """Look at every mirror and say of each what it can be used for; changes nothing.

        ``mirrors``: one index URL or :class:`Mirror`, or several; None is ``PYODIDE_MIRROR_URLS``
        from the environment, else the built-in table. ``canary``: the project to look up.
        ``timeout``: seconds for one request, body included. ``on_outcome``: is called with each
        verdict as it arrives. Of the report, ``chosen`` is the best mirror, or None.

        Raises TypeError or ValueError for bad arguments, before any request.
        """
        question = self._question(mirrors, canary, timeout)
        check_callback("on_outcome", on_outcome)
        await self._forgotten()
        check = question.check(await self._host.transport(), thorough=True)
        result = await check_all(question.mirrors.mirrors, check, on_outcome)
        return report_of(result)

    async def configure(
        self,
        mirrors: MirrorsArgument = None,
        *,
        canary: str = DEFAULT_CANARY,
        timeout: float = 5.0,  # of a request, not of this call
        prefer: _micropip.Prefer = "lockfile",
        remember: bool = True,
        on_outcome: OnOutcome = None,
    ) -> Report:
        """Find a mirror that works from here, and let micropip use it.

        The mirrors race: they start in order, shortly after one another, and the first that is
        verified wins. ``prefer``: ``"lockfile"`` keeps Pyodide's own builds first, ``"index"``
        asks the mirror first. ``remember``: try the winner first the next time, on other pages of
        this origin too. The other arguments are those of :meth:`probe`.

        Raises :class:`NoUsableMirror`, which carries the report, and leaves micropip as it was.
        Raises TypeError or ValueError for bad arguments, before any request.
        """
        question = self._question(mirrors, canary, timeout)
        _check_preferences(prefer, remember)
        check_callback("on_outcome", on_outcome)
        standing = await self._configure(question, prefer, on_outcome, remember=remember)
        return standing.report

    def configure_later(
        self,
        mirrors: MirrorsArgument = None,
        *,
        canary: str = DEFAULT_CANARY,
        timeout: float = 5.0,
        prefer: _micropip.Prefer = "lockfile",
        on_configured: OnConfigured = None,
    ) -> None:
        """Configure when the first ``micropip.install`` asks an index, and make no request now.

        Until then micropip is as it was; a user who gives it index URLs keeps them. These mirrors
        and this canary are also what the other functions use where they are given none.
        ``on_configured``: is called with the report. The other arguments are those of
        :meth:`configure`, and so are the errors for bad ones.
        """
        question = _question(mirrors, canary, timeout)
        _check_preferences(prefer, remember=True)
        check_callback("on_configured", on_configured)
        self._later = Later(question, prefer, on_configured)
        self._hook.install()

    async def install(  # micropip's signature, and ours
        self,
        requirements: str | Iterable[str],
        keep_going: bool = False,  # micropip's signature
        deps: bool = True,
        credentials: str | None = None,
        pre: bool = False,
        index_urls: MirrorsArgument = None,
        *,
        mirrors: MirrorsArgument = None,
        canary: str = DEFAULT_CANARY,
        timeout: float = 5.0,  # of a request, not of this call
        prefer: _micropip.Prefer = "lockfile",
        remember: bool = True,
        verify: Verify = "index",
        cache: bool = True,
        on_event: OnEvent = None,
        **micropip_options: Any,
    ) -> InstallReport:
        """Install through a mirror that works from here; a drop-in for ``micropip.install``.

        Configures first, as :meth:`configure` does, unless that was done with the same mirrors
        and canary. What a mirror cannot deliver comes from the next one, but only under the same
        file name and SHA-256; what is still missing after the install is installed as well.
        ``index_urls`` is taken as ``mirrors``. ``verify``: ``"quorum"`` demands that a second
        mirror, on another host, publishes the same digest for each file. ``cache``: keep what was
        fetched in this browser, and take from there what is known by its SHA-256. ``on_event``: is
        called with each :class:`Event`. Other options go to micropip.

        Nothing stays installed of an install that fails. Raises :class:`NoUsableMirror` when no
        mirror works, :class:`IncompleteInstall` when something cannot be had from any,
        :class:`DigestMismatch` when no mirror has a file as its page says, what micropip raises,
        and TypeError or ValueError for bad arguments, before any request.
        """
        wanted = check_requirements(requirements)
        if index_urls is not None and mirrors is not None:
            raise TypeError("mirrors and index_urls mean the same: give one of them")
        question = self._question(index_urls if mirrors is None else mirrors, canary, timeout)
        _check_preferences(prefer, remember)
        check_choice("verify", verify, ("index", "quorum"))
        check_flag("cache", cache)
        check_callback("on_event", on_event)
        _micropip.check_options(micropip_options)
        events = Events(on_event)
        options = {
            "keep_going": keep_going,
            "deps": deps,
            "credentials": credentials,
            "pre": pre,
            **micropip_options,
        }
        order = Order(wanted, options, events, verify, cache=cache)
        if cache:
            self._host.cache.warm()
        order.harvest = self._harvest_for(question, wanted, prefer, canary)
        trusted = await self._trusted(question) if remember else None
        if trusted is not None:
            installed, report = await self._install_lazily(Later(question, prefer), order, trusted)
        else:
            standing = await self._standing_for(question, prefer, order, remember=remember)
            installed, report = await self._install(standing, order), standing.report
        return InstallReport(installed=installed, events=tuple(events.all), report=report)

    def status(self) -> Report | None:
        """What is configured now, or None."""
        return None if self._standing is None else self._standing.report

    async def cache_info(self) -> CacheInfo:
        """What this browser keeps of earlier installs: files, pages, bytes, and where."""
        return await self._host.cache.info()

    async def clear_cache(self) -> None:
        """Remove all that is kept of earlier installs, for all pages of this origin."""
        await self._host.cache.clear()

    def reset(self) -> None:
        """Leave micropip as it was before, and forget the remembered choice.

        micropip is restored at once; forgetting is awaited by the next :meth:`probe`,
        :meth:`configure` or :meth:`install`.
        """
        self._hook.remove()
        self._seam.remove()
        self._index_urls.restore()
        self._standing = self._later = None
        self._forgetting = self._host.store.forget()

    async def _standing_for(
        self,
        question: Question,
        prefer: _micropip.Prefer,
        order: Order,
        *,
        remember: bool,
    ) -> Standing:
        standing, events = self._standing, order.events
        if standing is None or not standing.question.is_same(question):
            standing = await self._configure(
                question, prefer, events.on_outcome, remember=remember, harvest=order.harvest
            )
        else:
            router = replace(standing.router, timeout=question.timeout)
            standing = self._apply(Standing(question, prefer, standing.report, router))
        text = f"installs through {standing.mirror.name}"
        events.add(Event("chosen", text, standing.mirror.index_url))
        return standing

    async def _configure(
        self,
        question: Question,
        prefer: _micropip.Prefer,
        on_outcome: OnOutcome,
        *,
        remember: bool,
        harvest: Harvest | None = None,
    ) -> Standing:
        await self._forgotten()
        async with self._configuring:
            choice = await self._host.store.load() if remember else None
            if choice is not None and not choice.is_fresh(datetime.now(UTC)):
                choice = None
            transport = await self._host.transport()
            ordered = question.mirrors.with_first(choice)
            racing, others = ordered.racing()
            check = question.check(transport, harvest)
            result = await race(racing, check, on_outcome)
            if result.winner is None and harvest is not None:
                # It may be the project that is missing, and not the mirrors that are of no use.
                again = await race(without_project(result), question.check(transport), on_outcome)
                result = result.updated(again)
            report = report_of(result, others)
            if report.chosen is None:
                raise NoUsableMirror(report)
            router = Router(ranking(report), transport, question.timeout)
            standing = self._apply(Standing(question, prefer, report, router))
            if remember:
                chosen = Choice(standing.mirror.index_url, datetime.now(UTC))
                await self._host.store.save(chosen)
            return standing

    def _apply(self, standing: Standing) -> Standing:
        router = standing.router
        seamed = self._seam.install(Delivery(router, _log_event, keep=False))
        # Behind the seam one index URL stands for all mirrors; without it micropip needs them.
        urls = [router.mirror.index_url] if seamed else router.plain_urls()
        self._index_urls.use(urls, standing.prefer)
        self._hook.install()
        self._standing = standing
        return standing

    async def plain_install(self, arguments: dict[str, Any]) -> None:
        """What ``micropip.install`` does once we are configured."""
        requirements = arguments.pop("requirements")
        if arguments.get("index_urls") is None:
            order = Order(check_requirements(requirements), arguments, Events(None))
            self._host.cache.warm()
            if self._standing is not None and self._index_urls.is_ours():
                await self._install(self._standing, order)
                return
            later = self._later
            if self._standing is None and later and _micropip.has_default_index_urls():
                await self._install_lazily(later, order, await self._trusted(later.question))
                return
        await self._hook.call(requirements, arguments)

    async def _trusted(self, question: Question) -> Mirror | None:
        """The remembered mirror, if it may be used at once: its first answer will prove it."""
        standing = self._standing
        if standing is not None and standing.question.is_same(question):
            return None  # that one stands already
        await self._forgotten()
        choice = await self._host.store.load()
        if choice is None or not choice.is_fresh(datetime.now(UTC)):
            return None
        mirrors = question.mirrors.mirrors
        if any(mirror.is_exclusive for mirror in mirrors):
            return None  # who may answer for what is not to be tried out
        return next((m for m in mirrors if m.index_url == choice.index_url and not m.problem), None)

    async def _install_lazily(
        self, later: Later, order: Order, trusted: Mirror | None
    ) -> tuple[tuple[Installed, ...], Report]:
        """An install that configures when it has to; what it did, and what is known of mirrors."""
        before = self._standing
        way = self._way(later, order, trusted, await self._host.transport())
        seam = Delivery(way.provisional, _log_event, keep=False)
        if not way.provisional.ranked or not self._seam.install(seam):
            await way.race()
            standing = self._standing
            assert standing is not None  # noqa: S101  # the race has set it, or raised
            return await self._install(standing, order), standing.report
        self._index_urls.use([way.provisional.mirror.index_url], later.prefer)
        supply = order.supply(way.provisional, self._host.cache)
        delivery = LazyDelivery(way, order.events.add, supply, quorum=order.quorum)
        report = Report(trusted, (), later.question.mirrors.without(trusted))
        try:
            installed = await self._run(delivery, order, report)
        finally:
            if self._standing is before:  # nothing was asked of any mirror
                self._seam.remove()
                self._index_urls.restore()
                if before is not None:
                    self._apply(before)
        known = self._standing
        return installed, report if known is None or known is before else known.report

    def _way(self, later: Later, order: Order, trusted: Mirror | None, transport: Transport) -> Way:
        """How the mirrors of a configuration to come are found."""
        question = later.question
        mirrors = [mirror for mirror in question.mirrors.mirrors if not mirror.problem]
        provisional = Router(tuple(map(Ranked, mirrors)), transport, question.timeout)

        async def race_them() -> Router:
            standing = await self._configure(
                question,
                later.prefer,
                order.events.on_outcome,
                remember=True,
                harvest=order.harvest,
            )
            tell(later.on_configured, standing.report)
            return standing.router

        def trust(page: ProjectPage) -> Router:
            assert trusted is not None  # noqa: S101  # only then it is called
            outcome = recalled(trusted, page)
            report = Report(trusted, (outcome,), question.mirrors.without(trusted))
            router = Router(ranking(report), transport, question.timeout)
            self._apply(Standing(question, later.prefer, report, router))
            order.events.add(
                Event("chosen", f"installs through {trusted.name}, as before", trusted.index_url)
            )
            tell(later.on_configured, report)
            return router

        return Way(provisional, race_them, trusted, trust)

    async def _install(self, standing: Standing, order: Order) -> tuple[Installed, ...]:
        supply = order.supply(standing.router, self._host.cache)
        delivery = Delivery(standing.router, order.events.add, quorum=order.quorum, supply=supply)
        return await self._run(delivery, order, standing.report)

    async def _run(self, delivery: Delivery, order: Order, report: Report) -> tuple[Installed, ...]:
        installation = Installation(delivery, self._hook.call, order.options, report, order.events)
        try:
            return await installation.run(order.requirements)
        finally:
            await delivery.keep()

    @staticmethod
    def _harvest_for(
        question: Question, requirements: list[str], prefer: _micropip.Prefer, canary: str
    ) -> Harvest | None:
        """What makes probes useful: the first project to be installed is the canary.

        Not where the user has named one, or an index claims the project.
        """
        if canary != DEFAULT_CANARY:
            return None
        elsewhere = _micropip.elsewhere(lockfile=prefer == "lockfile")
        present = _micropip.installed()
        project, wants = canary_of(requirements, lambda name: name in present or elsewhere(name))
        claimed = any(mirror.names(project) for mirror in question.mirrors.mirrors)
        return Harvest(project, wants) if project and not claimed else None

    def _question(self, mirrors: MirrorsArgument, canary: str, timeout: float) -> Question:
        """What is asked; where no mirrors are given, what is to be configured later has them."""
        if self._later is None or mirrors is not None:
            return _question(mirrors, canary, timeout)
        later = self._later.question
        same = later.canary if canary == DEFAULT_CANARY else check_canary(canary)
        return Question(later.mirrors, same, check_timeout(timeout))

    async def _forgotten(self) -> None:
        forgetting, self._forgetting = self._forgetting, None
        if forgetting is not None:
            await forgetting


def _log_event(event: Event) -> None:
    _log.log(logging.WARNING if event.kind == "problem" else logging.DEBUG, "%s", event.text)


def _question(mirrors: MirrorsArgument, canary: str, timeout: float) -> Question:
    return Question(check_mirrors(mirrors), check_canary(canary), check_timeout(timeout))


def _check_preferences(prefer: object, remember: object) -> None:
    check_choice("prefer", prefer, ("lockfile", "index"))
    check_flag("remember", remember)
