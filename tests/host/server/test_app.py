"""The routes, request by request: pages, files, errors, and what every answer has."""

import asyncio
import errno
import gc
import gzip
import hashlib
import itertools
import json
import os
import re
from collections.abc import AsyncIterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from aiohttp import web

from pyodide_mirror import CDNS, __version__
from pyodide_mirror.own_wheels import page_wheel, page_wheels, whole_wheel
from pyodide_mirror.server import create_app
from pyodide_mirror.server.answers.files import media_type
from pyodide_mirror.server.cache.download import Downloads
from pyodide_mirror.server.repository import Repository
from pyodide_mirror.server.source import Stored
from tests.support.asgi import (
    ASGI,
    JSON_TYPE,
    WHEEL,
    Answer,
    Index,
    Origin,
    ask,
    check_readable,
    document,
    entry,
    origin,
    shut,
)
from tests.support.wheels import make_sdist, make_wheel

DATA = WHEEL.data
LOCAL = make_wheel("local-only", "1.0", requires_python=">=3.8")
LOCAL_SDIST = make_sdist("local-only", "1.0")
BASE = "http://mirror.localhost"


@dataclass
class World:
    """A server over a folder and an index."""

    app: ASGI
    index: Index
    origin: Origin

    async def get(
        self, target: str, headers: dict[str, str] | None = None, **options: Any
    ) -> Answer:
        """Ask the server."""
        return await ask(self.app, target, headers, **options)

    async def json(self, target: str, **options: Any) -> Any:
        """What a JSON page says."""
        answer = await self.get(target, **options)
        assert answer.status == 200, answer.text
        return json.loads(answer.body)

    async def file_path(self, project: str = "x") -> str:
        """Where the first wheel of a project is."""
        url: str = (await self.json(f"/simple/{project}/"))["files"][0]["url"]
        return url.removeprefix(BASE)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    folder = tmp_path / "wheels"
    folder.mkdir()
    for dist in (LOCAL, LOCAL_SDIST):
        (folder / dist.filename).write_bytes(dist.data)
    index = Index()
    index.page(document(entry(size=len(DATA))))
    index.file(WHEEL.filename, DATA)
    async with origin(index) as running:
        app: Any = create_app(
            folder, upstreams=[f"{running.url}/simple"], cache=tmp_path / "cache", timeout=30
        )
        yield World(app, index, running)
        await shut(app)


# --- pages --------------------------------------------------------------------------------------


async def test_a_page_of_an_upstream_points_at_this_server(world: World) -> None:
    answer = await world.get("/simple/x/")
    assert answer.headers["content-type"] == JSON_TYPE
    page = json.loads(answer.body)
    assert page["meta"] == {"api-version": "1.1"}
    assert (page["name"], page["versions"]) == ("x", ["1.0"])
    [file] = page["files"]
    assert file["url"] == f"{BASE}/files/{WHEEL.sha256[:16]}/x/{WHEEL.filename}"
    assert file["core-metadata"] is True


async def test_a_page_of_the_folder_is_never_taken_from_a_cache(world: World) -> None:
    answer = await world.get("/simple/local-only/")
    assert answer.headers["cache-control"] == "no-cache"
    assert [file["filename"] for file in json.loads(answer.body)["files"]] == [
        LOCAL.filename,
        LOCAL_SDIST.filename,
    ]
    assert world.origin.requests == []


async def test_the_old_address_is_an_alias(world: World) -> None:
    """And micropip adds a second slash to an index URL that ends in one."""
    for prefix in ("/simple", "/pypi/simple", "/simple/", "/pypi/simple/"):
        assert (await world.json(f"{prefix}/x/"))["name"] == "x", prefix


async def test_what_is_not_the_url_of_a_page_is_redirected_to_it(world: World) -> None:
    for path, to in [
        ("/simple/X/", "/simple/x/"),
        ("/simple/My_Project.x/", "/simple/my-project-x/"),
        ("/simple/x", "/simple/x/"),
        ("/simple/X", "/simple/x/"),
        ("/pypi/simple/X", "/pypi/simple/x/"),
        ("/pypi/simple/X/", "/pypi/simple/x/"),
        ("/simple", "/simple/"),
        ("/pypi/simple", "/pypi/simple/"),
        ("/simple/X?format=text/html&a=%2F", "/simple/x/?format=text/html&a=%2F"),
    ]:
        answer = await world.get(path)
        assert (answer.status, answer.headers["location"]) == (301, BASE + to), path
        check_readable(answer)
    assert world.origin.requests == []


async def test_no_path_may_have_a_line_feed_behind_it(world: World) -> None:
    for path in ("/", "/healthz", "/simple/", "/simple/x/", "/pypi/simple/"):
        assert (await world.get(f"{path}\n")).status == 404, path
    assert world.origin.requests == []


