"""Upstream indexes for a mirror to stand over: ports of their own, and all the same stock.

    with upstream("html") as index:
        ...                                      # index.url, index.file_hosts, index.requests
        wheel = index.fresh()                    # of a project that nobody has asked for yet
        with index.held() as held:               # of a wheel whose second half is kept back
            ...
            held.release()

They are animals of the zoo with a few projects more: what a mirror should make of animals that
misbehave is the zoo's own matter.
"""

import hashlib
import itertools
import json
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self, cast, get_args

from tests.support.upstreams_held import Gate
from tests.support.wheels import STOCK, Sdist, Wheel, make_sdist, make_wheel
from tests.zoo.changes import both, failing, header, no_cors, then, urls
from tests.zoo.parts import (
    BY_FILENAME,
    JSON_V1,
    Animal,
    Change,
    Doc,
    DocumentChange,
    Visit,
    as_html,
    cors,
    entry,
    same,
)
from tests.zoo.server import Request, Response, Server
from tests.zoo.zoo import ANIMALS, Running

Kind = Literal["json", "html", "folder", "failing", "refused", "hanging"]
KINDS: tuple[Kind, ...] = get_args(Kind)

EXHIBIT = "zoo-exhibit"
"""The project that has a file of every sort."""
BIG = "zoo-big"
"""The project with 4,200 files and one, of which only the last is there."""
BIG_FILES = 4_201
HOSTILE_REASON = 'broken <script>alert("1")</script> & sad: \u574f\u4e86'
"""Why one file of the exhibit is yanked: a text that must be escaped in HTML, and not in ASCII."""

_WHEEL = make_wheel(
    EXHIBIT, "1.1", requires=("zoo-dep-a>=1.0",), requires_python=">=3.8,<9", padding=20_000
)
_YANKED = make_wheel(EXHIBIT, "1.0")
_YANKED_SILENTLY = make_wheel(EXHIBIT, "0.9")
YANKED: Mapping[str, str | bool] = MappingProxyType(
    {_YANKED.filename: HOSTILE_REASON, _YANKED_SILENTLY.filename: True}
)
"""What is yanked, by file name: the reason, or `True` where none is given (PEP 592)."""

PROJECTS: Mapping[str, tuple[Sdist, ...]] = MappingProxyType(
    {
        **STOCK,
        EXHIBIT: (
            _YANKED_SILENTLY,
            _YANKED,
            make_sdist(EXHIBIT, "1.1", requires_python=">=3.8,<9"),
            _WHEEL,
        ),
        BIG: (make_wheel(BIG, "1.0"),),
    }
)
"""Every project that stands in each upstream from the beginning: the zoo's, and these two."""

COOKIE = "upstream=1; Path=/"
"""The cookie that each answer of an upstream tries to set."""
HELD_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extra:
    """A project made for one check: its only wheel, where that is, and what is wrong with it."""

    wheel: Wheel
    url: str = ""
    page: Change = same
    file: Change = same


@dataclass(frozen=True)
class _Index(Animal):
    """An animal that sells more than the zoo's stock, and lists its projects."""

    extras: Mapping[str, _Extra] = field(default_factory=dict)

    def answer(self, visit: Visit) -> Response:
        """Answer one request."""
        if visit.request.path in {"/simple", "/simple/"}:
            return self.every(visit, self._root(visit))
        return super().answer(visit)

    def _root(self, visit: Visit) -> Response:
        names = [*PROJECTS, *self.extras]
        if self.name == "json":
            listed = [{"name": name} for name in names]
            return cors(_dump({"meta": {"api-version": "1.1"}, "projects": listed}), JSON_V1)
        links = "".join(f'<a href="{name}/">{name}</a><br>' for name in names)
        return cors(f"<!DOCTYPE html><title>Simple</title>{links}".encode(), "text/html")

    def _page(self, visit: Visit) -> Response:
        extra = self.extras.get(visit.project)
        dists = (extra.wheel,) if extra else PROJECTS.get(visit.project)
        if not dists or visit.project in STOCK or not visit.request.path.endswith("/"):
            return super()._page(visit)
        doc: Doc = {
            "meta": {"api-version": "1.1"},
            "name": visit.project,
            "versions": sorted({dist.version for dist in dists}),
            "files": [entry(visit, dist) for dist in dists],
        }
        changed: Doc = cast("Doc", self.document(visit, doc))
        if extra and extra.url:
            changed = changed | {"files": [changed["files"][0] | {"url": extra.url}]}
        if visit.project == BIG:
            changed = _crowded(visit, changed)
        page = self.page(visit, self.render(visit, changed))
        return extra.page(visit, page) if extra else page


