"""Large JSON pages are rewritten while they pass: wherever the chunks end, the page is the same."""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyodide_mirror.index import PageError, parse_page
from pyodide_mirror.model import File
from tests.edge.node_worker import FILES, ORIGIN, UPSTREAM, Answer, ask, differing_splits
from tests.zoo.parts import JSON_V1

PAGE = "/simple/zoo-root/"
AT_ONCE = {"HOLD_BYTES": "1"}
"""So that whatever comes after the first chunk is rewritten in passing."""
SHA = "ab" * 32


def entry(number: int = 0, **more: Any) -> dict[str, Any]:
    filename = f"zoo_root-1.{number}-py3-none-any.whl"
    url = f"{FILES}/packages/{number}/{filename}"
    made = {"filename": filename, "url": url, "hashes": {"sha256": SHA}, "core-metadata": False}
    return made | {key.replace("_", "-"): value for key, value in more.items()}


def document(*entries: object, **more: Any) -> dict[str, Any]:
    made = {"meta": {"api-version": "1.1"}, "name": "zoo-root", "files": list(entries)}
    return made | {key.replace("_", "-"): value for key, value in more.items()}


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def files_of(body: bytes) -> tuple[File, ...]:
    return parse_page(body, JSON_V1, f"{UPSTREAM}/zoo-root/", "zoo-root").files


