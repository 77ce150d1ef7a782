"""Animals whose pages can be read, and are of no use."""

import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from tests.support.wheels import make_wheel
from tests.zoo.changes import header, in_document, in_files, replaced, says, urls, without_key
from tests.zoo.parts import JSON_V1, LOGIN, MEBIBYTE, WELCOME, Animal, Change, Doc, Visit, as_html
from tests.zoo.server import Manner, Response

OVERSIZE = 72 * MEBIBYTE
"""More than the 64 MiB that any page may have."""
_FAKE = "zoo-other"


def _only(ending: str) -> Change:
    """Leave only the files with that ending on the page."""

    def change(_visit: Visit, response: Response) -> Response:
        doc = json.loads(response.body)
        doc["files"] = [item for item in doc["files"] if item["filename"].endswith(ending)]
        return replace(response, body=json.dumps(doc).encode())

    return change


def _other_project(visit: Visit, _doc: Doc) -> Doc:
    wheel = make_wheel(_FAKE, "1.0")
    return {
        "meta": {"api-version": "1.1"},
        "name": _FAKE,
        "versions": ["1.0"],
        "files": [
            {
                "filename": wheel.filename,
                "url": f"{visit.here}/files/{wheel.filename}",
                "hashes": {"sha256": wheel.sha256},
                "size": len(wheel.data),
            }
        ],
    }


def _legacy(visit: Visit, doc: Doc) -> Doc:
    files = [
        {"filename": item["filename"], "url": item["url"], "digests": item["hashes"]}
        for item in doc["files"]
    ]
    info = {"name": visit.project, "version": "1.0", "requires_dist": None}
    return {"info": info, "last_serial": 1, "releases": {"1.0": files}, "urls": files}


