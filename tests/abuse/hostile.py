"""What hostile upstreams answer: a table of projects, each with what a server must make of it."""

import gzip
import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, Literal

from tests.abuse.bombs import (
    INFO,
    MB,
    encrypted,
    hidden_directory,
    lying,
    lzma_bomb,
    packed,
    zeros,
)
from tests.support.wheels import make_wheel
from tests.zoo.server import Manner, Request, Response

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
SCRIPT = '"><script>alert(1)</script>'
PASSWORD = "open-sesame"  # noqa: S105  # nobody's

Asked = Literal["page", "html", "file", "metadata"]
Made = Callable[["World", Request], Response]


@dataclass(frozen=True, slots=True)
class World:
    """Where things are: the upstream itself, and a server that nobody has any business with."""

    here: str
    decoy: str
    """Host and port."""
    dripping: str
    """Host and port of one whose heads never end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """One project of a hostile upstream.

    ``page`` and ``file`` are what it answers; ``asked`` what a client wants; ``statuses`` what
    will do, and ``says`` a part of the reason. ``far``: the upstream counts as public. ``slow``:
    the server has to lose its patience. ``whole``: whether the client may get a complete body.
    ``peak``: MB that it may cost. ``prepare`` makes beforehand what takes its time.
    """

    name: str
    page: Made
    file: Made = field(default=lambda _, __: Response(status=404))
    asked: Asked = "page"
    statuses: tuple[int, ...] = (502,)
    says: str = ""
    far: bool = False
    slow: bool = False
    prepare: Callable[[], object] = field(default=lambda: None)
    whole: bool = True
    peak: int = 100

    def __str__(self) -> str:
        """The name, for pytest."""
        return self.name

    @property
    def project(self) -> str:
        """The project that is this try."""
        return "try-" + hashlib.sha256(self.name.encode()).hexdigest()[:12]


def project_of(request: Request) -> str:
    """The project that a request is about."""
    return next((part for part in request.path.split("/") if part.startswith("try-")), "")


def json_response(document: object, **headers: str) -> Response:
    """A page in JSON."""
    return typed(json.dumps(document).encode(), JSON_TYPE, **headers)


def typed(body: bytes, kind: str, **headers: str) -> Response:
    """A body with its media type; headers with underscores for dashes."""
    more = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(headers=(("Content-Type", kind), *more), body=body)


def redirect(to: str, status: int = 302) -> Made:
    """A redirect; ``{here}``, ``{decoy}`` and ``{project}`` are put in."""

    def made(world: World, request: Request) -> Response:
        return Response(status=status, headers=(("Location", _filled(to, world, request)),))

    return made


def page(*urls: str, sha256: str = "", size: int | None = None, name: str = "") -> Made:
    """A page with one file for each URL."""

    def made(world: World, request: Request) -> Response:
        project = project_of(request)
        stem = name or f"{project.replace('-', '_')}-1.{{}}-py3-none-any.whl"
        files: list[dict[str, Any]] = []
        for number, url in enumerate(urls):
            entry = {"filename": stem.format(number), "url": _filled(url, world, request)}
            entry["hashes"] = {"sha256": sha256} if sha256 else {}  # type: ignore[assignment]
            files.append(entry | ({} if size is None else {"size": size}))
        return json_response(document(project, files))

    return made


def document(project: str, files: Iterable[object]) -> dict[str, object]:
    """A page's document."""
    return {"meta": {"api-version": "1.0"}, "name": project, "files": list(files)}


def _filled(text: str, world: World, request: Request) -> str:
    project = project_of(request)
    filled = text.replace("{here}", world.here).replace("{decoy}", world.decoy)
    filled = filled.replace("{dripping}", world.dripping)
    return filled.replace("{project}", project).replace("{file}", f"{world.here}/files/{project}/a")


def always(response: Response) -> Made:
    """The same for each request."""
    return lambda _, __: response


