"""What the public ``probe`` does: mirrors and CDNs are looked at side by side."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from pyodide_mirror import probing, runtime

from .configuration import report_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyodide_mirror.model import CDNOutcome, Outcome
    from pyodide_mirror.reporting import Report
    from pyodide_mirror.transport import Transport

    from .configuration import ProbeSettings


async def probe_all(
    settings: ProbeSettings, transport: Transport, watch: Callable[[Outcome], None] | None
) -> Report:
    """The verdicts on all mirrors and CDNs; ``watch`` is called with each one on a mirror."""
    check = settings.check(transport, thorough=True)
    result, cdns = await asyncio.gather(
        probing.check_all(settings.mirrors.mirrors, check, watch),
        _probe_cdns(settings, transport),
    )
    return replace(report_of(result), cdns=cdns)


async def _probe_cdns(settings: ProbeSettings, transport: Transport) -> tuple[CDNOutcome, ...]:
    """The verdicts on the CDNs that are named; else on the known ones, if no mirrors are either."""
    cdns, named = settings.packages.cdns, True
    if cdns is None and settings.mirrors.named:
        return ()
    if cdns is None:
        cdns, named = runtime.default_cdns()
    return await runtime.probe_cdns(cdns, transport, timeout=settings.timeout, named=named)
