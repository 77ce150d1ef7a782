"""Puts the rooms together: one session's configuration, and what is done with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from . import _micropip
from .arguments import (
    Mirrors,
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
from .errors import NoUsableMirror, Reason
from .installing import Installation
from .model import Mirror, Outcome
from .probe import DEFAULT_CANARY, probe_mirror
from .race import Result, check_all, race, tell
from .report import Event, Installed, InstallReport, Report, printable
from .router import Ranked, Router
from .store import Choice, ChoiceStore
from .verdict import UNUSABLE, rank, tier

if TYPE_CHECKING:
    from .race import Check
    from .transport import Progress, Transport

_log = logging.getLogger(__name__)

_DOUBTFUL = frozenset(
    {
        Reason.TIMEOUT,
        Reason.UNREACHABLE,
        Reason.HTTP_STATUS,
        Reason.NOT_AN_INDEX,
        Reason.FILES_BLOCKED,
    }
)

OnOutcome = Callable[[Outcome], None] | None
OnEvent = Callable[[Event], None] | None
Verify = Literal["index", "quorum"]


@dataclass(frozen=True, slots=True)
class Question:
    """What a configuration answers: which of these mirrors works, judged by this canary."""

    mirrors: Mirrors
    canary: str
    timeout: float

    def is_same(self, other: Question) -> bool:
        """Whether the other's answer serves here; the time-out does not matter for that."""
        return (self.mirrors, self.canary) == (other.mirrors, other.canary)

    def check(self, transport: Transport) -> Check:
        """How a mirror is looked at."""

        def check(mirror: Mirror, progress: Progress) -> Awaitable[Outcome]:
            return probe_mirror(
                mirror,
                transport,
                canary=self.canary,
                timeout=self.timeout,
                named=self.mirrors.named,
                progress=progress,
            )

        return check


@dataclass(frozen=True, slots=True)
class Standing:
    """The configuration in force."""

    question: Question
    prefer: _micropip.Prefer
    report: Report
    router: Router

    @property
    def mirror(self) -> Mirror:
        """The mirror in use."""
        return self.router.mirror


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
        question = _question(mirrors, canary, timeout)
        check_callback("on_outcome", on_outcome)
        await self._forgotten()
        check = question.check(await self._host.transport())
        result = await check_all(question.mirrors.mirrors, check, on_outcome)
        return _report(result)

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
        question = _question(mirrors, canary, timeout)
        _check_preferences(prefer, remember)
        check_callback("on_outcome", on_outcome)
        standing = await self._configure(question, prefer, on_outcome, remember=remember)
        return standing.report

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
        question = _question(index_urls if mirrors is None else mirrors, canary, timeout)
        _check_preferences(prefer, remember)
        check_choice("verify", verify, ("index", "quorum"))
        check_flag("cache", cache)
        check_callback("on_event", on_event)
        _micropip.check_options(micropip_options)
        events = _Events(on_event)
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
        self._standing = None
        self._forgetting = self._host.store.forget()

    async def _standing_for(
        self,
        question: Question,
        prefer: _micropip.Prefer,
        events: _Events,
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
            report = _report(await race(racing, question.check(transport), on_outcome), others)
            if report.chosen is None:
                raise NoUsableMirror(report)
            router = Router(_ranking(report), transport, question.timeout)
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
        standing = self._standing
        ours = standing is not None and arguments.get("index_urls") is None
        if standing is None or not ours or not self._index_urls.is_ours():
            await self._hook.call(requirements, arguments)
            return
        wanted = check_requirements(requirements)
        await self._install(standing, wanted, arguments, _Events(None), "index")

    async def _install(
        self,
        standing: Standing,
        requirements: list[str],
        options: dict[str, Any],
        events: _Events,
        verify: Verify,
    ) -> tuple[Installed, ...]:
        credentials = options.get("credentials")
        delivery = Delivery(
            standing.router, events.add, credentials=credentials, quorum=verify == "quorum"
        )
        installation = Installation(delivery, self._hook.call, options, standing.report, events.add)
        try:
            return await installation.run(requirements)
        except Exception as error:
            # micropip's own words name neither the mirrors nor what they said.
            for text in dict.fromkeys(events.problems()):
                error.add_note(printable(text))
            raise

    async def _forgotten(self) -> None:
        forgetting, self._forgetting = self._forgetting, None
        if forgetting is not None:
            await forgetting


class _Events:
    """Collects the events of one install and passes them on."""

    def __init__(self, on_event: OnEvent) -> None:
        self.all: list[Event] = []
        self._on_event = on_event

    def add(self, event: Event) -> None:
        if event.kind != "progress":
            self.all.append(event)
        tell(self._on_event, event)

    def on_outcome(self, outcome: Outcome) -> None:
        verdict = " + ".join(outcome.repairs or (outcome.reason,))
        text = f"{outcome.mirror.name}: {verdict} ({outcome.detail})"
        self.add(Event("outcome", text, outcome.mirror.index_url))

    def problems(self) -> list[str]:
        return [event.text for event in self.all if event.kind == "problem"]


def _log_event(event: Event) -> None:
    _log.log(logging.WARNING if event.kind == "problem" else logging.DEBUG, "%s", event.text)


def _question(mirrors: MirrorsArgument, canary: str, timeout: float) -> Question:
    return Question(check_mirrors(mirrors), check_canary(canary), check_timeout(timeout))


def _check_preferences(prefer: object, remember: object) -> None:
    check_choice("prefer", prefer, ("lockfile", "index"))
    check_flag("remember", remember)


def _report(result: Result, others: tuple[Mirror, ...] = ()) -> Report:
    """The report of a race or a probe; the winner stands first among the outcomes."""
    outcomes = rank(result.outcomes)
    pending = (*result.pending, *others)
    best = result.winner or next((o for o in outcomes if tier(o) < UNUSABLE), None)
    if best is None:
        return Report(None, outcomes, pending)
    rest = tuple(outcome for outcome in outcomes if outcome is not best)
    return Report(best.mirror, (best, *rest), pending)


def _ranking(report: Report) -> tuple[Ranked, ...]:
    """All mirrors that may be of use, in order.

    The usable ones, the unknown ones, and last those whose trouble may pass or lie in the canary.
    """
    usable = [o for o in report.outcomes if tier(o) < UNUSABLE]
    doubtful = [o for o in report.outcomes if o.reason in _DOUBTFUL]
    return (
        *(Ranked(outcome.mirror, outcome.repairs) for outcome in usable),
        *(Ranked(mirror) for mirror in report.pending),
        *(Ranked(outcome.mirror, outcome.repairs) for outcome in doubtful),
    )
