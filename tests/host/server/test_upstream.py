"""An index elsewhere: its pages and metadata, whatever it speaks, and however it breaks."""

import asyncio
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pyodide_mirror.server import upstream as module
from pyodide_mirror.server.disk import Disk
from pyodide_mirror.server.download import Downloads
from pyodide_mirror.server.source import Stored
from pyodide_mirror.server.upstream import FRESH, Upstream
from pyodide_mirror.server.upstream_client import UpstreamClient, UpstreamError
from tests.support.asgi import JSON_TYPE, WHEEL, Index, Origin, document, entry, origin
from tests.support.wheels import make_sdist, make_wheel

SDIST = make_sdist("x", "1.0")
SHA256 = WHEEL.sha256


@dataclass
class World:
    """An upstream over an index, with a cache, and a clock that can be set."""

    index: Index
    origin: Origin
    upstream: Upstream
    downloads: Downloads
    later: Callable[[float], None]

    @property
    def pages_asked(self) -> int:
        """How often the page of ``x`` was asked for."""
        return self.origin.paths.count("/simple/x/")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let seconds pass, for the module's clocks."""

    class Clock:
        passed = 0.0

        def time(self) -> float:
            return 1_700_000_000.0 + self.passed

        def monotonic(self) -> float:
            return 1_000.0 + self.passed

    clock = Clock()
    monkeypatch.setattr(module, "time", clock)

    def wait(seconds: float) -> None:
        clock.passed += seconds

    return wait


@asynccontextmanager
async def opened(
    url: str, cache: Path, timeout: float = 0.5
) -> AsyncIterator[tuple[Upstream, Downloads]]:
    downloads = Downloads(Disk(cache, 1 << 30))
    upstream = Upstream(UpstreamClient(f"{url}/simple", login=None, timeout=timeout), downloads)
    try:
        yield upstream, downloads
    finally:
        await downloads.close()
        await upstream.close()


@pytest.fixture
async def world(tmp_path: Path, later: Callable[[float], None]) -> AsyncIterator[World]:
    index = Index()
    index.page(document())
    index.file(WHEEL.filename, WHEEL.data)
    async with origin(index) as running, opened(running.url, tmp_path) as (upstream, downloads):
        yield World(index, running, upstream, downloads, later)


# --- dialects -----------------------------------------------------------------------------------


HTML = f'<a href="/files/{WHEEL.filename}#sha256={SHA256}">{WHEEL.filename}</a>'.encode()
DIALECTS = {
    "JSON": (document(), JSON_TYPE),
    "JSON with a charset": (document(), f"{JSON_TYPE}; charset=utf-8"),
    "JSON by another name": (document(), "application/json"),
    "JSON without a name": (document(), "application/octet-stream"),
    "JSON of a minor version to come": (
        document(meta={"api-version": "1.9"}),
        "application/vnd.pypi.simple.v1+json",
    ),
    "JSON with a name that is not normalized": (document(name="X"), JSON_TYPE),
    "JSON with relative URLs": (document(entry(url=f"../../files/{WHEEL.filename}")), JSON_TYPE),
    "JSON with an upper-case digest": (
        document(entry(hashes={"SHA256": SHA256.upper()})),
        JSON_TYPE,
    ),
    "HTML": (HTML, "text/html"),
    "HTML by its new name": (HTML, "application/vnd.pypi.simple.v1+html"),
    "HTML without a name": (HTML, "application/octet-stream"),
    "HTML with relative links": (HTML.replace(b"/files", b"../../files"), "text/html"),
    "HTML with a base": (
        b"<base href='/files/'>" + HTML.replace(b"/files/", b""),
        "text/html; charset=utf-8",
    ),
}


@pytest.mark.parametrize(("body", "kind"), DIALECTS.values(), ids=DIALECTS)
async def test_whatever_it_speaks_the_page_is_the_same(
    world: World, body: bytes, kind: str
) -> None:
    world.index.page(body, kind)
    page = await world.upstream.page("x")
    assert page is not None
    [file] = page.files
    assert (file.filename, file.sha256) == (WHEEL.filename, SHA256)
    assert file.url == f"{world.origin.url}/files/{WHEEL.filename}"
    assert page.versions == ("1.0",)
    assert page.repairs == ()
    assert file.metadata == {}, "it is promised for each wheel, for we can make it"


