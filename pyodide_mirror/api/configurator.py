"""The configuration in force, and how micropip is made to install through it."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyodide_mirror import installing
from pyodide_mirror._micropip import FetchPatch, IndexUrls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from pyodide_mirror._micropip import InstallHook, Prefer
    from pyodide_mirror.installing import MirrorOrder
    from pyodide_mirror.reporting import Event

    from .configuration import Configuration

_log = logging.getLogger(__name__)


class Configurator:
    """Has micropip use the mirrors of a configuration, and puts back what was there before.

    ``in_force``: the configuration that micropip has now, if any. ``ledgers``: what the installs
    that go on have put into site-packages.
    """

    def __init__(self, hook: InstallHook) -> None:
        self.in_force: Configuration | None = None
        self._hook = hook
        self._index_urls = IndexUrls()
        self._fetch_patch = FetchPatch(self._index_urls)
        self._provisional = 0
        self.ledgers = installing.Ledgers()

    def apply(self, configuration: Configuration) -> None:
        """Let micropip install through this configuration from now on."""
        self._use(configuration.order, configuration.prefer)
        self._hook.install()
        self.in_force = configuration

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
        self._release()
        self.in_force = None

    def _use(self, order: MirrorOrder, prefer: Prefer) -> None:
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


def _log_event(event: Event) -> None:
    told = event.kind in {"problem", "extra"}
    _log.log(logging.WARNING if told else logging.DEBUG, "%s", event.text)
