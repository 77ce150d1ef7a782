"""What animals are made of: a healthy mirror, and small changes to one thing about it.

A page is made in three steps, and an animal may change each: the *document* (PEP 691 as a
dictionary), its *rendering* (JSON or HTML) and the *response*. Files and metadata have the last
step alone. `every` comes after all others.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from types import MappingProxyType
from typing import Any, Literal, Protocol

from tests.support.wheels import INSTALLED, ROOT, STOCK, Sdist, Wheel
from tests.zoo.server import Request, Response

JSON_V1 = "application/vnd.pypi.simple.v1+json"
HTML_V1 = "application/vnd.pypi.simple.v1+html"
ALLOW_ORIGIN = "Access-Control-Allow-Origin"
MEBIBYTE = 1 << 20
REPAIRABLE = ("html-only", "relative-urls", "wrong-content-type", "metadata-broken", "no-hashes")

Kind = Literal["page", "file", "metadata", "preflight", "other"]
Doc = dict[str, Any]
_PATHS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("page", re.compile(r"(?:/[\w-]+)*/simple/([^/]+)/?")),
    ("metadata", re.compile(r"(?:/[\w-]+)*/files/([^/]+)\.metadata")),
    ("file", re.compile(r"(?:/[\w-]+)*/files/([^/]+)")),
)
BY_FILENAME = {dist.filename: dist for dists in STOCK.values() for dist in dists}


class Site(Protocol):
    """Where an animal lives. Each is an origin, such as `http://127.0.0.1:8001`."""

    @property
    def here(self) -> str:
        """The origin of the index."""

    @property
    def there(self) -> str:
        """Another origin of the same animal: a port that gives the same answers."""

    @property
    def closed(self) -> str:
        """An origin where nobody listens."""


@dataclass(frozen=True)
class Visit:
    """One request, and what it asks of the mirror."""

    request: Request
    site: Site
    earlier: int
    """How many requests of this method and target came before."""

    @cached_property
    def _match(self) -> tuple[Kind, str]:
        if self.request.method == "OPTIONS":
            return "preflight", ""
        matches = ((kind, path.fullmatch(self.request.path)) for kind, path in _PATHS)
        return next(((kind, match[1]) for kind, match in matches if match), ("other", ""))

    @property
    def here(self) -> str:
        """The origin of the index."""
        return self.site.here

    @property
    def kind(self) -> Kind:
        """What is asked for."""
        return self._match[0]

    @property
    def project(self) -> str:
        """The project whose page, file or metadata is asked for."""
        name = self._match[1]
        return name if self.kind == "page" else name.split("-")[0].replace("_", "-")

    @property
    def filename(self) -> str:
        """The file asked for, or whose metadata is asked for."""
        return "" if self.kind == "page" else self._match[1]

    @property
    def at_second_origin(self) -> bool:
        """Whether the request came to `there`."""
        return not self.here.endswith(f":{self.request.port}")


DocumentChange = Callable[[Visit, Doc], object]
Change = Callable[[Visit, Response], Response]
Render = Callable[[Visit, Any], Response]
Shelf = Callable[[Visit, str], Sdist | None]


# ---------------------------------------------------------------- the healthy mirror


def from_stock(_visit: Visit, filename: str) -> Sdist | None:
    """Look a file up in the stock."""
    return BY_FILENAME.get(filename)


def document(visit: Visit) -> Doc:
    """Make the PEP 691 document of a project in the stock."""
    dists = STOCK[visit.project]
    return {
        "meta": {"api-version": "1.1"},
        "name": visit.project,
        "versions": sorted({dist.version for dist in dists}),
        "files": [entry(visit, dist) for dist in dists],
    }


def entry(visit: Visit, dist: Sdist) -> Doc:
    """Make the entry of one file."""
    made: Doc = {
        "filename": dist.filename,
        "url": f"{visit.here}/files/{dist.filename}",
        "hashes": {"sha256": dist.sha256},
        "size": len(dist.data),
        "upload-time": "2020-01-01T00:00:00Z",
        "yanked": False,
    }
    if dist.requires_python:
        made["requires-python"] = dist.requires_python
    if isinstance(dist, Wheel):
        made["core-metadata"] = {"sha256": dist.metadata_sha256}
    return made


def cors(body: bytes, content_type: str, status: int = 200) -> Response:
    """Make a response that any origin may read."""
    headers = ((ALLOW_ORIGIN, "*"), ("Content-Type", content_type))
    return Response(status=status, headers=headers, body=body)


def as_json(_visit: Visit, doc: object) -> Response:
    """Render a document as PEP 691 wants it."""
    return cors(json.dumps(doc).encode(), JSON_V1)


def as_html(
    *,
    attributes: tuple[str, ...] = (),
    head: str = "",
    version: str = "1.1",
    fragment: str = "sha256",
) -> Render:
    """Render a document as PEP 503 wants it.

    The `attributes` (PEP 658's and PEP 714's names) each carry the digest of the metadata;
    `{here}` in the `head` is filled; `fragment` is the digest algorithm in the URLs, or nothing.
    """

    def anchor(item: Doc) -> str:
        digest = item["hashes"].get(fragment, "")
        href = f"{item['url']}#{fragment}={digest}" if digest else item["url"]
        pairs = {"href": href}
        if "requires-python" in item:
            pairs["data-requires-python"] = item["requires-python"]
        if "core-metadata" in item:
            pairs |= dict.fromkeys(attributes, f"sha256={item['core-metadata']['sha256']}")
        inside = " ".join(f'{name}="{escape(value)}"' for name, value in pairs.items())
        return f"<a {inside}>{escape(item['filename'])}</a><br>"

    def render(visit: Visit, doc: Doc) -> Response:
        page = [
            "<!DOCTYPE html><html><head>",
            f'<meta name="pypi:repository-version" content="{version}">',
            head.replace("{here}", visit.here),
            f"<title>Links for {doc['name']}</title></head><body>",
            *(anchor(item) for item in doc["files"]),
            "</body></html>",
        ]
        return cors("\n".join(page).encode(), "text/html; charset=utf-8")

    return render


def preflight() -> Response:
    """Allow whatever is asked: `*` covers every header but Authorization (Fetch standard)."""
    answer = cors(b"", "text/plain")
    for name, value in (
        ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
        ("Access-Control-Allow-Headers", "*, Authorization"),
        ("Access-Control-Max-Age", "5"),
    ):
        answer = answer.with_header(name, value)
    return answer


def not_found() -> Response:
    """Answer as a healthy mirror does when it lacks something."""
    return cors(b"404 Not Found", "text/plain", 404)


# ---------------------------------------------------------------- animals


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the package must say of an animal."""

    reason: str
    repairs: tuple[str, ...] = ()

    @classmethod
    def of(cls, words: str) -> "Verdict":
        """Read `"html-only no-hashes"`: the reason comes first, and repairs are all listed."""
        reasons = tuple(words.split())
        return cls(reasons[0], reasons if reasons[0] in REPAIRABLE else ())

    @property
    def support(self) -> Literal["full", "repaired", "none"]:
        """How far such a mirror is usable."""
        if self.reason == "ok":
            return "full"
        return "repaired" if self.repairs else "none"