async def test_a_file_of_an_html_page_is_called_as_its_link_says(world: World) -> None:
    local = make_wheel("x", "1.0+cpu")
    encoded = local.filename.replace("+", "%2B")
    for wheel, name, text in (
        (local, encoded, encoded),
        (WHEEL, WHEEL.filename, f"cpu/{WHEEL.filename}"),
    ):
        world.index.file(wheel.filename, wheel.data)
        link = f'<a href="/files/{name}#sha256={wheel.sha256}">{text}</a>'
        world.index.page(link.encode(), "text/html")
        app: Any = create_app(upstreams=[f"{world.origin.url}/simple"], timeout=30)
        [file] = json.loads((await ask(app, "/simple/x/")).body)["files"]
        assert file["filename"] == wheel.filename
        assert (await ask(app, unquote(file["url"].removeprefix(BASE)))).body == wheel.data
        await shut(app)


async def test_the_list_names_what_is_here_and_what_was_asked_for(world: World) -> None:
    found = await world.json("/simple/")
    assert found["projects"] == [{"name": "local-only"}, {"name": "pyodide-mirror"}]
    await world.get("/simple/x/")
    found = await world.json("/pypi/simple/")
    assert [each["name"] for each in found["projects"]] == ["local-only", "pyodide-mirror", "x"]


@pytest.mark.parametrize("path", ["/simple/", "/simple/x/"])
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (f"{JSON_TYPE}, */*;q=0.01", JSON_TYPE),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/vnd.pypi.simple.v1+html", "application/vnd.pypi.simple.v1+html"),
        ("application/json", JSON_TYPE),
    ],
)
async def test_pages_come_in_the_form_that_is_asked_for(
    world: World, path: str, accept: str, kind: str
) -> None:
    answer = await world.get(path, {"accept": accept})
    assert (answer.status, answer.headers["content-type"]) == (200, kind)
    assert "Accept" in answer.headers["vary"]
    assert answer.body.startswith(b"{" if "json" in kind else b"<!DOCTYPE html>")


@pytest.mark.parametrize("path", ["/simple/", "/simple/x/"])
async def test_a_form_that_there_is_not_is_406(world: World, path: str) -> None:
    for target, headers in ((path, {"accept": "image/png"}), (f"{path}?format=xml", {})):
        answer = await world.get(target, headers)
        assert answer.status == 406
        assert JSON_TYPE in answer.text
        assert answer.headers["vary"] == "Accept"
        assert answer.headers["cache-control"] == "no-store"
        check_readable(answer)


@pytest.mark.parametrize(
    "written", [f"format={JSON_TYPE}", "format=application/vnd.pypi.simple.v1%2Bjson"]
)
async def test_the_query_chooses_the_form(world: World, written: str) -> None:
    answer = await world.get(f"/simple/x/?{written}&other=1", {"accept": "text/html"})
    assert answer.headers["content-type"] == JSON_TYPE


@pytest.mark.parametrize("path", ["/simple/", "/simple/x/", "/simple/local-only/"])
async def test_a_copy_that_is_still_right_is_304(world: World, path: str) -> None:
    first = await world.get(path)
    etag = first.headers["etag"]
    for sent in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = await world.get(path, {"if-none-match": sent})
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["etag"] == etag
        assert answer.headers["cache-control"] == first.headers["cache-control"]
        assert answer.headers["vary"] == first.headers["vary"]
        check_readable(answer)
    assert (await world.get(path, {"if-none-match": '"other"'})).status == 200
    html = await world.get(path, {"if-none-match": etag, "accept": "text/html"})
    assert html.status == 200, "another form has another ETag"


async def test_a_large_page_is_packed_for_who_unpacks(world: World) -> None:
    wheels = [make_wheel("x", f"1.{n}") for n in range(10)]
    world.index.page(document(*map(entry, wheels)))
    plain = await world.get("/simple/x/")
    for accepted, packed in [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("br", False),
        ("identity", False),
        ("", False),
    ]:
        answer = await world.get("/simple/x/", {"accept-encoding": accepted})
        assert (answer.headers.get("content-encoding") == "gzip") is packed, accepted
        assert (gzip.decompress(answer.body) if packed else answer.body) == plain.body, accepted
        assert "Accept-Encoding" in answer.headers["vary"], accepted
        assert (answer.headers["etag"] != plain.headers["etag"]) is packed, accepted
        assert answer.headers["content-length"] == str(len(answer.body)), accepted


# --- where this is ------------------------------------------------------------------------------


