"""Pyodide's lock file: what is taken from it, and what is not."""

import json
from typing import Any

import pytest

from pyodide_mirror.server.releases.pyodide_lock import MAX_LOCK_BYTES, read_lock

DIGEST = "0123456789abcdef" * 4


def lock(**files: Any) -> bytes:
    """A lock file with these entries."""
    return json.dumps({"info": {}, "packages": files}).encode()


def entry(name: Any, digest: Any = DIGEST) -> dict[str, Any]:
    return {"file_name": name, "sha256": digest}


def test_files_are_known_by_their_plain_names() -> None:
    found = read_lock(lock(a=entry("a-1.0-py3-none-any.whl", DIGEST.upper()), b=entry("b.zip")))
    assert dict(found.files) == {"a-1.0-py3-none-any.whl": DIGEST, "b.zip": DIGEST}


@pytest.mark.parametrize(
    "bad",
    [
        entry("https://a.example/a.whl"),
        entry("../a.whl"),
        entry("sub/a.whl"),
        entry("sub\\a.whl"),
        entry("a.whl?x"),
        entry("a\n.whl"),
        entry(".a.whl"),
        entry(".."),
        entry(""),
        entry("a" * 300),
        entry(["a.whl"]),
        entry("a.whl", ""),
        entry("a.whl", DIGEST[1:]),
        entry("a.whl", None),
        {"file_name": "a.whl"},
        "a.whl",
        None,
    ],
    ids=repr,
)
def test_other_entries_are_left_out(bad: Any) -> None:
    assert dict(read_lock(lock(a=bad, b=entry("b.zip"))).files) == {"b.zip": DIGEST}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"packages": []}',
        b'{"packages": null}',
        b"\xff\xfe",
        b"[" * 100_000,
        b" " * (MAX_LOCK_BYTES + 1),
    ],
    ids=lambda content: repr(content[:20]),
)
def test_what_is_no_lock_file_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"is no lock file of Pyodide|has more than"):
        read_lock(content)


def test_a_small_file_is_one_that_is_known_to_be_small() -> None:
    large, small = (
        "numpy-2.0-cp314-cp314-pyemscripten_2026_0_wasm32.whl",
        "six-1.17-py2.py3-none-any.whl",
    )
    assert read_lock(lock(a=entry(large), b=entry(small))).small_file == small
    assert read_lock(lock(a=entry(large))).small_file is None
