"""Project pages in HTML (PEP 503, with the attributes of PEP 592, 629, 658 and 714)."""

from __future__ import annotations

import re
from contextlib import suppress
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from pyodide_mirror.model import ProjectPage, Reason, normalize

from .files import DISTRIBUTIONS, FileCollector, digests
from .protocol import API_VERSION, PageError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
_LONGEST_TAG = 20_480  # a signed URL may have 16,384 characters
_MAX_BROKEN_TAGS = 200


def parse_html(body: bytes, url: str, project: str, kind: str) -> ProjectPage:
    """Read an HTML page; ``kind`` is its media type. Raises PageError."""
    page = _read_html(body.decode("utf-8", "replace"), url)
    status = page.meta.get("pypi:project-status", "")  # PEP 792
    version = API_VERSION.fullmatch(page.meta.get("pypi:repository-version", ""))
    if version and version[1] != "1":
        raise PageError(Reason.API_VERSION, f"repository-version {version[0]}")
    files = FileCollector(page.base_url)
    for href, attributes, text in page.anchors:
        _add_anchor(files, href, attributes, text, project)
    if not (files.files or files.unusable or status):
        what = f"no file of {project!r} among its {len(page.anchors)} links"
        raise PageError(Reason.NOT_AN_INDEX, f"{kind or 'a body without a media type'} with {what}")
    return files.page(
        project,
        repairs=(Reason.HTML_ONLY,),
        status=status,
        status_reason=page.meta.get("pypi:project-status-reason", ""),
    )


def _add_anchor(
    files: FileCollector, href: str, attributes: Mapping[str, str], text: str, project: str
) -> None:
    try:
        path, fragment = urldefrag(href)
        filename = unquote(urlsplit(path).path.rpartition("/")[2])
    except ValueError:
        return  # a link that is no URL is no file
    # PEP 503: "The text of the anchor tag MUST be the name of the file", but pip and uv look at the
    # link only, so there are indexes that encode or shorten the text, or put a folder before it.
    if not filename.endswith(DISTRIBUTIONS):
        filename = text.strip()
    if not (filename.endswith(DISTRIBUTIONS) and normalize(filename).startswith(f"{project}-")):
        return
    get = attributes.get
    promised = get("data-core-metadata", get("data-dist-info-metadata", "false"))
    files.add(
        filename,
        path,
        hashes=_fragment_digest(fragment),
        requires_python=get("data-requires-python", ""),
        metadata=None if promised == "false" else _fragment_digest(promised),
        yanked="data-yanked" in attributes and (attributes["data-yanked"] or True),
    )


def _fragment_digest(text: str) -> Mapping[str, str]:
    """The digest of ``sha256=…``, as in PEP 503's fragment and PEP 658's attribute."""
    name, _, digest = text.partition("=")
    return digests({name: digest})


class _IndexPage:
    """A page's anchors with their text, its base URL and what its meta tags say (PEP 629)."""

    def __init__(self, url: str) -> None:
        self.base_url = url
        self.meta: dict[str, str] = {}
        self.anchors: list[tuple[str, Mapping[str, str], str]] = []
        self._based = False
        self._open: tuple[str, Mapping[str, str]] | None = None
        self._text: list[str] = []

    def text(self, text: str) -> None:
        """Take text between tags."""
        if self._open is not None:
            self._text.append(text)

    def tag(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take a tag; the name of an end tag begins with a slash."""
        if name in ("a", "/a"):
            self.end_anchor()
            if attributes.get("href"):
                self._open = attributes["href"].strip(), attributes
        elif name == "base" and attributes.get("href") and not self._based:
            self._based = True  # HTML: only the first base counts
            with suppress(ValueError):  # HTML: a base that is no URL is ignored
                self.base_url = urljoin(self.base_url, attributes["href"].strip())
        elif name == "meta":
            self.meta.setdefault(attributes.get("name", ""), attributes.get("content", ""))

    def end_anchor(self) -> None:
        """End the open anchor, if there is one."""
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
        if name in _ENDS:  # its content is no markup
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