async def test_urls_begin_as_the_client_sees_the_server(world: World) -> None:
    for headers, scheme, begin in (
        ({"host": "10.0.0.1:8080"}, "http", "http://10.0.0.1:8080/files/"),
        ({"host": "[::1]:8080"}, "http", "http://[::1]:8080/files/"),
        ({"host": "mirror.localhost"}, "https", "https://mirror.localhost/files/"),
    ):
        answer = await world.get("/simple/x/", headers, scheme=scheme)
        assert json.loads(answer.body)["files"][0]["url"].startswith(begin)


ANSWERED = (
    *("localhost", "localhost:8080", "LOCALHOST.", "mirror.localhost", "127.0.0.1:1", "127.1"),
    *("10.0.0.1:8080", "8.8.8.8", "[::1]:8080", "[2001:db8::7]"),
)
"""Loopback names and IP addresses: nobody can let these point elsewhere."""
NAMED = ("packages.example", "PACKAGES.example.:8443", "lab", "cdn.example:8080")
REBOUND = ("attacker.example", "attacker.example:8080", "localhost.attacker.example", "lab.example")
NO_HOST = (
    *("evil.example/path", "localhost/", "a b", 'x"><script>', "user@localhost", "localhost:99999"),
    *("\\evil", "", ":80", "[::1", "[localhost]", "localhost,attacker.example", "localhost#", "ä"),
)


async def test_it_answers_to_its_own_names_only(tmp_path: Path) -> None:
    app: Any = create_app(
        upstreams=[],
        cache=tmp_path,
        allow_hosts=["packages.example", "Lab"],
        public_url="https://cdn.example/index",
    )
    paths = ("/", "/healthz", "/simple/", "/simple/X", "/simple/pyodide-mirror/", "/nothing")
    for path, method in itertools.product(paths, ("GET", "HEAD", "OPTIONS", "POST")):
        usual = await ask(app, path, method=method)
        assert usual.status not in {400, 421}
        for hosts, status in ((ANSWERED + NAMED, usual.status), (REBOUND, 421), (NO_HOST, 400)):
            for host in hosts:
                answer = await ask(app, path, {"host": host}, method=method)
                assert answer.status == status, (method, path, host)
                check_readable(answer)
                if status != usual.status:
                    assert answer.headers["cache-control"] == "no-store"
                    assert "location" not in answer.headers
    refused = (await ask(app, "/", {"host": "attacker.example:8080"})).text
    assert refused == (
        "421: This server was not told that attacker.example is a name of its own; if it is, start"
        " the server with --allow-host attacker.example (create_app: allow_hosts).\n"
    )
    await shut(app)


async def test_a_star_allows_any_host_but_nothing_that_is_none(tmp_path: Path) -> None:
    app: Any = create_app(upstreams=[], cache=tmp_path, allow_hosts=["*"])
    assert (await ask(app, "/simple/", {"host": "any.example"})).status == 200
    assert (await ask(app, "/simple/", {"host": "evil.example/path"})).status == 400
    await shut(app)


async def test_a_request_has_one_host(world: World) -> None:
    """RFC 9112, section 3.2; before HTTP/1.1 there need not be one."""

    async def status(version: str, *hosts: bytes) -> int:
        def change(scope: MutableMapping[str, Any]) -> None:
            scope["headers"] = [(b"host", host) for host in hosts]
            scope["http_version"] = version

        return (await world.get("/simple/local-only/", change=change)).status

    for version, without in (("1.0", 200), ("1.1", 400), ("2", 400)):
        assert await status(version) == without
        assert await status(version, b"localhost") == 200
        assert await status(version, b"localhost", b"localhost") == 400
        assert await status(version, b"localhost", b"attacker.example") == 400


async def test_below_a_prefix_all_urls_have_it(world: World) -> None:
    below: dict[str, Any] = {"root_path": "/some/where"}
    [file] = (await world.json("/simple/x/", **below))["files"]
    assert file["url"].startswith(f"{BASE}/some/where/files/")
    path = file["url"].removeprefix(f"{BASE}/some/where")
    assert (await world.get(path, **below)).body == DATA
    assert (await world.get(f"{path}.metadata", **below)).body == WHEEL.metadata
    for target, to in (("/simple/X", "/simple/x/"), ("/pypi/simple/X/", "/pypi/simple/x/")):
        moved = await world.get(target, **below)
        assert moved.headers["location"] == f"{BASE}/some/where{to}"
    assert f"{BASE}/some/where/simple/" in (await world.get("/", **below)).text


async def test_below_a_prefix_that_looks_like_an_alias_all_is_well(world: World) -> None:
    for below in ("/pypi", "/simple", "/pypi/simple"):
        moved = await world.get("/simple/X/", root_path=below)
        assert moved.headers["location"] == f"{BASE}{below}/simple/x/"
        [file] = (await world.json("/pypi/simple/x/", root_path=below))["files"]
        assert file["url"].startswith(f"{BASE}{below}/files/")


