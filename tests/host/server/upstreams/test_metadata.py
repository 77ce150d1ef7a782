"""Core metadata of an upstream's wheels: its own, the wheel's, or none, and what is promised."""

import asyncio
import hashlib
import io
import time
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from pyodide_mirror.model import File
from pyodide_mirror.server.cache.disk import Disk
from pyodide_mirror.server.cache.download import Downloads
from pyodide_mirror.server.fetching.client import UpstreamError
from pyodide_mirror.server.source import Missing, Stored
from pyodide_mirror.server.upstreams import metadata as metadata_module
from pyodide_mirror.server.upstreams.upstream import Upstream
from pyodide_mirror.server.web.freshness import PAGE_TTL as FRESH
from tests.support.asgi import WHEEL, document, entry
from tests.support.upstream_world import World, a_world, opened
from tests.support.wheels import make_wheel

METADATA_URL = f"/files/{WHEEL.filename}.metadata"
FILE_URL = f"/files/{WHEEL.filename}"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        yield made


async def file_of(upstream: Upstream) -> File:
    page = await upstream.page("x")
    assert page is not None
    return page.files[0]


async def metadata(world: World) -> bytes:
    return await world.upstream.metadata("x", await file_of(world.upstream))


def parts_asked(world: World) -> list[str]:
    """The Range headers of the requests for the wheel; "" is the whole."""
    asked = [each for each in world.origin.requests if each.path == FILE_URL]
    return [request.headers.get("range", "") for request in asked]


async def test_the_upstreams_own_metadata_is_used_where_it_is_promised(world: World) -> None:
    world.index.page(document(entry(**{"core-metadata": {"sha256": WHEEL.metadata_sha256}})))
    world.index.answers[METADATA_URL] = web.Response(body=WHEEL.metadata)
    assert await metadata(world) == WHEEL.metadata
    assert world.origin.paths == ["/simple/x/", METADATA_URL]
    assert await metadata(world) == WHEEL.metadata
    assert len(world.origin.requests) == 2


async def test_without_a_promise_it_is_read_from_the_end_of_the_wheel(world: World) -> None:
    big = make_wheel("x", "1.0", padding=3_000_000)
    world.index.page(document(entry(big)))
    world.index.file(big.filename, big.data)
    assert (await file_of(world.upstream)).metadata == {}
    assert await metadata(world) == big.metadata
    assert world.origin.paths == ["/simple/x/", FILE_URL, FILE_URL], "METADATA is at its begin"
    assert parts_asked(world) == ["bytes=-131072", "bytes=70-131141"]
    async with world.restarted() as again:
        assert (await file_of(again)).metadata == {}
    assert len(parts_asked(world)) == 4, "the host is asked again after a restart"


async def test_the_promise_is_made_when_a_host_is_known_to_send_parts(world: World) -> None:
    """All other wheels of it are promised without a request, until somebody asks."""
    others = [make_wheel("x", f"1.{n}") for n in range(1, 4)]
    world.index.page(document(*map(entry, others)))
    for wheel in others:
        world.index.file(wheel.filename, wheel.data)
    page = await world.upstream.page("x")
    assert page is not None
    assert [file.metadata for file in page.files] == [{}, {}, {}]
    assert world.origin.paths == ["/simple/x/", f"/files/{others[-1].filename}"]
    assert await world.upstream.metadata("x", page.files[0]) == others[0].metadata
    assert len(world.origin.requests) == 3


async def test_a_host_that_sends_no_parts_is_promised_for_nothing(world: World) -> None:
    world.index.file(WHEEL.filename, WHEEL.data, parts=False)
    assert (await file_of(world.upstream)).metadata is None
    assert await metadata(world) == WHEEL.metadata, "of the whole wheel, if somebody asks"
    assert parts_asked(world) == ["bytes=-131072", ""]
    assert (await file_of(world.upstream)).metadata is None
    world.later(FRESH + 1)
    world.index.file(WHEEL.filename, WHEEL.data)
    assert (await file_of(world.upstream)).metadata == {}, "it is asked again some time"


@pytest.mark.parametrize("status", [404, 416, 500, 501])
async def test_a_host_with_an_error_is_promised_for_nothing(world: World, status: int) -> None:
    world.index.answers[FILE_URL] = web.Response(status=status)
    assert (await file_of(world.upstream)).metadata is None
    assert world.upstream.problem == ""


async def test_a_host_that_hangs_does_not_hold_the_page(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: web.BaseRequest) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(metadata_module, "_PROBE_WITHIN", 0.1)
    world.index.answers[FILE_URL] = hang
    assert (await file_of(world.upstream)).metadata is None


async def test_signed_urls_of_any_length_are_asked_for(world: World) -> None:
    signed = f"/files/{WHEEL.filename}?X-Amz-Security-Token={'x' * 2500}"
    world.index.page(document(entry(url=signed)))
    file = await file_of(world.upstream)
    assert file.url == world.origin.url + signed
    assert await metadata(world) == WHEEL.metadata
    assert await (await world.upstream.blob("x", file)).whole()  # type: ignore[union-attr]


async def test_only_a_few_hosts_of_a_page_are_asked(world: World) -> None:
    hosts = [f"{world.origin.url.replace('127.0.0.1', f'127.0.0.{n}')}/f" for n in range(2, 40)]
    world.index.page(document(*(entry(url=url) for url in hosts)))
    await world.upstream.page("x")
    assert len(world.origin.paths) <= 5


