"""Probes of CDNs: under the digests of this Pyodide's lock file, else of the CDN's own one."""

from __future__ import annotations

import asyncio
import functools
import json
import re
from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror.model import CDNOutcome, Finding, Reason
from pyodide_mirror.probing import check_all
from pyodide_mirror.transport import Failure, Progress, Request, Transport, send

from .check import SMALL, CDNCheck, LockedFile, outcome_of, probe_cdn, refuse_cdn, some_file
from .hook import package_manager

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyodide_mirror.model import CDN

NEWEST_PYODIDE: Final = "314.0.7"
"""What is looked for where no Pyodide runs."""
_LOCK: Final = "pyodide-lock.json"
_CORE: Final = "pyodide.mjs"
_MAX_LOCK_BYTES: Final = 8 * 1024 * 1024


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
        core_url=cdn.url(_CORE, version),
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
    """The verdict under the digests that the CDN itself publishes."""
    started = asyncio.get_running_loop().time()
    finding = refuse_cdn(cdn, transport, named=named)
    if finding is None:
        url = functools.partial(cdn.url, version=version)
        finding = await _look(url, transport, timeout)
    elapsed = (asyncio.get_running_loop().time() - started) * 1000
    return outcome_of(cdn, finding, elapsed)


async def _look(url: Callable[[str], str], transport: Transport, timeout: float) -> Finding:
    answer = await send(transport, Request(url(_LOCK), timeout, _MAX_LOCK_BYTES))
    check = CDNCheck(transport, LockedFile(_LOCK, ""), url(_CORE), timeout)
    if isinstance(answer, Failure):
        return await check.explain(answer, url(_LOCK))
    if not answer.ok:
        return Finding(Reason.HTTP_STATUS, f"HTTP {answer.status} for {_LOCK}")
    try:
        file = _small_file(answer.body)
    except ValueError as error:
        what = Reason.NOT_AN_INDEX if answer.body.lstrip()[:1] == b"<" else Reason.MALFORMED
        return Finding(what, f"{_LOCK}: {error}")
    return await check._replace(file=file).run(url(file.base_name))


def _small_file(text: bytes) -> LockedFile:
    """A small file of a lock file; ValueError says in a clause what is wrong with it."""
    try:
        packages = json.loads(text)["packages"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("it is no lock file of Pyodide") from None
    usable = {name: entry for name, entry in _entries(packages) if isinstance(entry, dict)}
    small = {name: usable[name] for name in SMALL if name in usable}
    file = next(iter(map(_file_of, small.values())), None) or some_file(usable)
    if file is None or not re.fullmatch("[0-9a-f]{64}", file.sha256):
        raise ValueError("it lists no package with a SHA-256")
    return file


def _entries(packages: Any) -> Sequence[tuple[str, Any]]:
    return list(packages.items()) if isinstance(packages, dict) else []


def _file_of(entry: Any) -> LockedFile:
    return LockedFile(str(entry.get("file_name", "")), str(entry.get("sha256", "")).lower())
