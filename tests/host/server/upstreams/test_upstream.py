"""An index elsewhere: its pages and metadata, whatever it speaks, and however it breaks."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pyodide_mirror.server.fetching.client import UpstreamError
from pyodide_mirror.server.upstreams import upstream as upstream_module
from pyodide_mirror.server.upstreams.upstream import FRESH_MISSING, REST
from pyodide_mirror.server.web.freshness import PAGE_TTL as FRESH
from tests.support.asgi import JSON_TYPE, WHEEL, Index, document, entry, origin
from tests.support.upstream_world import HASTY, TIMEOUT, World, a_world, opened
from tests.support.wheels import make_sdist, make_wheel

SDIST = make_sdist("x", "1.0")
SHA256 = WHEEL.sha256


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        yield made


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
    assert file.metadata == {}, "it is promised for each wheel, because we can make it"


async def test_a_page_is_asked_for_as_micropip_does_and_with_nothing_else(world: World) -> None:
    await world.upstream.page("x")
    request = world.origin.requests[0]
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


@pytest.mark.parametrize("files", [[entry()], []])
async def test_the_projects_status_comes_through_and_outlives_a_restart(
    world: World, files: list[dict[str, Any]]
) -> None:
    """A quarantined project has no files (PEP 792), and is not missing for that."""
    status = {"status": "quarantined", "reason": "it is malware"}
    told = {"meta": {"api-version": "1.4"}, "files": files, "project-status": status}
    world.index.page(document(**told))
    page = await world.upstream.page("x")
    assert page is not None
    assert (page.status, page.status_reason, len(page.files)) == (*status.values(), len(files))
    async with world.restarted() as again:
        assert await again.page("x") == page
    assert world.pages_asked == 1


async def test_fields_of_pep_700_come_through(world: World) -> None:
    told = {"size": 7, "upload-time": "2020-01-01T00:00:00Z", "yanked": "broken"}
    world.index.page(document(entry(**told), versions=["1.0", "2.0"]))
    page = await world.upstream.page("x")
    assert page is not None
    assert page.versions == ("1.0", "2.0")
    assert (page.files[0].size, page.files[0].yanked) == (7, "broken")
    assert page.files[0].upload_time == "2020-01-01T00:00:00Z"


# --- what is no page ----------------------------------------------------------------------------


async def test_what_it_does_not_have_is_none(world: World) -> None:
    for status in (404, 410):
        world.index.page(b"", status=status)
        async with world.restarted() as upstream:
            assert await upstream.page("x") is None, status
            assert await upstream.projects() == [], status


async def test_a_project_without_a_release_is_none(world: World) -> None:
    world.index.page(document().replace(b'"files": [', b'"files": [], "more": ['))
    assert await world.upstream.page("x") is None


async def test_what_is_no_project_page_is_an_error(world: World) -> None:
    for body, kind, sentence in [
        (b"{", JSON_TYPE, "broken JSON"),
        (b"[]", JSON_TYPE, "not an object"),
        (b"[" * 1000, JSON_TYPE, "nested"),
        (document(meta={"api-version": "2.0"}), JSON_TYPE, "api-version 2.0"),
        (document(name="y"), JSON_TYPE, "the page of project 'y', not 'x'"),
        (document(entry(url="ftp://a.example/x")), JSON_TYPE, "no usable file"),
        (document(entry(url="https://u:secret@a.example/x")), JSON_TYPE, "no usable file"),
        (b"<h1>Sign in</h1>", "text/html", "no file of 'x' among its 0 links"),
        (b"", "", "no file of 'x'"),
    ]:
        world.index.page(body, kind)
        with pytest.raises(UpstreamError, match=r"^its page is no project page: ") as raised:
            await world.upstream.page("x")
        assert sentence in str(raised.value)
        assert "secret" not in str(raised.value)
        assert world.upstream.problem == str(raised.value)


async def test_a_status_that_is_no_answer_is_an_error(world: World) -> None:
    for times, status in enumerate([400, 401, 403, 451, 304, 204], 1):
        world.index.page(b"", status=status)
        with pytest.raises(UpstreamError, match=f"it answers {status}") as raised:
            await world.upstream.page("x")
        assert raised.value.refused is (status == 403)
        assert world.pages_asked == times, f"{status} is asked for again"


async def test_one_that_is_busy_is_asked_once_more(world: World) -> None:
    statuses = iter([503, 200, 503, 503])

    async def busy(_: web.BaseRequest) -> web.Response:
        status = next(statuses)
        return web.Response(body=document(), status=status, headers={"content-type": JSON_TYPE})

    world.index.answers["/simple/x/"] = world.index.answers["/simple/y/"] = busy
    assert await world.upstream.page("x") is not None
    with pytest.raises(UpstreamError, match="it answers 503"):
        await world.upstream.page("y")
    assert [path for path in world.origin.paths if "/simple/" in path] == [
        *("/simple/x/", "/simple/x/", "/simple/y/", "/simple/y/")
    ]


async def test_a_page_that_is_too_large_is_refused(world: World) -> None:
    world.index.page(document(entry(), padding="x" * 2000))
    async with world.restarted(page_bytes=1000) as upstream:
        with pytest.raises(UpstreamError, match="more than 1,000 bytes"):
            await upstream.page("x")


async def test_only_a_large_page_needs_a_slot(world: World, tmp_path: Path) -> None:
    """Here there is none, so that a large page waits until the time is over."""
    body = document(entry())
    for size, is_large in ((900, False), (999, False), (1000, True), (1001, True), (3000, True)):
        world.index.page(body[:-1] + b" " * (size - len(body)) + b"}")
        limits = {"large_page_bytes": 1000, "large_pages_at_once": 0}
        async with opened(world.origin.url, tmp_path / str(size), time.time, **limits) as (
            upstream,
            _,
        ):
            upstream.client.timeout = HASTY if is_large else TIMEOUT
            found = await asyncio.gather(upstream.page("x"), return_exceptions=True)
        assert isinstance(found[0], UpstreamError) is is_large, f"{size} bytes: {found}"


async def test_a_slot_is_free_again_when_its_page_is_read(world: World) -> None:
    for name in "abc":
        body = document(name=name, padding="x" * 2000)
        world.index.answers[f"/simple/{name}/"] = page_answer(body)
    async with world.restarted(large_page_bytes=1000, large_pages_at_once=1) as upstream:
        assert all(await asyncio.gather(*map(upstream.page, "abc")))


def page_answer(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"content-type": JSON_TYPE})


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
    waiting = [asyncio.ensure_future(world.upstream.page(name)) for name in "abcdef"]
    await world.origin.heard(6)
    assert await world.upstream.page("x") is not None
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
    world.later(FRESH_MISSING)
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
    assert "the cached one is used" in caplog.text
    assert world.upstream.problem == "it answers 403"


async def test_that_it_was_missing_is_not_kept_while_it_is_broken(world: World) -> None:
    world.index.page(b"", status=404)
    await world.upstream.page("x")
    world.later(FRESH_MISSING + 1)
    world.index.page(b"", status=403)
    with pytest.raises(UpstreamError):
        await world.upstream.page("x")


async def hang(_: web.BaseRequest) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def test_one_that_hangs_is_given_up_in_time_and_rests(world: World) -> None:
    world.index.answers["/simple/x/"] = hang
    with world.hasty(), pytest.raises(UpstreamError, match=r"no answer within 0.1 s") as raised:
        await world.upstream.page("x")
    assert raised.value.timed_out
    assert world.upstream.rests
    world.later(REST)
    assert not world.upstream.rests


async def test_while_it_rests_what_is_kept_is_used_without_asking(world: World) -> None:
    first = await world.upstream.page("x")
    world.index.answers["/simple/y/"] = hang
    world.later(FRESH + 1)
    with world.hasty(), pytest.raises(UpstreamError):
        await world.upstream.page("y")
    assert await world.upstream.page("x") is first
    assert world.pages_asked == 1


async def test_the_kept_page_is_used_when_it_hangs(world: World) -> None:
    first = await world.upstream.page("x")
    world.later(FRESH + 1)
    world.index.answers["/simple/x/"] = hang
    with world.hasty():
        assert await world.upstream.page("x") is first
    assert world.upstream.rests


async def test_an_answer_ends_the_rest(world: World) -> None:
    world.index.answers["/simple/y/"] = hang
    with world.hasty(), pytest.raises(UpstreamError):
        await world.upstream.page("y")
    assert await world.upstream.page("x") is not None
    assert not world.upstream.rests


async def test_reading_a_page_does_not_count_as_hanging(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine under load takes long over it; that is not the upstream's fault."""
    read, begun = upstream_module.parse_page, threading.Event()
    loop = asyncio.get_running_loop()
    late = asyncio.Event()

    def slow(*given: Any) -> Any:
        begun.set()
        asyncio.run_coroutine_threadsafe(late.wait(), loop).result(TIMEOUT)
        return read(*given)

    monkeypatch.setattr(upstream_module, "parse_page", slow)
    for timeout in (HASTY, 10 * HASTY, TIMEOUT):  # the answer itself must come in time
        world.upstream.client.timeout = timeout
        timer = loop.call_later(timeout + 0.1, late.set)
        try:
            assert await world.upstream.page("x") is not None
            break
        except UpstreamError:
            assert not begun.is_set()
        finally:
            timer.cancel()
    assert begun.is_set()


