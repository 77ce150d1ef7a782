"""Small changes to one thing about the healthy mirror: what tells animals apart."""

import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

from tests.zoo.parts import (
    ALLOW_ORIGIN,
    BY_FILENAME,
    Change,
    Doc,
    DocumentChange,
    Visit,
    cors,
    same,
)
from tests.zoo.server import Manner, Response

# ---------------------------------------------------------------- changes to a document


def in_document(**values: object) -> DocumentChange:
    """Set keys of the document."""
    return lambda _visit, doc: doc | values


def without_key(key: str) -> DocumentChange:
    """Drop a key of the document."""
    return lambda _visit, doc: {name: value for name, value in doc.items() if name != key}


def in_files(values: Mapping[str, object] = MappingProxyType({}), drop: str = "") -> DocumentChange:
    """Set keys of every file's entry, or drop one."""

    def changed(item: Doc) -> Doc:
        return {key: value for key, value in (item | dict(values)).items() if key != drop}

    return lambda _visit, doc: doc | {"files": [changed(item) for item in doc["files"]]}


def urls(template: str) -> DocumentChange:
    """Write the file URLs anew: `{site.here}` and the like, `{authority}`, `{filename}`."""

    def change(visit: Visit, doc: Doc) -> Doc:
        authority = visit.here.partition("://")[2]

        def filled(filename: str) -> str:
            return template.format(site=visit.site, authority=authority, filename=filename)

        return doc | {"files": [item | {"url": filled(item["filename"])} for item in doc["files"]]}

    return change


def metadata_key(old: object, *new: str) -> DocumentChange:
    """Give `core-metadata` the value `old`, or its own value under the names `new` instead."""

    def changed(item: Doc) -> Doc:
        value = item.get("core-metadata")
        if value is None:
            return item
        kept = {key: other for key, other in item.items() if key != "core-metadata"}
        return kept | (dict.fromkeys(new, value) if new else {"core-metadata": old})

    return lambda _visit, doc: doc | {"files": [changed(item) for item in doc["files"]]}


def hashed(algorithm: str) -> DocumentChange:
    """List another algorithm's digests than SHA-256."""

    def changed(item: Doc) -> Doc:
        digest = hashlib.new(algorithm, BY_FILENAME[item["filename"]].data).hexdigest()
        return item | {"hashes": {algorithm: digest}}

    return lambda _visit, doc: doc | {"files": [changed(item) for item in doc["files"]]}


def also(*entries: Mapping[str, object]) -> DocumentChange:
    """List further files; `{here}` in their URLs is filled."""

    def change(visit: Visit, doc: Doc) -> Doc:
        more = [
            {**one, "url": str(one["url"]).replace("{here}", visit.here)} if "url" in one else one
            for one in entries
        ]
        return doc | {"files": [*doc["files"], *more]}

    return change


def both(*changes: DocumentChange) -> DocumentChange:
    """Make several changes to a document, one after the other."""

    def change(visit: Visit, doc: Doc) -> object:
        now: Any = doc
        for one in changes:
            now = one(visit, now)
        return now

    return change


# ---------------------------------------------------------------- changes to a response


def then(*changes: Change) -> Change:
    """Make several changes to a response, one after the other."""

    def change(visit: Visit, response: Response) -> Response:
        for one in changes:
            response = one(visit, response)
        return response

    return change


def when(test: Callable[[Visit], bool], change: Change) -> Change:
    """Change only the responses to some requests."""
    return lambda visit, response: change(visit, response) if test(visit) else response


def of_project(name: str, change: Change) -> Change:
    """Change only what concerns one project."""
    return when(lambda visit: visit.project == name, change)


def header(name: str, value: str) -> Change:
    """Set one header."""
    return lambda _visit, response: response.with_header(name, value)


def without(name: str) -> Change:
    """Drop one header."""
    return lambda _visit, response: response.without_header(name)


def in_manner(manner: Manner) -> Change:
    """Send it in another manner."""
    return lambda _visit, response: replace(response, manner=manner)


def says(body: bytes | str, content_type: str, status: int = 200) -> Change:
    """Say something else, readable as before."""
    content = body.encode() if isinstance(body, str) else body
    return lambda _visit, response: replace(response, status=status, body=content).with_header(
        "Content-Type", content_type
    )


def failing(status: int, text: str = "") -> Change:
    """Answer with an error status, readable as before."""
    return says(text or f"error {status}", "text/plain", status)


def moved(prefix: str, *, to: Literal["here", "there"] = "here", hop: Change = same) -> Change:
    """Redirect to the same path below `prefix`; `hop` changes the redirect itself."""

    def change(visit: Visit, response: Response) -> Response:
        arrived = visit.request.path.startswith(prefix) if prefix else visit.at_second_origin
        if arrived:
            return response
        origin = visit.here if to == "here" else visit.site.there
        away = cors(b"", "text/plain", 302)
        return hop(visit, away.with_header("Location", f"{origin}{prefix}{visit.request.target}"))

    return change


def accepts_gzip(visit: Visit) -> bool:
    """Say whether the answer may be compressed."""
    return "gzip" in (visit.request.header("Accept-Encoding") or "gzip")


def gzipped(visit: Visit, response: Response) -> Response:
    """Compress for whoever accepts it."""
    if not accepts_gzip(visit):
        return response
    packer = zlib.compressobj(wbits=31)  # 31: with gzip's header and trailer
    body = packer.compress(response.body) + packer.flush()
    return replace(response, body=body).with_header("Content-Encoding", "gzip")


def replaced(old: bytes, new: bytes) -> Change:
    """Replace bytes of the body."""
    return lambda _visit, response: replace(response, body=response.body.replace(old, new))


no_cors: Change = without(ALLOW_ORIGIN)
