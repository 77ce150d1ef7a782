"""The project pages that ``browser/fast.js`` and ``index/`` have to read alike.

Both decide which files of a page are taken, which URLs are relative, and which entries are plain,
the one in the browser and the other in Python. `CASES` is their common table, with what `lean` in
fast.js is to do with each page; page_makers.py makes odd pages besides. They are compared in Node
(tests/host/index/test_fast_js.py) and in browsers (tests/browser/test_lean.py).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pyodide_mirror.index import JSON_TYPE

SHA = "0123456789abcdef" * 4
NAME = "demo-3.0-py3-none-any.whl"
URL = f"https://files.example/{NAME}"
SOURCES = "demo-3.0.tar.gz"
GOOD = {
    "filename": NAME,
    "url": URL,
    "hashes": {"sha256": SHA},
    "core-metadata": {"sha256": SHA},
    "requires-python": ">=3.9",
    "size": 1234,
    "yanked": False,
}
Lean = Literal["plain", "cut", "whole"]
"""What `lean` does with a page: makes it of plain entries, which Python takes as they are; cuts it
down, for Python to read with care; or leaves it whole to Python."""


@dataclass(frozen=True)
class Page:
    """One page as a server has it."""

    body: bytes
    content_type: str = JSON_TYPE


@dataclass(frozen=True)
class Case:
    """A page, and what `lean` does with it."""

    name: str
    body: bytes
    lean: Lean


# --- the table ----------------------------------------------------------------------------------

_ENTRIES: Mapping[Lean, Mapping[str, Mapping[str, object]]] = {
    "plain": {
        "the usual entry": {},
        "a wheel for WebAssembly": {"filename": "demo-3.0-cp314-cp314-pyodide_2026_0_wasm32.whl"},
        "a wheel for many Pythons": {"filename": "demo-3.0-cp39.cp310-abi3-any.whl"},
        "a platform of two, one of them any": {
            "filename": "demo-3.0-py3-none-linux_x86_64.any.whl"
        },
        "http": {"url": "http://files.example/demo.whl"},
        "a port": {"url": "https://files.example:8443/demo.whl"},
        "the highest port": {"url": "https://files.example:65535/demo.whl"},
        "a port of 60,000": {"url": "https://files.example:60000/demo.whl"},
        "the longest plain URL": {"url": f"https://files.example/{'x' * 16_362}"},
        "no optional field": dict.fromkeys(["core-metadata", "requires-python", "size", "yanked"]),
        "an empty requires-python": {"requires-python": ""},
        "metadata without a digest": {"core-metadata": True},
        "no metadata": {"core-metadata": False},
        "metadata in the old spelling": {
            "core-metadata": None,
            "dist-info-metadata": {"sha256": SHA},
        },
        "metadata denied in the new spelling": {
            "core-metadata": False,
            "dist-info-metadata": {"sha256": SHA},
        },
        "yanked": {"yanked": True},
        "yanked with a reason": {"yanked": "\u00fc\u2028<b>"},
        "yanked with an empty reason": {"yanked": ""},
        "size 0": {"size": 0},
        "the largest size": {"size": 2**53 - 1},
        "fields that nobody knows": {"provenance": "https://x.example", "__proto__": {"size": 7}},
    },
    "cut": {
        "a name that is no text": {"filename": 7},
        "a URL that is no text": {"url": ["https://files.example/demo.whl"]},
        "a scheme in capitals": {"url": "HTTPS://files.example/demo.whl"},
        "a host in capitals": {"url": "https://Files.Example/demo.whl"},
        "a port that there is not": {"url": "https://files.example:99999/demo.whl"},
        "a port just too high": {"url": "https://files.example:65536/demo.whl"},
        "port 0": {"url": "https://files.example:0/demo.whl"},
        "a user name": {"url": "https://user@files.example/demo.whl"},
        "a host out of dots": {"url": "https://./demo.whl"},
        "no path": {"url": "https://files.example"},
        "a query": {"url": "https://files.example/demo.whl?x=1"},
        "a fragment": {"url": f"https://files.example/demo.whl#sha256={SHA}"},
        "dots in the path": {"url": "https://files.example/a/../demo.whl"},
        "a space at the end": {"url": "https://files.example/demo.whl "},
        "a line feed at the end": {"url": "https://files.example/demo.whl\n"},
        "a digit that is not ASCII": {"url": "https://files.example:\u0663/demo.whl"},
        "a letter that is not ASCII": {"url": "https://files.example/d\u00e9mo.whl"},
        "half a surrogate pair": {"url": "https://files.example/\ud800.whl"},
        "a URL longer than any": {"url": f"https://files.example/{'x' * 16_363}"},
        "a relative URL": {"url": "../../files/demo.whl"},
        "an absolute path": {"url": "/files/demo.whl"},
        "hashes that are no object": {"hashes": [SHA]},
        "no hashes": {"hashes": {}},
        "two digests": {"hashes": {"sha256": SHA, "md5": SHA[:32]}},
        "another digest": {"hashes": {"sha512": SHA * 2}},
        "a digest in capitals": {"hashes": {"sha256": SHA.upper()}},
        "a digest's name in capitals": {"hashes": {"SHA256": SHA}},
        "a short digest": {"hashes": {"sha256": SHA[1:]}},
        "a digest that is no text": {"hashes": {"sha256": 7}},
        "digests under odd names": {"hashes": {"__proto__": SHA, "toString": SHA}},
        "requires-python that is no text": {"requires-python": 3},
        "metadata with two digests": {"core-metadata": {"sha256": SHA, "md5": SHA[:32]}},
        "metadata that is a number": {"core-metadata": 0},
        "metadata that is a list": {"core-metadata": []},
        "yanked, as a number": {"yanked": 1},
        "a size below 0": {"size": -1},
        "a size that is no whole number": {"size": 1.5},
        "a size that is text": {"size": "12"},
        "a size that is a truth value": {"size": True},
    },
    # Not absolute for sure, and Python might not take it: whether the page has relative URLs is
    # for Python to say.
    "whole": {
        "another scheme": {"url": "ftp://files.example/demo.whl"},
        "a script": {"url": "javascript:alert(1)"},
        "no host": {"url": "https:///demo.whl"},
        "a long s": {"url": "http\u017f://files.example/demo.whl"},
        "another host, the same scheme": {"url": "//files.example/demo.whl"},
        "a relative URL with a query": {"url": "demo.whl?x=1"},
        "a long relative URL": {"url": "x" * 8_193},
        "no URL at all": {"url": ""},
    },
}
"""Changes to the usual entry, which make an entry that stands beside the usual one."""

_LEFT_OUT: Mapping[str, Mapping[str, object]] = {
    "a source archive": {"filename": SOURCES},
    "a wheel for Windows": {"filename": "demo-3.0-cp314-cp314-win_amd64.whl"},
    "a suffix in capitals": {"filename": "demo-3.0-py3-none-any.WHL"},
    "a signature": {"filename": f"{NAME}.asc"},
    "a line feed after the name": {"filename": f"{NAME}\n"},
    "something deep that nobody reads": {"filename": SOURCES, "url": URL, "x": [[[[[[]]]]]]},
}
"""Changes that make an entry which is left out, so that the page is of plain entries."""

_ALONE: Mapping[Lean, Mapping[str, Mapping[str, object]]] = {
    "plain": {"the usual entry": {}},
    "cut": {
        "a relative URL": {"url": "../../files/demo.whl"},
        "two digests": {"hashes": {"sha256": SHA, "md5": SHA[:32]}},
    },
    # Python might not take it, so that what else the page has would decide.
    "whole": {
        "a source archive": {"filename": SOURCES},
        "a name with a slash": {"filename": "../demo-3.0-py3-none-any.whl"},
        "a name of 256 characters": {"filename": f"{'x' * 248}-any.whl"},
        "a URL with a query": {"url": "https://files.example/demo.whl?x=1"},
        "a URL longer than any": {"url": f"https://files.example/{'x' * 16_363}"},
        "two slashes and a host": {"url": "//files.example/demo.whl"},
        "a long relative URL": {"url": "x" * 8_193},
        "hashes that are no object": {"hashes": [SHA]},
        "no hashes": {"hashes": None},
    },
}
"""Changes to the usual entry, which make an entry that is the only one."""


def _document(*files: object, **changes: object) -> dict[str, object]:
    page = {"meta": {"api-version": "1.1"}, "name": "demo", "versions": ["3.0"]}
    return {**page, "files": list(files), **changes}


def _nested(depth: int, page: object) -> bytes:
    """The page with lists in lists where it says DEEP."""
    return json.dumps(page).encode().replace(b'"DEEP"', b"[" * depth + b"]" * depth)


_USUAL = json.dumps(_document(GOOD)).encode()
_SOURCES = {**GOOD, "filename": SOURCES}
_RELATIVE = {**_SOURCES, "url": "demo.tar.gz"}
_UNSURE = {**_SOURCES, "url": "demo.tar.gz?x=1"}
_PAGES: Mapping[Lean, Mapping[str, object]] = {
    "plain": {
        "a byte order mark": b"\xef\xbb\xbf" + _USUAL,
        "a space before": b" \n" + _USUAL,
        "another spelling of a name": _USUAL.replace(b'"files"', b'"\\u0066iles"'),
        "a name twice, the last one counts": _USUAL.replace(b"{", b'{"files": 1,', 1),
        "another project": _document(GOOD, name="other"),
        "a project's name in capitals": _document(GOOD, name="DEMO"),
        "version 2": _document(GOOD, meta={"api-version": "2.0"}),
        "files beside releases": _document(GOOD, releases={}),
    },
    "cut": {
        "an entry that is a number": _document(GOOD, 7),
        "an entry that is null": _document(None, GOOD),
        "an entry that is a list": _document(GOOD, []),
        "what is left out is relative": _document(GOOD, _RELATIVE),
        "all is relative": _document({**GOOD, "url": "demo.whl"}, _RELATIVE),
    },
    "whole": {
        "what is left out may be relative": _document(GOOD, _UNSURE),
        "what is left out has two slashes": _document(GOOD, {**_SOURCES, "url": "//"}),
        "two slashes and no host, and a source archive": _document(
            {**GOOD, "url": "//~/demo.whl"}, _SOURCES
        ),
        "too long when resolved, and a source archive": _document(
            {**GOOD, "url": "x" * 16_384}, _SOURCES
        ),
        "a project's name that is no text": _document(GOOD, name=7),
        "no name": _document(GOOD, name=None),
        "no version": _document(GOOD, meta={}),
        "meta that is no object": _document(GOOD, meta="1.0"),
        "a version that is no text": _document(GOOD, meta={"api-version": 1.0}),
        "no files": _document(),
        "files that are no list": _document(files={"0": GOOD}),
        "files that are null": _document(files=None),
        "the legacy JSON API": {"info": {}, "releases": {}, "urls": []},
        "text": "demo",
        "null": None,
        "a list": [_document(GOOD)],
        "nothing": b"",
        "broken off": _USUAL[:-1],
        "something after it": _USUAL + b"]",
        "two byte order marks": b"\xef\xbb\xbf" * 2 + _USUAL,
        "not UTF-8": _USUAL.replace(b"demo", b"d\xe9mo", 1),
        "what is no number": _USUAL.replace(b"1234", b"NaN"),
        "a name too deep to be read": _nested(100_000, _document(GOOD, name="DEEP")),
        "HTML": b"<!DOCTYPE html><title>Links for demo</title>",
    },
}


def _cases() -> dict[str, tuple[object, Lean]]:
    found: dict[str, tuple[object, Lean]] = {}
    for lean, entries in _ENTRIES.items():
        for name, change in entries.items():
            found[f"beside the usual entry: {name}"] = _document(GOOD, {**GOOD, **change}), lean
    for name, change in _LEFT_OUT.items():
        found[f"left out: {name}"] = _document(GOOD, {**GOOD, **change}), "plain"
    for lean, entries in _ALONE.items():
        for name, change in entries.items():
            found[f"alone: {name}"] = _document({**GOOD, **change}), lean
    for lean, documents in _PAGES.items():
        for name, document in documents.items():
            found[name] = document, lean
    return found


CASES = tuple(
    Case(name, page if isinstance(page, bytes) else json.dumps(page).encode(), lean)
    for name, (page, lean) in _cases().items()
)
"""The common table; names are unique."""

DEEP = {
    f"{what}, {depth} deep": _nested(depth, page)
    for depth in (150, 3_000, 100_000)
    for what, page in {
        "meta": _document(GOOD, meta={"api-version": "1.1", "x": "DEEP"}),
        "a field of the page": _document(GOOD, x="DEEP"),
        "digests": _document(GOOD, {**GOOD, "hashes": {"sha256": "DEEP"}}),
        "a field of an entry": _document({**GOOD, "x": "DEEP"}),
        "an entry that is left out": _document(GOOD, {**_SOURCES, "hashes": "DEEP"}),
    }.items()
}
"""Pages that Python refuses, because its parser might overflow the stack, unless what is deep has
been cut away. They must not harm, whatever else is made of them."""
