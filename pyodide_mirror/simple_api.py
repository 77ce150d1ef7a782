"""The Simple API: project pages in JSON (PEP 691) or HTML (PEP 503). Bytes in, values out.

What comes in is hostile: it is bounded by the caller, parsed strictly, and nothing of it but plain
file names and absolute http(s) URLs gets through.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from html import unescape
from itertools import accumulate
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from .errors import Reason
from .model import File, Finding, ProjectPage
from .urls import split_http_url

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCEPT = "application/vnd.pypi.simple.v1+json, */*;q=0.01"
"""What micropip sends: the Fetch standard lets it pass without a preflight."""
JSON_TYPE = "application/vnd.pypi.simple.v1+json"
MAX_PAGE_BYTES = 64 * 1024 * 1024

_VERSIONED_TYPE = re.compile(r"application/vnd\.pypi\.simple\.v(\d+)\+(json|html)")
_API_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})")  # PEP 629: Major.Minor
_FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!~-]{0,254}")
_DIGEST_NAME = re.compile(r"[a-z0-9_]{1,32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DIGEST = re.compile(r"[0-9a-f]{32,128}")
# What is so already: nothing to resolve, to normalise or to refuse. Pages have thousands of them.
_PLAIN_URL = re.compile(
    r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9][0-9]{0,3}|:[1-5][0-9]{4})?/[\w./+~!-]+",
    re.ASCII,
)
_DISTRIBUTIONS = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz", ".egg")
_MAX_DEPTH = 100  # a project page has four levels
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class PageError(Exception):
    """A page that is no usable project page; ``finding`` says why."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.finding = Finding(reason, detail)


class EmptyPageError(PageError):
    """A proper page of the project, in JSON, that lists no files: it has no release."""


def normalize(name: str) -> str:
    """Normalized project name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def media_type(content_type: str) -> str:
    """The media type of a Content-Type header without its parameters (RFC 9110, section 8.3)."""
    return content_type.partition(";")[0].strip().lower()


def metadata_url(file: File) -> str:
    """Where the core metadata of a file is: its URL's path with ``.metadata`` added (PEP 658)."""
    path, mark, query = file.url.partition("?")
    return f"{path}.metadata{mark}{query}"


