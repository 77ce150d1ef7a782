"""Project pages in whatever form they come: bytes in, values out.

What comes in is hostile: it is bounded by the caller, parsed strictly, and nothing of it but plain
file names and absolute http(s) URLs gets through.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from pyodide_mirror.model import Reason

from .pep691 import parse_json
from .protocol import VERSIONED_TYPE, PageError, media_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyodide_mirror.model import ProjectPage


class PageResponse(Protocol):
    """An answer to a request for a project page.

    ``url`` is the final one, after redirects; the names of ``headers`` are lower-case. ``checked``:
    the browser has read and written this JSON already, so that each entry is taken as it is.
    """

    @property
    def url(self) -> str: ...  # noqa: D102
    @property
    def headers(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def body(self) -> bytes: ...  # noqa: D102
    @property
    def checked(self) -> bool: ...  # noqa: D102


def read_page(response: PageResponse, project: str) -> ProjectPage:
    """Read the project page in an answer, as :func:`parse_page` does."""
    kind = response.headers.get("content-type", "")
    return parse_page(response.body, kind, response.url, project, checked=response.checked)


def parse_page(
    body: bytes, content_type: str, url: str, project: str, *, checked: bool = False
) -> ProjectPage:
    """Read a project page.

    ``url`` is the final one, after redirects; relative URLs start there. ``project`` is the
    normalized name that was asked for. ``checked``: see :class:`PageResponse`. Raises
    :class:`PageError` with ``not-an-index``, ``malformed`` or ``api-version``.
    """
    kind = media_type(content_type)
    versioned = VERSIONED_TYPE.fullmatch(kind)
    start = body[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    # What it is decides, not what it is called: a wrong label can be repaired, a body cannot.
    if start in (b"{", b"[") or (versioned and versioned[2] == "json"):
        page = parse_json(body, url, project, checked=checked)
        if not (versioned and versioned[2] == "json"):
            page = _with_repair(page, Reason.WRONG_CONTENT_TYPE)
    else:
        from .pep503 import parse_html  # most pages are JSON

        page = parse_html(body, url, project, kind)
    if versioned and versioned[1] != "1":
        raise PageError(Reason.API_VERSION, f"media type {kind}")
    return page


def _with_repair(page: ProjectPage, repair: Reason) -> ProjectPage:
    repairs = sorted({*page.repairs, repair}, key=list(Reason).index)
    return replace(page, repairs=tuple(repairs))
