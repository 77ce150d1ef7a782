"""The reader of project pages in any form.

What comes in may be hostile: the caller limits its size, it is parsed strictly, and only plain
file names and absolute http(s) URLs get through.
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

    ``url`` is the final one; the names of ``headers`` are lower-case. ``checked``: JavaScript has
    checked each entry of this JSON, which is taken as it is.
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
    """Read the project page in an answer; see :func:`parse_page`."""
    kind = response.headers.get("content-type", "")
    return parse_page(response.body, kind, response.url, project, checked=response.checked)


def parse_page(
    body: bytes, content_type: str, url: str, project: str, *, checked: bool = False
) -> ProjectPage:
    """Read a project page.

    ``url``: the final one, from which relative URLs start. ``project``: the normalized name that
    was asked for. ``checked``: see :class:`PageResponse`. Raises :class:`PageError` with
    ``not-an-index``, ``malformed`` or ``api-version``.
    """
    kind = media_type(content_type)
    versioned = VERSIONED_TYPE.fullmatch(kind)
    said_json = versioned is not None and versioned[2] == "json"
    start = body[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    # The body decides, not its media type, which can be repaired.
    if said_json or start in (b"{", b"["):
        page = parse_json(body, url, project, checked=checked)
        if not said_json:
            repairs = sorted({*page.repairs, Reason.WRONG_CONTENT_TYPE}, key=list(Reason).index)
            page = replace(page, repairs=tuple(repairs))
    else:
        from .pep503 import parse_html  # which few need

        page = parse_html(body, url, project, kind)
    if versioned and versioned[1] != "1":
        raise PageError(Reason.API_VERSION, f"media type {kind}")
    return page
