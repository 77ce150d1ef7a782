"""The search for mirrors that work: those in force, a remembered one, or the winner of a race."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyodide_mirror import errors, index, installing, probing, reporting, storage

from .configuration import Configuration, ranking, recalled, report_of, without_project
from .configurator import Configurator

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pyodide_mirror._micropip import InstallHook
    from pyodide_mirror.installing import DeferredMirrors, InstallRequest, LoadPage, MirrorOrder
    from pyodide_mirror.model import Mirror, Outcome
    from pyodide_mirror.probing import Canary
    from pyodide_mirror.reporting import Event, Report
    from pyodide_mirror.storage import Choice

    from .configuration import DeferredConfiguration
    from .host import Host

Watch = Callable[["Outcome"], None] | None


class InstallMirrors:
    """The mirrors of one install, and the report of what is known of them by now."""

    def __init__(self, deferred: DeferredMirrors, report: Report) -> None:
        self.deferred = deferred
        self.report = report


class MirrorSearch:
    """Finds the mirrors of a configuration, and remembers which one was chosen."""

    def __init__(self, host: Host, hook: InstallHook) -> None:
        self.configurator = Configurator(hook)
        self._host = host
        self._writing: Awaitable[None] | None = None
        self._racing = asyncio.Lock()

    def forget(self) -> None:
        """Begin to forget the remembered mirror."""
        self._writing = self._host.store.forget()

    async def settled(self) -> None:
        """Wait until the chosen mirror is remembered, or forgotten."""
        writing, self._writing = self._writing, None
        if writing is not None:
            await writing

    async def race(self, plan: DeferredConfiguration, watch: Watch) -> Configuration:
        """Let the mirrors race, and put the configuration with the winner in force.

        ``watch`` is called with each verdict. Raises NoUsableMirror.
        """
        async with self._racing:
            configuration = await self._race(plan, watch)
        await self.settled()
        return configuration

    async def for_install(
        self, plan: DeferredConfiguration, request: InstallRequest
    ) -> InstallMirrors:
        """The mirrors for an install, which are found when it wants the first page."""
        known = self._in_force(plan)
        if known is not None:
            configuration = known.updated(plan.settings, plan.prefer)
            self.configurator.apply(configuration)
            return _known(configuration, request)
        order = await self._unprobed(plan)
        if not self.configurator.can_serve():  # micropip has to know the mirrors at once
            return _known(await self.race(plan, request.events.on_outcome), request)
        mirror = await self._recall(plan)

        async def find(project: str, load: LoadPage) -> MirrorOrder:
            configuration = mirror and await self._trust(plan, order, mirror, load)
            how = ", as last time" if configuration else ""
            configuration = configuration or await self._find(plan, request, project)
            found.report = configuration.report
            request.events.add(_chosen(configuration, how))
            return configuration.order

        deferred = installing.DeferredMirrors(order, find)
        report = reporting.Report(mirror, (), plan.settings.mirrors.without(mirror))
        found = InstallMirrors(deferred, report)
        return found

    def _in_force(self, plan: DeferredConfiguration) -> Configuration | None:
        """The configuration in force, if that is what the plan asks for."""
        known = self.configurator.in_force
        return known if known is not None and known.settings.is_same(plan.settings) else None

    async def _unprobed(self, plan: DeferredConfiguration) -> MirrorOrder:
        mirrors = [mirror for mirror in plan.settings.mirrors.mirrors if not mirror.problem]
        transport = await self._host.transport()
        ranked = tuple(map(installing.RankedMirror, mirrors))
        return installing.MirrorOrder(ranked, transport, plan.settings.timeout)

    # --- the mirror of the last time ------------------------------------------------------------

    async def _recall(self, plan: DeferredConfiguration) -> Mirror | None:
        """The remembered mirror, if it may be used at once: its first page will prove it."""
        choice = await self._choice(plan)
        mirrors = plan.settings.mirrors.mirrors
        if choice is None or any(mirror.is_exclusive for mirror in mirrors):
            return None  # who may answer for a private project is not to be tried out
        return next((m for m in mirrors if m.index_url == choice.index_url and not m.problem), None)

    async def _choice(self, plan: DeferredConfiguration) -> Choice | None:
        """What is remembered, unless it is too old, or not wanted."""
        await self.settled()
        if not plan.remember:
            return None
        choice = await self._host.store.load()
        return choice if choice is not None and choice.is_fresh(datetime.now(UTC)) else None

    async def _trust(
        self, plan: DeferredConfiguration, order: MirrorOrder, mirror: Mirror, load: LoadPage
    ) -> Configuration | None:
        """The configuration with a remembered mirror, if it proves itself by the wanted page."""
        try:
            outcome = recalled(mirror, await load(mirror))
        except installing.NoPageError:
            return None  # whatever is wrong, the race tells
        report = reporting.Report(mirror, (outcome,), plan.settings.mirrors.without(mirror))
        ranked = installing.MirrorOrder(ranking(report), order.transport, order.timeout)
        configuration = Configuration(plan.settings, plan.prefer, report, ranked)
        self.configurator.apply(configuration)
        reporting.notify(plan.on_configured, report)
        return configuration

    # --- the race -------------------------------------------------------------------------------

    async def _find(
        self, plan: DeferredConfiguration, request: InstallRequest, project: str
    ) -> Configuration:
        """The configuration for an install that wants this project first."""
        async with self._racing:
            known = self._in_force(plan)  # another install may have found it meanwhile
            canary = _canary(plan, request, project)
            return known or await self._race(plan, request.events.on_outcome, canary)

    async def _race(
        self, plan: DeferredConfiguration, watch: Watch, canary: Canary | None = None
    ) -> Configuration:
        settings = plan.settings
        choice = await self._choice(plan)
        transport = await self._host.transport()
        racing, others = settings.mirrors.with_first(choice).racing()
        result = await probing.run_race(racing, settings.check(transport, canary), watch)
        if result.winner is None and canary is not None:
            # It may be the project that is missing, and not the mirrors that are of no use.
            again = without_project(result)
            later = await probing.run_race(again, settings.check(transport), watch)
            result = result.updated(later)
        report = report_of(result, others)
        if report.chosen is None:
            raise errors.NoUsableMirror(report)
        order = installing.MirrorOrder(ranking(report), transport, settings.timeout)
        configuration = Configuration(settings, plan.prefer, report, order)
        self.configurator.apply(configuration)
        if plan.remember:
            choice = storage.Choice(report.chosen.index_url, datetime.now(UTC))
            self._writing = self._host.store.save(choice)
        reporting.notify(plan.on_configured, report)
        return configuration


def _known(configuration: Configuration, request: InstallRequest) -> InstallMirrors:
    request.events.add(_chosen(configuration))
    return InstallMirrors(installing.DeferredMirrors(configuration.order), configuration.report)


def _chosen(configuration: Configuration, how: str = "") -> Event:
    mirror = configuration.mirror
    return reporting.Event("chosen", f"installs through {mirror.name}{how}", mirror.index_url)


def _canary(plan: DeferredConfiguration, request: InstallRequest, project: str) -> Canary | None:
    """The project itself as the canary, so that the install can use what the probes fetch.

    Not where the user has named another one, or an index claims the project.
    """
    settings = plan.settings
    claimed = any(mirror.names(project) for mirror in settings.mirrors.mirrors)
    if settings.canary != probing.DEFAULT_CANARY or claimed:
        return None
    specifier = index.specifier_of(project, request.requirements)
    return probing.Canary(project=project, specifier=specifier, downloads=request.downloads)