TRICKY = document(
    entry(0, requires_python='>=3.8 "quoted" \\ },{"url": "x"} ]}'),
    entry(1, yanked="é 日本 😀 }]", core_metadata={"sha256": SHA}),
    entry(2, _zoo=[{"a": 1}, {"b": [{"c": "]"}, {"url": "nothing/to-see.txt"}]}], size=7),
    entry(3, data_dist_info_metadata=False),
    versions=["1.0", "1.1"],
    _after=[{"one": 1}, {"two": [2, {"three": "}]"}]}],
)
LAYOUTS: dict[str, dict[str, Any]] = {
    "compact": {"separators": (",", ":")},
    "spaced": {},
    "indented": {"indent": 1},
    "unescaped": {"ensure_ascii": False},
    "sorted": {"sort_keys": True},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_wherever_a_page_is_cut_in_two_it_means_the_same(layout: str) -> None:
    page = json.dumps(TRICKY, **LAYOUTS[layout]).encode()
    differing, whole = differing_splits(PAGE, page, env=AT_ONCE)
    assert json.loads(whole)[0] == "zoo-root"
    assert len(json.loads(whole)[3]) == 4
    assert not differing


def test_a_byte_at_a_time_is_the_same_page() -> None:
    page = json.dumps(TRICKY, ensure_ascii=False).encode()
    found = ask(PAGE, chunks(page, 1), env=AT_ONCE)
    assert_same(found, page)


# --- pages of every sort ------------------------------------------------------------------------

_text = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ['},{"url":"x"}', '\\"url": "y', "]}", '{"files":[', "\\", '"', '"files": [', "},{", '\\\\"']
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=6,
)
_urls = st.sampled_from(
    [
        f"{FILES}/packages/a/x-1.0.tar.gz",
        f"{FILES}/packages/ä%20b/x-1.0.zip",
        f"{FILES}/a/x-1.0.whl?expires=9&sig=%2B",
        "../../files/x-1.0-py3-none-any.whl",
        "/files/x-1.0-py3-none-any.whl",
        "//files.example/x-1.0.egg",
        f"{FILES}/a/../x-1.0.tar.gz#fragment",
        "javascript:alert(1)",
        f"{FILES}/a/%2e%2e%2fx-1.0.tar.gz",
    ]
)
_entries = st.builds(
    lambda number, url, extra, promise: (
        extra | entry(number) | {"url": url} | ({} if promise is None else promise)
    ),
    st.integers(0, 99),
    _urls,
    st.dictionaries(_text.filter(lambda key: key not in entry()), _json, max_size=2),
    st.sampled_from(
        [
            None,
            {"core-metadata": True},
            {"core-metadata": {"sha256": SHA.upper()}},
            {"core-metadata": None, "dist-info-metadata": {"sha256": SHA}},
            {"yanked": "broken", "size": 12, "requires-python": ">=3"},
            {"hashes": {"SHA256": SHA}},
            {"hashes": 7},
        ]
    ),
)
_pages = st.builds(
    lambda entries, extra, first: (extra if first else {}) | document(*entries) | extra,
    st.lists(_entries, min_size=1, max_size=8),
    st.dictionaries(_text.filter(lambda key: key not in document()), _json, max_size=2),
    st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(
    _pages,
    st.sampled_from(list(LAYOUTS)),
    st.integers(1, 400),
    st.integers(1, 600),
    st.booleans(),
)
@example(TRICKY, "compact", 7, 1, True)
def test_what_passes_means_what_upstream_says(
    page: dict[str, Any], layout: str, size: int, hold: int, slashes: bool
) -> None:
    text = json.dumps(page, **LAYOUTS[layout])
    body = (text.replace("/", "\\/") if slashes else text).encode()  # PHP writes them so
    assert_same(ask(PAGE, chunks(body, size), env={"HOLD_BYTES": str(hold)}), body)


def assert_same(found: Answer, upstream: bytes) -> None:
    """The files are those that our own reader finds on upstream's page, at the mirror."""
    try:
        wanted = {(file.filename, mapped(file.url)): file for file in files_of(upstream)}
    except PageError:
        wanted = {}
    wanted = {key: file for key, file in wanted.items() if key[1]}
    if not wanted:
        assert found.status >= 400 or found.broken or not at_mirror(found.body), found
        return
    assert found.status == 200, found.body
    assert not found.broken
    got = at_mirror(found.body)
    assert got.keys() == wanted.keys()
    for key, file in wanted.items():
        assert got[key].hashes == file.hashes
        assert got[key].metadata == file.metadata
        assert got[key].yanked == file.yanked
        assert (got[key].size, got[key].requires_python) == (file.size, file.requires_python)


def mapped(url: str) -> str:
    """Where the worker serves a file; nothing for a path that it refuses."""
    host, _, path = url.partition("://")[2].partition("/")
    if "%2e" in path:
        return ""
    # What the URL Standard makes of a path, and Python leaves alone.
    path = path.replace("ä", "%C3%A4").replace("a/../", "")
    return f"{ORIGIN}/files/{host}/{path}"


def at_mirror(body: bytes) -> dict[tuple[str, str], File]:
    kept = [file for file in files_of(body) if file.url != f"{ORIGIN}/files/refused"]
    return {(file.filename, file.url): file for file in kept}


# --- pages that are not in order ----------------------------------------------------------------

MANY = document(*(entry(number) for number in range(60)))


SPOILED: dict[str, dict[str, Any]] = {
    "another name": MANY | {"name": "another"},
    "another version": MANY | {"meta": {"api-version": "2.0"}},
    "no version": MANY | {"meta": {}},
    "no name": {key: value for key, value in MANY.items() if key != "name"},
}


def test_a_page_of_something_else_is_never_one_of_ours() -> None:
    for (what, page), sort, size in product(SPOILED.items(), (True, False), (1 << 20, 1000)):
        body = json.dumps(page, sort_keys=sort).encode()
        found = ask(PAGE, chunks(body, size), env=AT_ONCE)
        assert found.status == 502 or found.broken, (what, sort, size)


def test_a_page_that_ends_too_early_is_never_whole() -> None:
    body = json.dumps(MANY).encode()
    for end in (*range(1, 400, 7), -1, -2, -20):
        for breaks in (True, False):
            found = ask(PAGE, chunks(body[:end], 100), breaks=breaks, env=AT_ONCE)
            assert found.status == 502 or found.broken, (end, breaks)


def test_a_page_that_breaks_off_after_its_end_is_not_whole_either() -> None:
    found = ask(PAGE, chunks(json.dumps(MANY).encode(), 1000), breaks=True, env=AT_ONCE)
    assert found.broken


def test_what_follows_the_end_spoils_a_page() -> None:
    for junk in (b"x", b"]", b"{}", b'"', b"\xff"):
        found = ask(PAGE, chunks(json.dumps(MANY).encode() + junk, 1000), env=AT_ONCE)
        assert found.broken, junk


def test_bytes_that_are_no_utf_8_spoil_a_page() -> None:
    body = json.dumps(MANY).encode().replace(b"1.50-py3", b"1.50\xff-py3")
    assert ask(PAGE, chunks(body, 1000), env=AT_ONCE).broken


def test_files_that_are_listed_elsewhere_are_refused_before_the_first_byte() -> None:
    body = json.dumps(MANY).replace("files.example", "elsewhere.example").encode()
    found = ask(PAGE, chunks(body, 1000), env=AT_ONCE)
    assert found.status == 502
    assert b"elsewhere.example, not one of the FILE_HOSTS" in found.body


def test_a_page_that_needs_care_gets_it_to_its_end() -> None:
    careless = [entry(number, hashes={"sha256": SHA.upper()}) for number in range(60)]
    found = ask(PAGE, chunks(json.dumps(document(*careless)).encode(), 700), env=AT_ONCE)
    listed = json.loads(found.body)["files"]
    assert len(listed) == 60
    assert {item["hashes"]["sha256"] for item in listed} == {SHA}


def test_false_is_never_said_of_metadata() -> None:
    both = [entry(number, data_dist_info_metadata=False) for number in range(60)]
    found = ask(PAGE, chunks(json.dumps(document(*both)).encode(), 700), env=AT_ONCE)
    for item in json.loads(found.body)["files"]:
        assert not {"core-metadata", "data-dist-info-metadata"} & item.keys()


def test_a_list_of_files_within_something_else_is_not_the_page() -> None:
    page = {"_zoo": {"files": [entry(number) for number in range(60)]}} | MANY
    found = ask(PAGE, chunks(json.dumps(page).encode(), 700), env=AT_ONCE)
    assert found.status == 502 or found.broken


# --- pages that cannot be cut -------------------------------------------------------------------

_START = json.dumps(document()).partition("]")[0]
_ONE = json.dumps(entry()) + ","
UNCUT = {
    "no files": ('{"a":[', "1,"),
    "one string": (f'{_START}"', "a"),
    "one entry": (f'{_START}{{"a":[', "1,"),
    "deep": (_START, "["),
    "one entry after others": (f'{_START}{_ONE * 600}{{"a":"', "[},{"),
    "what follows the files": (f'{_START}{_ONE}{_ONE[:-1]}],"a":[', "1,"),
    "files, in a string": ('{"a":"', '\\"files":['),
}


@pytest.mark.parametrize("what", UNCUT)
def test_a_page_that_cannot_be_cut_is_given_up_soon(what: str) -> None:
    """It would be looked at anew with each piece, or be held as a whole."""
    start, unit = UNCUT[what]
    number = 4 << 20
    body = (start + unit * (number // len(unit))).encode()
    pieces = list(chunks(body, 1 << 16))
    found = ask(PAGE, pieces)
    assert found.status == 502 or found.broken
    assert len(pieces) - found.left < len(pieces) / 3


def test_an_entry_may_be_as_long_as_an_honest_one_ever_is() -> None:
    long = [entry(0), entry(1, _long="},{" * 200_000), entry(2)]
    body = json.dumps(document(*long, versions=["1.0"] * 100_000)).encode()
    assert_same(ask(PAGE, chunks(body, 1 << 16)), body)