def _endless_spaces(_visit: Visit, response: Response) -> Response:
    def stream() -> Iterator[bytes]:
        yield response.body
        for _ in range(OVERSIZE // MEBIBYTE):
            yield b" " * MEBIBYTE

    return replace(response, stream=stream, manner=Manner.CHUNKED)


@cache
def _bomb(body: bytes) -> bytes:
    """The body and spaces in gzip's format; packed once, because clients wait for it (RFC 1952)."""
    packer, spaces, times = zlib.compressobj(wbits=-15), b" " * MEBIBYTE, OVERSIZE // MEBIBYTE
    start, piece = (
        packer.compress(each) + packer.flush(zlib.Z_FULL_FLUSH) for each in (body, spaces)
    )
    check = zlib.crc32(body)
    for _ in range(times):
        check = zlib.crc32(spaces, check)
    size = len(body) + times * len(spaces)
    return b"".join(
        [
            gzip.compress(b"")[:10],
            start,
            piece * times,
            packer.flush(),
            struct.pack("<II", check, size),
        ]
    )


def _gzip_bomb(_visit: Visit, response: Response) -> Response:
    return replace(response, body=_bomb(response.body)).with_header("Content-Encoding", "gzip")


def _truncated_json(_visit: Visit, response: Response) -> Response:
    return replace(response, body=response.body[:-20])


NOT_AN_INDEX: tuple[Animal, ...] = (
    Animal(
        "login-page", "a login page for everything", "not-an-index", every=says(LOGIN, "text/html")
    ),
    Animal(
        "login-page-gbk",
        "a Chinese login page in GBK, with markup and ANSI escapes in its title",
        "not-an-index",
        every=says(
            "<html><title>登录<script>alert(1)</script>\x1b[2J</title>请登录</html>".encode("gbk"),
            "text/html; charset=gbk",
        ),
    ),
    Animal(
        "welcome-page",
        "a welcome page for everything",
        "not-an-index",
        every=says(WELCOME, "text/html"),
    ),
    Animal(
        "empty-json",
        "PEP 691 pages that list nothing",
        "not-an-index",
        document=in_document(files=[], versions=[]),
    ),
    Animal(
        "empty-html",
        "PEP 503 pages that list nothing",
        "not-an-index",
        document=in_document(files=[]),
        render=as_html(),
    ),
    Animal(
        "other-project",
        "the page of another project, whatever is asked for",
        "not-an-index",
        document=_other_project,
    ),
    Animal(
        "legacy-json",
        "the older JSON API: info and releases",
        "not-an-index",
        document=_legacy,
        page=header("Content-Type", "application/json"),
    ),
    Animal("sdists-only", "source distributions alone", "not-an-index", page=_only(".tar.gz")),
    Animal(
        "foreign-wheels-only",
        "wheels for another platform alone",
        "not-an-index",
        page=_only("win_ia64.whl"),
        doubt="An index it is; it has nothing that suits, as with source distributions alone.",
    ),
    Animal(
        "empty-body",
        "200 with no body at all and no type",
        "not-an-index",
        page=lambda _visit, response: replace(response, body=b"").without_header("Content-Type"),
        doubt="Under the JSON type I would call it malformed; see empty-json-body.",
    ),
)

MALFORMED: tuple[Animal, ...] = (
    Animal("broken-json", "JSON that stops short", "malformed", page=_truncated_json),
    Animal(
        "empty-json-body",
        "the JSON type with no body",
        "malformed",
        page=lambda _visit, response: replace(response, body=b""),
    ),
    Animal(
        "json-error",
        "a JSON error object with 200",
        "malformed",
        document=lambda _visit, _doc: {"error": "<script>no</script>\x1b[31m", "code": 7},
    ),
    Animal("json-array", "a JSON array", "malformed", document=lambda _visit, doc: [doc]),
    Animal("no-urls", "files without url", "malformed", document=in_files(drop="url")),
    Animal("no-hashes-key", "files without hashes", "malformed", document=in_files(drop="hashes")),
    Animal("no-meta", "no meta", "malformed", document=without_key("meta")),
    Animal("no-name", "no name", "malformed", document=without_key("name")),
    Animal("no-files", "no files", "malformed", document=without_key("files")),
    Animal(
        "files-object",
        "files is an object by file name",
        "malformed",
        document=lambda _visit, doc: (
            doc | {"files": {item["filename"]: item for item in doc["files"]}}
        ),
    ),
    Animal(
        "odd-values",
        "null, numbers and lists where strings belong",
        "malformed",
        document=in_files({"filename": 7, "url": None, "hashes": ["sha256"]}),
    ),
    Animal(
        "deep-json",
        "10,000 nested arrays",
        "malformed",
        page=lambda _visit, response: replace(response, body=b"[" * 10_000 + b"]" * 10_000),
    ),
    Animal(
        "deep-value",
        "a page that is fine but for 10,000 nested arrays under an unknown key",
        "malformed",
        page=lambda _visit, response: replace(
            response,
            body=response.body[:-1] + b', "_zoo": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        ),
        # JavaScript's JSON.parse reads it, and what nobody wants does not come to Python.
        engines=dict.fromkeys(("chromium", "firefox", "webkit", "node"), "ok"),
        doubt="Only what is wanted of a page needs to be fine.",
    ),
    Animal(
        "bad-utf8",
        "JSON with a byte that is no UTF-8, in the middle of each file name",
        "malformed",
        page=replaced(b'"filename": "zoo_', b'"filename": "zoo\xff'),
    ),
    Animal(
        "html-as-json",
        "PEP 503 HTML under the JSON type",
        "malformed",
        render=as_html(),
        page=header("Content-Type", JSON_V1),
        doubt="`wrong-content-type` is 'a PEP 691 body under another type', which this is not.",
    ),
    Animal(
        "script-urls",
        "javascript: URLs",
        "malformed",
        document=urls("javascript:alert(document.domain)//{filename}"),
    ),
    Animal(
        "data-urls",
        "data: URLs",
        "malformed",
        document=urls("data:application/zip;base64,UEsFBg==#{filename}"),
    ),
    Animal(
        "ftp-urls", "ftp: URLs", "malformed", document=urls("ftp://{authority}/files/{filename}")
    ),
    Animal(
        "password-urls",
        "user and password in the URLs: fetch refuses them",
        "malformed",
        document=urls("http://user:secret@{authority}/files/{filename}"),
    ),
    Animal(
        "climbing-names",
        "file names that climb out of the folder",
        "malformed",
        document=lambda _visit, doc: (
            doc
            | {"files": [item | {"filename": f"../../{item['filename']}"} for item in doc["files"]]}
        ),
        doubt="None is a wheel's name: malformed, or not-an-index (lists nothing usable)?",
    ),
    Animal(
        "oversized",
        "a good page followed by 72 MiB of spaces, in chunks",
        "malformed",
        page=_endless_spaces,
    ),
    Animal(
        "gzip-bomb",
        "a good page followed by 72 MiB of spaces, 70 KiB when compressed",
        "malformed",
        page=_gzip_bomb,
    ),
)

API_VERSION: tuple[Animal, ...] = (
    Animal(
        "api-version-2",
        "API version 2.0",
        "api-version",
        document=in_document(meta={"api-version": "2.0"}),
    ),
    Animal(
        "type-v2",
        "PEP 691's media type of version 2",
        "api-version",
        document=in_document(meta={"api-version": "2.0"}),
        page=header("Content-Type", "application/vnd.pypi.simple.v2+json"),
    ),
    Animal(
        "html-version-2",
        "PEP 503 HTML of repository version 2.0",
        "api-version",
        render=as_html(version="2.0"),
    ),
    Animal(
        "api-version-banana",
        "API version 'banana'",
        "malformed",
        document=in_document(meta={"api-version": "banana"}),
    ),
)
