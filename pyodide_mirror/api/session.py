"""One session: what the public functions do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from pyodide_mirror import _micropip, installing, reporting, runtime
from pyodide_mirror._micropip import InstallHook, check_options
from pyodide_mirror.probing import DEFAULT_CANARY

from .arguments import (
    MirrorsArgument,
    check_callback,
    check_canary,
    check_cdns,
    check_choice,
    check_flag,
    check_mirrors,
    check_requirements,
    check_timeout,
)
from .configuration import (
    DeferredConfiguration,
    OnConfigured,
    PackageSettings,
    ProbeSettings,
)

if TYPE_CHECKING:
    from pyodide_mirror._micropip import Prefer
    from pyodide_mirror.installing import InstallRequest
    from pyodide_mirror.model import Outcome
    from pyodide_mirror.reporting import Event, InstallReport, Report
    from pyodide_mirror.runtime import PackageHook, PackageRequest
    from pyodide_mirror.storage import CacheInfo

    from .arguments import CDNsArgument
    from .configurator import Configurator
    from .host import Host
    from .mirror_search import MirrorSearch

OnOutcome = Callable[["Outcome"], None] | None
OnEvent = Callable[["Event"], None] | None
Verify = Literal["index", "quorum"]


class Session:
    """The state behind the public functions; there is one, in :mod:`~pyodide_mirror.api.default`.

    ``hook``, ``packages``: those that stand in the place of ``micropip.install``, and before
    Pyodide's packages, already.
    """

    def __init__(
        self, host: Host, hook: InstallHook | None = None, packages: PackageHook | None = None
    ) -> None:
        self._host = host
        self._deferred: DeferredConfiguration | None = None
        self._hook = hook or InstallHook(self.plain_install)
        self._hook.run = self.plain_install
        self._packages = packages or runtime.PackageHook()
        self._packages.open_reader = lambda: runtime.PackageReader(host)

    @cached_property
    def _search(self) -> MirrorSearch:
        from .mirror_search import MirrorSearch  # half of the package, and not needed to import it

        return MirrorSearch(self._host, self._hook, self._packages)

    @property
    def _configurator(self) -> Configurator:
        return self._search.configurator

    async def probe(
        self,
        mirrors: MirrorsArgument = None,
        *,
        cdns: CDNsArgument = None,
        canary: str = DEFAULT_CANARY,
        timeout: float = 5.0,  # of a request, not of this call
        on_outcome: OnOutcome = None,
    ) -> Report:
        """Look at every mirror and say of each what it can be used for; changes nothing.

        ``mirrors``: one index URL or :class:`Mirror`, or several; None is ``PYODIDE_MIRROR_URLS``
        from the environment, else the built-in table. ``cdns``: one base URL or :class:`CDN`, or
        several; None is ``PYODIDE_MIRROR_CDNS`` from the environment, else the built-in table, but
        none where mirrors are named. ``canary``: the project to look up. ``timeout``:
        seconds for one request, body included. ``on_outcome``: is called with each verdict on a
        mirror as it arrives. Of the report, ``chosen`` is the best mirror, or None.

        Raises TypeError or ValueError for bad arguments, before any request.
        """
        settings = asked_for(mirrors, cdns, canary, timeout, self._deferred)
        check_callback("on_outcome", on_outcome)
        await self._search.settled()
        transport = await self._host.transport()
        from .probe_all import probe_all  # an install makes no use of it

        return await probe_all(settings, transport, on_outcome)

    async def configure(
        self,
        mirrors: MirrorsArgument = None,
        *,
        cdns: CDNsArgument = None,
        canary: str = DEFAULT_CANARY,
        timeout: float = 5.0,  # of a request, not of this call
        prefer: Prefer = "lockfile",
        remember: bool = True,
        on_outcome: OnOutcome = None,
    ) -> Report:
        """Find a mirror that works from here, and let micropip use it.

        The mirrors race: they start in order, shortly after one another, and the first that is
        verified wins. ``prefer``: ``"lockfile"`` keeps Pyodide's own builds first, ``"index"``
        asks the mirror first. ``remember``: try the winner first the next time, on other pages of
        this origin too. ``cdns``: where Pyodide's own packages come from, when one is needed; None
        is the place that Pyodide itself came from, then the environment's or the table's. The other
        arguments are those of :meth:`probe`.

        Raises :class:`NoUsableMirror`, which carries the report, and leaves micropip as it was.
        Raises TypeError or ValueError for bad arguments, before any request.
        """
        plan = _plan(asked_for(mirrors, cdns, canary, timeout, self._deferred), prefer, remember)
        check_callback("on_outcome", on_outcome)
        return (await self._search.race(plan, on_outcome)).report

    def configure_later(
        self,
        mirrors: MirrorsArgument = None,
        *,
        cdns: CDNsArgument = None,
        canary: str = DEFAULT_CANARY,
        timeout: float = 5.0,
        prefer: Prefer = "lockfile",
        remember: bool = True,
        on_configured: OnConfigured = None,
    ) -> None:
        """Configure when the first ``micropip.install`` asks an index, and make no request now.

        Until then micropip is as it was; a user who gives it index URLs keeps them. These mirrors
        and this canary are also what the other functions use where they are given none.
        ``on_configured``: is called with the report. The other arguments are those of
        :meth:`configure`, and so are the errors for bad ones.
        """
        plan = _plan(asked_for(mirrors, cdns, canary, timeout), prefer, remember)
        check_callback("on_configured", on_configured)
        self._deferred = plan._replace(on_configured=on_configured)
        self._hook.install()
        self._packages.default = self.plain_request
        self._packages.install()

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
        cdns: CDNsArgument = None,
        canary: str = DEFAULT_CANARY,
        timeout: float = 5.0,  # of a request, not of this call
        prefer: Prefer = "lockfile",
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
        ``index_urls`` is taken as ``mirrors``. ``cdns``: as :meth:`configure` has it; None is what
        is configured. ``verify``: ``"quorum"`` demands that a second mirror, on another host,
        publishes the same digest for each file. ``cache``: keep what was fetched in this browser,
        and take from there what is known by its SHA-256. ``on_event``: is called with each
        :class:`Event`. Other options go to micropip.

        Nothing stays installed of an install that fails. Raises :class:`NoUsableMirror` when no
        mirror works, :class:`IncompleteInstall` when something cannot be had from any,
        :class:`DigestMismatch` when no mirror has a file as its page says,
        :class:`ResolutionError` when no versions meet all requirements, what micropip raises, and
        TypeError or ValueError for bad arguments, before any request.
        """
        wanted = check_requirements(requirements)
        if index_urls is not None and mirrors is not None:
            raise TypeError("mirrors and index_urls mean the same: give one of them")
        given = index_urls if mirrors is None else mirrors
        plan = _plan(asked_for(given, cdns, canary, timeout, self._deferred), prefer, remember)
        check_choice("verify", verify, ("index", "quorum"))
        check_flag("cache", cache)
        check_callback("on_event", on_event)
        check_options(micropip_options)
        options = {
            "keep_going": keep_going,
            "deps": deps,
            "credentials": credentials,
            "pre": pre,
            **micropip_options,
        }
        events = reporting.EventLog(on_event)
        request = installing.InstallRequest(wanted, options, events, verify, cache=cache)
        return await self._install(plan, request)

    def status(self) -> Report | None:
        """What is configured now, or None."""
        return self._configurator.report()

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
        self.release()
        self._search.forget()

    def release(self) -> None:
        """Leave micropip as it was before; what is remembered stays, as when a page is closed."""
        self._configurator.reset()
        self._deferred = None

    async def settled(self) -> None:
        """Wait until what goes on in the background is done: forgetting, and writing the cache."""
        await self._search.settled()
        await self._host.cache.settled()

    async def plain_install(self, arguments: dict[str, Any]) -> None:
        """What ``micropip.install`` does while our hook is in its place."""
        requirements = arguments.pop("requirements")
        plan = self._plain_plan() if arguments.get("index_urls") is None else None
        if plan is None:
            await self._hook.call(requirements, arguments)
            return
        wanted = check_requirements(requirements)
        events = reporting.EventLog(None)
        await self._install(plan, installing.InstallRequest(wanted, arguments, events))

    def plain_request(self) -> PackageRequest:
        """How Pyodide loads its own packages for others, as it was put off till later."""
        return self._configurator.plain_request(self._deferred)

    def _plain_plan(self) -> DeferredConfiguration | None:
        """What holds for a plain ``micropip.install``; None where the user wants something else."""
        in_force = self._configurator.in_force
        if in_force is not None:
            ours = self._configurator.is_used_by_micropip()
            return DeferredConfiguration(in_force.settings, in_force.prefer) if ours else None
        return self._deferred if _micropip.has_default_index_urls() else None

    async def _install(self, plan: DeferredConfiguration, request: InstallRequest) -> InstallReport:
        with closing(request.downloads):
            if "_search" not in vars(self):
                from .head_start import head_start  # of the first install

                await head_start(self._host, plan, request)
            from .one_install import run_install

            return await run_install(self._search, self._host.cache, self._hook.call, plan, request)


def asked_for(
    mirrors: MirrorsArgument,
    cdns: CDNsArgument,
    canary: str,
    timeout: float,
    later: DeferredConfiguration | None = None,
) -> ProbeSettings:
    """The settings asked for; where none are given, those that were put off till later."""
    packages = PackageSettings(check_cdns(cdns))
    if cdns is None and later is not None:
        packages = later.settings.packages
    if later is None or mirrors is not None:
        found, project = check_mirrors(mirrors), check_canary(canary)
        return ProbeSettings(found, project, check_timeout(timeout), packages)
    same = later.settings.canary if canary == DEFAULT_CANARY else check_canary(canary)
    return ProbeSettings(later.settings.mirrors, same, check_timeout(timeout), packages)


def _plan(settings: ProbeSettings, prefer: Prefer, remember: bool) -> DeferredConfiguration:
    check_choice("prefer", prefer, ("lockfile", "index"))
    check_flag("remember", remember)
    packages = settings.packages._replace(remember=remember)
    return DeferredConfiguration(settings._replace(packages=packages), prefer, remember)
