"""The check of a CDN from outside Pyodide: under the digests of the CDN's own lock file."""

from __future__ import annotations

import asyncio
import functools
import json
import re
from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror.model import CDNOutcome, Finding, Reason, printable
from pyodide_mirror.transport import Failure, Request, Transport, send

from .check import CORE, SMALL, CDNCheck, LockedFile, outcome_of, refuse_cdn, some_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyodide_mirror.model import CDN

_LOCK: Final = "pyodide-lock.json"
_MAX_LOCK_BYTES: Final = 8 * 1024 * 1024


async def probe_published(
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
    check = CDNCheck(transport, LockedFile(_LOCK, ""), url(CORE), timeout)
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
    if not re.fullmatch("[A-Za-z0-9._+!~-]{1,255}", file.base_name):
        raise ValueError(f"{printable(file.base_name)!r} is not a file's name")
    return file


def _entries(packages: Any) -> Sequence[tuple[str, Any]]:
    return list(packages.items()) if isinstance(packages, dict) else []


def _file_of(entry: Any) -> LockedFile:
    return LockedFile(str(entry.get("file_name", "")), str(entry.get("sha256", "")).lower())
