"""The check of one CDN: a small package of the lock file, under its digest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyodide_mirror.model import CDNOutcome, Finding, Reason, origin
from pyodide_mirror.probing import explain_failure, opaque_failure, refuse_url
from pyodide_mirror.transport import (
    NO_PROGRESS,
    Failure,
    Progress,
    Request,
    Response,
    Transport,
    send,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyodide_mirror.model import CDN

SMALL: Final = ("iniconfig", "six", "cycler", "exceptiongroup", "pluggy", "packaging", "micropip")
"""Packages of some kilobytes, of which the lock file of each Pyodide has some."""
_MAX_CANARY_BYTES: Final = 16 * 1024 * 1024
CORE: Final = "pyodide.mjs"
"""A file of Pyodide's core, some kilobytes, which npm's package has as well."""
_MAX_CORE_BYTES: Final = 1024 * 1024
_HINTS: Final = {
    Reason.OK: "Nothing to do.",
    Reason.CORS: "Its operator should send 'Access-Control-Allow-Origin: *'; use another CDN.",
    Reason.HTTP_STATUS: "Check the base URL, and whether it has this version of Pyodide.",
    Reason.NOT_AN_INDEX: "Check the base URL, and whether a login page answers instead.",
    Reason.MALFORMED: "Tell its operator; use another CDN.",
    Reason.HASH_MISMATCH: "Do not use this CDN, or not for this version; tell its operator.",
    Reason.TIMEOUT: "Try again with a longer timeout, or use another CDN.",
    Reason.UNREACHABLE: "Check the address and the network, or use another CDN.",
    Reason.MIXED_CONTENT: "Use the CDN's https address, or serve this page over http.",
    Reason.CSP: "Add the CDN's host to connect-src of the page's policy.",
    Reason.LOCAL_NETWORK: (
        "Name the CDN yourself, and allow this page to access the local network."
    ),
    Reason.BAD_URL: (
        "Write it like https://cdn.example/pyodide/v{version}/full/; in PYODIDE_MIRROR_CDNS, "
        "separate several with spaces or commas."
    ),
}
"""What to do, where the reason's own advice is about mirrors."""


class LockedFile(NamedTuple):
    """A file of Pyodide's lock file: its name, or URL, and its SHA-256 in hexadecimal."""

    file_name: str
    sha256: str

    @property
    def base_name(self) -> str:
        """Its name in a distribution."""
        return self.file_name.partition("?")[0].rpartition("/")[2]


def some_file(packages: Mapping[str, Mapping[str, Any]]) -> LockedFile | None:
    """A file that distributions have, of the entries of a lock file, pure wheels first."""
    files = [
        LockedFile(str(entry.get("file_name", "")), str(entry.get("sha256", "")).lower())
        for entry in packages.values()
    ]
    usable = [each for each in files if each.sha256 and "://" not in each.file_name]
    return min(
        usable, default=None, key=lambda each: (not each.file_name.endswith("-none-any.whl"), each)
    )


async def probe_cdn(  # noqa: PLR0913  # each by its name
    cdn: CDN,
    url: str,
    file: LockedFile,
    transport: Transport,
    *,
    core_url: str,
    timeout: float,
    named: bool,
    progress: Progress = NO_PROGRESS,
) -> CDNOutcome:
    """Look at one CDN and say whether it can be used; raises nothing about it.

    ``url``: where ``file`` is to be, ``core_url``: where a file of Pyodide's core is. ``timeout``:
    seconds for each request, body included. ``named``: the user gave the CDN's address.
    """
    started = asyncio.get_running_loop().time()
    check = CDNCheck(transport, file, core_url, timeout)
    finding = refuse_cdn(cdn, transport, named=named) or await check.run(url, progress)
    elapsed = (asyncio.get_running_loop().time() - started) * 1000
    return outcome_of(cdn, finding, elapsed)


def outcome_of(cdn: CDN, finding: Finding, elapsed_ms: float = 0.0) -> CDNOutcome:
    """The verdict that follows from what was found."""
    hint = finding.hint or _HINTS.get(finding.reason) or finding.reason.advice
    return CDNOutcome(
        cdn=cdn, reason=finding.reason, elapsed_ms=elapsed_ms, detail=finding.detail, hint=hint
    )


def refuse_cdn(cdn: CDN, transport: Transport, *, named: bool) -> Finding | None:
    """Why a CDN must not even be asked, or None."""
    if cdn.problem:
        return Finding(Reason.BAD_URL, cdn.problem)
    return refuse_url(origin(cdn.base_url), transport.page, named=named)


def fault_of(file: LockedFile, answer: Response) -> Finding | None:
    """What is wrong with the answer to a request for a file, or None."""
    if not answer.ok:
        return Finding(Reason.HTTP_STATUS, f"HTTP {answer.status}")
    if answer.sha256 == file.sha256:
        return None
    if answer.is_short:  # which WebKit reports in no other way
        return Finding(Reason.UNREACHABLE, Failure.cut_off(len(answer.content)).detail)
    if bytes(answer.content).lstrip()[:1] == b"<":
        return Finding(Reason.NOT_AN_INDEX, "an HTML page instead of the file")
    what = f"the SHA-256 of {file.base_name} is not that of the lock file"
    return Finding(Reason.HASH_MISMATCH, what)


class CDNCheck(NamedTuple):
    """The requests of one probe, and what they find."""

    transport: Transport
    file: LockedFile
    core_url: str
    timeout: float

    async def run(self, url: str, progress: Progress = NO_PROGRESS) -> Finding:
        """What is found of the file at this URL; ``ok`` if it is what it must be."""
        request = Request(url, self.timeout, _MAX_CANARY_BYTES, digest=True)
        answer = await send(self.transport, request, progress)
        if isinstance(answer, Failure):
            return await self.explain(answer, url)
        fault = fault_of(self.file, answer)
        if fault is None:
            detail = f"{self.file.base_name} read and verified"
            return Finding(Reason.OK, detail)
        fault = fault._replace(detail=f"{self.file.base_name}: {fault.detail}")
        missing = answer.status in {404, 410} or fault.reason is Reason.NOT_AN_INDEX
        if missing and await self._has_core():
            detail = f"it has {CORE}, but not the packages: {fault.detail}"
            return Finding(Reason.INCOMPLETE, detail)
        return fault

    async def _has_core(self) -> bool:
        request = Request(self.core_url, self.timeout, _MAX_CORE_BYTES)
        answer = await send(self.transport, request)
        return isinstance(answer, Response) and answer.ok and b"loadPyodide" in answer.body

    async def explain(self, failure: Failure, url: str) -> Finding:
        """Tell ``cors`` from ``unreachable``, where that is open, by one opaque request."""
        opaque = await opaque_failure(failure, url, self.transport, self.timeout)
        finding = explain_failure(failure, url, self.transport.page, opaque)
        if finding.reason is Reason.CORS and opaque is None:
            return Finding(Reason.CORS, "it answers, but this page may not read the answer")
        return finding