def _dump(doc: object) -> bytes:
    return json.dumps(doc).encode()


def _crowded(visit: Visit, doc: Doc) -> Doc:
    return cast("Doc", ANIMALS["crowded"].document(visit, doc))


def _yanked(_visit: Visit, doc: Doc) -> Doc:
    """Mark what is yanked (PEP 592)."""
    marked = [item | {"yanked": YANKED.get(item["filename"], False)} for item in doc["files"]]
    return doc | {"files": marked}


def _yanked_html(_visit: Visit, response: Response) -> Response:
    """Mark what is yanked in HTML, where an empty attribute stands for "no reason"."""
    body = response.body
    for filename, reason in YANKED.items():
        shown = "" if reason is True else escape(str(reason))
        end = f">{filename}</a>"
        body = body.replace(end.encode(), f' data-yanked="{shown}"{end}'.encode())
    return replace(response, body=body)


_ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_LAST_MODIFIED = "Wed, 01 Jan 2020 00:00:00 GMT"


def _conditional(visit: Visit, response: Response) -> Response:
    """Do what every real upstream does for its pages and files: ETag, 304, single ranges."""
    if response.status != 200:
        return response
    asked = visit.request
    etag = f'"{hashlib.sha256(response.body).hexdigest()[:20]}"'
    response = response.with_header("ETag", etag).with_header("Last-Modified", _LAST_MODIFIED)
    response = response.with_header("Accept-Ranges", "bytes")
    if etag in (asked.header("If-None-Match") or ""):
        return replace(response, status=304, body=b"")
    condition = asked.header("If-Range")
    if asked.method != "GET" or condition not in {None, etag, _LAST_MODIFIED}:
        return response
    return part_of(asked, response)


def part_of(asked: Request, response: Response) -> Response:
    """The part of a response that a Range header asks for, or all of it."""
    match = _ONE_RANGE.fullmatch(asked.header("Range") or "")
    return _part(response, *match.groups()) if match else response


def _part(response: Response, first: str, last: str) -> Response:
    size = len(response.body)
    start = int(first) if first else max(0, size - int(last or 0))
    end = min(size - 1, int(last)) if first and last else size - 1
    if start > end:
        refused = response.with_header("Content-Range", f"bytes */{size}")
        return replace(refused, status=416, body=b"")
    part = response.with_header("Content-Range", f"bytes {start}-{end}/{size}")
    return replace(part, status=206, body=response.body[start : end + 1])


# ---------------------------------------------------------------- upstreams


def until(fixed: threading.Event, change: Change) -> Change:
    """Change the answers until something is fixed."""
    return lambda visit, answer: answer if fixed.is_set() else change(visit, answer)


@dataclass(frozen=True, slots=True)
class Held:
    """A wheel of which the upstream has sent half."""

    wheel: Wheel
    release: Callable[[], None]
    """Lets the other half go."""


