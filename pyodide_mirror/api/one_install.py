"""One install, from the search for its mirrors to its report."""

from __future__ import annotations

import functools
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyodide_mirror import installing, reporting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pyodide_mirror.installing import InstallRequest
    from pyodide_mirror.reporting import Installed, InstallReport, Report
    from pyodide_mirror.runtime import PackageRequest
    from pyodide_mirror.storage import Cache

    from .configuration import DeferredConfiguration
    from .configurator import Configurator
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
    configurator = search.configurator
    plan = configurator.with_known_cdns(plan)
    found = await search.for_install(plan, request)
    failover = request.failover(found.deferred, cache)
    settings, tell = plan.settings, request.events.add
    packages = configurator.package_request(
        settings.packages, settings.timeout, tell, cache=request.cache
    )
    installation = installing.Installation(
        failover,
        request,
        call,
        lambda: _with_cdns(found.report, packages),
        configurator.ledgers,
        packages,
    )
    put_off = found.deferred.find is not None
    order = found.deferred.provisional
    for_now = configurator.provisionally(order, plan.prefer) if put_off else nullcontext()
    try:
        with configurator.serving(), for_now:
            installed = await installation.run()
    finally:
        await failover.save()
        await search.settled()
    added = tuple(_with_source(item, packages) for item in installed)
    configurator.note(added, settings.mirrors.mirrors)
    events, report = tuple(request.events.all), _with_cdns(found.report, packages)
    lock = functools.partial(_lock, configurator, request)
    return reporting.InstallReport(installed=added, events=events, report=report, lock=lock)


def _lock(
    configurator: Configurator,
    request: InstallRequest,
    report: InstallReport,
    exclude: Iterable[str],
) -> str:
    """A lock file of an install, and of what was there before that it requires."""
    from pyodide_mirror import locking  # few installs are locked

    added = {each.name: each for each in report.installed}
    deps = bool(request.options.get("deps", True))
    names = installing.reached(request.requirements, deps=deps) | added.keys()
    return locking.lock_of(
        added, configurator.told, configurator.private, names=names, exclude=exclude
    )


def _with_cdns(report: Report, packages: PackageRequest) -> Report:
    return replace(report, cdns=packages.outcomes) if packages.outcomes else report


def _with_source(item: Installed, packages: PackageRequest) -> Installed:
    """With the place that a package of Pyodide's lock file came from."""
    source = packages.sources.get(item.name) if item.source == "lockfile" else None
    return item if source is None else replace(item, **source._asdict())
