"""Probes of all CDNs: under the digests of this Pyodide's lock file, else of the CDN's own one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyodide_mirror.model import CDNOutcome, Finding, Reason
from pyodide_mirror.probing import check_all

from .check import CORE, outcome_of, probe_cdn
from .hook import package_manager

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyodide_mirror.model import CDN
    from pyodide_mirror.transport import Progress, Transport

NEWEST_PYODIDE: Final = "314.0.7"
"""What is looked for where no Pyodide runs."""


async def probe_cdns(
    cdns: Sequence[CDN],
    transport: Transport,
    *,
    timeout: float,
    named: bool,
    version: str = "",
    watch: Callable[[CDNOutcome], None] | None = None,
) -> tuple[CDNOutcome, ...]:
    """Look at all CDNs, and say of each whether it can be used, the usable ones first.

    ``timeout``: seconds for each request. ``named``: the user gave the addresses. ``version``: of
    Pyodide, where another is meant than this one. ``watch`` is called with each verdict.
    """
    probe = _probe_here if not version and package_manager() is not None else _probe_published

    async def check(cdn: CDN, _: Progress) -> CDNOutcome:
        return await probe(cdn, transport, version or NEWEST_PYODIDE, timeout, named)

    found = (await check_all(cdns, check, watch)).outcomes
    return tuple(sorted(found, key=lambda each: (each.reason is not Reason.OK, each.elapsed_ms)))


async def _probe_here(
    cdn: CDN,
    transport: Transport,
    _: str,
    timeout: float,
    named: bool,  # noqa: FBT001
) -> CDNOutcome:
    """The verdict under the digests of the lock file of the Pyodide that runs here."""
    from .lockfile import canary, pyodide_version

    file, version = canary(), pyodide_version()
    if file is None:
        return outcome_of(cdn, Finding(Reason.MALFORMED, "Pyodide's lock file has no packages"))
    return await probe_cdn(
        cdn,
        cdn.url(file.base_name, version),
        file,
        transport,
        core_url=cdn.url(CORE, version),
        timeout=timeout,
        named=named,
    )


async def _probe_published(
    cdn: CDN,
    transport: Transport,
    version: str,
    timeout: float,
    named: bool,  # noqa: FBT001
) -> CDNOutcome:
    from .published import probe_published  # pages do not have it

    return await probe_published(cdn, transport, version, timeout, named=named)