async def test_a_public_url_is_where_all_urls_begin(tmp_path: Path) -> None:
    app: Any = create_app(
        upstreams=[], cache=tmp_path, public_url="https://cdn.example/index/simple/"
    )
    answer = await ask(app, "/simple/pyodide-mirror/", {"host": "10.0.0.1"})
    for file in json.loads(answer.body)["files"]:
        assert file["url"].startswith("https://cdn.example/index/files/")
    moved = await ask(app, "/simple/X")
    assert moved.headers["location"] == "https://cdn.example/index/simple/x/"
    assert "https://cdn.example/index/simple/" in (await ask(app, "/")).text
    await shut(app)


# --- files --------------------------------------------------------------------------------------


@pytest.fixture(params=["upstream, cold", "upstream, warm", "folder"])
async def at(request: pytest.FixtureRequest, world: World) -> str:
    """The path of a file that is fetched now, was fetched before, or lies in the folder."""
    path = await world.file_path("local-only" if request.param == "folder" else "x")
    if request.param == "upstream, warm":
        assert (await world.get(path)).body == DATA
    return path


def data_at(path: str) -> bytes:
    return LOCAL.data if "local_only" in path else DATA


async def test_a_file_is_what_it_should_be(world: World, at: str) -> None:
    answer = await world.get(at)
    data = data_at(at)
    assert (answer.status, answer.complete) == (200, True)
    assert answer.body == data
    assert answer.headers["content-length"] == str(len(data))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    assert "content-encoding" not in answer.headers
    check_readable(answer)


async def test_a_file_of_an_upstream_keeps_for_ever_and_one_of_the_folder_does_not(
    world: World, at: str
) -> None:
    lasting = "public, max-age=31536000, immutable"
    expected = "no-cache" if "local" in at else lasting
    assert (await world.get(at)).headers["cache-control"] == expected


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=10-19", 10, 19),
        ("bytes=-20", -20, -1),
        ("bytes=100-", 100, -1),
        ("bytes=0-99999999", 0, -1),
        ("bytes=-99999999", 0, -1),
    ],
)
async def test_a_part_is_206(world: World, at: str, wanted: str, first: int, last: int) -> None:
    data = data_at(at)
    answer = await world.get(at, {"range": wanted})
    size = len(data)
    first, last = first % size, last % size
    assert answer.status == 206
    assert answer.body == data[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{size}"
    assert answer.headers["content-length"] == str(last - first + 1)
    check_readable(answer)


@pytest.mark.parametrize("wanted", ["bytes=99999999-", "bytes=99999999-100000000"])
async def test_a_part_behind_the_end_is_416(world: World, at: str, wanted: str) -> None:
    answer = await world.get(at, {"range": wanted})
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(data_at(at))}"
    check_readable(answer)


@pytest.mark.parametrize(
    "wanted",
    [
        "rows=0-1",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-2",
        "bytes=1-2-3",
        "bytes=0-1,x",
        "0-5",
        "bytes 0-5",
    ],
)
async def test_what_is_no_range_is_ignored(world: World, at: str, wanted: str) -> None:
    answer = await world.get(at, {"range": wanted})
    assert answer.status == 200
    assert answer.body == data_at(at)


async def test_if_range_gives_the_part_only_of_the_same_file(world: World, at: str) -> None:
    etag = f'"{hashlib.sha256(data_at(at)).hexdigest()}"'
    for condition, status in ((etag, 206), ('"other"', 200), (f"W/{etag}", 200)):
        answer = await world.get(at, {"range": "bytes=0-9", "if-range": condition})
        assert answer.status == status, condition


async def test_a_stored_file_that_was_just_removed_is_fetched_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await world.file_path("x")
    assert (await world.get(path)).body == DATA
    find = Downloads.stored

    async def stored(self: Downloads, key: str, sha256: str) -> Path | None:
        found = await find(self, key, sha256)
        if found is not None:
            found.unlink()
        return found

    monkeypatch.setattr(Downloads, "stored", stored)
    assert (await world.get(path)).body == DATA


async def test_a_file_of_the_folder_that_was_just_removed_is_404(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = await world.file_path("local-only")

    async def blob(*_: object) -> Stored:
        return Stored(tmp_path / "gone.whl")

    monkeypatch.setattr(Repository, "blob", blob)
    answer = await world.get(path)
    assert answer.status == 404
    assert answer.text.endswith("whl has just been removed.\n")


async def test_head_tells_of_a_file(world: World, at: str) -> None:
    answer = await world.get(at, method="HEAD")
    assert answer.status == 200
    assert answer.body == b""
    assert answer.headers["content-length"] == str(len(data_at(at)))
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/simple/", "/simple/x/", "/nothing", "/simple/X"]
)
async def test_head_is_answered_as_get_is_without_its_body(world: World, path: str) -> None:
    """RFC 9110, section 9.3.2; uvicorn sees to it by itself, WSGI servers do not."""
    get, head = await world.get(path), await world.get(path, method="HEAD")
    assert (head.status, head.headers) == (get.status, get.headers)
    assert (head.body, head.complete) == (b"", True)