async def test_a_page_is_asked_for_as_micropip_does_and_with_nothing_else(world: World) -> None:
    await world.upstream.page("x")
    [request] = world.origin.requests
    assert request.path == "/simple/x/"
    assert request.headers["accept"] == f"{JSON_TYPE}, */*;q=0.01"
    assert request.headers["user-agent"].startswith("pyodide-mirror/")
    sent = {name.lower() for name in request.headers}
    assert sent == {"host", "accept", "user-agent", "accept-encoding"}


async def test_sdists_are_promised_no_metadata(world: World) -> None:
    sdist = {"filename": SDIST.filename, "url": "/files/s", "hashes": {"sha256": SDIST.sha256}}
    world.index.page(document(entry(), sdist))
    page = await world.upstream.page("x")
    assert page is not None
    assert [file.metadata for file in page.files] == [{}, None]


async def test_fields_of_pep_700_come_through(world: World) -> None:
    told = {"size": 7, "upload-time": "2020-01-01T00:00:00Z", "yanked": "broken"}
    world.index.page(document(entry(**told), versions=["1.0", "2.0"]))
    page = await world.upstream.page("x")
    assert page is not None
    assert page.versions == ("1.0", "2.0")
    assert (page.files[0].size, page.files[0].yanked) == (7, "broken")
    assert page.files[0].upload_time == "2020-01-01T00:00:00Z"


# --- what is no page ----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 410])
async def test_what_it_does_not_have_is_none(world: World, status: int) -> None:
    world.index.page(b"", status=status)
    assert await world.upstream.page("x") is None
    assert await world.upstream.projects() == []


async def test_a_project_without_a_release_is_none(world: World) -> None:
    world.index.page(document().replace(b'"files": [', b'"files": [], "more": ['))
    assert await world.upstream.page("x") is None


@pytest.mark.parametrize(
    ("body", "kind", "sentence"),
    [
        (b"{", JSON_TYPE, "broken JSON"),
        (b"[]", JSON_TYPE, "not an object"),
        (b"[" * 1000, JSON_TYPE, "nested"),
        (document(meta={"api-version": "2.0"}), JSON_TYPE, "api-version 2.0"),
        (document(name="y"), JSON_TYPE, "the page of project 'y', not 'x'"),
        (document(entry(url="ftp://a.example/x")), JSON_TYPE, "no usable file"),
        (document(entry(url="https://u:secret@a.example/x")), JSON_TYPE, "no usable file"),
        (b"<h1>Sign in</h1>", "text/html", "no file of 'x' among its 0 links"),
        (b"", "", "no file of 'x'"),
    ],
)
async def test_what_is_no_project_page_is_an_error(
    world: World, body: bytes, kind: str, sentence: str
) -> None:
    world.index.page(body, kind)
    with pytest.raises(UpstreamError, match=r"^its page is no project page: ") as raised:
        await world.upstream.page("x")
    assert sentence in str(raised.value)
    assert "secret" not in str(raised.value)
    assert world.upstream.problem == str(raised.value)


@pytest.mark.parametrize("status", [400, 401, 403, 451, 304, 204])
async def test_a_status_that_is_no_answer_is_an_error(world: World, status: int) -> None:
    world.index.page(b"", status=status)
    with pytest.raises(UpstreamError, match=f"it answers {status}"):
        await world.upstream.page("x")
    assert world.pages_asked == 1


async def test_one_that_is_busy_is_asked_once_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0)
    statuses = iter([503, 200, 503, 503])

    async def busy(_: web.BaseRequest) -> web.Response:
        status = next(statuses)
        return web.Response(body=document(), status=status, headers={"content-type": JSON_TYPE})

    world.index.answers["/simple/x/"] = world.index.answers["/simple/y/"] = busy
    assert await world.upstream.page("x") is not None
    with pytest.raises(UpstreamError, match="it answers 503"):
        await world.upstream.page("y")
    assert len(world.origin.requests) == 4


async def test_a_page_that_is_too_large_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PAGE_BYTES", 1000)
    world.index.page(document(entry(), padding="x" * 2000))
    with pytest.raises(UpstreamError, match="more than 1,000 bytes"):
        await world.upstream.page("x")


