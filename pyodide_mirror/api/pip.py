"""Installs as ``%pip install`` asks for them."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyodide_mirror import _micropip, installing, locking, reporting
from pyodide_mirror.probing import DEFAULT_CANARY

from .arguments import check_mirrors
from .configuration import DeferredConfiguration
from .default import SESSION
from .session import asked_for

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from pyodide_mirror.model import Mirror
    from pyodide_mirror.reporting import InstallReport

    from .session import OnEvent

# ruff: noqa: SLF001, PLR0913  # this is a part of the session, which few need


async def pip_install(
    requirements: list[str],
    options: Mapping[str, Any],
    index: Sequence[Mirror],
    extra: Sequence[Mirror],
    on_event: OnEvent,
    *,
    newest: Collection[str] | None,
    anew: bool,
) -> InstallReport:
    """Install for ``%pip``, through piplite if that is here: it knows what the site itself has.

    ``options``: micropip's. ``index``: the mirrors of this install alone, in the place of those
    that are configured; ``extra``: more of them, which are asked first. ``newest``, ``anew``: see
    InstallRequest.

    Raises what :meth:`Session.install` raises.
    """
    import micropip

    install = getattr(sys.modules.get("piplite"), "install", None)
    reports: list[InstallReport] = []

    async def run(arguments: dict[str, Any]) -> None:
        wanted, of_site = arguments.pop("requirements"), arguments.pop("index_urls", None)
        with _for_now(index or of_site, extra) as plan:
            request = installing.InstallRequest(wanted, arguments, reporting.EventLog(on_event))
            request.newest, request.anew = newest, anew
            reports.append(await SESSION._install(plan, request))

    SESSION._hook.install()
    token = _micropip.RUN_INSTEAD.set(run)
    try:
        await (install or micropip.install)(requirements, **options)
    finally:
        _micropip.RUN_INSTEAD.reset(token)
    return reports[0]


async def read_text(place: str) -> str:
    """The text of a file, or at a URL. Raises OSError, ValueError and MirrorError."""
    if "://" not in place:
        return Path(place).read_text("utf-8-sig")  # noqa: ASYNC240  # a small one, in memory
    data, _ = await locking.fetch_file(place, await SESSION._host.transport(), 5.0)
    return data.decode("utf-8-sig")


@contextmanager
def _for_now(index: Any, extra: Sequence[Mirror]) -> Iterator[DeferredConfiguration]:
    """The configuration for one install: the usual one, or that of these mirrors.

    These, and what the user has told micropip, are used for this install only.
    """
    configurator = SESSION._configurator
    before, own = configurator.in_force, []
    usual = SESSION._plain_plan()
    if usual is None:
        own = [] if _micropip.has_default_index_urls() else _micropip.current_index_urls()
        settings = asked_for(None, None, DEFAULT_CANARY, 5.0, SESSION._deferred)
        usual = DeferredConfiguration(settings, "lockfile")
    index = index or own
    if not (index or extra):
        yield usual
        return
    mirrors = check_mirrors([*extra, *(index or usual.settings.mirrors.mirrors)])
    settings = usual.settings._replace(mirrors=mirrors, canary=DEFAULT_CANARY)
    try:
        # Who names an index wants what that has, and not what Pyodide has.
        yield DeferredConfiguration(settings, "index", remember=False)
    finally:
        if before is None:
            configurator.in_force = None
            configurator._release()
        else:
            configurator.apply(before)
        if own:
            _micropip.tell_index_urls(own)
