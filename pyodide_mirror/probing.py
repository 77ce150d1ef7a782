"""The checks of one mirror: page, wheel, core metadata, as micropip would ask for them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from .errors import Reason
from .model import Failure, FailureKind, Finding, Request
from .scout import SMALL, newest
from .simple_api import ACCEPT, MAX_PAGE_BYTES, PageError, media_type, metadata_url, parse_page
from .transport import NO_PROGRESS, Progress, Transport, TransportError
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
from .wheels import smallest_suitable_wheel

if TYPE_CHECKING:
    from .model import File, Mirror, Outcome, ProjectPage, Response

DEFAULT_CANARY: Final = "iniconfig"
"""A pure project with a page of a few kilobytes and wheels of some 6 kB, on every full mirror."""

_MAX_WHEEL_BYTES: Final = 64 * 1024 * 1024
_MAX_METADATA_BYTES: Final = 4 * 1024 * 1024


async def probe_mirror(  # noqa: PLR0913  # each by its name
    mirror: Mirror,
    transport: Transport,
    *,
    canary: str | Harvest,
    timeout: float,  # bounds each request, not this call
    named: bool,
    thorough: bool = True,
    progress: Progress = NO_PROGRESS,
) -> Outcome:
    """Look at one mirror and say what it can be used for.

    ``canary``: normalized name of the project looked up; or a harvest, which takes what is fetched,
    and has the probe fetch what the install will need. ``timeout``: seconds for each request,
    body included. ``named``: the user gave the mirror's address. ``thorough``: look at promised
    metadata, too, which an install can do without; then there are at most three requests, else two.
    ``progress`` is told of the request of the page. Raises nothing about the mirror.
    """
    started = asyncio.get_running_loop().time()
    probe = _Probe(mirror, transport, canary, timeout, thorough=thorough)
    findings = await probe.look(progress, named=named)
    elapsed = asyncio.get_running_loop().time() - started
    return judge(mirror, findings, elapsed * 1000)


class Harvest:
    """What probes have fetched that the install can use, when its own project is the canary.

    ``project``: its normalized name. ``wants``: the requirement's version specifier (PEP 440).
    """

    def __init__(self, project: str, wants: str) -> None:
        self.project = project
        self.wants = wants
        self.pages: dict[str, tuple[ProjectPage, Response]] = {}
        """The project's page and the answer it was read from, by the mirror's index URL."""
        self.files: dict[str, bytes] = {}
        """Verified wheels by their SHA-256."""


class _Probe:
    def __init__(
        self,
        mirror: Mirror,
        transport: Transport,
        canary: str | Harvest,
        timeout: float,
        *,
        thorough: bool,
    ) -> None:
        self.mirror = mirror
        self.transport = transport
        self.harvest = canary if isinstance(canary, Harvest) else None
        self.canary = canary.project if isinstance(canary, Harvest) else canary
        self.timeout = timeout
        self.thorough = thorough

    async def look(self, progress: Progress, *, named: bool) -> list[Finding]:
        """All that there is to find, or the first thing that makes the mirror unusable."""
        refused = refuse_mirror(self.mirror, self.transport.page, named=named)
        if refused:
            return [refused]
        url = self.mirror.project_url(self.canary)
        response = await self._get(url, MAX_PAGE_BYTES, accept=ACCEPT, progress=progress)
        if isinstance(response, Failure):
            return [await self._explain(response, url)]
        bad_status = status_finding(response, self.canary)
        if bad_status:
            return [bad_status]
        content_type = response.headers.get("content-type", "")
        try:
            page = parse_page(
                response.body, content_type, response.url, self.canary, checked=response.checked
            )
        except PageError as error:
            return [page_finding(error.finding, response)]
        if self.harvest is not None:
            self.harvest.pages[self.mirror.index_url] = page, response
        return _repair_findings(page, content_type) + await self._look_at_files(page)

    async def _look_at_files(self, page: ProjectPage) -> list[Finding]:
        file = self._of_use(page) or smallest_suitable_wheel(page)
        if file is None:
            what = f"lists {len(page.files)} files of {page.name!r}, no wheel suits this Python"
            return [Finding(Reason.NOT_AN_INDEX, what)]
        refused = refuse_file_url(file.url, self.mirror, self.transport.page)
        if refused:
            return [refused]
        finding = await self._look_at_wheel(file)
        found = [finding]
        if self.thorough and (finding is None or finding.reason is Reason.NO_HASHES):
            found.append(await self._look_at_metadata(file))
        return [each for each in found if each]

    def _of_use(self, page: ProjectPage) -> File | None:
        """The wheel that the install will want, if it costs no more than any would."""
        if self.harvest is None:
            return None
        file = newest(page, self.harvest.wants)
        small = file is not None and file.size is not None and file.size <= SMALL
        return file if small else None

    async def _look_at_wheel(self, file: File) -> Finding | None:
        response = await self._get(file.url, _MAX_WHEEL_BYTES)
        if isinstance(response, Failure):
            return file_failure(response, file)
        finding = check_bytes(file, response)
        if self.harvest is not None and finding is None:
            self.harvest.files[file.sha256] = response.body
        return finding

    async def _look_at_metadata(self, file: File) -> Finding | None:
        if file.metadata is None:
            return None
        return check_metadata(file, await self._get(metadata_url(file), _MAX_METADATA_BYTES))

    async def _get(
        self, url: str, max_bytes: int, *, accept: str = "", progress: Progress = NO_PROGRESS
    ) -> Response | Failure:
        headers = dict(self.mirror.headers_for(url))
        if accept:
            headers["accept"] = accept
        request = Request(
            url=url,
            timeout=self.timeout,
            max_bytes=max_bytes,
            headers=headers,
            credentials=self.mirror.credentials_for(url),
            lean=bool(accept),
        )
        try:
            return await self.transport.fetch(request, progress)
        except TransportError as error:
            return error.failure

    async def _explain(self, failure: Failure, url: str) -> Finding:
        """Tell ``cors`` from ``unreachable`` by one opaque request, where that is open."""
        page = self.transport.page
        opaque: Failure | None = failure
        if failure.kind is FailureKind.NETWORK:
            try:
                await self.transport.fetch(
                    Request(url=url, timeout=self.timeout, max_bytes=0, opaque=True)
                )
            except TransportError as error:
                opaque = error.failure
            else:
                opaque = None
        return explain_failure(failure, url, page, opaque)


def _repair_findings(page: ProjectPage, content_type: str) -> list[Finding]:
    kind = media_type(content_type) or "none"
    facts = {
        Reason.HTML_ONLY: f"media type {kind}",
        Reason.WRONG_CONTENT_TYPE: f"media type {kind}",
        Reason.RELATIVE_URLS: "file URLs without scheme and host",
    }
    return [Finding(repair, facts[repair]) for repair in page.repairs]
