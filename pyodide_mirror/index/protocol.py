"""The media types, versions and URLs of the Simple API (PEP 503, 629, 658, 691)."""

from __future__ import annotations

import re

from pyodide_mirror.model import File, Finding, ProjectPage, Reason

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
ACCEPT = f"{JSON_TYPE}, */*;q=0.01"
"""What micropip sends; it needs no preflight (Fetch standard)."""
MAX_PAGE_BYTES = 64 * 1024 * 1024
VERSIONED_TYPE = re.compile(r"application/vnd\.pypi\.simple\.v(\d+)\+(json|html)")
API_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})")  # PEP 629: Major.Minor


class PageError(Exception):
    """A page that cannot be used; ``finding`` says why."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.finding = Finding(reason, detail)


class EmptyPageError(PageError):
    """A proper ``page`` of a project without files: it has no release, or is quarantined."""

    def __init__(self, page: ProjectPage) -> None:
        super().__init__(Reason.NOT_AN_INDEX, f"lists no files of {page.name!r}")
        self.page = page


def media_type(content_type: str) -> str:
    """The media type of a Content-Type header, without parameters (RFC 9110, section 8.3)."""
    return content_type.partition(";")[0].strip().lower()


def metadata_url(file: File) -> str:
    """URL of a file's core metadata: ``.metadata`` is added to the path (PEP 658)."""
    path, mark, query = file.url.partition("?")
    return f"{path}.metadata{mark}{query}"