async def test_a_known_file_is_304(world: World, at: str) -> None:
    etag = f'"{hashlib.sha256(data_at(at)).hexdigest()}"'
    answer = await world.get(at, {"if-none-match": etag})
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["etag"] == etag
    check_readable(answer)


async def test_metadata_is_there_for_every_wheel(world: World, at: str) -> None:
    answer = await world.get(f"{at}.metadata")
    expected = LOCAL.metadata if "local" in at else WHEEL.metadata
    assert (answer.status, answer.body) == (200, expected)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    again = await world.get(f"{at}.metadata", {"if-none-match": answer.headers["etag"]})
    assert again.status == 304
    check_readable(answer)


async def test_an_sdist_has_no_metadata(world: World) -> None:
    files = (await world.json("/simple/local-only/"))["files"]
    path = files[1]["url"].removeprefix(BASE)
    assert (await world.get(path)).body == LOCAL_SDIST.data
    answer = await world.get(f"{path}.metadata")
    assert (answer.status, answer.text) == (404, "404: Only wheels have metadata here.\n")


@pytest.mark.parametrize(
    "path",
    [
        "/files/0000000000000000/x/{name}",
        "/files/unverified/x/{name}",
        "/files/{tag}/y/{name}",
        "/files/{tag}/x/other-1.0-py3-none-any.whl",
        "/files/{tag}/x/",
        "/files/{tag}/x/{name}/",
        "/files/{tag}/x/{name}.metadata.metadata",
        "/files/{tag}/x/.metadata",
        "/files/{tag}/../{name}",
        "/files/x/{name}",
        "/files/{name}",
        "/files/",
        "/files/https://evil.example/x.whl",
    ],
)
async def test_only_files_of_pages_are_there(world: World, path: str) -> None:
    await world.get("/simple/x/")
    answer = await world.get(path.format(tag=WHEEL.sha256[:16], name=WHEEL.filename))
    assert answer.status == 404
    assert answer.headers["cache-control"] == "no-store"
    whole = [each for each in world.origin.requests if "range" not in each.headers]
    assert WHEEL.filename not in " ".join(request.path for request in whole)
    check_readable(answer)


async def test_a_file_of_any_spelling_of_its_project_is_the_same(world: World) -> None:
    path = (await world.file_path()).replace("/x/", "/X/")
    assert (await world.get(path)).body == DATA


async def test_what_is_cut_off_is_never_completed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def cut(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"content-length": str(len(DATA))})
        await answer.prepare(request)
        await answer.write(DATA[:100])
        if request.transport is not None:
            request.transport.close()
        return answer

    world.index.answers[f"/files/{WHEEL.filename}"] = cut
    answer = await world.get(await world.file_path())
    assert not (answer.status == 200 and answer.complete)
    assert len(answer.body) < len(DATA)
    assert [record for record in caplog.records if record.exc_info] == []


async def test_a_file_without_a_length_comes_without_one_and_whole(world: World) -> None:
    async def chunked(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        await answer.write(DATA)
        return answer

    world.index.answers[f"/files/{WHEEL.filename}"] = chunked
    path = await world.file_path()
    cold = await world.get(path)
    assert (cold.body, cold.complete) == (DATA, True)
    warm = await world.get(path)
    assert warm.headers["content-length"] == str(len(DATA))


async def test_a_file_without_a_digest_can_be_had_but_does_not_keep(world: World) -> None:
    world.index.page(document(entry(hashes={})))
    path = await world.file_path()
    assert path == f"/files/unverified/x/{WHEEL.filename}"
    for _ in range(2):
        answer = await world.get(path)
        assert answer.body == DATA
        assert answer.headers["cache-control"] == "no-cache"


def test_no_file_is_of_a_type_that_browsers_show() -> None:
    for filename, kind in [
        ("x.whl", "application/octet-stream"),
        ("x.tar.gz", "application/octet-stream"),
        ("x.zip", "application/zip"),
        ("x.html", "application/octet-stream"),
        ("x", "application/octet-stream"),
    ]:
        assert media_type(filename) == kind, filename


# --- our own wheel ------------------------------------------------------------------------------


async def test_our_own_wheels_are_there_whatever_the_cache_holds(tmp_path: Path) -> None:
    wheels = {**page_wheels(), **dict([whole_wheel()])}
    for size in (0, 1 << 30):
        app: Any = create_app(upstreams=[], cache=tmp_path / str(size), cache_size=size)
        files = json.loads((await ask(app, "/simple/pyodide-mirror/")).body)["files"]
        assert {file["filename"] for file in files} == set(wheels)
        for file in files:
            content = wheels[file["filename"]]
            path = file["url"].removeprefix(BASE)
            assert (await ask(app, f"/{file['filename']}")).body == content, size
            assert (await ask(app, path)).body == content, size
            metadata = (await ask(app, f"{path}.metadata")).body
            assert file["core-metadata"] == {"sha256": hashlib.sha256(metadata).hexdigest()}
            assert file["requires-python"] == ">=3.11"
            assert file["size"] == len(content)
        await shut(app)


async def test_a_wheel_of_ours_in_the_folder_goes_before_the_built_in_one(tmp_path: Path) -> None:
    other = make_wheel("pyodide-mirror", "99.0")
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / other.filename).write_bytes(other.data)
    app: Any = create_app(tmp_path / "wheels", upstreams=[], cache=tmp_path / "cache")
    [file] = json.loads((await ask(app, "/simple/pyodide-mirror/")).body)["files"]
    assert file["filename"] == other.filename
    await shut(app)


