"""Installs as ``%pip install`` asks for them."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyodide_mirror import _micropip, installing, reporting
from pyodide_mirror.probing import DEFAULT_CANARY

from .arguments import check_mirrors, check_requirements
from .configuration import DeferredConfiguration
from .default import SESSION
from .locks import install_pylock
from .session import asked_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pyodide_mirror._micropip import Prefer
    from pyodide_mirror.installing import Upgrade
    from pyodide_mirror.model import Mirror
    from pyodide_mirror.reporting import InstallReport

    from .session import OnEvent

# ruff: noqa: SLF001  # this is a part of the session, which few need


async def pip_install(
    requirements: list[str],
    options: Mapping[str, Any],
    *,
    index: Sequence[Mirror] = (),
    extra: Sequence[Mirror] = (),
    upgrade: Upgrade | None = None,
    cache: bool = True,
    on_event: OnEvent = None,
) -> InstallReport:
    """Install for ``%pip``, through piplite if that is here: it knows what the site itself has.

    ``options``: micropip's. ``index``: the mirrors of this install alone, in the place of those
    that are configured; ``extra``: more of them, which are asked first.

    Raises what :meth:`Session.install` raises.
    """
    reports: list[InstallReport] = []

    async def run(arguments: dict[str, Any]) -> None:
        wanted = check_requirements(arguments.pop("requirements"))
        of_site = arguments.pop("index_urls", None)
        own = _own_index_urls()
        with _for_now(index or of_site or own, extra, own) as plan:
            request = installing.InstallRequest(
                wanted, arguments, reporting.EventLog(on_event), cache=cache
            )
            request.upgrade = upgrade
            reports.append(await SESSION._install(plan, request))

    SESSION._hook.install()
    token = _micropip.RUN_INSTEAD.set(run)
    try:
        await _install()(requirements, **options)
    finally:
        _micropip.RUN_INSTEAD.reset(token)
    return reports[0]


async def pip_install_lock(
    source: str,
    *,
    index: Sequence[Mirror] = (),
    extra: Sequence[Mirror] = (),
    cache: bool = True,
    on_event: OnEvent = None,
) -> InstallReport:
    """Install from a lock file for ``%pip``; the arguments are those of :func:`pip_install`."""
    with _for_now(index, extra) as plan:
        mirrors = plan.settings.mirrors.mirrors if index or extra else None
        return await install_pylock(source, mirrors=mirrors, cache=cache, on_event=on_event)


def _install() -> Callable[..., Any]:
    import micropip

    found: Callable[..., Any] = getattr(sys.modules.get("piplite"), "install", micropip.install)
    return found


def _own_index_urls() -> list[str]:
    """What the user has told micropip, and neither its default nor ours."""
    known = SESSION._configurator.is_used_by_micropip() or _micropip.has_default_index_urls()
    return [] if known else _micropip.current_index_urls()


@contextmanager
def _for_now(
    index: Any, extra: Sequence[Mirror], own: list[str] | None = None
) -> Iterator[DeferredConfiguration]:
    """The configuration for one install: the usual one, or that of these mirrors.

    These are used for this install only. ``own``: index URLs that micropip has from its user.
    """
    configurator, deferred = SESSION._configurator, SESSION._deferred
    before, default = configurator.in_force, configurator.packages.default
    known = before or deferred
    if not (index or extra):
        yield SESSION._plain_plan() or _plan(None, "lockfile")
        return
    usual = (check_mirrors(None) if known is None else known.settings.mirrors).mirrors
    try:
        # Who names an index wants what that has, and not what Pyodide has.
        yield _plan([*extra, *(index or usual)], "index")
    finally:
        if before is None:
            configurator.in_force = None
            configurator.packages.default = default
            configurator._release()
        else:
            configurator.apply(before)
        if own:
            _micropip.tell_index_urls(own)


def _plan(mirrors: Any, prefer: Prefer) -> DeferredConfiguration:
    settings = asked_for(mirrors, None, DEFAULT_CANARY, 5.0, SESSION._deferred)
    return DeferredConfiguration(settings, prefer, remember=mirrors is None)
