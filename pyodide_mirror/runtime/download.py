"""One package of Pyodide's lock file, looked for at one CDN after the other."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyodide_mirror.model import Finding, Reason
from pyodide_mirror.reporting import Event
from pyodide_mirror.transport import Failure, FailureKind, Request, Response, RetryingClient, send

from .check import fault_of, refuse_cdn

if TYPE_CHECKING:
    from pyodide_mirror.model import CDN
    from pyodide_mirror.reporting import EventKind
    from pyodide_mirror.storage import Content
    from pyodide_mirror.transport import Progress, Transport

    from .check import LockedFile
    from .hook import PackageRequest
    from .search import Places

_MAX_BYTES: Final = 2**29
"""The most that is read of a package: ten times the largest."""
_PATIENCE: Final = 0.5
"""Seconds that a CDN without a verdict has for its headers, before the others are looked at."""
_ADVICE: Final = "name a CDN that can be read, by cdns= or in PYODIDE_MIRROR_CDNS"
_REASONS: Final = {
    FailureKind.TIMEOUT: Reason.TIMEOUT,
    FailureKind.CSP: Reason.CSP,
    FailureKind.OFFLINE: Reason.OFFLINE,
    FailureKind.CORS: Reason.CORS,
    FailureKind.TOO_LARGE: Reason.MALFORMED,
}


class UnavailableError(OSError):
    """A package cannot be loaded; the text is one sentence, and ``why`` all but its name."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} {why}")
        self.why = why


class Downloaded(NamedTuple):
    """A verified file, and where it came from."""

    data: Content
    cdn: CDN
    url: str


class Download:
    """The search for one package.

    ``name``: the package's, normalized. ``places``: the CDNs, and what is known of them.
    """

    def __init__(
        self,
        name: str,
        file: LockedFile,
        places: Places,
        transport: Transport,
        request: PackageRequest,
    ) -> None:
        self._name = name
        self._file = file
        self._places = places
        self._transport = transport
        self._request = request
        self._faults: dict[CDN, Finding] = {}
        self._cut_off: list[CDN] = []
        """One that has worked before, which is asked again where no other one has the file."""

    async def run(self, canary: LockedFile) -> Downloaded:
        """The package, from the first CDN that has it; raises UnavailableError.

        ``canary``: a small file, by which the CDNs are tested.
        """
        while True:
            cdn = await self._places.next(
                self._faults, canary, self._transport, self._request.timeout, self._request.tell
            )
            if cdn is None and self._cut_off:
                cdn = self._cut_off.pop()
            if cdn is None:
                raise UnavailableError(self._name, self._why())
            found = await self._try(cdn)
            if found is not None:
                return found

    async def _try(self, cdn: CDN) -> Downloaded | None:
        unproven, good = self._places.trusted == cdn, self._places.is_good(cdn)
        async with self._places.slots:
            if (unproven, good) != (self._places.trusted == cdn, self._places.is_good(cdn)):
                return None  # another package has found out meanwhile
            answer = await self._ask(cdn, unproven=unproven)
        if isinstance(answer, Response):
            url = self._url(cdn)
            if self._faults:
                self._tell("failover", f"{self._file.base_name}: from {cdn.name} instead", cdn)
            size = len(answer.content)
            self._tell("file", f"{self._file.base_name}: {size:,} bytes", cdn, size)
            return Downloaded(answer.content, cdn, url)
        self._tell("problem", f"{cdn.name}, {self._file.base_name}: {answer.detail}", cdn)
        if unproven:
            self._places.trusted = None  # what is wrong with it, the race tells
        else:
            if good and answer.reason is Reason.UNREACHABLE:
                self._cut_off = [cdn]
            self._faults[cdn] = answer
            if answer.reason in {Reason.TIMEOUT, Reason.UNREACHABLE}:
                self._places.outcomes.pop(cdn, None)  # the others are to look before they wait
        return None

    async def _ask(self, cdn: CDN, *, unproven: bool) -> Response | Finding:
        refused = refuse_cdn(cdn, self._transport, named=self._places.is_named(cdn))
        if refused is not None:
            return refused
        progress = _PackageProgress(self, cdn)
        request = Request(
            self._url(cdn),
            self._request.timeout,
            _MAX_BYTES,
            # As Pyodide asks its own place, which may know its users by their cookies.
            credentials="same-origin" if self._places.is_own(cdn) else "omit",
            stall=True,
            digest=True,
            hold=True,
        )
        work = asyncio.ensure_future(self._send(request, progress, cdn))
        try:
            if unproven:
                await progress.wait(work)
            if unproven and not (work.done() or progress.here.is_set()):
                return Finding(Reason.TIMEOUT, f"no answer within {_PATIENCE:g} s")
            answer = await work
        finally:
            work.cancel()
        if isinstance(answer, Failure):
            return Finding(_REASONS.get(answer.kind, Reason.UNREACHABLE), answer.detail)
        return fault_of(self._file, answer) or answer

    async def _send(self, request: Request, progress: Progress, cdn: CDN) -> Response | Failure:
        if not self._places.is_good(cdn):  # then others may be quicker than to wait for it
            return await send(self._transport, request, progress)
        client = RetryingClient(self._transport, functools.partial(self._tell_retry, cdn))
        return await client.get(request, progress)

    def _url(self, cdn: CDN) -> str:
        return self._places.urls(cdn, self._file.file_name)

    def _why(self) -> str:
        """What is wrong with each CDN, and what to do."""
        known = {each.cdn: Finding(each.reason, each.detail) for each in self._places.known()}
        found = {**known, **self._faults}
        seen = "; ".join(
            f"{cdn.name}: {found[cdn].reason} ({found[cdn].detail})"
            for cdn in self._places.cdns
            if cdn in found
        )
        return f"could not be loaded from any CDN: {seen or 'there is none'}; {_ADVICE}"

    def _tell_retry(self, cdn: CDN, _: str, pause: float) -> None:
        self._tell("retry", f"{cdn.name} is busy; trying again in {pause:g} s", cdn)

    def _tell(self, kind: EventKind, text: str, cdn: CDN, size: int | None = None) -> None:
        url = self._url(cdn).partition("?")[0]
        self._request.tell(Event(kind, text, cdn.base_url, url, size))

    def tell_progress(self, cdn: CDN, size: int, total: int | None) -> None:
        """Tell how many bytes are here."""
        text = f"{self._file.base_name}: {size:,} bytes so far"
        url = self._url(cdn).partition("?")[0]
        self._request.tell(Event("progress", text, cdn.base_url, url, size, total))


class _PackageProgress:
    """Tells of the bytes of a package as they come."""

    def __init__(self, download: Download, cdn: CDN) -> None:
        self.here = asyncio.Event()
        self._download = download
        self._cdn = cdn
        self._size = 0
        self._total: int | None = None

    async def wait(self, work: asyncio.Future[Any]) -> None:
        """Wait a moment for the headers."""
        headers: asyncio.Future[Any] = asyncio.ensure_future(self.here.wait())
        try:
            await asyncio.wait({headers, work}, timeout=_PATIENCE, return_when="FIRST_COMPLETED")
        finally:
            headers.cancel()

    def headers(self, status: int, length: int | None) -> None:
        """The answer has begun."""
        self._total = length if 200 <= status <= 299 else None
        self.here.set()

    def received(self, size: int) -> None:
        """Tell of these bytes."""
        self._size += size
        self._download.tell_progress(self._cdn, self._size, self._total)
