"""Project pages and the list of projects as bytes: JSON (PEP 691) or HTML (PEP 503)."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import quote
from weakref import WeakValueDictionary

from pyodide_mirror.index import to_json
from pyodide_mirror.server.source import tag_of
from pyodide_mirror.server.web import MediaType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyodide_mirror.model import File, ProjectPage

_WORTH_PACKING: Final = 1_000
_PLAIN: Final = MappingProxyType({"repository-version": "1.0"})
MAX_BYTES_KEPT: Final = 64 * 1024 * 1024
_MOST_ADDRESSES: Final = 8
"""Addresses of this server for which one page is kept, so that they push out no other page."""
_ANYWHERE: Final = f"http://{secrets.token_hex(16)}.invalid"
"""Stands for the address in a page: something that no page has in another place."""
_Key = tuple[str, "MediaType", str]
"""A project, a media type and an address."""


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
    """Makes the bodies of pages, and keeps the last used: one with 8,000 files takes a while.

    A page is made once, and its URLs are put in for each address at which clients see this server:
    anybody may ask under many of them.
    """

    def __init__(self, max_bytes: int = MAX_BYTES_KEPT) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[_Key, tuple[ProjectPage, Rendered]] = OrderedDict()
        self._size = 0
        self._locks: WeakValueDictionary[tuple[str, MediaType], asyncio.Lock] = (
            WeakValueDictionary()
        )

    async def page(self, page: ProjectPage, media_type: MediaType, base: str) -> Rendered:
        """A project page with URLs of this server, which is at ``base`` (no slash at its end)."""
        key = page.name, media_type, base
        found = self._find(key, page)
        if found is None:
            # Many may wait for the same page; nobody waits for another one.
            lock = self._locks.setdefault(key[:2], asyncio.Lock())
            async with lock:
                found = self._find(key, page) or await self._make(key, page)
        return found

    async def _make(self, key: _Key, page: ProjectPage) -> Rendered:
        name, media_type, base = key
        anywhere = name, media_type, _ANYWHERE
        template = self._find(anywhere, page)
        if template is None:
            body = await asyncio.to_thread(_body, page, media_type, _ANYWHERE)
            template = Rendered(body, b"", "")
            self._keep(anywhere, page, template)
        rendered = await asyncio.to_thread(_placed, template.body, media_type, base)
        self._keep(key, page, rendered)
        return rendered

    def _find(self, key: _Key, page: ProjectPage) -> Rendered | None:
        kept = self._kept.get(key)
        if kept is None or kept[0] != page:
            return None
        # Kept with this very page: comparing it with itself next time costs nothing.
        self._kept[key] = page, kept[1]
        self._kept.move_to_end(key)
        return kept[1]

    def _keep(self, key: _Key, page: ProjectPage, rendered: Rendered) -> None:
        self._drop(key)
        self._kept[key] = page, rendered
        self._size += _weight(rendered)
        of_this_page = [each for each in self._kept if each[:2] == key[:2]]
        if len(of_this_page) > _MOST_ADDRESSES:
            self._drop(of_this_page[0])
        while self._size > self._max_bytes and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: _Key) -> None:
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


def _body(page: ProjectPage, media_type: MediaType, base: str) -> bytes:
    shown = replace(page, files=tuple(_local(file, page.name, base) for file in page.files))
    return to_json(shown) if media_type is MediaType.JSON else html_page(shown)


def _placed(template: bytes, media_type: MediaType, base: str) -> Rendered:
    """A page of a server at an address, made from the one of a server anywhere."""
    written = json.dumps(base)[1:-1] if media_type is MediaType.JSON else escape(base)
    return Rendered.of(template.replace(_ANYWHERE.encode(), written.encode()))


def _local(file: File, project: str, base: str) -> File:
    return replace(file, url=base + file_path(file, project))


def _weight(rendered: Rendered) -> int:
    return len(rendered.body) + len(rendered.packed)


def html_page(page: ProjectPage) -> bytes:
    """A project page with the URLs of its files as they are (PEP 503)."""
    told = {"repository-version": "1.4" if page.status else "1.0"}
    if page.status:  # PEP 792
        told["project-status"] = page.status
    if page.status_reason:
        told["project-status-reason"] = page.status_reason
    return _html(f"Links for {page.name}", [_link(file) for file in page.files], told)


def _html(title: str, links: Iterable[str], told: Mapping[str, str] = _PLAIN) -> bytes:
    head = '<meta charset="utf-8">' + "".join(
        f'<meta name="pypi:{name}" content="{escape(value)}">' for name, value in told.items()
    )
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