# --- the disk -----------------------------------------------------------------------------------


async def test_a_page_outlives_a_restart(world: World, tmp_path: Path) -> None:
    first = await world.upstream.page("x")
    async with world.restarted() as again:
        assert await again.page("x") == first
    assert world.pages_asked == 1


async def test_a_page_of_a_dead_upstream_outlives_a_restart(world: World, tmp_path: Path) -> None:
    first = await world.upstream.page("x")
    world.later(10 * FRESH)
    world.index.page(b"", status=403)
    async with world.restarted() as again:
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
    async with world.restarted() as again:
        assert await again.page("x") == first
    assert world.pages_asked == 1


async def test_many_who_ask_after_a_restart_read_the_disk_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.upstream.page("x")
    read: list[Path] = []
    read_bytes = Path.read_bytes

    def noted(path: Path) -> bytes:
        read.append(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    async with world.restarted() as again:
        pages = await asyncio.gather(*(again.page("x") for _ in range(30)))
        assert all(page is pages[0] for page in pages)
    assert len(read) == 1


async def test_a_damaged_page_on_disk_is_asked_for_again(world: World, tmp_path: Path) -> None:
    first = await world.upstream.page("x")
    [path] = (path for path in (tmp_path / "page").rglob("*") if path.is_file())
    for times, damage in enumerate(
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
        2,
    ):
        path.write_bytes(damage)
        async with world.restarted() as again:
            assert await again.page("x") == first, damage
        assert world.pages_asked == times, damage


async def test_upstreams_do_not_share_pages(world: World, tmp_path: Path) -> None:
    await world.upstream.page("x")
    other = Index()
    async with origin(other) as running, opened(running.url, tmp_path, time.time) as (upstream, _):
        assert await upstream.page("x") is None


async def test_a_disk_that_takes_nothing_does_not_matter(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def put(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(world.downloads.disk, "put", put)
    assert await world.upstream.page("x") is not None
    assert "cannot store what was fetched: [Errno 28] No space left on device" in caplog.text


async def test_pages_in_memory_are_bounded_and_the_least_recently_used_leave(world: World) -> None:
    for name in "abcd":
        world.index.answers[f"/simple/{name}/"] = page_answer(document(name=name))
    async with world.restarted(files_in_memory=6) as upstream:  # a page of one file weighs two
        for name in "abacd":
            await upstream.page(name)
        assert list(await upstream.projects()) == ["a", "c", "d"]
        await upstream.page("b")
        assert list(await upstream.projects()) == ["c", "d", "b"]
    asked = [path for path in world.origin.paths if "/simple/" in path]
    assert len(asked) == 4, "it is on disk"


async def test_a_page_larger_than_the_memory_for_pages_is_served(world: World) -> None:
    world.index.page(document(*(entry(make_wheel("x", f"{n}.0")) for n in range(5))))
    async with world.restarted(files_in_memory=1) as upstream:
        assert await upstream.page("x") is not None


# --- the end ------------------------------------------------------------------------------------


async def test_closing_leaves_nothing_behind(world: World) -> None:
    world.index.answers["/simple/x/"] = hang
    before = asyncio.all_tasks()
    asked = asyncio.ensure_future(world.upstream.page("x"))
    await world.origin.heard()
    await world.upstream.close()
    with pytest.raises(asyncio.CancelledError):
        await asked
    left = asyncio.all_tasks() - before
    if left:  # the index's own ends when it sees the connection close
        _, pending = await asyncio.wait(left, timeout=TIMEOUT)
        assert not pending
