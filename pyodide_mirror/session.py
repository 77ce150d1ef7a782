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
from .installing import Events, Installation
from .lazy import LazyDelivery
from .model import Outcome
from .probe import DEFAULT_CANARY
from .race import check_all, race, tell
from .report import Event, Installed, InstallReport, Report
from .router import Ranked, Router
from .standing import Later, OnConfigured, Question, Standing, ranking, report_of
from .store import Choice, ChoiceStore

if TYPE_CHECKING:
    from .transport import Transport

_log = logging.getLogger(__name__)

OnOutcome = Callable[[Outcome], None] | None
OnEvent = Callable[[Event], None] | None
Verify = Literal["index", "quorum"]


class Host(Protocol):
    """Where this Python runs."""

    store: ChoiceStore

    async def transport(self) -> Transport:
        """The way to make requests from here."""
        ...


class Session:
    """The state behind the public functions; there is one, in ``__init__``."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._standing: Standing | None = None
        self._later: Later | None = None
        self._index_urls = _micropip.IndexUrls()
        self._seam = _micropip.FetchSeam()
        self._hook = _micropip.InstallHook(self._plain_install)
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
        check = question.check(await self._host.transport())
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
        mirror, on another host, publishes the same digest for each file. ``cache`` is accepted for
        a later release and changes nothing yet. ``on_event``: is called with each :class:`Event`.
        Other options go to micropip.

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
        standing = await self._standing_for(question, prefer, events, remember=remember)
        options = {
            "keep_going": keep_going,
            "deps": deps,
            "credentials": credentials,
            "pre": pre,
            **micropip_options,
        }
        installed = await self._install(standing, wanted, options, events, verify)
        return InstallReport(installed=installed, events=tuple(events.all), report=standing.report)

    def status(self) -> Report | None:
        """What is configured now, or None."""
        return None if self._standing is None else self._standing.report

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
        events: Events,
        *,
        remember: bool,
    ) -> Standing:
        standing = self._standing
        if standing is None or not standing.question.is_same(question):
            standing = await self._configure(question, prefer, events.on_outcome, remember=remember)
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
    ) -> Standing:
        await self._forgotten()
        async with self._configuring:
            choice = await self._host.store.load() if remember else None
            if choice is not None and not choice.is_fresh(datetime.now(UTC)):
                choice = None
            transport = await self._host.transport()
            ordered = question.mirrors.with_first(choice)
            racing, others = ordered.racing()
            report = report_of(await race(racing, question.check(transport), on_outcome), others)
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

    async def _plain_install(self, arguments: dict[str, Any]) -> None:
        """What ``micropip.install`` does once we are configured."""
        requirements = arguments.pop("requirements")
        if arguments.get("index_urls") is None:
            if self._standing is not None and self._index_urls.is_ours():
                wanted = check_requirements(requirements)
                await self._install(self._standing, wanted, arguments, Events(None), "index")
                return
            if self._standing is None and self._later and _micropip.has_default_index_urls():
                await self._install_lazily(self._later, check_requirements(requirements), arguments)
                return
        await self._hook.call(requirements, arguments)

    async def _install_lazily(
        self, later: Later, requirements: list[str], options: dict[str, Any]
    ) -> None:
        """An install that configures when it has to."""
        transport = await self._host.transport()
        mirrors = later.question.mirrors.mirrors
        ranked = tuple(Ranked(mirror) for mirror in mirrors if not mirror.problem)
        provisional = Router(ranked, transport, later.question.timeout)
        events = Events(None)

        async def configure() -> Standing:
            standing = await self._configure(
                later.question, later.prefer, events.on_outcome, remember=True
            )
            tell(later.on_configured, standing.report)
            return standing

        if not ranked or not self._seam.install(Delivery(provisional, _log_event, keep=False)):
            await self._install(await configure(), requirements, options, events, "index")
            return
        self._index_urls.use([provisional.mirror.index_url], later.prefer)
        delivery = LazyDelivery(
            provisional, configure, events.add, credentials=options.get("credentials")
        )
        report = Report(None, (), mirrors)
        installation = Installation(delivery, self._hook.call, options, report, events)
        try:
            await installation.run(requirements)
        finally:
            if self._standing is None:  # nothing was asked of any mirror
                self._seam.remove()
                self._index_urls.restore()

    async def _install(
        self,
        standing: Standing,
        requirements: list[str],
        options: dict[str, Any],
        events: Events,
        verify: Verify,
    ) -> tuple[Installed, ...]:
        credentials = options.get("credentials")
        delivery = Delivery(
            standing.router, events.add, credentials=credentials, quorum=verify == "quorum"
        )
        installation = Installation(delivery, self._hook.call, options, standing.report, events)
        return await installation.run(requirements)

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