# --- people -------------------------------------------------------------------------------------


async def test_health_says_what_works(world: World) -> None:
    answer = await world.get("/healthz")
    assert json.loads(answer.body) == {
        "status": "ok",
        "version": __version__,
        "upstreams": [{"index_url": f"{world.origin.url}/simple", "problem": ""}],
        "cdns": [{"base_url": cdn.base_url, "problem": ""} for cdn in CDNS],
        "cache": {"problem": ""},
    }
    assert answer.headers["cache-control"] == "no-store"
    world.index.page(b"", status=403)
    await world.get("/simple/x/")
    found = json.loads((await world.get("/healthz")).body)
    assert found["upstreams"][0]["problem"] == "it answers 403"


async def test_on_a_full_disk_files_come_and_health_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pyodide_mirror.server.cache.disk.Unfinished._append", full)
    for project, data in (("x", DATA), ("local-only", LOCAL.data)):
        answer = await world.get(await world.file_path(project))
        assert (answer.status, answer.body, answer.complete) == (200, data, True)
    for name, data in (page_wheel(), whole_wheel()):
        assert (await world.get(f"/{name}")).body == data
    found = json.loads((await world.get("/healthz")).body)
    assert found["cache"]["problem"] == "files are not stored (No space left on device)"


RECIPES = {
    "http://127.0.0.1:8080": ("", "", "", ""),
    "http://localhost:8080": ("", "", "", ""),
    "http://[::1]:8080": ("", "", "", ""),
    "http://192.168.1.5:8080": (
        " --trusted-host 192.168.1.5",
        "\ntrusted-host = 192.168.1.5",
        " --allow-insecure-host 192.168.1.5:8080",
        '\nallow-insecure-host = ["192.168.1.5:8080"]',
    ),
    "http://nas.local": (
        " --trusted-host nas.local",
        "\ntrusted-host = nas.local",
        " --allow-insecure-host nas.local",
        '\nallow-insecure-host = ["nas.local"]',
    ),
    "https://mirror.example": ("", "", "", ""),
    "https://192.168.1.5:8443": ("", "", "", ""),
}


@pytest.mark.parametrize("base", RECIPES)
async def test_the_page_for_people_has_the_lines_for_its_address(tmp_path: Path, base: str) -> None:
    pip, conf, uv, toml = RECIPES[base]
    app: Any = create_app(upstreams=[], cache=tmp_path, allow_hosts=["*"])
    scheme, _, host = base.partition("://")
    answer = await ask(app, "/", {"host": host}, scheme=scheme)
    shown = [
        text.replace("&quot;", '"').replace("&#x27;", "'")
        for text in re.findall(r"<pre[^>]*>(.*?)</pre>", answer.text, re.DOTALL)
    ]
    assert f"pip install{pip} -i {base}/simple/ cowsay" in shown
    assert f"[global]\nindex-url = {base}/simple/{conf}" in shown
    assert f"uv pip install{uv} --index-url {base}/simple/ cowsay" in shown
    assert f'index-url = "{base}/simple/"{toml}' in shown
    assert any(
        f"await micropip.install('pyodide-mirror', index_urls=['{base}/simple'])" in text
        for text in shown
    )
    # micropip would ask for /simple//cowsay/ after a slash at the end.
    assert sum(f"micropip.set_index_urls(['{base}/simple'])" in text for text in shown) == 2
    assert any("%pip install cowsay" in text for text in shown)
    await shut(app)


