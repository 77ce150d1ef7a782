"""Pages as bytes: exact JSON, escaped HTML, both packed where that is worth it."""

import asyncio
import gzip
import json
import threading
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from pyodide_mirror.index import parse_page
from pyodide_mirror.model import File, ProjectPage
from pyodide_mirror.server.answers import pages
from pyodide_mirror.server.answers.pages import Rendered, Rendering, project_list
from pyodide_mirror.server.web.content_negotiation import MediaType

BASE = "https://mirror.example/below"
A, B = "a" * 64, "b" * 64
HOSTILE = '"><script>alert(1)</script>&amp;'
FULL = File(
    filename="x_y-1.0+local-py3-none-any.whl",
    url="https://files.example/secret/place.whl?token=1",
    hashes={"md5": "c" * 32, "sha256": A},
    requires_python=">=3.8, <4",
    metadata={"sha256": B},
    yanked=HOSTILE,
    size=7,
    upload_time="2020-01-01T00:00:00.000000Z",
)
BARE = File(filename="x-y-0.9.tar.gz", url="https://files.example/bare", hashes={})
PAGE = ProjectPage(name="x-y", files=(BARE, FULL), versions=("0.9", "1.0+local"))


async def rendered(page: ProjectPage, media_type: MediaType) -> Rendered:
    return await Rendering().page(page, media_type, BASE)


