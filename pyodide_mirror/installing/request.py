"""What was asked of one install."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror.probing import ProbeDownloads

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pyodide_mirror.reporting import EventLog
    from pyodide_mirror.storage import Cache

    from .choices import Plan
    from .deferred import DeferredMirrors
    from .failover import Failover

INSTALLERS: Final = frozenset({"micropip", "pyodide-mirror"})
"""What installs: it is there before, and is not replaced meanwhile."""


class InstallRequest:
    """What was asked of one install.

    ``options``: micropip's. ``verify``, ``cache``: as ``install`` has them. ``downloads``: what its
    probes have fetched. ``plan``: what a lock file has, and nothing else will do.
    ``newest``: the projects, by normalized name, of which the newest version is wanted, whatever is
    installed; None where nothing is to be upgraded. ``anew``: nothing that is installed will do.
    """

    def __init__(
        self,
        requirements: list[str],
        options: Mapping[str, Any],
        events: EventLog,
        verify: str = "index",
        *,
        cache: bool = True,
    ) -> None:
        self.requirements = requirements
        self.options = options
        self.events = events
        self.verify = verify
        self.cache = cache
        self.downloads = ProbeDownloads()
        self.plan: Plan | None = None
        self.newest: Collection[str] | None = None
        self.anew = False

    def failover(self, mirrors: DeferredMirrors, cache: Cache) -> Failover:
        """What this install reads: through these mirrors, and the cache before them."""
        # Half of the package: a request is made before that is loaded.
        from pyodide_mirror.storage import NO_CACHE

        from .failover import Failover
        from .mirror_client import MirrorClient

        client = MirrorClient(
            mirrors.provisional.transport,
            mirrors.provisional.timeout,
            self.events.add,
            cache=cache if self.cache else NO_CACHE,
            credentials=self.options.get("credentials"),
            downloads=self.downloads,
        )
        return Failover(mirrors, client, self.events.add, quorum=self.verify == "quorum")
