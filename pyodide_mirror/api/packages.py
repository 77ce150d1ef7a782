"""What the public functions do about Pyodide's own packages, which come from CDNs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyodide_mirror import runtime

if TYPE_CHECKING:
    from pyodide_mirror.model import CDNOutcome
    from pyodide_mirror.transport import Transport

    from .configuration import ProbeSettings


async def probe_cdns(settings: ProbeSettings, transport: Transport) -> tuple[CDNOutcome, ...]:
    """The verdicts on the CDNs that are named; else on the known ones, if no mirrors are either."""
    cdns, named = settings.packages.cdns, True
    if cdns is None and settings.mirrors.named:
        return ()
    if cdns is None:
        cdns, named = runtime.default_cdns()
    return await runtime.probe_cdns(cdns, transport, timeout=settings.timeout, named=named)