def parse_page(
    body: bytes, content_type: str, url: str, project: str, *, checked: bool = False
) -> ProjectPage:
    """Read a project page.

    ``url`` is the final one, after redirects; relative URLs start there. ``project`` is the
    normalized name that was asked for. ``checked``: ``_browser_fast`` has written this JSON, and
    each entry is to be taken as it is. Raises :class:`PageError` with ``not-an-index``,
    ``malformed`` or ``api-version``.
    """
    kind = media_type(content_type)
    versioned = _VERSIONED_TYPE.fullmatch(kind)
    start = body[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    # What it is decides, not what it is called: a wrong label can be repaired, a body cannot.
    if start in (b"{", b"[") or (versioned and versioned[2] == "json"):
        page = _parse_json(body, url, project, checked=checked)
        if not (versioned and versioned[2] == "json"):
            page = _with_repair(page, Reason.WRONG_CONTENT_TYPE)
    else:
        page = _parse_html(body, url, project, kind)
    if versioned and versioned[1] != "1":
        raise PageError(Reason.API_VERSION, f"media type {kind}")
    return page


def to_json(page: ProjectPage) -> bytes:
    """The page as exact PEP 691 JSON: absolute URLs, lower-case digests, honest metadata keys."""
    return json.dumps(to_document(page), separators=(",", ":")).encode()


def to_document(page: ProjectPage) -> dict[str, object]:
    """The same as JSON types."""
    # PEP 700: with 1.1, the versions and all sizes must be there.
    complete = page.versions and all(file.size is not None for file in page.files)
    return {
        "meta": {"api-version": "1.1" if complete else "1.0"},
        "name": page.name,
        "versions": list(page.versions),
        "files": [_file_to_json(file) for file in page.files],
    }


def _file_to_json(file: File) -> dict[str, object]:
    entry: dict[str, object] = {
        "filename": file.filename,
        "url": file.url,
        "hashes": dict(file.hashes),
        "yanked": file.yanked,
    }
    # micropip takes a false `core-metadata` for a promise: what is not promised is left out.
    if file.metadata is not None:
        entry["core-metadata"] = dict(file.metadata) or True
    if file.requires_python:
        entry["requires-python"] = file.requires_python
    if file.size is not None:
        entry["size"] = file.size
    if file.upload_time:
        entry["upload-time"] = file.upload_time
    return entry


# --- JSON (PEP 691) ---------------------------------------------------------------------------


def _parse_json(body: bytes, url: str, project: str, *, checked: bool) -> ProjectPage:
    document = json.loads(body) if checked else _json_object(body)
    if "releases" in document and "files" not in document:
        raise PageError(Reason.NOT_AN_INDEX, "the legacy JSON API, not the Simple API")
    _check_api_version(document)
    name, entries = document.get("name"), document.get("files")
    if not isinstance(name, str) or not isinstance(entries, list):
        missing = "name" if not isinstance(name, str) else "files"
        raise PageError(Reason.MALFORMED, f"JSON without a proper {missing!r}")
    if normalize(name) != project:
        raise PageError(Reason.NOT_AN_INDEX, f"the page of project {name[:80]!r}, not {project!r}")
    if checked:
        return ProjectPage(name=project, files=tuple(map(_checked_file, entries)))
    files = _Files(url)
    for entry in entries:
        files.add_json(entry)
    return files.page(
        project,
        versions=_strings(document.get("versions")),
        repairs=(Reason.RELATIVE_URLS,) if files.relative else (),
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
        document = json.loads(body.decode("utf-8-sig"))
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
    """PEP 629: refuse another major version; a greater minor one is fine."""
    meta = document.get("meta")
    version = meta.get("api-version") if isinstance(meta, dict) else None
    match = _API_VERSION.fullmatch(version) if isinstance(version, str) else None
    if match is None:
        raise PageError(Reason.MALFORMED, "JSON without a proper meta.api-version")
    if match[1] != "1":
        raise PageError(Reason.API_VERSION, f"api-version {match[0]}")


class _Files:
    """Collects the files of a page; what cannot be used is noted and left out."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.files: list[File] = []
        self.unusable: list[str] = []
        self.relative = False

    def add_json(self, entry: object) -> None:
        """Add a file of a JSON page, if it has what PEP 691 demands of one."""
        fields = entry if isinstance(entry, dict) else {}
        filename, url, hashes = fields.get("filename"), fields.get("url"), fields.get("hashes")
        if not (isinstance(filename, str) and isinstance(url, str) and isinstance(hashes, dict)):
            self.unusable.append("a file without a proper 'filename', 'url' or 'hashes'")
            return
        promised = fields.get("core-metadata")
        if promised is None:  # PEP 714: the new spelling first, then the old one
            promised = fields.get("dist-info-metadata")
        yanked, size = fields.get("yanked"), fields.get("size")
        added = self.add(
            filename,
            url,
            hashes=_digests(hashes),
            requires_python=_string(fields.get("requires-python")),
            metadata=None if promised in (None, False) else _digests(promised),
            yanked=yanked if isinstance(yanked, (str, bool)) else False,
            size=size if type(size) is int and size >= 0 else None,
            upload_time=_string(fields.get("upload-time")),
        )
        # micropip resolves nothing: a URL needs scheme and host (PEP 691 allows relative ones).
        if added and not re.match("https?://[^/]", url, re.IGNORECASE):
            self.relative = True

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

    def page(
        self, project: str, *, versions: tuple[str, ...], repairs: tuple[Reason, ...]
    ) -> ProjectPage:
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


def _digests(value: object) -> Mapping[str, str]:
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


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _strings(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _with_repair(page: ProjectPage, repair: Reason) -> ProjectPage:
    repairs = sorted({*page.repairs, repair}, key=list(Reason).index)
    return replace(page, repairs=tuple(repairs))


# --- HTML (PEP 503, with the attributes of PEP 592, 629, 658 and 714) -------------------------


def _parse_html(body: bytes, url: str, project: str, kind: str) -> ProjectPage:
    page = _read_html(body.decode("utf-8", "replace"), url)
    version = _API_VERSION.fullmatch(page.api_version)
    if version and version[1] != "1":
        raise PageError(Reason.API_VERSION, f"repository-version {version[0]}")
    files = _Files(page.base_url)
    for href, attributes, text in page.anchors:
        _add_anchor(files, href, attributes, text, project)
    if not files.files and not files.unusable:
        what = f"no file of {project!r} among its {len(page.anchors)} links"
        raise PageError(Reason.NOT_AN_INDEX, f"{kind or 'a body without a media type'} with {what}")
    return files.page(project, versions=(), repairs=(Reason.HTML_ONLY,))


def _add_anchor(
    files: _Files, href: str, attributes: Mapping[str, str], text: str, project: str
) -> None:
    try:
        path, fragment = urldefrag(href)
        last_segment = unquote(urlsplit(path).path.rpartition("/")[2])
    except ValueError:
        return  # a link that is no URL is no file
    # "The text of the anchor tag MUST be the name of the file"; some indexes shorten it.
    filename = text.strip()
    if not filename.endswith(_DISTRIBUTIONS):
        filename = last_segment
    is_distribution = filename.endswith(_DISTRIBUTIONS)
    if not is_distribution or not normalize(filename).startswith(f"{project}-"):
        return
    promised = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata", ""))
    named = "data-core-metadata" in attributes or "data-dist-info-metadata" in attributes
    yanked = attributes.get("data-yanked")
    files.add(
        filename,
        path,
        hashes=_fragment_digest(fragment),
        requires_python=attributes.get("data-requires-python", ""),
        metadata=_fragment_digest(promised) if named and promised != "false" else None,
        yanked=(yanked or True) if "data-yanked" in attributes else False,
    )


def _fragment_digest(text: str) -> Mapping[str, str]:
    """``sha256=…`` as PEP 503 writes it into the fragment, and PEP 658 into the attribute."""
    name, _, digest = text.partition("=")
    return _digests({name: digest})


# html.parser takes quadratic time for markup that never ends, which would freeze a whole page. This
# reader looks at each character once or twice, and gives up on what is not worth more.
_TAG = re.compile(r"<(!--|/?[A-Za-z][A-Za-z0-9]*)")
_REST_OF_TAG = re.compile(r"""((?:[^"'>]|"[^"]*"|'[^']*')*+)>""")
_ATTRIBUTE = re.compile(r"""([^\s"'>/=]++)(?:\s*+=\s*+(?:"([^"]*)"|'([^']*)'|([^\s"'>]++)))?+""")
_ENDS = {
    "!--": re.compile("-->"),
    "script": re.compile("</script", re.IGNORECASE),
    "style": re.compile("</style", re.IGNORECASE),
}
_LONGEST_TAG = 4096
_MAX_BROKEN_TAGS = 1000


class _IndexPage:
    """Anchors with their text, ``<base href>`` and the repository version (PEP 629)."""

    def __init__(self, url: str) -> None:
        self.base_url = url
        self.api_version = ""
        self.anchors: list[tuple[str, Mapping[str, str], str]] = []
        self._based = False
        self._open: tuple[str, Mapping[str, str]] | None = None
        self._text: list[str] = []

    def text(self, text: str) -> None:
        """Text between tags."""
        if self._open is not None:
            self._text.append(text)

    def tag(self, name: str, attributes: Mapping[str, str]) -> None:
        """A tag; the name of an end tag begins with a slash."""
        if name in ("a", "/a"):
            self.end_anchor()
            if attributes.get("href"):
                self._open = attributes["href"].strip(), attributes
        elif name == "base" and attributes.get("href") and not self._based:
            self._based = True  # HTML: only the first base counts
            with suppress(ValueError):  # HTML: a base that is no URL is ignored
                self.base_url = urljoin(self.base_url, attributes["href"].strip())
        elif name == "meta" and attributes.get("name") == "pypi:repository-version":
            self.api_version = attributes.get("content", "")

    def end_anchor(self) -> None:
        """An open anchor ends here."""
        if self._open is not None:
            self.anchors.append((*self._open, unescape("".join(self._text))))
        self._open, self._text = None, []


def _read_html(text: str, url: str) -> _IndexPage:
    page, position, broken = _IndexPage(url), 0, 0
    while found := _TAG.search(text, position):
        page.text(text[position : found.start()])
        position, name = found.end(), found[1].lower()
        if name != "!--":
            rest = _REST_OF_TAG.match(text[position : position + _LONGEST_TAG])
            if rest is None:
                broken += 1
                if broken > _MAX_BROKEN_TAGS:
                    raise PageError(Reason.MALFORMED, "markup that never ends")
                continue
            position += rest.end()
            page.tag(name, _attributes(rest[1]))
        if name in _ENDS:  # what it holds is no markup
            end = _ENDS[name].search(text, position)
            position = end.end() if end else len(text)
    page.text(text[position:])
    page.end_anchor()
    return page


def _attributes(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(text):
        value = match[2] or match[3] or match[4] or ""
        found.setdefault(match[1].lower(), unescape(value))  # the first of two equal ones counts
    return found