@pytest.mark.parametrize("size", [900, 999, 1000, 1001, 3000])
async def test_large_pages_wait_for_one_another(
    world: World, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(module, "_LARGE", 1000)
    body = document(entry())
    world.index.page(body[:-1] + b" " * (size - len(body)) + b"}")
    async with world.upstream._large, world.upstream._large, world.upstream._large:
        assert await world.upstream.page("x") is not None
        async with world.upstream._large:
            world.later(FRESH + 1)
            await world.upstream.page("x")
    assert (world.upstream.problem != "") is (size >= 1000)


async def test_small_pages_do_not_wait_for_a_slow_one(world: World) -> None:
    """Four slow pages must not make an upstream look as if it hung."""
    release = asyncio.Event()

    async def slow(request: web.BaseRequest) -> web.Response:
        answer = web.StreamResponse(headers={"content-type": JSON_TYPE})
        await answer.prepare(request)
        await answer.write(document()[:10])
        await release.wait()
        await answer.write(document()[10:])
        return answer  # type: ignore[return-value]

    for name in "abcdef":
        world.index.answers[f"/simple/{name}/"] = slow
    world.upstream.web.timeout = 10
    waiting = [asyncio.ensure_future(world.upstream.page(name)) for name in "abcdef"]
    await world.origin.heard(6)
    assert await asyncio.wait_for(world.upstream.page("x"), 5) is not None
    release.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert all("the page of project 'x'" in str(error) for error in found)


# --- when it is asked ---------------------------------------------------------------------------


async def test_many_who_ask_cause_one_request(world: World) -> None:
    pages = await asyncio.gather(*(world.upstream.page("x") for _ in range(50)))
    assert all(page is pages[0] for page in pages)
    assert world.pages_asked == 1


async def test_a_fresh_page_is_not_asked_for_again(world: World) -> None:
    first = await world.upstream.page("x")
    world.later(FRESH)
    assert await world.upstream.page("x") is first
    assert world.pages_asked == 1


async def test_an_old_page_is_asked_for_again(world: World) -> None:
    await world.upstream.page("x")
    world.later(FRESH + 1)
    newer = make_wheel("x", "2.0")
    world.index.page(document(entry(), entry(newer)))
    page = await world.upstream.page("x")
    assert page is not None
    assert page.versions == ("1.0", "2.0")


async def test_a_page_of_the_future_is_asked_for_again(world: World) -> None:
    """The clock was wrong, and has been set."""
    await world.upstream.page("x")
    world.later(-3600)
    await world.upstream.page("x")
    assert world.pages_asked == 2


async def test_an_unchanged_page_is_only_confirmed(world: World) -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        headers = {"content-type": JSON_TYPE, "etag": 'W/"1"'}
        if request.headers.get("if-none-match") == 'W/"1"':
            return web.Response(status=304)
        return web.Response(body=document(), headers=headers)

    world.index.answers["/simple/x/"] = answer
    first = await world.upstream.page("x")
    for _ in range(2):
        world.later(FRESH + 1)
        assert await world.upstream.page("x") is first
        assert await world.upstream.page("x") is first, "it counts as fresh from now on"
    assert world.pages_asked == 3


async def test_what_was_missing_is_asked_for_after_a_minute(world: World) -> None:
    world.index.page(b"", status=404)
    assert await world.upstream.page("x") is None
    world.index.page(document())
    world.later(60)
    assert await world.upstream.page("x") is None
    world.later(1)
    assert await world.upstream.page("x") is not None


async def test_what_is_gone_is_gone(world: World) -> None:
    assert await world.upstream.page("x") is not None
    world.index.page(b"", status=404)
    world.later(FRESH + 1)
    assert await world.upstream.page("x") is None


async def test_an_asker_who_leaves_stops_nobody(world: World) -> None:
    leaving = asyncio.ensure_future(world.upstream.page("x"))
    staying = asyncio.ensure_future(world.upstream.page("x"))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying is not None
    assert world.pages_asked == 1


async def test_an_error_reaches_all_who_asked_and_the_next_tries_again(world: World) -> None:
    world.index.page(b"", status=403)
    asked = [world.upstream.page("x") for _ in range(5)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(error, UpstreamError) for error in found)
    assert world.pages_asked == 1
    world.index.page(document())
    assert await world.upstream.page("x") is not None
    assert world.upstream.problem == ""


# --- when it is broken --------------------------------------------------------------------------


async def test_the_kept_page_is_used_while_it_is_broken(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    first = await world.upstream.page("x")
    world.later(FRESH + 1)
    world.index.page(b"", status=403)
    assert await world.upstream.page("x") is first
    assert "the kept one is used" in caplog.text
    assert world.upstream.problem == "it answers 403"


async def test_that_it_was_missing_is_not_kept_while_it_is_broken(world: World) -> None:
    world.index.page(b"", status=404)
    await world.upstream.page("x")
    world.later(61)
    world.index.page(b"", status=403)
    with pytest.raises(UpstreamError):
        await world.upstream.page("x")


async def hang(_: web.BaseRequest) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def test_one_that_hangs_is_given_up_in_time_and_rests(world: World) -> None:
    world.index.answers["/simple/x/"] = hang
    with pytest.raises(UpstreamError, match=r"no answer within 0.5 s") as raised:
        await world.upstream.page("x")
    assert raised.value.timed_out
    assert world.upstream.rests
    world.later(30)
    assert not world.upstream.rests


async def test_while_it_rests_what_is_kept_is_used_without_asking(world: World) -> None:
    first = await world.upstream.page("x")
    world.index.answers["/simple/y/"] = hang
    world.later(FRESH + 1)
    with pytest.raises(UpstreamError):
        await world.upstream.page("y")
    assert await world.upstream.page("x") is first
    assert world.pages_asked == 1


async def test_the_kept_page_is_used_when_it_hangs(world: World) -> None:
    first = await world.upstream.page("x")
    world.later(FRESH + 1)
    world.index.answers["/simple/x/"] = hang
    assert await world.upstream.page("x") is first
    assert world.upstream.rests


async def test_an_answer_ends_the_rest(world: World) -> None:
    world.index.answers["/simple/y/"] = hang
    with pytest.raises(UpstreamError):
        await world.upstream.page("y")
    assert await world.upstream.page("x") is not None
    assert not world.upstream.rests


async def test_reading_a_page_does_not_count_as_hanging(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine under load takes long over it; that is not the upstream's fault."""
    parse = module._parse
    world.upstream.web.timeout = 0.05
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(*given: Any) -> Any:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(5)
        return parse(*given)

    monkeypatch.setattr(module, "_parse", slow)
    asked = asyncio.ensure_future(world.upstream.page("x"))
    await asyncio.sleep(0.15)
    assert not asked.done()
    release.set()
    assert await asked is not None


# --- the disk -----------------------------------------------------------------------------------


async def test_a_page_outlives_a_restart(world: World, tmp_path: Path) -> None:
    first = await world.upstream.page("x")
    async with opened(world.origin.url, tmp_path) as (again, _):
        assert await again.page("x") == first
    assert world.pages_asked == 1


async def test_a_page_of_a_dead_upstream_outlives_a_restart(world: World, tmp_path: Path) -> None:
    first = await world.upstream.page("x")
    world.later(10 * FRESH)
    world.index.page(b"", status=403)
    async with opened(world.origin.url, tmp_path) as (again, _):
        assert await again.page("x") == first


async def test_all_fields_of_a_page_outlive_a_restart(world: World, tmp_path: Path) -> None:
    digest = {"sha256": "1" * 64}
    told = {"size": 7, "upload-time": "2020", "yanked": "why", "requires-python": ">=3"}
    files = [
        entry(**told, **{"core-metadata": digest}),
        entry(make_wheel("x", "2.0"), yanked=True),
        {"filename": SDIST.filename, "url": "/files/s", "hashes": {}},
    ]
    world.index.page(document(*files, versions=["1.0", "2.0"]))
    first = await world.upstream.page("x")
    async with opened(world.origin.url, tmp_path) as (again, _):
        assert await again.page("x") == first
    assert world.pages_asked == 1


async def test_many_who_ask_after_a_restart_read_the_disk_once(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.upstream.page("x")
    read: list[str] = []
    read_kept = module._read_kept

    def counted(path: Path, project: str) -> Any:
        read.append(project)
        return read_kept(path, project)

    monkeypatch.setattr(module, "_read_kept", counted)
    async with opened(world.origin.url, tmp_path) as (again, _):
        pages = await asyncio.gather(*(again.page("x") for _ in range(30)))
        assert all(page is pages[0] for page in pages)
    assert read == ["x"]


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"\x00" * 100,
        b"[]\n" + document(),
        b'{"fetched": 1}\n' + document(),
        b'{"fetched": "x", "etag": ""}\n' + document(),
        b'{"fetched": 1, "etag": ""}\n' + document()[:50],
        b'{"fetched": 1, "etag": ""}\n' + document(name="y"),
    ],
)
async def test_a_damaged_page_on_disk_is_asked_for_again(
    world: World, tmp_path: Path, damage: bytes
) -> None:
    first = await world.upstream.page("x")
    [path] = (path for path in (tmp_path / "page").rglob("*") if path.is_file())
    path.write_bytes(damage)
    async with opened(world.origin.url, tmp_path) as (again, _):
        assert await again.page("x") == first
    assert world.pages_asked == 2


async def test_upstreams_do_not_share_pages(world: World, tmp_path: Path) -> None:
    await world.upstream.page("x")
    other = Index()
    async with origin(other) as running, opened(running.url, tmp_path) as (upstream, _):
        assert await upstream.page("x") is None


async def test_a_disk_that_takes_nothing_does_not_matter(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def put(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(world.downloads.disk, "put", put)
    assert await world.upstream.page("x") is not None
    assert "cannot store what was fetched: [Errno 28] No space left on device" in caplog.text


async def test_pages_in_memory_are_bounded_and_the_least_recently_used_leave(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_FILES_KEPT", 6)
    for name in "abc":
        body = document(name=name)
        world.index.answers[f"/simple/{name}/"] = web.Response(
            body=body, headers={"content-type": JSON_TYPE}
        )
    await world.upstream.page("a")
    await world.upstream.page("b")
    await world.upstream.page("a")
    await world.upstream.page("c")
    await world.upstream.page("x")
    assert list(await world.upstream.projects()) == ["a", "c", "x"]
    assert world.upstream._files_kept <= 6
    await world.upstream.page("b")
    assert len(world.origin.requests) == 4, "it is on disk"


# --- metadata -----------------------------------------------------------------------------------


METADATA_URL = f"/files/{WHEEL.filename}.metadata"


async def metadata(world: World) -> bytes:
    page = await world.upstream.page("x")
    assert page is not None
    return await world.upstream.metadata("x", page.files[0])


async def test_the_upstreams_own_metadata_is_used_where_it_is_promised(world: World) -> None:
    world.index.page(document(entry(**{"core-metadata": {"sha256": WHEEL.metadata_sha256}})))
    world.index.answers[METADATA_URL] = web.Response(body=WHEEL.metadata)
    assert await metadata(world) == WHEEL.metadata
    assert world.origin.paths == ["/simple/x/", METADATA_URL]
    assert await metadata(world) == WHEEL.metadata
    assert len(world.origin.requests) == 2


async def test_without_a_promise_it_is_made_of_the_wheel(world: World) -> None:
    assert await metadata(world) == WHEEL.metadata
    assert world.origin.paths == ["/simple/x/", METADATA_URL, f"/files/{WHEEL.filename}"]


@pytest.mark.parametrize(
    ("promise", "answer"),
    [
        (True, web.Response(status=404)),
        (True, web.Response(body=b"<h1>404</h1>")),
        (True, web.Response(body=b"Metadata-Version: 2.1\nName: y\nVersion: 1.0\n")),
        (True, web.Response(body=b"Metadata-Version: 2.1\n" + b"x" * 5_000_000)),
        ({"sha256": WHEEL.metadata_sha256}, web.Response(status=404)),
        ({"sha256": WHEEL.metadata_sha256}, web.Response(status=403)),
        ({"sha256": WHEEL.metadata_sha256}, web.Response(body=WHEEL.metadata + b"X: y\n")),
    ],
)
async def test_where_it_is_missing_or_false_it_is_made_of_the_wheel(
    world: World, promise: object, answer: web.Response
) -> None:
    world.index.page(document(entry(**{"core-metadata": promise})))
    world.index.answers[METADATA_URL] = answer
    assert await metadata(world) == WHEEL.metadata


async def test_a_promise_that_nobody_can_keep_is_not_made_again(world: World) -> None:
    world.index.page(document(entry(**{"core-metadata": {"sha256": "1" * 64}})))
    assert await metadata(world) == WHEEL.metadata
    page = await world.upstream.page("x")
    assert page is not None
    assert page.files[0].metadata == {}
    world.later(FRESH + 1)
    page = await world.upstream.page("x")
    assert page is not None
    assert page.files[0].metadata == {}, "its page says so still, and ours does not"


async def test_after_a_restart_a_false_promise_is_found_out_again(
    world: World, tmp_path: Path
) -> None:
    world.index.page(document(entry(**{"core-metadata": {"sha256": "1" * 64}})))
    assert await metadata(world) == WHEEL.metadata
    async with opened(world.origin.url, tmp_path) as (again, _):
        page = await again.page("x")
        assert page is not None
        assert await again.metadata("x", page.files[0]) == WHEEL.metadata
        page = await again.page("x")
        assert page is not None
        assert page.files[0].metadata == {}


async def test_damaged_metadata_on_disk_is_made_again(world: World, tmp_path: Path) -> None:
    world.index.page(document(entry(**{"core-metadata": {"sha256": WHEEL.metadata_sha256}})))
    assert await metadata(world) == WHEEL.metadata
    [path] = (path for path in (tmp_path / "meta").rglob("*") if path.is_file())
    path.write_bytes(b"damaged")
    assert await metadata(world) == WHEEL.metadata
    assert path.read_bytes().endswith(WHEEL.metadata)


async def test_metadata_is_made_once_for_many(world: World) -> None:
    page = await world.upstream.page("x")
    assert page is not None
    asked = [world.upstream.metadata("x", page.files[0]) for _ in range(30)]
    assert set(await asyncio.gather(*asked)) == {WHEEL.metadata}
    assert len(world.origin.requests) == 3


async def test_the_wheel_it_was_made_of_stays_in_the_cache(world: World) -> None:
    await metadata(world)
    page = await world.upstream.page("x")
    assert page is not None
    assert isinstance(await world.upstream.blob("x", page.files[0]), Stored)


async def test_metadata_is_made_of_a_wheel_larger_than_the_cache(
    world: World, tmp_path: Path
) -> None:
    downloads = Downloads(Disk(tmp_path / "tiny", 0))
    upstream = Upstream(world.upstream.web, downloads)
    page = await upstream.page("x")
    assert page is not None
    assert await upstream.metadata("x", page.files[0]) == WHEEL.metadata
    await downloads.close()


def not_a_wheel(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"nothing", "is no whole wheel"),
        (not_a_wheel("x.py"), "has 0 METADATA files"),
        (not_a_wheel("a.dist-info/METADATA", "b.dist-info/METADATA"), "has 2 METADATA files"),
    ],
)
async def test_what_is_no_wheel_has_no_metadata(world: World, data: bytes, sentence: str) -> None:
    digest = hashlib.sha256(data).hexdigest()
    world.index.page(document(entry(hashes={"sha256": digest})))
    world.index.file(WHEEL.filename, data)
    with pytest.raises(UpstreamError, match=f"^{WHEEL.filename}.*{sentence}"):
        await metadata(world)


async def test_when_the_wheel_is_not_to_be_had_there_is_no_metadata(world: World) -> None:
    del world.index.answers[f"/files/{WHEEL.filename}"]
    with pytest.raises(UpstreamError, match="the file host answers 404"):
        await metadata(world)


# --- the end ------------------------------------------------------------------------------------


async def test_closing_leaves_nothing_behind(world: World) -> None:
    world.index.answers["/simple/x/"] = hang
    asked = asyncio.ensure_future(world.upstream.page("x"))
    await world.origin.heard()
    await world.upstream.close()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert not [task for task in asyncio.all_tasks() if "Upstream." in repr(task.get_coro())]