async def test_the_page_for_people_runs_nothing_and_is_escaped(tmp_path: Path) -> None:
    hostile = tmp_path / "<img src=x onerror=alert(1)>"
    hostile.mkdir()
    app: Any = create_app(hostile, upstreams=[], cache=tmp_path / "cache")
    answer = await ask(app, "/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<img" not in answer.text
    assert "&lt;img src=x" in answer.text
    check_readable(answer)
    await shut(app)


async def test_the_page_for_people_says_what_is_wrong_with_an_upstream(world: World) -> None:
    assert "asked in turn" in (await world.get("/")).text
    world.index.page(b"", status=403)
    await world.get("/simple/x/")
    assert "it answers 403" in (await world.get("/")).text


async def test_a_token_in_the_path_of_an_index_url_is_shown_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Some hosts give each customer a URL like https://index.example/TOKEN/simple."""
    index = Index()
    index.answers["/s3cret/acme/simple/x/"] = web.Response(status=403)
    async with origin(index) as running:
        app: Any = create_app(upstreams=[f"{running.url}/s3cret/acme/simple"], cache=tmp_path)
        broken = await ask(app, "/simple/x/")
        assert broken.status == 502
        assert f"{running.url}/…/…/simple: it answers 403" in broken.text
        shown = [broken.text]
        shown += [(await ask(app, path)).text for path in ("/", "/healthz", "/simple/")]
        await shut(app)
    for text in (*shown, caplog.text):
        assert "s3cret" not in text
        assert "acme" not in text
    assert json.loads(shown[2])["upstreams"][0]["index_url"] == f"{running.url}/…/…/simple"


# --- errors -------------------------------------------------------------------------------------


async def test_what_is_not_here_is_404(world: World) -> None:
    for path in [
        "/nothing",
        "/simple/x/y/",
        "/healthz/",
        "/index.html",
        "/simple/x/y",
        "/pypi/",
        "/pypi/x/json",
    ]:
        answer = await world.get(path)
        assert answer.status == 404, path
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.text.startswith("404: ")
        assert answer.headers["cache-control"] == "no-store"
        check_readable(answer)


async def test_an_unknown_project_is_404(world: World) -> None:
    answer = await world.get("/simple/unknown/")
    assert (answer.status, answer.text) == (404, "404: No project 'unknown' here.\n")
    check_readable(answer)


async def test_what_is_no_name_is_404_and_asks_nobody(world: World) -> None:
    for name in ["-", "_x", "x_", "%", "ä", "x y", "..", "a" * 300, "http:", "x\x00"]:
        for path in (f"/simple/{name}/", f"/simple/{name}", f"/files/unverified/{name}/x.whl"):
            answer = await world.get(path)
            assert answer.status == 404, path
            check_readable(answer)
    assert world.origin.requests == []


async def test_a_broken_upstream_is_502_and_says_why(world: World) -> None:
    world.index.page(b"", status=403)
    answer = await world.get("/simple/x/")
    assert (answer.status, answer.text) == (
        502,
        f"502: No usable answer from upstream: {world.origin.url}/simple: it answers 403.\n",
    )
    assert answer.headers["cache-control"] == "no-store"
    check_readable(answer)


async def test_a_hanging_upstream_is_504(world: World, tmp_path: Path) -> None:
    async def hang(_: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    world.index.answers["/simple/x/"] = hang
    app: Any = create_app(
        upstreams=[f"{world.origin.url}/simple"], cache=tmp_path / "other", timeout=0.1
    )
    answer = await ask(app, "/simple/x/")
    await shut(app)
    assert answer.status == 504
    assert "no answer within 0.1 s" in answer.text
    check_readable(answer)


async def test_a_missing_file_of_an_upstream_is_502(world: World) -> None:
    path = await world.file_path()
    del world.index.answers[f"/files/{WHEEL.filename}"]
    answer = await world.get(path)
    assert (answer.status, answer.headers["cache-control"]) == (502, "no-store")
    assert "the file host answers 404" in answer.text
    check_readable(answer)


async def test_a_bug_is_500_in_words_that_tell_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("pyodide_mirror.server.status.landing.Landing.page", broken)
    answer = Answer()
    with pytest.raises(RuntimeError):  # Starlette has it logged by the server
        await world.get("/", into=answer)
    assert answer.status == 500
    assert answer.text == "500: This server failed; its log says why.\n"
    check_readable(answer)


# --- methods and CORS ---------------------------------------------------------------------------


async def test_other_methods_are_405(world: World) -> None:
    methods = ("POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "BREW")
    for method, path in itertools.product(methods, ("/", "/simple/x/", "/nothing")):
        answer = await world.get(path, method=method)
        expected = 405, "GET, HEAD, OPTIONS"
        assert (answer.status, answer.headers["allow"]) == expected, (method, path)
        assert "folder" in answer.text, "it says how files get in"
        assert answer.headers["cache-control"] == "no-store"
        check_readable(answer)


async def test_a_preflight_allows_what_was_asked_for(world: World) -> None:
    asked = "range, if-none-match, authorization, cache-control, x-anything"
    headers = {
        "origin": "https://lab.example",
        "access-control-request-method": "GET",
        "access-control-request-headers": asked,
        "access-control-request-private-network": "true",
    }
    for path in ("/", "/simple/x/", "/files/a/b/c", "/nothing"):
        answer = await world.get(path, headers, method="OPTIONS")
        assert (answer.status, answer.body) == (204, b""), path
        assert answer.headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
        assert answer.headers["access-control-allow-headers"] == asked
        assert int(answer.headers["access-control-max-age"]) > 0
        assert answer.headers["access-control-allow-private-network"] == "true"
        check_readable(answer)
    assert world.origin.requests == []


async def test_a_preflight_repeats_no_nonsense(world: World) -> None:
    asked = {"access-control-request-headers": "x\ty: z, <script>"}
    answer = await world.get("/", asked, method="OPTIONS")
    assert "Range" in answer.headers["access-control-allow-headers"]
    assert "script" not in str(answer.headers)
    assert "access-control-allow-private-network" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/simple/pyodide-mirror/", "/nothing", "/simple/X"])
async def test_chosen_origins_may_read_and_no_others(tmp_path: Path, path: str) -> None:
    allowed = ["https://lab.example", "http://localhost:8888"]
    app: Any = create_app(upstreams=[], cache=tmp_path, allow_origins=allowed)
    private = {"access-control-request-private-network": "true"}
    opened = "access-control-allow-private-network"
    for asked in allowed:
        answer = await ask(app, path, {"origin": asked})
        assert answer.headers["access-control-allow-origin"] == asked
        assert answer.headers["timing-allow-origin"] == asked
        assert "Origin" in answer.headers["vary"]
        preflight = await ask(app, path, {"origin": asked, **private}, method="OPTIONS")
        assert preflight.headers[opened] == "true"
    for other in ("https://evil.example", "null", "https://lab.example.evil.example", ""):
        answer = await ask(app, path, {"origin": other})
        assert "access-control-allow-origin" not in answer.headers
        assert "Origin" in answer.headers["vary"]
        preflight = await ask(app, path, {"origin": other, **private}, method="OPTIONS")
        assert opened not in preflight.headers
        assert "Origin" in preflight.headers["vary"]
    await shut(app)


async def test_nothing_of_a_client_passes_on(world: World) -> None:
    sent = {
        "cookie": "a=1",
        "authorization": "Basic x",
        "x-forwarded-for": "1.2.3.4",
        "referer": "https://lab.example/secret",
        "user-agent": "client",
    }
    answer = await world.get("/simple/x/", sent)
    path = json.loads(answer.body)["files"][0]["url"].removeprefix(BASE)
    await world.get(path, sent)
    await world.get(f"{path}.metadata", sent)
    assert len(world.origin.requests) == 3
    for request in world.origin.requests:
        found = {name.lower(): value for name, value in request.headers.items()}
        assert found.keys() <= {"host", "accept", "user-agent", "accept-encoding", "range"}
        assert found["user-agent"] == f"pyodide-mirror/{__version__}"


# --- the end ------------------------------------------------------------------------------------


async def test_the_end_comes_with_a_download_under_way(tmp_path: Path) -> None:
    async def half(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"content-length": str(len(DATA))})
        await answer.prepare(request)
        await answer.write(DATA[:100])
        await asyncio.Event().wait()
        return answer

    index = Index()
    index.page(document())
    index.answers[f"/files/{WHEEL.filename}"] = half
    async with origin(index) as running:
        app: Any = create_app(upstreams=[f"{running.url}/simple"], cache=tmp_path, timeout=30)
        path = json.loads((await ask(app, "/simple/x/")).body)["files"][0]["url"]
        asked = asyncio.ensure_future(ask(app, path.removeprefix(BASE)))
        await running.heard(2)
        await shut(app)
        answer = await asked
    assert not (answer.status == 200 and answer.complete)
    assert not list((tmp_path / "unfinished").iterdir())


async def test_a_reader_that_leaves_early_leaves_no_file_open(world: World) -> None:
    """An open one would be a ResourceWarning, which is an error in tests."""
    path = await world.file_path()
    with pytest.raises(OSError, match="has left"):
        await world.get(path, leaves=True)
    assert (await world.get(path)).body == DATA


def test_a_cache_without_a_name_lasts_as_long_as_the_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    app: Any = create_app(upstreams=[])
    asyncio.run(shut(app))
    [cache] = tmp_path.iterdir()
    assert cache.name.startswith("pyodide-mirror-")
    del app
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_the_application_needs_no_loop_to_be_made(tmp_path: Path) -> None:
    """WSGI bridges make it before they have one."""
    assert create_app(upstreams=[], cache=tmp_path) is not None
