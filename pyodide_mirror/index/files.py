"""The files of a page while it is read: what cannot be used is noted and left out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urljoin

from pyodide_mirror.model import File, ProjectPage, Reason, split_http_url

from .protocol import EmptyPageError, PageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!~-]{0,254}")

_DIGEST_NAME = re.compile(r"[a-z0-9_]{1,32}")

_SHA256 = re.compile(r"[0-9a-f]{64}")

_DIGEST = re.compile(r"[0-9a-f]{32,128}")

# What is so already: nothing to resolve, to normalise or to refuse. Pages have thousands of them.
_PLAIN_URL = re.compile(
    r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9][0-9]{0,3}|:[1-5][0-9]{4})?/[\w./+~!-]+",
    re.ASCII,
)

DISTRIBUTIONS = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz", ".egg")


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
            if not _PLAIN_URL.fullmatch(url) or "/." in url or len(url) > 2000:
                absolute = urldefrag(urljoin(self.base_url, url)).url
                absolute = split_http_url(absolute).geturl()  # the scheme in lower case
        except ValueError as error:
            self.unusable.append(f"{filename[:100]!r}: {error}")
            return False
        self.files.append(File(filename=filename, url=absolute, **fields))
        return True

    def leave_out(self, why: str) -> None:
        """Note, in a clause, why an entry of the page cannot be used."""
        self.unusable.append(why)

    def page(
        self, project: str, *, versions: tuple[str, ...], repairs: tuple[Reason, ...]
    ) -> ProjectPage:
        """The page of these files; PageError when none of them can be used."""
        if not self.files and self.unusable:
            raise PageError(Reason.MALFORMED, f"no usable file: {self.unusable[0]}")
        if not self.files:
            raise EmptyPageError(Reason.NOT_AN_INDEX, f"lists no files of {project!r}")
        return ProjectPage(
            name=project,
            files=tuple(self.files),
            versions=versions,
            repairs=repairs,
            unusable=tuple(self.unusable),
        )


def digests(value: object) -> Mapping[str, str]:
    """Digests by lower-case name, in lower case; what is no digest is as if it were not there."""
    if not isinstance(value, dict):
        return {}
    if value.keys() == {"sha256"} and _is_sha256(value["sha256"]):
        return value
    pairs = (
        (name.lower(), digest.lower())
        for name, digest in value.items()
        if isinstance(name, str) and isinstance(digest, str)
    )
    return {
        name: digest
        for name, digest in pairs
        if _DIGEST_NAME.fullmatch(name)
        and _DIGEST.fullmatch(digest)
        and (name != "sha256" or len(digest) == 64)  # SHA-256 in hexadecimal
    }


def _is_sha256(digest: object) -> bool:
    return isinstance(digest, str) and _SHA256.fullmatch(digest) is not None
