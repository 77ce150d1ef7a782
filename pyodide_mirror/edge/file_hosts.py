"""The origins of an index's files, learned from the page of one project."""

from __future__ import annotations

from typing import Final

from pyodide_mirror.index import ACCEPT, MAX_PAGE_BYTES, PageError, parse_page
from pyodide_mirror.model import File, ProjectPage, check_index_url, host_kind, origin
from pyodide_mirror.transport import PageFacts, Request, Response, Transport, TransportError

from .folder import EdgeError

_ANY_PAGE: Final = "https://app.example"
"""Stands for any public https page (RFC 2606: no such host exists)."""
_MAX_FILE_BYTES: Final = 64 * 1024 * 1024


async def learn_file_hosts(
    upstream: str, canary: str, *, timeout: float, direct: bool = False
) -> tuple[str, ...]:
    """The origins that an index's files come from, redirects included, without the index's own.

    ``canary``: normalized name of a project it has. ``timeout``: seconds for each of two requests,
    one for the page and one for the smallest file on it. ``direct``: make sure that any web page
    may read the file where it is. Raises :class:`EdgeError`, which says what to do, and
    ValueError for a bad URL.
    """
    from pyodide_mirror.transport import CorsTransport

    index = check_index_url(upstream)
    nobody = CorsTransport(PageFacts())  # no page, and so no CORS
    answer = await _fetch(nobody, f"{index}/{canary}/", timeout, MAX_PAGE_BYTES)
    page = _parse(answer, canary)
    smallest = min(page.files, key=_size)
    reached = await _fetch(nobody, smallest.url, timeout, _MAX_FILE_BYTES)
    if direct:
        await _check_cors(smallest, timeout)
    hosts = {origin(answer.url), *(origin(file.url) for file in page.files), origin(reached.url)}
    return tuple(sorted(hosts - {origin(index)}))


def _size(file: File) -> int:
    return 1 << 62 if file.size is None else file.size


async def _fetch(transport: Transport, url: str, timeout: float, max_bytes: int) -> Response:
    headers = {"Accept": ACCEPT}
    try:
        answer = await transport.fetch(
            Request(url=url, headers=headers, timeout=timeout, max_bytes=max_bytes)
        )
    except TransportError as error:
        raise _unknown(url, error.failure.detail) from error
    if answer.status != 200:
        raise _unknown(url, f"it answers with status {answer.status}")
    return answer


def _parse(answer: Response, canary: str) -> ProjectPage:
    try:
        return parse_page(answer.body, answer.headers.get("content-type", ""), answer.url, canary)
    except PageError as error:
        raise _unknown(answer.url, error.finding.detail) from error


async def _check_cors(file: File, timeout: float) -> None:
    from pyodide_mirror.transport import CorsTransport

    page = CorsTransport(PageFacts(origin=_ANY_PAGE, host_kind=host_kind(_ANY_PAGE)))
    try:
        await page.fetch(Request(url=file.url, timeout=timeout, max_bytes=_MAX_FILE_BYTES))
    except TransportError as error:
        raise EdgeError(
            f"web pages may not read {file.url} ({error.failure.detail}), so that files cannot come"
            " from there directly; use --files proxy"
        ) from error


def _unknown(url: str, detail: str) -> EdgeError:
    return EdgeError(
        f"{url}: {detail}. So the file hosts of this index are unknown; name them with"
        " --file-host https://HOST (it may be given several times), or try --canary with a project"
        " that the index has"
    )
