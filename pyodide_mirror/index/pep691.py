"""Project pages in JSON (PEP 691), read and written."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from pyodide_mirror.model import File, ProjectPage, Reason, normalize

from .files import FileCollector, digests
from .protocol import API_VERSION, PageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_DEPTH = 100  # a project page has four levels
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def to_json(page: ProjectPage) -> bytes:
    """The page as exact PEP 691 JSON: absolute URLs, lower-case digests, honest metadata keys."""
    return json.dumps(to_document(page), separators=(",", ":")).encode()


def to_document(page: ProjectPage) -> dict[str, object]:
    """The page as JSON types."""
    # PEP 700: with 1.1, the versions and all sizes must be there.
    complete = page.versions and all(file.size is not None for file in page.files)
    document: dict[str, object] = {
        "meta": {"api-version": "1.1" if complete else "1.0"},
        "name": page.name,
        "versions": list(page.versions),
        "files": [_file_to_json(file) for file in page.files],
    }
    if page.status:  # PEP 792
        document["meta"] = {"api-version": "1.4" if complete else "1.0"}
        document["project-status"] = {"status": page.status} | (
            {"reason": page.status_reason} if page.status_reason else {}
        )
    return document


def _file_to_json(file: File) -> dict[str, object]:
    entry: dict[str, object] = {
        "filename": file.filename,
        "url": file.url,
        "hashes": dict(file.hashes),
        "yanked": file.yanked,
    }
    # Not false: micropip takes any value for a promise.
    if file.metadata is not None:
        entry["core-metadata"] = dict(file.metadata) or True
    if file.requires_python:
        entry["requires-python"] = file.requires_python
    if file.size is not None:
        entry["size"] = file.size
    if file.upload_time:
        entry["upload-time"] = file.upload_time
    return entry


def parse_json(body: bytes, url: str, project: str, *, checked: bool) -> ProjectPage:
    """Read a JSON page; see :func:`~pyodide_mirror.index.parse_page`."""
    document = json.loads(body) if checked else _json_object(body)
    if "releases" in document and "files" not in document:
        raise PageError(Reason.NOT_AN_INDEX, "the legacy JSON API, not the Simple API")
    _check_api_version(document)
    name, entries = document.get("name"), document.get("files")
    if not isinstance(name, str):
        raise PageError(Reason.MALFORMED, "JSON without a proper 'name'")
    if not isinstance(entries, list):
        raise PageError(Reason.MALFORMED, "JSON without a proper 'files'")
    if normalize(name) != project:
        raise PageError(Reason.NOT_AN_INDEX, f"the page of project {name[:80]!r}, not {project!r}")
    if checked:
        return ProjectPage(name=project, files=tuple(map(_checked_file, entries)))
    files = FileCollector(url)
    for entry in entries:
        _add_entry(files, entry)
    status = document.get("project-status")
    told = status.get if isinstance(status, dict) else {}.get
    return files.page(
        project,
        versions=_texts(document.get("versions")),
        repairs=(Reason.RELATIVE_URLS,) if files.relative else (),
        status=_text(told("status")),
        status_reason=_text(told("reason")),
    )


def _checked_file(entry: Mapping[str, Any]) -> File:
    get = entry.get
    return File(
        filename=entry["filename"],
        url=entry["url"],
        hashes=entry["hashes"],
        requires_python=get("requires-python", ""),
        metadata=get("core-metadata"),
        yanked=get("yanked", False),
        size=get("size"),
    )


def _json_object(body: bytes) -> dict[str, Any]:
    if _is_deep(body):
        raise PageError(Reason.MALFORMED, f"JSON nested more than {_MAX_DEPTH} deep")
    try:
        document = json.loads(body.removeprefix(BOM_UTF8).decode())
    except ValueError as error:
        raise PageError(Reason.MALFORMED, f"broken JSON: {str(error)[:120]}") from error
    if not isinstance(document, dict):
        raise PageError(Reason.MALFORMED, "JSON, but not an object")
    return document


def _is_deep(body: bytes) -> bool:
    """Whether JSON is nested deeper than is safe to parse.

    The parser recurses in C; in a browser that overflows the stack and kills all of Pyodide.
    """
    if body.count(b"[") + body.count(b"{") <= _MAX_DEPTH:
        return False
    # Every second piece between the quotes is outside of strings, once escapes are gone.
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]
    brackets = b"".join(plain).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > _MAX_DEPTH


def _check_api_version(document: Mapping[str, Any]) -> None:
    """Refuse another major version (PEP 629); a greater minor one is fine."""
    meta = document.get("meta")
    version = meta.get("api-version") if isinstance(meta, dict) else None
    match = API_VERSION.fullmatch(version) if isinstance(version, str) else None
    if match is None:
        raise PageError(Reason.MALFORMED, "JSON without a proper meta.api-version")
    if match[1] != "1":
        raise PageError(Reason.API_VERSION, f"api-version {match[0]}")


def _add_entry(files: FileCollector, entry: object) -> None:
    """Add a file, if it has what PEP 691 demands of one."""
    fields = entry if isinstance(entry, dict) else {}
    filename, url, hashes = fields.get("filename"), fields.get("url"), fields.get("hashes")
    if not (isinstance(filename, str) and isinstance(url, str) and isinstance(hashes, dict)):
        files.unusable.append("a file without a proper 'filename', 'url' or 'hashes'")
        return
    promised = fields.get("core-metadata")
    if promised is None:  # PEP 714: the new spelling first, then the old one
        promised = fields.get("dist-info-metadata")
    yanked, size = fields.get("yanked"), fields.get("size")
    added = files.add(
        filename,
        url,
        hashes=digests(hashes),
        requires_python=_text(fields.get("requires-python")),
        metadata=None if promised in (None, False) else digests(promised),
        yanked=yanked if isinstance(yanked, (str, bool)) else False,
        size=size if type(size) is int and size >= 0 else None,
        upload_time=_text(fields.get("upload-time")),
    )
    # micropip resolves nothing: a URL needs scheme and host (PEP 691 allows relative ones).
    if added and not re.match("https?://[^/]", url, re.IGNORECASE):
        files.relative = True


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