class Upstream:
    """One upstream index, running until `close()`."""

    def __init__(self, kind: Kind) -> None:
        """Start it."""
        self.kind: Kind = kind
        self._stack = ExitStack()
        self._numbers = itertools.count(1)
        self._extras: dict[str, _Extra] = {}
        self.bystander = Server(_secret)
        """A server that no mirror has any business with; it answers everything."""
        self._stack.callback(self.bystander.close)
        self._folder: Path | None = None
        self._running: Running | None = None
        self._gate: Gate | None = None
        if kind == "folder":
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            for dists in PROJECTS.values():
                for dist in dists:
                    self._folder.joinpath(dist.filename).write_bytes(dist.data)
        else:
            self._running = self._stack.enter_context(Running(self._animal()))
        if kind in {"json", "html"}:
            self._gate = Gate()
            self._stack.callback(self._gate.close)

    @property
    def url(self) -> str:
        """The index URL, without a slash at its end."""
        return self._index.url

    @property
    def path(self) -> Path:
        """The folder with the files, where that is the upstream."""
        if self._folder is None:
            raise ValueError(f"a {self.kind} upstream has no folder")
        return self._folder

    @property
    def file_hosts(self) -> tuple[str, ...]:
        """The origins that its pages point at."""
        if self._gate is None:
            return ()
        files = self._index.there if self.kind == "json" else self._index.here
        return files, self._gate.origin

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request so far, but those for files that are kept back."""
        return self._running.requests if self._running else ()

    def requests_of(self, project: str) -> tuple[Request, ...]:
        """Every request so far that was about one project: its page, its files."""
        stem = project.replace("-", "_")
        names = (f"/{project}/", f"/{stem}-")
        return tuple(one for one in self.requests if any(name in one.target for name in names))

    def fresh(self, *, padding: int = 0, page: Change = same, file: Change = same) -> Wheel:
        """Put up a project that nobody has asked for yet, and return its only wheel.

        `page` and `file` change what the upstream answers for it, where it is no folder.
        """
        wheel = self._next(padding)
        if self._folder:
            self._folder.joinpath(wheel.filename).write_bytes(wheel.data)
        self._extras[wheel.name] = _Extra(wheel=wheel, page=page, file=file)
        return wheel

    @contextmanager
    def held(self, padding: int = HELD_BYTES) -> Iterator[Held]:
        """Put up a project whose wheel is sent by half until it is released; at the end it is."""
        if self._gate is None:
            raise ValueError(f"a {self.kind} upstream keeps nothing back")
        wheel = self._next(padding)
        let_go = self._gate.hold(wheel)
        url = f"{self._gate.origin}/held/{wheel.filename}"
        self._extras[wheel.name] = _Extra(wheel=wheel, url=url)
        try:
            yield Held(wheel, let_go.set)
        finally:
            let_go.set()

    def asked_for(self, wheel: Wheel) -> int:
        """How many requests there were for a wheel that is, or was, kept back."""
        return self._gate.asked[wheel.filename] if self._gate else 0

    def close(self) -> None:
        """End it, and free its ports."""
        self._stack.close()

    def __enter__(self) -> Self:
        """Return the upstream itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @property
    def _index(self) -> Running:
        if self._running is None:
            raise ValueError("a folder has no URL")
        return self._running

    def _next(self, padding: int) -> Wheel:
        return make_wheel(f"zoo-fresh-{next(self._numbers)}", "1.0", padding=padding)

    def _animal(self) -> Animal:
        every = then(no_cors, header("Set-Cookie", COOKIE))
        if self.kind == "json":
            return self._index_of(both(_yanked, urls("{site.there}/files/{filename}")), every)
        if self.kind == "html":
            relative = both(_yanked, urls("../../files/{filename}"))
            plain = self._index_of(relative, every)
            page = then(_yanked_html, _conditional)
            return replace(plain, render=as_html(), page=page, metadata=failing(404))
        if self.kind == "failing":
            broken = then(failing(503, "out of order"), header("Retry-After", "7"), every)
            return Animal("failing", "503, whatever is asked", "http-status", every=broken)
        return ANIMALS["hangs" if self.kind == "hanging" else "closed-port"]

    def _index_of(self, document: DocumentChange, every: Change) -> "_Index":
        return _Index(
            self.kind,
            "an upstream",
            "ok",
            document=document,
            page=_conditional,
            file=self._file,
            metadata=_conditional,
            shelf=self._shelf,
            every=every,
            extras=self._extras,
        )

    def _file(self, visit: Visit, response: Response) -> Response:
        whole = _conditional(visit, response)
        extra = self._extras.get(visit.project)
        return extra.file(visit, whole) if extra else whole

    def _shelf(self, visit: Visit, filename: str) -> Sdist | None:
        extra = self._extras.get(visit.project)
        if extra and extra.wheel.filename == filename:
            return extra.wheel
        own = {dist.filename: dist for name in (EXHIBIT, BIG) for dist in PROJECTS[name]}
        return own.get(filename) or BY_FILENAME.get(filename)


def _secret(_request: Request) -> Response:
    """Answer anything, as a machine in the same network as the mirror might."""
    return cors(make_wheel("zoo-secret", "1.0").data, "application/octet-stream")


def upstream(kind: Kind) -> Upstream:
    """Start an upstream of that kind; it ends with the `with` block or with `close()`."""
    return Upstream(kind)