class Anchors(HTMLParser):
    """What a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: list[dict[str, str | None]] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "a":
            self.anchors.append(dict(attrs))


# --- JSON ---------------------------------------------------------------------------------------


async def test_json_is_exact() -> None:
    found = await rendered(PAGE, MediaType.JSON)
    assert json.loads(found.body) == {
        "meta": {"api-version": "1.0"},
        "name": "x-y",
        "versions": ["0.9", "1.0+local"],
        "files": [
            {
                "filename": "x-y-0.9.tar.gz",
                "url": f"{BASE}/files/unverified/x-y/x-y-0.9.tar.gz",
                "hashes": {},
                "yanked": False,
            },
            {
                "filename": FULL.filename,
                "url": f"{BASE}/files/{A[:16]}/x-y/x_y-1.0%2Blocal-py3-none-any.whl",
                "hashes": {"md5": "c" * 32, "sha256": A},
                "yanked": HOSTILE,
                "core-metadata": {"sha256": B},
                "requires-python": ">=3.8, <4",
                "size": 7,
                "upload-time": "2020-01-01T00:00:00.000000Z",
            },
        ],
    }


async def test_version_1_1_is_said_only_where_all_sizes_are_known() -> None:
    complete = replace(PAGE, files=(FULL,))
    found = json.loads((await rendered(complete, MediaType.JSON)).body)
    assert found["meta"] == {"api-version": "1.1"}


async def test_promised_metadata_is_promised() -> None:
    cases: list[tuple[dict[str, str], object]] = [({}, True), ({"sha256": B}, {"sha256": B})]
    for metadata, shown in cases:
        page = replace(PAGE, files=(replace(FULL, metadata=metadata),))
        [file] = json.loads((await rendered(page, MediaType.JSON)).body)["files"]
        assert file["core-metadata"] == shown, metadata


# --- HTML ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", [MediaType.HTML, MediaType.PLAIN_HTML])
async def test_html_says_the_same(media_type: MediaType) -> None:
    found = await rendered(PAGE, media_type)
    read = parse_page(found.body, media_type.content_type, f"{BASE}/simple/x-y/", "x-y")
    assert [file.filename for file in read.files] == [BARE.filename, FULL.filename]
    bare, full = read.files
    assert full.url == f"{BASE}/files/{A[:16]}/x-y/x_y-1.0%2Blocal-py3-none-any.whl"
    assert full.hashes == {"sha256": A}, "there is room for one"
    assert full.requires_python == FULL.requires_python
    assert full.metadata == {"sha256": B}
    assert full.yanked == HOSTILE
    assert bare.hashes == {}
    assert bare.metadata is None
    assert bare.yanked is False


@pytest.mark.parametrize("reason", ["", HOSTILE])
async def test_the_projects_status_is_in_both_forms(reason: str) -> None:
    told = replace(PAGE, status="archived", status_reason=reason)
    for media_type in MediaType:
        found = await rendered(told, media_type)
        read = parse_page(found.body, media_type.content_type, f"{BASE}/simple/x-y/", "x-y")
        assert (read.status, read.status_reason) == ("archived", reason)
    assert b'<meta name="pypi:repository-version" content="1.4">' in found.body
    assert Anchors(found.body.decode()).tags.count("script") == 0


async def test_all_that_strangers_write_is_escaped_in_html() -> None:
    page = replace(
        PAGE, files=(replace(FULL, requires_python=f">=3{HOSTILE}", filename=f"x{HOSTILE}.whl"),)
    )
    found = Anchors((await rendered(page, MediaType.HTML)).body.decode())
    assert "script" not in found.tags
    [anchor] = found.anchors
    assert anchor["data-requires-python"] == f">=3{HOSTILE}"
    assert anchor["data-yanked"] == HOSTILE


async def anchor_of(file: File) -> dict[str, str | None]:
    """The only link of a page with this file."""
    found = await rendered(replace(PAGE, files=(file,)), MediaType.HTML)
    [anchor] = Anchors(found.body.decode()).anchors
    return anchor


async def test_a_yanked_file_is_marked_with_its_reason() -> None:
    cases: list[tuple[str | bool, str | None]] = [
        (False, None),
        (True, ""),
        ("", ""),
        ("broken", "broken"),
    ]
    for yanked, shown in cases:
        anchor = await anchor_of(replace(FULL, yanked=yanked))
        assert anchor.get("data-yanked") == shown, yanked


async def test_a_digest_stands_in_the_fragment() -> None:
    for hashes, fragment in (
        ({"sha256": A}, f"sha256={A}"),
        ({"md5": "c" * 32, "sha512": "d" * 128}, f"md5={'c' * 32}"),
    ):
        anchor = await anchor_of(replace(FULL, hashes=hashes))
        assert str(anchor["href"]).partition("#")[2] == fragment, hashes


async def test_metadata_is_promised_in_an_attribute() -> None:
    cases: list[tuple[dict[str, str] | None, str | None]] = [(None, None), ({}, "true")]
    for metadata, shown in cases:
        anchor = await anchor_of(replace(FULL, metadata=metadata))
        assert anchor.get("data-core-metadata") == shown, metadata


# --- the list of projects -----------------------------------------------------------------------


def test_the_list_of_projects_is_exact_json() -> None:
    assert json.loads(project_list(["a", "b-c"], MediaType.JSON).body) == {
        "meta": {"api-version": "1.0"},
        "projects": [{"name": "a"}, {"name": "b-c"}],
    }


@pytest.mark.parametrize("media_type", [MediaType.HTML, MediaType.PLAIN_HTML])
def test_the_list_of_projects_links_to_their_pages(media_type: MediaType) -> None:
    anchors = Anchors(project_list(["a", "b-c"], media_type).body.decode()).anchors
    assert [anchor["href"] for anchor in anchors] == ["a/", "b-c/"]


def test_no_projects_is_a_list_too() -> None:
    assert json.loads(project_list([], MediaType.JSON).body)["projects"] == []
    assert b"</html>" in project_list([], MediaType.HTML).body


# --- packing, and what is kept ------------------------------------------------------------------


def test_what_is_packed_is_the_same() -> None:
    body = b"x" * 10_000
    found = Rendered.of(body)
    assert gzip.decompress(found.packed) == found.body == body
    assert len(found.packed) < 100


def test_what_is_small_is_not_packed() -> None:
    assert Rendered.of(b"x" * 999).packed == b""


def test_the_etag_is_of_the_content() -> None:
    assert Rendered.of(b"x").etag == Rendered.of(b"x").etag != Rendered.of(b"y").etag
    assert len(Rendered.of(b"x").etag) == 32


async def test_a_page_is_made_once_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    to_json = pages.to_json

    def counted(page: ProjectPage) -> bytes:
        made.append(threading.get_ident())
        return to_json(page)

    monkeypatch.setattr(pages, "to_json", counted)
    rendering = Rendering()
    asked = [rendering.page(PAGE, MediaType.JSON, BASE) for _ in range(50)]
    found = await asyncio.gather(*asked)
    assert all(each is found[0] for each in found)
    assert await rendering.page(PAGE, MediaType.JSON, BASE) is found[0]
    assert len(made) == 1
    assert made[0] != threading.get_ident(), "the loop goes on meanwhile"


@pytest.mark.parametrize("media_type", [MediaType.JSON, MediaType.HTML])
async def test_a_page_is_made_once_for_all_addresses(
    monkeypatch: pytest.MonkeyPatch, media_type: MediaType
) -> None:
    """Anybody may ask under many host names."""
    rendering = Rendering()
    await rendering.page(PAGE, media_type, BASE)
    with monkeypatch.context() as patched:
        patched.delattr(pages, "_local")
        bases = [f"http://10.0.0.{n}:8080/a&b" for n in range(50)]
        found = {base: await rendering.page(PAGE, media_type, base) for base in bases}
    for base, made in found.items():
        assert made == await Rendering().page(PAGE, media_type, base)
        read = parse_page(made.body, media_type.content_type, "https://elsewhere.example/", "x-y")
        assert {file.url.partition("/files/")[0] for file in read.files} == {base}


async def test_an_address_in_a_text_stays_as_it_is() -> None:
    rendering = Rendering()
    page = replace(PAGE, files=(replace(FULL, yanked=f"see {BASE}"),))
    await rendering.page(page, MediaType.JSON, BASE)
    made = await rendering.page(page, MediaType.JSON, "http://other.example")
    assert json.loads(made.body)["files"][0]["yanked"] == f"see {BASE}"


async def test_many_addresses_push_out_no_other_page() -> None:
    one = await rendered(PAGE, MediaType.JSON)
    rendering = Rendering(30 * len(one.body))
    other = await rendering.page(replace(PAGE, name="other"), MediaType.JSON, BASE)
    for n in range(100):
        await rendering.page(PAGE, MediaType.JSON, f"http://10.0.0.{n}")
    assert await rendering.page(replace(PAGE, name="other"), MediaType.JSON, BASE) is other


async def test_nobody_waits_for_another_page(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_end = threading.Event(), threading.Event()
    to_json = pages.to_json

    def slow(page: ProjectPage) -> bytes:
        if page.name == "slow":
            begun.set()
            may_end.wait()
        return to_json(page)

    monkeypatch.setattr(pages, "to_json", slow)
    rendering = Rendering()
    waiting = [
        asyncio.ensure_future(rendering.page(replace(PAGE, name="slow"), MediaType.JSON, base))
        for base in ("http://a", "http://b", "http://c")
    ]
    try:
        async with asyncio.timeout(30):
            await asyncio.to_thread(begun.wait)
            assert (await rendering.page(PAGE, MediaType.JSON, BASE)).body
    finally:
        may_end.set()
        await asyncio.gather(*waiting)


async def test_a_page_that_changed_is_made_anew() -> None:
    rendering = Rendering()
    before = await rendering.page(PAGE, MediaType.JSON, BASE)
    changed = replace(PAGE, files=(FULL,))
    assert (await rendering.page(changed, MediaType.JSON, BASE)).body != before.body
    assert (await rendering.page(PAGE, MediaType.JSON, BASE)).body == before.body


async def test_an_equal_page_is_not_made_anew_and_compared_in_full_only_once() -> None:
    rendering = Rendering()
    first = await rendering.page(PAGE, MediaType.JSON, BASE)
    equal = replace(PAGE, files=tuple(replace(file) for file in PAGE.files))
    compared: list[object] = []

    class Noted(tuple[File, ...]):
        __slots__ = ()
        __hash__ = tuple.__hash__

        def __eq__(self, other: object) -> bool:
            compared.append(other)
            return tuple.__eq__(self, other) is True

    equal = replace(equal, files=Noted(equal.files))
    for _ in range(3):
        assert await rendering.page(equal, MediaType.JSON, BASE) is first
    assert len(compared) == 1, "after that it is the same object"


async def test_each_form_and_each_address_has_its_own() -> None:
    rendering = Rendering()
    bodies = {
        (await rendering.page(PAGE, media_type, base)).body
        for media_type in (MediaType.JSON, MediaType.HTML)
        for base in (BASE, "http://other.example")
    }
    assert len(bodies) == 4


async def test_what_is_kept_is_bounded_and_the_least_recently_used_leaves() -> None:
    one = await rendered(PAGE, MediaType.JSON)
    # Each is there twice: for its address, and for any.
    rendering = Rendering(3 * (2 * len(one.body) + len(one.packed)) + 100)

    async def made(letter: str) -> Rendered:
        return await rendering.page(replace(PAGE, name=f"{letter}-y"), MediaType.JSON, BASE)

    first = {letter: await made(letter) for letter in "abc"}
    assert await made("a") is first["a"]
    later = {letter: await made(letter) for letter in "def"}
    assert await made("f") is later["f"]
    assert await made("e") is later["e"]
    assert await made("d") is later["d"]
    assert await made("a") is not first["a"]
    assert await made("d") is later["d"]
    for letter in "bca":
        await made(letter)
    assert await made("f") is not later["f"], "it was used least recently"


async def test_a_page_larger_than_the_bound_is_served_and_kept_alone() -> None:
    rendering = Rendering(1)
    found = await rendering.page(PAGE, MediaType.JSON, BASE)
    assert json.loads(found.body)["name"] == "x-y"
    assert await rendering.page(PAGE, MediaType.JSON, BASE) is found
    await rendering.page(PAGE, MediaType.HTML, BASE)
    assert await rendering.page(PAGE, MediaType.JSON, BASE) is not found