async def test_of_a_wheel_that_is_here_nothing_is_asked(world: World) -> None:
    world.index.page(document(entry(**{"core-metadata": True})))
    file = await file_of(world.upstream)
    await (await world.upstream.blob("x", file)).whole()  # type: ignore[union-attr]
    asked = len(world.origin.requests)
    assert await metadata(world) == WHEEL.metadata
    assert world.origin.paths[asked:] == [METADATA_URL]


async def test_a_wheel_that_comes_too_slowly_is_promised_when_it_is_here(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = asyncio.Event()

    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.content_length = len(WHEEL.data)
        await answer.prepare(request)
        await answer.write(WHEEL.data[:100])
        if "range" not in request.headers:
            await release.wait()
            await answer.write(WHEEL.data[100:])
        return answer

    monkeypatch.setattr(metadata_module, "_WHOLE_WITHIN", 0.1)
    world.index.page(document(entry(**{"core-metadata": True})))
    world.index.answers[FILE_URL] = slow
    with pytest.raises(UpstreamError, match="is not here yet") as raised:
        await metadata(world)
    assert raised.value.timed_out
    assert (await file_of(world.upstream)).metadata is None
    release.set()
    monkeypatch.setattr(metadata_module, "_WHOLE_WITHIN", 30)
    assert await metadata(world) == WHEEL.metadata
    assert (await file_of(world.upstream)).metadata == {}


async def test_no_upstream_speaks_for_another(world: World) -> None:
    """The same wheel at two upstreams: the one lies about what it requires."""
    evil = WHEEL.metadata + b"Requires-Dist: evil\n"
    world.index.page(document(entry(**{"core-metadata": True})))
    world.index.answers[METADATA_URL] = web.Response(body=evil)
    assert await metadata(world) == evil, "its own clients believe it"
    async with a_world(world.folder) as honest:
        assert await metadata(honest) == WHEEL.metadata


async def test_where_it_is_missing_or_false_it_is_made_of_the_wheel(world: World) -> None:
    for number, (promise, answer) in enumerate(
        [
            (True, web.Response(status=404)),
            (True, web.Response(body=b"<h1>404</h1>")),
            (True, web.Response(body=b"Metadata-Version: 2.1\nName: y\nVersion: 1.0\n")),
            (True, web.Response(body=b"Metadata-Version: 2.1\n" + b"x" * 5_000_000)),
            ({"sha256": WHEEL.metadata_sha256}, web.Response(status=404)),
            ({"sha256": WHEEL.metadata_sha256}, web.Response(status=403)),
            ({"sha256": WHEEL.metadata_sha256}, web.Response(body=WHEEL.metadata + b"X: y\n")),
        ]
    ):
        world.index.page(document(entry(**{"core-metadata": promise})))
        world.index.answers[METADATA_URL] = answer
        cache = world.folder / str(number)
        async with opened(world.origin.url, cache, time.time) as (upstream, _):
            page = await upstream.page("x")
            assert page is not None
            found = await upstream.metadata("x", page.files[0])
        assert found == WHEEL.metadata, f"{promise}, {answer}"


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
    async with world.restarted() as again:
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
    world.index.file(WHEEL.filename, WHEEL.data, parts=False)
    file = await file_of(world.upstream)
    asked = [world.upstream.metadata("x", file) for _ in range(30)]
    assert set(await asyncio.gather(*asked)) == {WHEEL.metadata}
    assert parts_asked(world) == ["bytes=-131072", ""]


async def test_the_whole_wheel_it_was_made_of_stays_in_the_cache(world: World) -> None:
    world.index.file(WHEEL.filename, WHEEL.data, parts=False)
    await metadata(world)
    assert isinstance(await world.upstream.blob("x", await file_of(world.upstream)), Stored)


async def test_metadata_is_made_of_a_wheel_larger_than_the_cache(
    world: World, tmp_path: Path
) -> None:
    downloads = Downloads(Disk(tmp_path / "tiny", 0))
    upstream = Upstream(world.upstream.client, downloads)
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


async def test_metadata_is_made_of_a_wheel_that_vendors_others(world: World) -> None:
    vendored = {"x/_vendor/packaging-24.0.dist-info/METADATA": "Name: packaging\n"}
    wheel = make_wheel("x", "1.0", modules=vendored)
    world.index.page(document(entry(hashes={"sha256": wheel.sha256})))
    world.index.file(WHEEL.filename, wheel.data)
    assert await metadata(world) == wheel.metadata


@pytest.mark.parametrize("promised", [None, True, {"sha256": "1" * 64}])
@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"nothing", "is not a complete wheel"),
        (not_a_wheel("x.py"), "has 0 .dist-info folders"),
        (not_a_wheel("a.dist-info/METADATA", "b.dist-info/METADATA"), "has 2 .dist-info folders"),
        (not_a_wheel("a.dist-info/METADATA"), "has 'a.dist-info', which is not"),
    ],
    ids=["no zip", "no folder", "two folders", "another's folder"],
)
async def test_what_is_no_wheel_has_no_metadata_and_is_promised_none(
    world: World, data: bytes, sentence: str, promised: object
) -> None:
    digest = hashlib.sha256(data).hexdigest()
    world.index.page(document(entry(hashes={"sha256": digest}, **{"core-metadata": promised})))
    world.index.file(WHEEL.filename, data)
    with pytest.raises(Missing, match=f"^{WHEEL.filename}.*{sentence}"):
        await metadata(world)
    assert (await file_of(world.upstream)).metadata is None
    world.later(FRESH + 1)
    assert (await file_of(world.upstream)).metadata is None, "its page says so still"


async def test_when_the_wheel_cannot_be_fetched_there_is_no_metadata(world: World) -> None:
    del world.index.answers[FILE_URL]
    with pytest.raises(UpstreamError, match="the file host answers 404"):
        await metadata(world)
