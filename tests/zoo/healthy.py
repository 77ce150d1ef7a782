"""Animals that are as a mirror should be, each in a way of its own."""

import gzip
import re
from collections.abc import Mapping
from dataclasses import replace

from tests.support.wheels import FUTURE, REBUILT, ROOT, STOCK, Sdist
from tests.zoo.changes import (
    accepts_gzip,
    also,
    both,
    failing,
    gzipped,
    header,
    in_document,
    in_files,
    in_manner,
    metadata_key,
    moved,
    no_cors,
    then,
    urls,
    when,
    without,
)
from tests.zoo.parts import (
    ALLOW_ORIGIN,
    JSON_V1,
    Animal,
    Doc,
    DocumentChange,
    Visit,
    as_html,
    as_json,
    entry,
    from_stock,
)
from tests.zoo.server import Manner, Response


def _echo_origin(visit: Visit, response: Response) -> Response:
    origin = visit.request.header("Origin")
    if origin is None:
        return response.without_header(ALLOW_ORIGIN)
    return response.with_header(ALLOW_ORIGIN, origin).with_header("Vary", "Origin")


def _future(**values: object) -> DocumentChange:
    """List version 9.0 too, with these values in its entry."""

    def change(visit: Visit, doc: Doc) -> Doc:
        future = entry(visit, FUTURE[visit.project])
        return doc | {
            "versions": [*doc["versions"], "9.0"],
            "files": [*doc["files"], future | values],
        }

    return change


def _with_future(_visit: Visit, filename: str) -> Sdist | None:
    futures = {wheel.filename: wheel for wheel in FUTURE.values()}
    return futures.get(filename) or from_stock(_visit, filename)


def _rebuilt(visit: Visit, filename: str) -> Sdist | None:
    return REBUILT.get(filename) or from_stock(visit, filename)


def _rebuilt_document(visit: Visit, doc: Doc) -> Doc:
    dists = (REBUILT.get(dist.filename, dist) for dist in STOCK[visit.project])
    return doc | {"files": [entry(visit, dist) for dist in dists]}


def _upper_case_digests(_visit: Visit, doc: Doc) -> Doc:
    return doc | {
        "files": [
            item | {"hashes": {"sha256": item["hashes"]["sha256"].upper()}} for item in doc["files"]
        ]
    }


def _only_old(visit: Visit, doc: Doc) -> Doc:
    if visit.project != ROOT:
        return doc
    return doc | {
        "versions": ["0.9"],
        "files": [item for item in doc["files"] if "-0.9-" in item["filename"]],
    }


def _crowd(visit: Visit, doc: Doc) -> Doc:
    stem = visit.project.replace("-", "_")
    old = [
        {
            "filename": f"{stem}-0.0.{number}-py3-none-any.whl",
            "url": f"{visit.here}/files/{stem}-0.0.{number}-py3-none-any.whl",
            "hashes": {"sha256": f"{number:064x}"},
            "size": 1_000_000 + number,
            "requires-python": ">=3.8",
            "upload-time": "2019-01-01T00:00:00Z",
            "yanked": False,
            "provenance": None,
        }
        for number in range(4200)
    ]
    return doc | {"files": [*old, *doc["files"]]}


def _negotiated(visit: Visit, doc: Doc) -> Response:
    accepted = re.split(r"[,;]", visit.request.header("Accept") or "")
    asked_for = JSON_V1 in (item.strip() for item in accepted)
    return as_json(visit, doc) if asked_for else as_html()(visit, doc)


def _signed(visit: Visit, response: Response) -> Response:
    return response if visit.request.query == "expires=9&sig=zoo" else failing(403)(visit, response)


def _wrapped(visit: Visit, response: Response) -> Response:
    """Compress what is compressed already, as a wheel usually is: it grows."""
    body = gzip.compress(response.body, compresslevel=0, mtime=0)
    packed = replace(response, body=body).with_header("Content-Encoding", "gzip")
    return packed if accepts_gzip(visit) else response


def _in_stock(visit: Visit) -> bool:
    return visit.project in STOCK


