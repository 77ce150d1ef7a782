"""What a person who chooses a mirror by hand needs: the mirrors there are, and the choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyodide_mirror import installing, reporting
from pyodide_mirror.probing import DEFAULT_CANARY

from .arguments import Mirrors
from .configuration import Configuration, DeferredConfiguration, ranking
from .session import asked_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyodide_mirror.model import Mirror, Outcome
    from pyodide_mirror.reporting import Report

    from .session import Session

# ruff: noqa: SLF001  # this is a part of the session, which few need


def known_mirrors(session: Session) -> tuple[Mirror, ...]:
    """The mirrors that an install has where it is given none, in order."""
    return _plan(session).settings.mirrors.mirrors


async def choose(
    session: Session, index_url: str, watch: Callable[[Outcome], None] | None = None
) -> Report:
    """Have this one of the known mirrors used, and remembered; the others stay behind it.

    ``watch`` is called with the verdict on it. Raises NoUsableMirror, which carries that, and
    leaves all as it was; ValueError for a URL that is none of a known mirror.
    """
    plan = _plan(session)
    mirrors = plan.settings.mirrors
    mirror = next((each for each in mirrors.mirrors if each.index_url == index_url), None)
    if mirror is None:
        raise ValueError(f"{index_url} is none of the mirrors")
    alone = plan.settings._replace(mirrors=Mirrors((mirror,), named=mirrors.named))
    won = await session._search.race(plan._replace(settings=alone), watch)
    report = reporting.Report(mirror, won.report.outcomes, mirrors.without(mirror))
    order = installing.MirrorOrder(ranking(report), won.order.transport, won.order.timeout)
    session._configurator.apply(Configuration(plan.settings, plan.prefer, report, order))
    return report


def _plan(session: Session) -> DeferredConfiguration:
    in_force = session._configurator.in_force
    if in_force is not None:
        return DeferredConfiguration(in_force.settings, in_force.prefer)
    settings = asked_for(None, None, DEFAULT_CANARY, 5.0, session._deferred)
    return session._deferred or DeferredConfiguration(settings, "lockfile")
