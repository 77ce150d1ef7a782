"""One install, from the search for its mirrors to its report."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from pyodide_mirror import installing, reporting

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyodide_mirror.installing import InstallRequest
    from pyodide_mirror.reporting import InstallReport
    from pyodide_mirror.storage import Cache

    from .configuration import DeferredConfiguration
    from .mirror_search import MirrorSearch


async def run_install(
    search: MirrorSearch,
    cache: Cache,
    call: Callable[..., Any],
    plan: DeferredConfiguration,
    request: InstallRequest,
) -> InstallReport:
    """Find mirrors, if one is needed, and install; ``call`` is micropip's own install.

    Raises what :meth:`pyodide_mirror.api.Session.install` raises.
    """
    if request.cache:
        cache.warm()
    found = await search.for_install(plan, request)
    configurator = search.configurator
    failover = request.failover(found.deferred, cache)
    installation = installing.Installation(
        failover, request, call, lambda: found.report, configurator.ledgers
    )
    put_off = found.deferred.find is not None
    order = found.deferred.provisional
    try:
        with (
            configurator.serving(),
            configurator.provisionally(order, plan.prefer) if put_off else nullcontext(),
        ):
            installed = await installation.run()
    finally:
        await failover.save()
        await search.settled()
    happened = tuple(request.events.all)
    return reporting.InstallReport(installed=installed, events=happened, report=found.report)