def _repeated(head: str, piece: bytes, size: int) -> Made:
    """A page of some size that repeats itself; ``{project}`` in its head."""

    def made(world: World, request: Request) -> Response:
        start = head.replace("{project}", project_of(request)).encode()
        block = piece * (MB // len(piece))

        def pieces() -> Iterator[bytes]:
            yield start
            for _ in range(size // MB):
                yield block

        kind = JSON_TYPE if head.startswith("{") else "text/html"
        return replace(typed(b"", kind), stream=pieces, manner=Manner.CHUNKED)

    return made


def _bombed(coding: str, wbits: int) -> Made:
    return lambda _, __: typed(zeros(wbits), JSON_TYPE, Content_Encoding=coding)


def _raw(text: str) -> Made:
    return always(Response(body=text.encode("latin-1"), manner=Manner.RAW))


# ---------------------------------------------------------------- wheels that unfold


def _bomb(name: str, content: Callable[[], bytes], says: str, *, status: int = 404) -> Hostile:
    content = cache(content)

    def file(world: World, request: Request) -> Response:
        if request.path.endswith(".metadata"):
            return Response(status=404)
        return typed(content(), "application/octet-stream")

    # The archives have the .dist-info folder of a project x.
    told = page("{file}", name="x-1.{}-py3-none-any.whl")
    return Hostile(
        name=name,
        page=told,
        file=file,
        asked="metadata",
        statuses=(status,),
        says=says,
        peak=120,
        prepare=content,
    )


_BOMBS = (
    _bomb("no wheel", lambda: b"PK" * 5_000, "is no"),
    _bomb("a wheel of one byte", lambda: b"P", "is no"),
    _bomb("no METADATA", lambda: packed([("a", b"")]), "has 0 .dist-info folders"),
    _bomb(
        "many METADATA",
        lambda: packed([(f"{n}-1.0.dist-info/METADATA", b"") for n in range(20_000)]),
        "has 20000 .dist-info folders",
    ),
    _bomb("METADATA of 100 MB", lambda: packed([(INFO, bytes(100 * MB))]), "more than 4,194,304"),
    _bomb("METADATA that lies", lambda: lying(8, zeros(-15)), "", status=200),
    _bomb("METADATA that lies, by LZMA", lambda: lying(14, lzma_bomb()), ""),
    _bomb("encrypted METADATA", encrypted, ""),
    _bomb(
        "a directory too many",
        lambda: packed([(f"{n}", b"") for n in range(65_000)], zipfile.ZIP_STORED),
        "directory of 65,000 entries",
    ),
    _bomb("a directory that only ZIP64 tells of", hidden_directory, "directory of 1,000,000"),
)

# ---------------------------------------------------------------- files that are not as told


def _file(name: str, made: Callable[[bytes], Made], *, sized: bool = False, **more: Any) -> Hostile:
    """A file of each try's own, lest it comes from the cache; ``made`` makes the answer of it."""
    data = make_wheel("x", "1.0", modules={"x_name.py": f"{name!r}\n"}, padding=300_000).data
    size = len(data) if sized else None
    told = page("{file}", sha256=hashlib.sha256(data).hexdigest(), size=size)
    return Hostile(name=name, page=told, file=made(data), asked="file", **more)


def _content(body: bytes, manner: Manner = Manner.PLAIN, **headers: str) -> Made:
    return always(replace(typed(body, "application/octet-stream", **headers), manner=manner))


def _tampered(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


_STATES: dict[str, Any] = {
    "Set_Cookie": "a=b",
    "Access_Control_Allow_Credentials": "true",
    "Content_Disposition": "inline; filename=x.html",
    "X_Evil": "1",
}
_CUT_OFF: dict[str, Any] = {"statuses": (200,), "whole": False}
_FILES = (
    Hostile(
        name="a head that drips",
        page=page("http://{dripping}/a"),
        asked="file",
        statuses=(504,),
        slow=True,
    ),
    _file("a file that is right", _content, statuses=(200,)),
    _file("a file of another content", lambda data: _content(_tampered(data)), **_CUT_OFF),
    _file(
        "a file of another content in chunks",
        lambda data: _content(_tampered(data), Manner.CHUNKED),
        **_CUT_OFF,
    ),
    _file("a longer file", lambda data: _content(data + b"!"), sized=True, says="the index says"),
    _file(
        "a longer file in chunks",
        lambda data: _content(data + b"!", Manner.CHUNKED),
        sized=True,
        **_CUT_OFF,
    ),
    _file("a shorter file", lambda data: _content(data[:-9]), sized=True, says="the index says"),
    _file("a file that breaks off", lambda data: _content(data, Manner.CUT), **_CUT_OFF),
    _file(
        "a file that breaks off in chunks",
        lambda data: _content(data, Manner.CHUNKS_CUT),
        **_CUT_OFF,
    ),
    _file(
        "a file that stops half-way",
        lambda data: _content(data, Manner.HALF),
        slow=True,
        **_CUT_OFF,
    ),
    _file("a file of no bytes", lambda _: _content(b""), says="empty"),
    _file("a file of no bytes in chunks", lambda _: _content(b"", Manner.CHUNKED), **_CUT_OFF),
    _file(
        "a file in a Content-Encoding",
        lambda data: _content(gzip.compress(data), Content_Encoding="gzip"),
        **_CUT_OFF,
    ),
    _file("a part", lambda data: always(Response(status=206, body=data)), says="206"),
    _file("a file that has not changed", lambda _: always(Response(status=304)), says="304"),
    _file("a host that hangs", lambda _: _content(b"", Manner.HANG), statuses=(504,), slow=True),
    _file(
        "a file of a size beyond belief",
        lambda _: _raw(f"HTTP/1.1 200 OK\r\nContent-Length: {10**17}\r\n\r\nPK"),
        says="larger",
    ),
    _file("a size below nothing", lambda _: _raw("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n")),
    _file(
        "a file host that sets a cookie and says who may read",
        lambda data: _content(data, **_STATES),
        statuses=(200,),
    ),
)


# ---------------------------------------------------------------- pages


def _xss(world: World, request: Request) -> Response:
    project = project_of(request)
    stem = project.replace("-", "_")
    good = {
        "filename": f"{stem}-1.0-py3-none-any.whl",
        "url": f"{world.here}/files/{project}/a?'onload=alert(1)",
        "hashes": {"sha256": "0" * 64, SCRIPT: SCRIPT},
        "requires-python": f">=3{SCRIPT}",
        "yanked": SCRIPT,
        "upload-time": SCRIPT,
        "core-metadata": {"sha256": SCRIPT, SCRIPT: "0" * 64},
    }
    bad = [
        good | {"filename": name}
        for name in (
            SCRIPT,
            f"{stem}-1.0-py3-none-{SCRIPT}.whl",
            "../../etc/passwd",
            f"..{stem}-1.0.tar.gz",
            f"{stem}/../x-1.0.tar.gz",
            f"{stem}\\..\\x-1.0.tar.gz",
            f"{stem}-1.0\r\nSet-Cookie: a=b.tar.gz",
            f"{stem}-1.0\0.tar.gz",
            f"{stem}-1.0\u202e.tar.gz",
            f"{stem}-{'1' * 300}.tar.gz",
            "",
            ".",
            "..",
            "-x-1.0.tar.gz",
        )
    ]
    return json_response(document(project, [good, *bad]))


def _cookie(world: World, request: Request) -> Response:
    made = page("{file}")(world, request)
    return made.with_header("Set-Cookie", "a=b").with_header("X-Evil", "1")


def _page(name: str, made: Made, **more: Any) -> Hostile:
    return Hostile(name=name, page=made, **more)


_ENTRIES = '{"meta":{"api-version":"1.0"},"name":"{project}","files":['
_PAGES = (
    _page("markup and dots in names", _xss, statuses=(200,), asked="html"),
    _page("markup and dots in names, in JSON", _xss, statuses=(200,)),
    _page("a page with a cookie", _cookie, statuses=(200,)),
    _page("another project", always(json_response(document("other", []))), says="other"),
    _page("a page of 65 MB", _repeated(_ENTRIES, b" ", 65 * MB), says="more than", peak=200),
    _page(
        "a page without end in HTML", _repeated("<a", b" ", 200 * MB), says="more than", peak=200
    ),
    _page("50 MB of objects", _repeated(_ENTRIES, b"{},", 50 * MB), peak=250),
    _page("50 MB of strings", _repeated(_ENTRIES, b'"ab",', 50 * MB), peak=250),
    _page("50 MB of anchors", _repeated("<html>", b"<a href=x>", 50 * MB), peak=250),
    _page("nesting", always(typed(b"[" * 500_000, JSON_TYPE)), says="nested"),
    _page(
        "a bomb in gzip",
        _bombed("gzip", 31),
        prepare=partial(zeros, 31),
        says="more than",
        peak=150,
    ),
    _page(
        "a bomb in deflate",
        _bombed("deflate", 15),
        prepare=partial(zeros, 15),
        says="more than",
        peak=150,
    ),
    _page("broken gzip", always(typed(b"\x1f\x8bnonsense", JSON_TYPE, Content_Encoding="gzip"))),
    _page("a number of many digits", _repeated(_ENTRIES, b"9", MB)),
    _page(
        "a page that drips",
        always(replace(typed(b"{" * 99, JSON_TYPE), manner=Manner.DRIP)),
        statuses=(504,),
        says="within",
        slow=True,
    ),
    _page("a page that breaks off", always(Response(body=b"{}" * 99, manner=Manner.CUT))),
    _page("a header without end", _raw(f"HTTP/1.1 200 OK\r\nX: {'x' * 3_000_000}\r\n\r\n")),
    _page("headers without end", _raw("HTTP/1.1 200 OK\r\n" + "X: y\r\n" * 500_000)),
    _page("no HTTP", _raw("SSH-2.0-OpenSSH_9.2\r\n")),
    _page("a status that is none", _raw("HTTP/1.1 99999 Odd\r\n\r\n")),
    _page("a header that is split", _raw("HTTP/1.1 302 Found\r\nLocation: /a\r\n b\r\n\r\n")),
    _page(
        "provisional answers without end",
        _raw("HTTP/1.1 100 Continue\r\n\r\n" * 100_000),
        statuses=(502, 504),
    ),
    _page("a reset", always(Response(manner=Manner.RESET))),
    _page("a page elsewhere, and so on", redirect("{here}/simple/{project}/?again"), says="redir"),
)

# ---------------------------------------------------------------- ways into the private network


def _far(name: str, to: str, **more: Any) -> Iterator[Hostile]:
    """The same as a redirect of the page, of a file, and as the URL of a file."""
    yield Hostile(name=f"page to {name}", page=redirect(to), far=True, **more)
    hop = {"page": page("{file}"), "asked": "file", "far": True, **more}
    yield Hostile(name=f"file to {name}", file=redirect(to, 307), **hop)


def _named(name: str, url: str, **more: Any) -> Hostile:
    """A page that names a file there."""
    return Hostile(name=f"a file at {name}", page=page(url), asked="file", far=True, **more)


_INNER = {
    "loopback": "http://{decoy}/secret",
    "loopback by name": "http://localhost:{port}/secret",
    "loopback by a name below localhost": "http://x.localhost:{port}/secret",
    "loopback in short": "http://127.1:{port}/secret",
    "loopback as one number": "http://2130706433:{port}/secret",
    "loopback in octal": "http://0177.0.0.1:{port}/secret",
    "loopback in hexadecimal": "http://0x7f000001:{port}/secret",
    "loopback in IPv6": "http://[::1]:{port}/secret",
    "loopback as IPv4 in IPv6": "http://[::ffff:127.0.0.1]:{port}/secret",
    "loopback behind NAT64": "http://[64:ff9b::127.0.0.1]:{port}/secret",
    "loopback behind 6to4": "http://[2002:7f00:1::]:{port}/secret",
    "loopback with a dot at its end": "http://localhost.:{port}/secret",
    "no address": "http://0.0.0.0:{port}/secret",
    "a private address": "http://10.0.0.1/secret",
    "a link-local address": "http://169.254.169.254/latest/meta-data/",
    "a link-local address in IPv6": "http://[fe80::1]/secret",
    "a unique local address": "http://[fd00::1]/secret",
    "a shared address": "http://100.64.0.1/secret",
    "a name of the local network": "http://printer/secret",
    "a name in .internal": "http://metadata.google.internal/secret",
}
_SCHEMES = {
    "file:": "file:///etc/passwd",
    "ftp:": "ftp://{decoy}/secret",
    "data:": "data:text/plain,secret",
    "gopher:": "gopher://{decoy}/secret",
    "javascript:": "javascript:alert(1)",
    "credentials": f"http://user:{PASSWORD}@{{decoy}}/secret",
    "a backslash": "http://index.example\\@{decoy}/secret",
    "a line break": "http://index.example/\r\n\r\nGET http://{decoy}/secret",
    "a port that is none": "http://index.example:99999999/secret",
    "a full-width host": "http://\uff11\uff12\uff17.0.0.1/secret",
}


def _inner() -> Iterator[Hostile]:
    for name, url in _INNER.items():
        yield from _far(name, url, says="private")
        yield _named(name, url, says="private")
    for name, url in _SCHEMES.items():
        yield _named(name, url, statuses=(404, 502))
        if "\r" not in url and url.isascii():
            yield from _far(name, url)


HOSTILE = (*_PAGES, *_FILES, *_BOMBS, *_inner())