_MARKUP = "<script>alert(document.domain)</script>"
_ANSI = "\x1b[2J\x1b[31mred\x1b]0;title\x07"
HOSTILE_ENTRIES: tuple[Mapping[str, object], ...] = tuple(
    {"filename": filename, "url": url, "hashes": {"sha256": "0" * 64}, "size": 1}
    for filename, url in (
        ("../../evil-1.0-py3-none-any.whl", "{here}/files/../../evil-1.0-py3-none-any.whl"),
        (f"{_MARKUP}-1.0-py3-none-any.whl", "{here}/files/x"),
        (f"zoo_root-{_ANSI}-py3-none-any.whl", "{here}/files/y"),
        ("zoo_root-9.0-py3-none-any.whl", "javascript:alert(document.domain)"),
        ("zoo_root-9.1-py3-none-any.whl", "file:///etc/hostname"),
        ("zoo_root-9.2-py3-none-any.whl", "http://user:secret@[bad/x"),
    )
)

HEALTHY: tuple[Animal, ...] = (
    Animal("healthy", "PEP 691, CORS, absolute URLs, digests and metadata as they should be", "ok"),
    Animal(
        "charset-parameter",
        "the JSON type with a charset parameter",
        "ok",
        page=header("Content-Type", f"{JSON_V1}; charset=utf-8"),
    ),
    Animal(
        "shouted-type",
        "the JSON type in capitals: media types have no case",
        "ok",
        page=header("Content-Type", JSON_V1.upper()),
    ),
    Animal("upper-case-digests", "SHA-256 in capitals", "ok", document=_upper_case_digests),
    Animal(
        "files-elsewhere",
        "files on another port, readable there too",
        "ok",
        document=urls("{site.there}/files/{filename}"),
    ),
    Animal(
        "files-on-another-host",
        "files on another host name and port, readable there too",
        "ok",
        second_host="localhost",
        document=urls("{site.there}/files/{filename}"),
    ),
    Animal(
        "redirect",
        "pages redirect to another path of the same origin, with CORS on each hop",
        "ok",
        page=moved("/real"),
    ),
    Animal(
        "redirect-elsewhere",
        "pages redirect to another origin, with CORS on each hop",
        "ok",
        page=moved("", to="there"),
    ),
    Animal(
        "file-redirect",
        "files redirect to another origin, with CORS on each hop",
        "ok",
        file=moved("", to="there"),
    ),
    Animal("echoed-origin", "allows the Origin that asks, with Vary", "ok", every=_echo_origin),
    Animal(
        "wants-credentials",
        "allows the Origin that asks, and credentials",
        "ok",
        every=then(_echo_origin, header("Access-Control-Allow-Credentials", "true")),
    ),
    Animal(
        "cors-on-success-only",
        "CORS on GET with 200 alone: neither on 404 nor on HEAD",
        "ok",
        every=when(
            lambda visit: (
                visit.request.method == "HEAD" or visit.kind == "other" or not _in_stock(visit)
            ),
            no_cors,
        ),
    ),
    Animal(
        "no-preflight",
        "refuses OPTIONS and HEAD with 405 and without CORS",
        "ok",
        every=when(
            lambda visit: visit.request.method != "GET",
            then(failing(405), no_cors, without("Access-Control-Allow-Headers")),
        ),
    ),
    Animal("gzip", "pages are compressed", "ok", page=gzipped),
    Animal(
        "gzip-files",
        "files are compressed in transit, in vain: Content-Length is more than the file's size",
        "ok",
        file=_wrapped,
    ),
    Animal("chunked", "everything in chunks", "ok", every=in_manner(Manner.CHUNKED)),
    Animal("http-1.0", "everything as HTTP/1.0", "ok", every=in_manner(Manner.UNTIL_CLOSE)),
    Animal(
        "negotiates",
        "JSON for whoever asks for it, HTML for all others",
        "ok",
        render=_negotiated,
    ),
    Animal(
        "yanked-newest",
        "the newest version, 9.0, is yanked",
        "ok",
        document=_future(yanked="broken"),
        shelf=_with_future,
    ),
    Animal(
        "python-excluded-newest",
        "the newest version, 9.0, is for Python 99",
        "ok",
        document=_future(**{"requires-python": ">=99"}),
        shelf=_with_future,
    ),
    Animal(
        "quirky-requires-python",
        "requires-python that is empty, null or nonsense beside good ones",
        "ok",
        document=both(
            in_files({"requires-python": ""}),
            _future(**{"requires-python": "not a specifier", "yanked": True}),
        ),
        shelf=_with_future,
        doubt="The nonsense stands on a yanked file, so that it matters to nobody.",
    ),
    Animal(
        "greater-minor",
        "API version 1.4, with keys of the future",
        "ok",
        document=in_document(meta={"api-version": "1.4", "project-status": {"status": "active"}}),
    ),
    Animal(
        "unknown-keys",
        "keys that no specification knows, on the page and on each file",
        "ok",
        document=both(
            in_document(_zoo={"a": [1, None]}), in_files({"_zoo": True, "gpg-sig": False})
        ),
    ),
    Animal(
        "oldest-minor",
        "API version 1.0, without versions, sizes and times",
        "ok",
        document=both(
            in_document(meta={"api-version": "1.0"}),
            in_files(drop="size"),
            in_files(drop="upload-time"),
        ),
    ),
    Animal(
        "no-metadata",
        "core-metadata is false, and there is none",
        "ok",
        document=metadata_key(old=False),
        metadata=failing(404),
    ),
    Animal(
        "bare-metadata",
        "core-metadata is true: promised without a digest, and kept",
        "ok",
        document=metadata_key(old=True),
    ),
    Animal(
        "old-metadata-keys",
        "the metadata under the two older names, not under core-metadata",
        "ok",
        document=metadata_key(None, "data-dist-info-metadata", "dist-info-metadata"),
    ),
    Animal(
        "signed-urls",
        "files need the query string of their URL; no metadata",
        "ok",
        document=both(
            urls("{site.here}/files/{filename}?expires=9&sig=zoo"), metadata_key(old=False)
        ),
        file=_signed,
        metadata=failing(404),
    ),
    Animal(
        "signed-urls-with-metadata",
        "files and metadata need the query string; `.metadata` goes before it",
        "ok",
        document=urls("{site.here}/files/{filename}?expires=9&sig=zoo"),
        file=_signed,
        metadata=_signed,
        doubt="PEP 658 appends to 'the URL'; micropip and pip append after the query.",
    ),
    Animal(
        "unnormalised-name",
        "the page's name is Zoo_Root where it should be zoo-root",
        "ok",
        document=lambda _visit, doc: doc | {"name": doc["name"].title().replace("-", "_")},
        doubt="PEP 691 demands the normalized name; normalised silently like digests?",
    ),
    Animal(
        "byte-order-mark",
        "JSON behind a byte order mark",
        "ok",
        page=lambda _visit, response: replace(response, body=b"\xef\xbb\xbf" + response.body),
        doubt="RFC 8259 lets a parser ignore it; fetch's text() and Python's json.loads(bytes) do.",
    ),
    Animal("crowded", "4,200 files more on each page, all older", "ok", document=_crowd),
    Animal(
        "stale",
        "complete, but behind: only zoo-root 0.9",
        "ok",
        document=_only_old,
        root_version="0.9",
    ),
    Animal(
        "rebuilt",
        "the same file names with other contents, and digests to match",
        "ok",
        document=_rebuilt_document,
        shelf=_rebuilt,
    ),
    Animal(
        "hostile-entries",
        "markup, ANSI escapes, `..` and script URLs in further entries of each page",
        "ok",
        document=also(*HOSTILE_ENTRIES),
    ),
    Animal(
        "one-bad-entry",
        "beside good files one without url, one without hashes, and one that is no object",
        "ok",
        document=lambda _visit, doc: (
            doc
            | {
                "files": [
                    {"filename": "zoo_root-9.0-py3-none-any.whl", "hashes": {}},
                    {
                        "filename": "zoo_root-9.1-py3-none-any.whl",
                        "url": "http://127.0.0.1:9/x.whl",
                    },
                    "zoo_root-9.2-py3-none-any.whl",
                    *doc["files"],
                ]
            }
        ),
        doubt="PEP 691 is broken, but every file that matters is fine: ok, or malformed?",
    ),
)
