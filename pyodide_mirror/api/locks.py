"""Lock files of all that is installed, and installs from lock files."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyodide_mirror import locking, reporting
from pyodide_mirror.errors import MirrorError
from pyodide_mirror.installing import NOWHERE
from pyodide_mirror.probing import DEFAULT_CANARY

from .arguments import check_callback, check_flag
from .configuration import DeferredConfiguration
from .default import SESSION
from .one_install import run_install
from .session import asked_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from pyodide_mirror.reporting import Event, Installed, InstallReport

    from .arguments import CDNsArgument, MirrorsArgument

# ruff: noqa: SLF001  # this is a part of the session, which few need


def freeze(*, exclude: Iterable[str] = ()) -> str:
    """A lock file (PEP 751) of all that is installed, but for micropip and pyodide-mirror.

    ``exclude``: names to leave out. Raises :class:`MirrorError` with the names of those whose files
    are not known, and where tomli-w, which writes it, cannot be loaded.
    """
    known = SESSION._configurator
    return locking.lock_of({}, known.told, known.private, exclude=exclude)


async def install_pylock(
    source: str | Path | Mapping[str, Any],
    *,
    mirrors: MirrorsArgument = None,
    cdns: CDNsArgument = None,
    timeout: float = 5.0,  # of a request, not of this call
    cache: bool = True,
    on_event: Callable[[Event], None] | None = None,
) -> InstallReport:
    """Install exactly what a lock file (PEP 751) has, of whichever tool; resolve nothing.

    ``source``: its text, path or URL, or its content as a mapping. A file comes from its URL in the
    lock file, else from any mirror that lists it by the same name and SHA-256. An installed package
    of the same file stays, another one is replaced. The other arguments are those of
    :func:`install`.

    Nothing stays installed of an install that fails. Raises TypeError or ValueError for bad
    arguments and for what is no lock file; :class:`MirrorError` with all reasons why it cannot be
    installed here, before a file is asked for; then what :func:`install` raises.
    """
    session, host = SESSION, SESSION._host
    settings = asked_for(mirrors, cdns, DEFAULT_CANARY, timeout, session._deferred)
    check_flag("cache", cache)
    check_callback("on_event", on_event)
    document, base = await locking.read_lock(source, await host.transport(), settings.timeout)
    pins = await locking.choose(document, base)
    if not session._configurator.can_serve():
        raise MirrorError(
            "this version of micropip is not supported, and cannot be told what to take"
        )
    in_force = session._configurator.in_force
    plan = DeferredConfiguration(settings, in_force.prefer if in_force else "lockfile")
    request = locking.LockedRequest(pins, base, reporting.EventLog(on_event), cache=cache)
    with closing(request.downloads):
        report = await run_install(session._search, host.cache, session._hook.call, plan, request)
    known = {pin.index_url for pin in pins} | {m.index_url for m in settings.mirrors.mirrors}
    added = tuple(_shown(each, known) for each in report.installed)
    session._configurator.note(added, ())
    return replace(report, installed=added)


def _shown(each: Installed, known: Collection[str]) -> Installed:
    """Without a mirror where there is none: a lock file need not say which index has a file."""
    if each.mirror in known or each.source == "lockfile":
        return each
    url = "" if each.url.startswith(NOWHERE) else each.url
    return replace(each, mirror="", url=url, source="cache" if each.source == "cache" else "url")
