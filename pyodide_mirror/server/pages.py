"""Project pages and the list of projects as bytes: JSON (PEP 691) or HTML (PEP 503)."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from pyodide_mirror.index import to_json

from .content_negotiation import MediaType
from .source import tag_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyodide_mirror.model import File, ProjectPage

_WORTH_PACKING: Final = 1_000
MAX_BYTES_KEPT: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rendered:
    """A body and its gzip form, if that is worth it; both with a strong ETag."""

    body: bytes
    packed: bytes
    etag: str

    @classmethod
    def of(cls, body: bytes) -> Rendered:
        """Made from a body."""
        packed = gzip.compress(body, 5, mtime=0) if len(body) >= _WORTH_PACKING else b""
        return cls(body, packed, hashlib.sha256(body).hexdigest()[:32])


class Rendering:
    """Makes the bodies of pages, and keeps the last used: one with 8,000 files takes a while."""

    def __init__(self, max_bytes: int = MAX_BYTES_KEPT) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[tuple[str, MediaType, str], tuple[ProjectPage, Rendered]] = (
            OrderedDict()
        )
        self._size = 0
        self._lock = asyncio.Lock()

    async def page(self, page: ProjectPage, media_type: MediaType, base: str) -> Rendered:
        """A project page with URLs of this server, which is at ``base`` (no slash at its end)."""
        key = page.name, media_type, base
        found = self._find(key, page)
        if found is None:
            async with self._lock:  # many may wait for the same page
                found = self._find(key, page)
                if found is None:
                    found = await asyncio.to_thread(_render, page, media_type, base)
                    self._keep(key, page, found)
        return found

    def _find(self, key: tuple[str, MediaType, str], page: ProjectPage) -> Rendered | None:
        kept = self._kept.get(key)
        if kept is None or kept[0] != page:
            return None
        # Kept with this very page: comparing it with itself next time costs nothing.
        self._kept[key] = page, kept[1]
        self._kept.move_to_end(key)
        return kept[1]

    def _keep(self, key: tuple[str, MediaType, str], page: ProjectPage, rendered: Rendered) -> None:
        self._drop(key)
        self._kept[key] = page, rendered
        self._size += _weight(rendered)
        while self._size > self._max_bytes and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[str, MediaType, str]) -> None:
        if key in self._kept:
            self._size -= _weight(self._kept.pop(key)[1])


def project_list(names: Iterable[str], media_type: MediaType) -> Rendered:
    """The list of projects (PEP 691, "Project List")."""
    if media_type is MediaType.JSON:
        projects = [{"name": name} for name in names]
        document = {"meta": {"api-version": "1.0"}, "projects": projects}
        return Rendered.of(json.dumps(document, separators=(",", ":")).encode())
    links = [f'<a href="{escape(name)}/">{escape(name)}</a>' for name in names]
    return Rendered.of(_html("Simple index", links))


def file_path(file: File, project: str) -> str:
    """The path of a file on this server."""
    return f"/files/{tag_of(file)}/{project}/{quote(file.filename)}"


def _render(page: ProjectPage, media_type: MediaType, base: str) -> Rendered:
    shown = replace(page, files=tuple(_local(file, page.name, base) for file in page.files))
    return Rendered.of(to_json(shown) if media_type is MediaType.JSON else _html_page(shown))


def _local(file: File, project: str, base: str) -> File:
    return replace(file, url=base + file_path(file, project))


def _weight(rendered: Rendered) -> int:
    return len(rendered.body) + len(rendered.packed)


def _html_page(page: ProjectPage) -> bytes:
    return _html(f"Links for {page.name}", [_link(file) for file in page.files])


def _html(title: str, links: Iterable[str]) -> bytes:
    head = '<meta charset="utf-8"><meta name="pypi:repository-version" content="1.0">'
    lines = "<br>\n".join(links)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}<title>{escape(title)}</title></head>\n'
        f"<body><h1>{escape(title)}</h1>\n{lines}\n</body></html>\n"
    ).encode()


def _link(file: File) -> str:
    """A file's anchor (PEP 503, 592 and 714)."""
    name, digest = _one(file.hashes)
    attributes = {"href": file.url + (f"#{name}={digest}" if name else "")}
    if file.requires_python:
        attributes["data-requires-python"] = file.requires_python
    if file.metadata is not None:
        name, digest = _one(file.metadata)
        attributes["data-core-metadata"] = f"{name}={digest}" if name else "true"
    if file.yanked is not False:
        attributes["data-yanked"] = "" if file.yanked is True else file.yanked
    written = " ".join(f'{key}="{escape(value)}"' for key, value in attributes.items())
    return f"<a {written}>{escape(file.filename)}</a>"


def _one(digests: object) -> tuple[str, str]:
    """The one digest that HTML has room for: SHA-256, or else the first."""
    found = dict(digests) if isinstance(digests, dict) else {}
    name = "sha256" if "sha256" in found else next(iter(found), "")
    return name, found.get(name, "")