def in_node(verdict: str) -> Mapping[str, str]:
    """Give the verdict of Node, which ignores CORS and sees what lies behind."""
    return MappingProxyType({"node": verdict})


def _same_document(_visit: Visit, doc: Doc) -> object:
    return doc


def same(_visit: Visit, response: Response) -> Response:
    """Change nothing."""
    return response


@dataclass(frozen=True)
class Animal:
    """A kind of mirror, what it must be called, and how it answers."""

    name: str
    says: str
    """A sentence on what it is."""
    verdict: str
    """The expected verdict, as `Verdict.of` reads it."""
    engines: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The verdicts of engines that must see something else: Node ignores CORS."""
    doubt: str = ""
    """Why the verdict is a matter of opinion, where it is."""
    completes: bool | None = None
    """Whether an install through it alone completes, where the verdict does not tell."""
    root_version: str = "1.0"
    """The version of `zoo-root` that such an install yields."""
    beside_healthy: bool = True
    """Whether an install through `[this, healthy]` completes."""
    document: DocumentChange = _same_document
    render: Render = as_json
    page: Change = same
    file: Change = same
    metadata: Change = same
    every: Change = same
    shelf: Shelf = from_stock
    scheme: str = "http"
    second_host: str = "127.0.0.1"
    port: Literal["open", "resets", "closed"] = "open"

    @property
    def reason(self) -> str:
        """The expected reason."""
        return Verdict.of(self.verdict).reason

    @property
    def repairs(self) -> tuple[str, ...]:
        """The expected repairs, in the order of the table of reasons."""
        return Verdict.of(self.verdict).repairs

    @property
    def support(self) -> Literal["full", "repaired", "none"]:
        """The expected support."""
        return Verdict.of(self.verdict).support

    @property
    def alone(self) -> bool:
        """Whether an install through it alone completes."""
        return self.support != "none" if self.completes is None else self.completes

    @property
    def node_reason(self) -> str:
        """The reason expected in Node, which ignores CORS."""
        return self.expect("node").reason

    def expect(self, engine: str) -> Verdict:
        """Return the verdict expected in `engine` ("chromium", "firefox", "webkit", "node")."""
        return Verdict.of(self.engines.get(engine, self.verdict))

    def alone_in(self, engine: str) -> bool:
        """Whether an install through it alone completes in that engine."""
        return self.expect(engine).support != "none" if engine in self.engines else self.alone

    def may_install(self, *others: str) -> list[dict[str, str]]:
        """Return what an install through `[this, *others]` may put in place, if it completes.

        Which of two good mirrors is fast enough is the race's business, and a busy machine's.
        """
        roots = {self.root_version, *(["1.0"] if "healthy" in others else [])}
        return [{**INSTALLED, ROOT: version} for version in sorted(roots)]

    def answer(self, visit: Visit) -> Response:
        """Answer one request."""
        return self.every(visit, self._answer(visit))

    def _answer(self, visit: Visit) -> Response:
        if visit.kind == "preflight":
            return preflight()
        if visit.request.method not in {"GET", "HEAD"}:
            return cors(b"405 Method Not Allowed", "text/plain", 405)
        if visit.kind == "page":
            return self._page(visit)
        dist = self.shelf(visit, visit.filename)
        if visit.kind == "file" and dist:
            return self.file(visit, cors(dist.data, "application/octet-stream"))
        if visit.kind == "metadata" and isinstance(dist, Wheel):
            return self.metadata(visit, cors(dist.metadata, "application/octet-stream"))
        return not_found()

    def _page(self, visit: Visit) -> Response:
        if visit.project not in STOCK:
            return not_found()
        if not visit.request.path.endswith("/"):
            where = f"{visit.here}{visit.request.path}/"
            return cors(b"", "text/plain", 301).with_header("Location", where)
        return self.page(visit, self.render(visit, self.document(visit, document(visit))))


WELCOME = "<!DOCTYPE html><title>Welcome</title><h1>It works!</h1><p>Nothing to see here."
LOGIN = """<!DOCTYPE html><title>Sign in</title><h1>Sign in to continue</h1>
<form method="post" action="/login"><input name="user"><input name="password" type="password">
<button>Sign in</button></form><a href="/help">Help</a> <a href="/terms.html">Terms of use</a>
<a href="/download/app-1.0.zip">Get the app</a>"""
