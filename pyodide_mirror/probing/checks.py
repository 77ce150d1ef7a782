"""The check of one mirror: page, wheel and core metadata, as micropip would ask for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyodide_mirror.index import (
    ACCEPT,
    MAX_METADATA_BYTES,
    MAX_PAGE_BYTES,
    SMALL_WHEEL,
    PageError,
    best_wheel,
    media_type,
    metadata_url,
    read_page,
    smallest_wheel,
)
from pyodide_mirror.model import Finding, Reason, Support
from pyodide_mirror.transport import (
    NO_PROGRESS,
    Failure,
    FailureKind,
    Progress,
    Request,
    Response,
    Transport,
    request_to,
    send,
)

from .verdict import (
    check_bytes,
    check_metadata,
    explain_failure,
    file_failure,
    judge,
    page_finding,
    refuse_file_url,
    refuse_mirror,
    status_finding,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pyodide_mirror.model import File, Mirror, Outcome, ProjectPage

    from .canary import Canary

_MOST_OTHER_URLS: Final = 2
MAX_WHEEL_BYTES: Final = 64 * 1024 * 1024
"""The most that is read of a wheel, whatever its page says."""
_START_BYTES: Final = 65_536
"""Of a large file, after which a request for its start is ended."""
_OF_A_FILE: Final = frozenset({Reason.FILES_BLOCKED, Reason.HASH_MISMATCH})


async def probe_mirror(  # noqa: PLR0913  # each by its name
    mirror: Mirror,
    transport: Transport,
    *,
    canary: Canary,
    timeout: float,
    named: bool,
    thorough: bool = True,
    progress: Progress = NO_PROGRESS,
) -> Outcome:
    """Look at one mirror and say what it can be used for; raises nothing about it.

    ``timeout``: seconds for each request, body included. ``named``: the user gave the mirror's
    address. ``thorough``: look at promised metadata, too, which an install can do without: at most
    three requests instead of two. ``progress``: of the page's request.
    """
    started = asyncio.get_running_loop().time()
    check = _MirrorCheck(mirror, transport, canary, timeout, thorough)
    findings = await check.run(progress, named=named)
    elapsed = asyncio.get_running_loop().time() - started
    return judge(mirror, findings, elapsed * 1000)


class _MirrorCheck(NamedTuple):
    """The requests of one probe, and what they find."""

    mirror: Mirror
    transport: Transport
    canary: Canary
    timeout: float
    thorough: bool

    async def run(self, progress: Progress, *, named: bool) -> list[Finding]:
        """All findings, or the first that makes the mirror unusable."""
        refused = refuse_mirror(self.mirror, self.transport.page, named=named)
        if refused:
            return [refused]
        project = self.canary.project
        url = self.mirror.project_url(project)
        response = await self._get(url, MAX_PAGE_BYTES, accept=ACCEPT, progress=progress)
        if isinstance(response, Failure):
            return [await self._explain(response, url)]
        bad_status = status_finding(response, project)
        if bad_status:
            return [bad_status]
        try:
            page = read_page(response, project)
        except PageError as error:
            return [page_finding(error.finding, response)]
        if self.canary.downloads is not None:
            self.canary.downloads.pages[self.mirror.index_url, project] = page, response
        return _repair_findings(page, response) + await self._look_at_files(page)

    async def _look_at_files(self, page: ProjectPage) -> list[Finding]:
        wanted = self._wanted_wheel(page)
        is_small = wanted is not None and wanted.size is not None and wanted.size <= SMALL_WHEEL
        file = wanted if is_small else smallest_wheel(page)
        if file is None:
            what = f"lists {len(page.files)} files of {page.name!r}, no wheel suits this Python"
            return [Finding(Reason.NOT_AN_INDEX, what)]
        finding = await self._look_at_each(file, page, self._look_at_wheel)
        if finding is not None and finding.reason in _OF_A_FILE and wanted and wanted is not file:
            # It may be a file that nobody has asked for in years; the install wants another one.
            finding = await self._look_at_each(wanted, page, self._look_at_start)
        found = [finding]
        readable = finding is None or finding.reason is Reason.NO_HASHES
        if self.thorough and readable and file.metadata is not None:
            answer = await self._get(metadata_url(file), MAX_METADATA_BYTES)
            found.append(check_metadata(file, answer))
        return [each for each in found if each]

    def _wanted_wheel(self, page: ProjectPage) -> File | None:
        """The wheel that the install will want, where its own project is the canary."""
        return (
            best_wheel(page, self.canary.specifier) if self.canary.downloads is not None else None
        )

    async def _look_at_each(
        self, file: File, page: ProjectPage, look: Callable[[File], Awaitable[Finding | None]]
    ) -> Finding | None:
        """What is found of a file, under any of the URLs at which the page lists it."""
        first = None
        for same in (file, *_under_other_urls(file, page)):
            refused = refuse_file_url(same.url, self.mirror, self.transport.page)
            finding = refused or await look(same)
            if finding is None or finding.reason.support is not Support.NONE:
                return finding
            first = first or finding
        return first

    async def _look_at_wheel(self, file: File) -> Finding | None:
        response = await self._get(file.url, MAX_WHEEL_BYTES)
        if isinstance(response, Failure):
            return file_failure(response, file)
        finding = check_bytes(file, response)
        if self.canary.downloads is not None and finding is None:
            self.canary.downloads.files[file.sha256] = response.body
        return finding

    async def _look_at_start(self, file: File) -> Finding | None:
        """Whether a large file can be read; its digest is the install's to check."""
        response = await self._get(file.url, _START_BYTES)
        if isinstance(response, Failure):
            readable = response.kind is FailureKind.TOO_LARGE
            return None if readable else file_failure(response, file)
        return check_bytes(file, response)

    async def _get(
        self, url: str, max_bytes: int, *, progress: Progress = NO_PROGRESS, **options: Any
    ) -> Response | Failure:
        downloads = self.canary.downloads
        early = await downloads.early_answer(url, self.timeout) if downloads is not None else None
        if early is not None:
            if isinstance(early, Response):
                progress.headers(early.status, None)
            return early
        request = request_to(self.mirror, url, timeout=self.timeout, max_bytes=max_bytes, **options)
        return await send(self.transport, request, progress)

    async def _explain(self, failure: Failure, url: str) -> Finding:
        """Tell ``cors`` from ``unreachable``, where that is open, by one opaque request."""
        opaque = await opaque_failure(failure, url, self.transport, self.timeout)
        return explain_failure(failure, url, self.transport.page, opaque)


async def opaque_failure(
    failure: Failure, url: str, transport: Transport, timeout: float
) -> Failure | None:
    """How an opaque request fails after this failure; None if it is answered.

    It is made where the failure leaves open whether anything is there; else the failure stands.
    """
    if failure.kind is not FailureKind.NETWORK:
        return failure
    request = Request(url=url, timeout=timeout, max_bytes=0, opaque=True)
    answer = await send(transport, request)
    return answer if isinstance(answer, Failure) else None


def _under_other_urls(file: File, page: ProjectPage) -> list[File]:
    """The same file, as its digest says, where the page lists it more than once."""
    return [
        other
        for other in page.files
        if file.sha256
        and (other.filename, other.sha256) == (file.filename, file.sha256)
        and other.url != file.url
    ][:_MOST_OTHER_URLS]


def _repair_findings(page: ProjectPage, response: Response) -> list[Finding]:
    kind = media_type(response.headers.get("content-type", "")) or "none"
    facts = {
        Reason.HTML_ONLY: f"media type {kind}",
        Reason.WRONG_CONTENT_TYPE: f"media type {kind}",
        Reason.RELATIVE_URLS: "file URLs without scheme and host",
    }
    return [Finding(repair, facts[repair]) for repair in page.repairs]
