"""The configuration in force, and how micropip is made to install through it."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from pyodide_mirror import installing, reporting, runtime, storage
from pyodide_mirror._micropip import FetchPatch, IndexUrls

from .configuration import PackageSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from pyodide_mirror._micropip import InstallHook, Prefer
    from pyodide_mirror.installing import MirrorOrder
    from pyodide_mirror.model import Mirror
    from pyodide_mirror.reporting import Event, Installed, Report
    from pyodide_mirror.runtime import PackageHook, PackageRequest
    from pyodide_mirror.storage import Cache

    from .configuration import Configuration, DeferredConfiguration

_log = logging.getLogger(__name__)


class Configurator:
    """Has micropip use the mirrors of a configuration, and puts back what was there before.

    ``in_force``: the configuration that micropip has now, if any. ``ledgers``: what the installs
    that go on have put into site-packages. ``told``: what installs have told of what they have
    added, by name; ``private``: the index URLs of private mirrors.
    """

    def __init__(self, hook: InstallHook, packages: PackageHook, cache: Cache) -> None:
        self.in_force: Configuration | None = None
        self.packages = packages
        self._hook = hook
        self._cache = cache
        self._index_urls = IndexUrls()
        self._fetch_patch = FetchPatch(self._index_urls)
        self._provisional = 0
        self.ledgers = installing.Ledgers()
        self.told: dict[str, Installed] = {}
        self.private: set[str] = set()

    def apply(self, configuration: Configuration) -> None:
        """Let micropip install, and Pyodide load packages, through this configuration."""
        self.packages.default = lambda: self.plain_request(configuration)
        self._warn_without_hook(configuration.settings.packages)
        self._use(configuration.order, configuration.prefer)
        self._hook.install()
        self.in_force = configuration
        reporting.broadcast(configuration.report)

    def with_known_cdns(self, plan: DeferredConfiguration) -> DeferredConfiguration:
        """The plan of an install; where it names no CDNs, with those that are configured."""
        packages = plan.settings.packages
        if packages.cdns is not None or self.in_force is None:
            return plan
        packages = packages._replace(cdns=self.in_force.settings.packages.cdns)
        return plan._replace(settings=plan.settings._replace(packages=packages))

    def package_request(
        self,
        settings: PackageSettings,
        timeout: float,
        tell: Callable[[Event], None],
        *,
        cache: bool = True,
    ) -> PackageRequest:
        """How packages of Pyodide's lock file are loaded; ``tell`` is called with each event."""
        kept = self._cache if cache else storage.NO_CACHE
        cdns, remember = settings
        self._warn_without_hook(settings)
        return runtime.PackageRequest(self.packages, cdns, timeout, kept, tell, remember=remember)

    def _warn_without_hook(self, settings: PackageSettings) -> None:
        """Say that CDNs were named in vain, where this Pyodide has no place for our hook."""
        if settings.cdns is not None and not self.packages.is_possible():
            _log.warning(
                "cdns is without effect here: Pyodide can load its own packages from elsewhere "
                "since 0.28 only"
            )

    def plain_request(
        self, configured: Configuration | DeferredConfiguration | None
    ) -> PackageRequest:
        """The same for who has Pyodide load packages; what fails, Pyodide itself logs."""
        if configured is None:  # it is being reset
            return self.package_request(PackageSettings(), 5.0, _log_quietly)
        settings = configured.settings
        return self.package_request(settings.packages, settings.timeout, _log_quietly)

    def report(self) -> Report | None:
        """What is configured now, with what is known of the CDNs."""
        report = None if self.in_force is None else self.in_force.report
        known = self.packages.known()
        return replace(report, cdns=known) if report is not None and known else report

    def note(self, added: Iterable[Installed], mirrors: Iterable[Mirror]) -> None:
        """Note what an install has added, through these mirrors, for lock files."""
        self.told.update((item.name, item) for item in added)
        self.private.update(mirror.index_url for mirror in mirrors if mirror.private)

    def can_serve(self) -> bool:
        """Whether the requests of this micropip can be served."""
        return self._fetch_patch.is_possible()

    def serving(self) -> AbstractContextManager[None]:
        """Serve the install that goes on meanwhile to its end, whatever is configured then."""
        return self._fetch_patch.serving()

    @contextmanager
    def provisionally(self, order: MirrorOrder, prefer: Prefer) -> Iterator[None]:
        """Let micropip's requests come to us meanwhile, so that mirrors are found for the first.

        Where none was needed, and no other install still goes on, all is as before at the end.
        """
        before = self.in_force
        self._provisional += 1
        self._use(order, prefer)
        try:
            yield
        finally:
            self._provisional -= 1
            if self.in_force is before and not self._provisional:
                self._release()
                if before is not None:
                    self.apply(before)

    def is_used_by_micropip(self) -> bool:
        """Whether micropip still has the index URLs of the configuration in force."""
        return self.in_force is not None and self._index_urls.is_ours()

    def reset(self) -> None:
        """Leave micropip as it was before the first configuration."""
        self._hook.remove()
        self.packages.forget()
        self._release()
        self.in_force = None

    def _use(self, order: MirrorOrder, prefer: Prefer) -> None:
        self.packages.install()
        client = installing.MirrorClient(order.transport, order.timeout, _log_event)
        # For calls that come past `micropip.install`, it lives longer than any install.
        mirrors = installing.DeferredMirrors(order)
        source = installing.Failover(mirrors, client, _log_event, remember=False)
        # With the patch one index URL stands for all mirrors; without it micropip needs them.
        served = self._fetch_patch.install(source)
        self._index_urls.use([order.index_url] if served else order.plain_urls(), prefer)

    def _release(self) -> None:
        self._fetch_patch.remove()
        self._index_urls.restore()
        self.packages.release()


def _log_event(event: Event) -> None:
    told = event.kind in {"problem", "extra"}
    _log.log(logging.WARNING if told else logging.DEBUG, "%s", event.text)


def _log_quietly(event: Event) -> None:
    reporting.broadcast(event)
    _log.debug("%s", event.text)
