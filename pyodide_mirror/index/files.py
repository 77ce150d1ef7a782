"""The files of a project page while it is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urljoin

from pyodide_mirror.model import File, ProjectPage, Reason, split_http_url

from .protocol import EmptyPageError, PageError

if TYPE_CHECKING:
    from collections.abc import Mapping

DISTRIBUTIONS = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz", ".egg")
_FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!~-]{0,254}")
_SHA256 = re.compile("[0-9a-f]{64}")
# A URL with nothing to resolve, to normalise or to refuse. Pages have thousands of them.
_PLAIN_URL = re.compile(
    r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?"
    r"(:(6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3}))?/[\w./+~!-]+",
    re.ASCII,
)
_LONGEST_URL = 16_384


class FileCollector:
    """Collects the files of a page; what cannot be used is noted and left out."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.files: list[File] = []
        self.unusable: list[str] = []
        self.relative = False

    def add(self, filename: str, url: str, **fields: Any) -> bool:
        """Add a file; False, and a note, when it cannot be used."""
        try:
            if not _FILENAME.fullmatch(filename):
                raise ValueError("not a file name of a distribution")
            absolute = url
            if not _PLAIN_URL.fullmatch(url) or "/." in url or len(url) > _LONGEST_URL:
                absolute = urldefrag(urljoin(self.base_url, url)).url
                absolute = split_http_url(absolute).geturl()  # the scheme in lower case
        except ValueError as error:
            self.unusable.append(f"{filename[:100]!r}: {error}")
            return False
        self.files.append(File(filename=filename, url=absolute, **fields))
        return True

    def page(self, project: str, **fields: Any) -> ProjectPage:
        """The page of these files; PageError when none of them can be used."""
        if not self.files and self.unusable:
            raise PageError(Reason.MALFORMED, f"no usable file: {self.unusable[0]}")
        page = ProjectPage(
            name=project, files=tuple(self.files), unusable=tuple(self.unusable), **fields
        )
        if not self.files:
            raise EmptyPageError(page)
        return page


def digests(value: object) -> Mapping[str, str]:
    """Digests by name, both in lower case; what is no digest is left out."""
    if not isinstance(value, dict):
        return {}
    if value.keys() == {"sha256"}:  # as on most pages
        digest = value["sha256"]
        if isinstance(digest, str) and _SHA256.fullmatch(digest):
            return value
    found = {}
    for key, text in value.items():
        if isinstance(key, str) and isinstance(text, str):
            name, digest = key.lower(), text.lower()
            form = "[0-9a-f]{64}" if name == "sha256" else "[0-9a-f]{32,128}"
            if re.fullmatch("[a-z0-9_]{1,32}", name) and re.fullmatch(form, digest):
                found[name] = digest
    return found
