"""Files on their way in: fetched once, checked, and readable while they arrive."""

import asyncio
import errno
import hashlib
import logging
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pyodide_mirror.server.cache.disk import GRACE, Disk, Unfinished
from pyodide_mirror.server.cache.download import Download, Downloads, Place
from pyodide_mirror.server.cache.received import WINDOW
from pyodide_mirror.server.fetching.client import UpstreamClient, UpstreamError
from tests.support.asgi import origin
from tests.zoo.server import Manner, Request, Response, Server

DATA = hashlib.shake_256(b"data").digest(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
KEY = f"file-{SHA256}"
HALF = len(DATA) // 2


def unfinished(cache: Path) -> list[Path]:
    return list((cache / "unfinished").iterdir())


@pytest.fixture
async def downloads(tmp_path: Path) -> AsyncIterator[Downloads]:
    opened = Downloads(Disk(tmp_path / "cache", 1 << 30))
    yield opened
    await opened.close()
    assert unfinished(tmp_path / "cache") == []


@pytest.fixture
async def client() -> AsyncIterator[Callable[[str], UpstreamClient]]:
    made: list[UpstreamClient] = []

    def make(url: str) -> UpstreamClient:
        made.append(UpstreamClient(url, login=None, timeout=30))
        return made[-1]

    yield make
    for each in made:
        await each.close()


Client = Callable[[str], UpstreamClient]


async def places(*found: Place) -> AsyncIterator[Place]:
    for place in found:
        yield place


def twice(place: Place) -> AsyncIterator[Place]:
    return places(place, place)


def start(
    downloads: Downloads,
    *found: Place,
    sha256: str = SHA256,
    size: int | None = None,
    key: str = KEY,
) -> Download:
    return downloads.join(key, places(*found), sha256=sha256, size=size)


async def read(download: Download, begin: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in download.read(begin, end)])


async def collect(pieces: AsyncIterator[bytes], got: list[bytes]) -> None:
    async for piece in pieces:
        got.append(piece)  # noqa: PERF401  # what came before an error counts


async def exactly(pieces: AsyncIterator[bytes], size: int) -> bytes:
    """The next so many bytes, which must be there without anything else happening."""
    found = b""
    async with asyncio.timeout(30):
        while len(found) < size:
            found += await anext(pieces)
    assert len(found) == size
    return found


class Held:
    """An origin that sends half of the file, and the rest when it is let go."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.go = asyncio.Event()
        self.withhold = len(data) - len(data) // 2

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"content-length": str(len(self.data))})
        await answer.prepare(request)
        first = len(self.data) - self.withhold
        await answer.write(self.data[:first])
        await self.go.wait()
        await answer.write(self.data[first:])
        return answer


def place(client: Client, url: str) -> Place:
    return Place(f"{url}/files/x.whl", client(f"{url}/simple"))


# --- one request for many -----------------------------------------------------------------------


async def test_many_who_ask_cause_one_request_and_all_get_all(
    downloads: Downloads, client: Client
) -> None:
    held = Held()
    async with origin(held) as upstream:
        at = place(client, upstream.url)
        asked = [start(downloads, at) for _ in range(50)]
        assert len({id(download) for download in asked}) == 1
        readers = [asyncio.ensure_future(read(download)) for download in asked]
        await asked[0].headers()
        held.go.set()
        assert all(body == DATA for body in await asyncio.gather(*readers))
        assert len(upstream.requests) == 1


async def test_what_is_whole_is_in_the_cache_and_needs_no_request(
    downloads: Downloads, client: Client
) -> None:
    held = Held()
    held.go.set()
    async with origin(held) as upstream:
        path = await start(downloads, place(client, upstream.url)).whole()
    assert path.read_bytes() == DATA
    assert await downloads.stored(KEY, SHA256) == path


async def test_a_reader_follows_what_arrives(downloads: Downloads, client: Client) -> None:
    held = Held()
    async with origin(held) as upstream:
        download = start(downloads, place(client, upstream.url))
        pieces = download.read(0, len(DATA))
        assert await exactly(pieces, HALF - 1) == DATA[: HALF - 1]
        held.go.set()
        assert b"".join([piece async for piece in pieces]) == DATA[HALF - 1 :]


async def test_a_reader_that_comes_late_gets_all(downloads: Downloads, client: Client) -> None:
    held = Held()
    async with origin(held) as upstream:
        download = start(downloads, place(client, upstream.url))
        first = download.read(0, None)
        await exactly(first, HALF - 1)
        late = asyncio.ensure_future(read(start(downloads, place(client, upstream.url))))
        held.go.set()
        assert await late == DATA
        assert len(upstream.requests) == 1
        await first.aclose()  # type: ignore[attr-defined]


async def test_a_reader_that_comes_after_the_end_reads_the_entry(
    downloads: Downloads, client: Client
) -> None:
    held = Held()
    held.go.set()
    async with origin(held) as upstream:
        download = start(downloads, place(client, upstream.url))
        await download.whole()
        assert await read(download) == DATA
        assert await read(download, 10, 20) == DATA[10:20]


@pytest.mark.parametrize(
    ("begin", "end"), [(0, 1), (10, 20), (HALF - 5, HALF + 5), (len(DATA) - 7, len(DATA)), (5, 5)]
)
async def test_a_part_can_be_read_while_it_arrives(
    downloads: Downloads, client: Client, begin: int, end: int
) -> None:
    held = Held()
    async with origin(held) as upstream:
        download = start(downloads, place(client, upstream.url))
        reader = asyncio.ensure_future(read(download, begin, end))
        if end < HALF:
            assert await asyncio.wait_for(reader, 30) == DATA[begin:end]
        held.go.set()
        assert await reader == DATA[begin:end]
        await download.whole()


async def test_the_last_byte_waits_for_the_digest(
    downloads: Downloads, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = asyncio.Event()
    held = Held()
    held.go.set()

    async def late(function: Callable[..., object], *given: object) -> object:
        await flushed.wait()
        return function(*given)

    monkeypatch.setattr("pyodide_mirror.server.cache.download.in_thread", late)
    async with origin(held) as upstream:
        download = start(downloads, place(client, upstream.url))
        pieces = download.read(0, len(DATA))
        assert await exactly(pieces, len(DATA) - 1) == DATA[:-1]
        flushed.set()
        assert await anext(pieces) == DATA[-1:]


async def test_who_gets_a_tampered_file_never_gets_its_last_byte(
    downloads: Downloads, client: Client
) -> None:
    held = Held(DATA[:-1] + b"!")
    async with origin(held) as upstream:
        download = start(downloads, place(client, upstream.url), place(client, upstream.url))
        got: list[bytes] = []
        held.go.set()
        with pytest.raises(UpstreamError, match="SHA-256 differs"):
            await collect(download.read(0, len(DATA)), got)
        assert sum(map(len, got)) < len(DATA)
        assert len(upstream.requests) == 1, "a second copy cannot fix what was sent"
    assert await downloads.stored(KEY, SHA256) is None


@pytest.mark.parametrize("told", [hashlib.sha256(b"").hexdigest(), ""])
async def test_an_empty_file_is_a_file_where_the_index_means_it(
    downloads: Downloads, client: Client, told: str
) -> None:
    held = Held(b"")
    held.go.set()
    async with origin(held) as upstream:
        download = start(downloads, place(client, upstream.url), sha256=told, size=0)
        assert await read(download) == b""
        assert (await download.whole()).stat().st_size == 0


async def test_an_empty_file_in_place_of_another_is_refused_at_once(
    downloads: Downloads, client: Client
) -> None:
    """It has no last byte that could be held back."""
    held = Held(b"")
    held.go.set()
    async with origin(held) as upstream:
        with pytest.raises(UpstreamError, match="the file is empty"):
            await start(downloads, place(client, upstream.url)).headers()


# --- sizes --------------------------------------------------------------------------------------


async def test_the_size_is_known_with_the_headers(downloads: Downloads, client: Client) -> None:
    held = Held()
    async with origin(held) as upstream:
        download = start(downloads, place(client, upstream.url), size=len(DATA))
        assert download.size is None
        await download.headers()
        assert download.size == len(DATA)


async def test_without_a_content_length_the_size_is_known_at_the_end(
    downloads: Downloads, client: Client
) -> None:
    server = Server(lambda _: Response(body=DATA, manner=Manner.CHUNKED))
    download = start(downloads, place(client, f"http://127.0.0.1:{server.port}"))
    await download.headers()
    assert await read(download) == DATA
    await download.whole()
    assert download.size == len(DATA)
    server.close()


async def test_a_size_that_contradicts_the_index_is_an_error_before_anything_is_sent(
    downloads: Downloads, client: Client
) -> None:
    held = Held()
    async with origin(held) as upstream:
        download = start(downloads, place(client, upstream.url), size=7)
        with pytest.raises(UpstreamError, match="has 300000 bytes, the index says 7"):
            await download.headers()


async def test_an_absurd_size_is_refused(downloads: Downloads, client: Client) -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"content-length": str(1 << 50)})
        await answer.prepare(request)
        await asyncio.Event().wait()
        return answer

    async with origin(endless) as upstream:
        with pytest.raises(UpstreamError, match="larger than any wheel"):
            await start(downloads, place(client, upstream.url)).headers()


async def test_a_body_without_end_is_stopped(
    downloads: Downloads, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyodide_mirror.server.cache.download.MAX_FILE_BYTES", 10_000)
    server = Server(lambda _: Response(body=DATA, manner=Manner.CHUNKED))
    download = start(downloads, place(client, f"http://127.0.0.1:{server.port}"))
    with pytest.raises(UpstreamError, match="more bytes than were announced"):
        await download.whole()
    server.close()


async def test_an_encoded_file_without_a_digest_is_refused(
    downloads: Downloads, client: Client
) -> None:
    server = Server(lambda _: Response(body=DATA, headers=(("Content-Encoding", "gzip"),)))
    url = f"http://127.0.0.1:{server.port}"
    with pytest.raises(UpstreamError, match="Content-Encoding"):
        await start(downloads, place(client, url), sha256="").headers()
    assert server.requests[0].header("Accept-Encoding") == "identity"
    assert await read(start(downloads, place(client, url))) == DATA, "a digest tells what it is"
    server.close()


# --- what breaks off ----------------------------------------------------------------------------


def part_of(request: Request) -> Response:
    """What a host that knows ranges answers."""
    wanted = request.header("Range")
    if wanted is None:
        return Response(body=DATA, manner=Manner.CUT)
    first = int(wanted.removeprefix("bytes=").removesuffix("-"))
    shown = (("Content-Range", f"bytes {first}-{len(DATA) - 1}/{len(DATA)}"),)
    return Response(status=206, body=DATA[first:], headers=shown)


async def test_a_file_that_was_cut_off_is_resumed_where_it_stopped(
    downloads: Downloads, client: Client
) -> None:
    server = Server(part_of)
    at = place(client, f"http://127.0.0.1:{server.port}")
    assert await read(start(downloads, at, at)) == DATA
    assert [request.header("Range") for request in server.requests] == [None, f"bytes={HALF}-"]
    server.close()


async def test_a_host_that_ignores_range_sends_what_is_here_already_again(
    downloads: Downloads, client: Client
) -> None:
    manners = iter([Manner.CUT, Manner.PLAIN])
    server = Server(lambda _: Response(body=DATA, manner=next(manners)))
    at = place(client, f"http://127.0.0.1:{server.port}")
    assert await read(start(downloads, at, at), 0, len(DATA)) == DATA
    assert len(server.requests) == 2
    server.close()


async def test_a_host_that_changes_its_mind_half_way_is_caught_by_the_digest(
    downloads: Downloads, client: Client
) -> None:
    bodies = iter([(DATA, Manner.CUT), (DATA[::-1], Manner.PLAIN)])

    def answer(_: Request) -> Response:
        body, manner = next(bodies)
        return Response(body=body, manner=manner)

    server = Server(answer)
    at = place(client, f"http://127.0.0.1:{server.port}")
    with pytest.raises(UpstreamError, match="SHA-256 differs"):
        await read(start(downloads, at, at))
    server.close()


@pytest.mark.parametrize(
    "second",
    [
        Response(status=206, body=DATA[HALF:], headers=(("Content-Range", "bytes 5-9/300000"),)),
        Response(status=206, body=DATA[HALF:]),
        Response(status=206, body=DATA[HALF:], headers=(("Content-Range", "rows 1-2/3"),)),
        Response(status=416),
        Response(status=503),
    ],
    ids=["another part", "no Content-Range", "another unit", "416", "503"],
)
async def test_what_does_not_go_on_where_it_stopped_is_not_taken(
    downloads: Downloads, client: Client, second: Response
) -> None:
    answers = iter([Response(body=DATA, manner=Manner.CUT), second])
    server = Server(lambda _: next(answers))
    at = place(client, f"http://127.0.0.1:{server.port}")
    with pytest.raises(UpstreamError, match="cut off, and cannot be resumed"):
        await start(downloads, at, at).whole()
    server.close()


async def test_without_a_digest_nothing_is_joined(downloads: Downloads, client: Client) -> None:
    server = Server(part_of)
    at = place(client, f"http://127.0.0.1:{server.port}")
    with pytest.raises(UpstreamError, match="cut off, and cannot be resumed"):
        await start(downloads, at, at, sha256="").whole()
    server.close()


async def test_another_place_stands_in_for_one_that_breaks(
    downloads: Downloads, client: Client
) -> None:
    first = Server(lambda _: Response(body=DATA, manner=Manner.CUT))
    second = Server(part_of)
    where = [place(client, f"http://127.0.0.1:{server.port}") for server in (first, second)]
    assert await read(start(downloads, *where)) == DATA
    assert second.requests[0].header("Range") == f"bytes={HALF}-"
    first.close()
    second.close()


async def test_a_place_that_is_silent_is_not_asked_twice(
    downloads: Downloads, client: Client
) -> None:
    silent = Server(lambda _: Response(manner=Manner.HANG))
    at = place(client, f"http://127.0.0.1:{silent.port}")
    at.client.timeout = 0.3
    download = start(downloads, at, at)
    with pytest.raises(UpstreamError, match=r"no answer within 0.3 s") as raised:
        await download.headers()
    assert raised.value.timed_out
    assert len(silent.requests) == 1
    silent.close()


async def test_one_that_stops_half_way_is_given_up_after_a_while(
    downloads: Downloads, client: Client
) -> None:
    stuck = Server(lambda _: Response(body=DATA, manner=Manner.HALF))
    at = place(client, f"http://127.0.0.1:{stuck.port}")
    at.client.timeout = 0.3
    download = start(downloads, at)
    await download.headers()
    with pytest.raises(UpstreamError, match=r"no answer within 0.3 s"):
        await read(download)
    stuck.close()


@pytest.mark.parametrize("status", [404, 403, 500, 206, 304])
async def test_an_answer_without_a_file_is_an_error_with_its_status(
    downloads: Downloads, client: Client, status: int
) -> None:
    server = Server(lambda _: Response(status=status))
    with pytest.raises(UpstreamError, match=f"answers {status}"):
        await start(downloads, place(client, f"http://127.0.0.1:{server.port}")).headers()
    server.close()


async def test_nobody_who_has_it_is_an_error(downloads: Downloads) -> None:
    with pytest.raises(UpstreamError, match="no upstream has the file"):
        await start(downloads).whole()


async def test_problems_are_all_told_once_each(downloads: Downloads, client: Client) -> None:
    statuses = iter([500, 500, 404])
    server = Server(lambda _: Response(status=next(statuses)))
    at = place(client, f"http://127.0.0.1:{server.port}")
    with pytest.raises(
        UpstreamError, match=r"^the file host answers 500; the file host answers 404$"
    ):
        await start(downloads, at, at, at).whole()
    server.close()


async def test_a_reader_that_starts_after_the_failure_hears_of_it(
    downloads: Downloads, client: Client
) -> None:
    """Between the headers and the first byte of an answer much can happen."""
    server = Server(lambda _: Response(body=DATA, manner=Manner.CUT))
    download = start(downloads, place(client, f"http://127.0.0.1:{server.port}"))
    await download.headers()
    with pytest.raises(UpstreamError):
        await download.whole()
    with pytest.raises(UpstreamError, match="cut off"):
        await read(download)
    server.close()


async def test_a_failed_download_is_begun_anew_by_the_next_who_asks(
    downloads: Downloads, client: Client
) -> None:
    answers = iter([Response(status=500), Response(body=DATA)])
    server = Server(lambda _: next(answers))
    at = place(client, f"http://127.0.0.1:{server.port}")
    with pytest.raises(UpstreamError):
        await start(downloads, at).whole()
    await asyncio.sleep(0)
    assert await read(start(downloads, at)) == DATA
    server.close()


# --- the disk -----------------------------------------------------------------------------------


class SmallDisk:
    """A disk that takes so many bytes in all, by the writes of unfinished files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capacity: int) -> None:
        self.left = capacity
        append, small = Unfinished._append, self

        def write(self: Unfinished, content: bytes) -> None:
            if len(content) > small.left:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            small.left -= len(content)
            append(self, content)

        monkeypatch.setattr(Unfinished, "_append", write)


@pytest.mark.parametrize("capacity", [0, 1, 150_000, 299_999])
async def test_on_a_full_disk_a_file_is_passed_on_without_being_kept(
    downloads: Downloads,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capacity: int,
) -> None:
    disk = SmallDisk(monkeypatch, capacity)
    held = Held()
    held.go.set()
    async with origin(held) as upstream:
        at = place(client, upstream.url)
        download = start(downloads, at)
        assert await asyncio.gather(*(read(download) for _ in range(5))) == [DATA] * 5
        with pytest.raises(UpstreamError, match="this server cannot store the file"):
            await download.whole()
        assert len(upstream.requests) == 1
        assert "passed on without being kept: [Errno 28]" in caplog.text
        assert downloads.disk.problem == "files are not stored (No space left on device)"
        assert downloads.disk.size == 0
        disk.left = 1 << 30
        assert await read(start(downloads, at)) == DATA
        assert downloads.disk.problem == ""
        assert downloads.disk.size == len(DATA)


async def test_on_a_full_disk_what_was_used_least_recently_makes_room(
    downloads: Downloads, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SmallDisk(monkeypatch, 500_000)
    old = [downloads.disk.put(f"url-{n:064}", bytes(100_000)) for n in range(4)]
    remove = downloads.disk._remove_unless_used

    def removed(key: str) -> None:
        size = downloads.disk.size
        remove(key)
        disk.left += size - downloads.disk.size

    monkeypatch.setattr(downloads.disk, "_remove_unless_used", removed)
    monkeypatch.setattr(downloads.disk, "_clock", lambda: time.time() + 2 * GRACE)
    held = Held()
    held.go.set()
    async with origin(held) as upstream:
        download = start(downloads, place(client, upstream.url))
        assert (await download.whole()).read_bytes() == DATA
    assert not any(path.exists() for path in old), "some more leave than are needed now"
    assert downloads.disk.problem == ""


LARGE = hashlib.shake_256(b"large").digest(3 * WINDOW)


async def test_a_file_that_is_not_kept_waits_for_its_readers(
    downloads: Downloads, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    SmallDisk(monkeypatch, 100)
    held = Held(LARGE)
    held.go.set()
    async with origin(held) as upstream:
        sha256 = hashlib.sha256(LARGE).hexdigest()
        download = start(downloads, place(client, upstream.url), sha256=sha256)
        await download.headers()
        leaving, staying = download.read(0, None), download.read(0, None)
        await anext(leaving)
        got = await anext(staying)
        while download.received < WINDOW:
            await download._moved.wait()
        ahead = asyncio.ensure_future(anext(staying))
        assert download.received < WINDOW + (1 << 20), "it waits for the slowest"
        await leaving.aclose()
        got += await ahead
        async for piece in staying:
            got += piece
        assert got == LARGE
        late = start(downloads, place(client, upstream.url), sha256=sha256)
        assert late is not download
        assert await read(late) == LARGE


async def test_a_file_that_is_not_kept_and_not_read_is_given_up(
    downloads: Downloads, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyodide_mirror.server.cache.download._NOBODY", 0.05)
    SmallDisk(monkeypatch, 0)
    held = Held(LARGE)
    held.go.set()
    async with origin(held) as upstream:
        at = place(client, upstream.url)
        with pytest.raises(UpstreamError, match="nobody reads the file"):
            await start(downloads, at, at).whole()
        assert len(upstream.requests) == 1


async def test_a_wrong_file_that_is_not_kept_is_not_completed_either(
    downloads: Downloads, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    SmallDisk(monkeypatch, 100)
    held = Held(DATA[:-1] + b"!")
    held.go.set()
    async with origin(held) as upstream:
        got: list[bytes] = []
        with pytest.raises(UpstreamError, match="SHA-256 differs"):
            await collect(start(downloads, place(client, upstream.url)).read(0, None), got)
        assert len(b"".join(got)) < len(DATA)


async def test_the_cache_folder_may_be_removed_at_any_time(
    downloads: Downloads, client: Client
) -> None:
    held = Held()
    async with origin(held) as upstream:
        at = place(client, upstream.url)
        download = start(downloads, at)
        reading = asyncio.ensure_future(read(download))
        await download.headers()
        shutil.rmtree(downloads.disk.folder)
        held.go.set()
        assert await reading == DATA
        assert await downloads.stored(KEY, SHA256) is None
        again = await start(downloads, at).whole()
        assert again.read_bytes() == DATA
        assert downloads.disk.problem == ""


async def test_a_disk_that_fails_at_the_end_is_told_as_such(
    downloads: Downloads, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flush(_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("pyodide_mirror.server.cache.disk.Unfinished.flush", flush)
    held = Held()
    held.go.set()
    async with origin(held) as upstream:
        download = start(downloads, place(client, upstream.url))
        with pytest.raises(UpstreamError, match=r"^this server cannot store the file"):
            await read(download, 0, len(DATA))


async def test_a_file_larger_than_the_cache_reaches_who_waits_for_it(
    tmp_path: Path, client: Client
) -> None:
    small = Downloads(Disk(tmp_path / "small", 10))
    held = Held()
    held.go.set()
    async with origin(held) as upstream:
        download = start(small, place(client, upstream.url))
        assert (await download.whole()).read_bytes() == DATA
        assert await read(download) == DATA
    await small.close()


async def test_a_damaged_entry_is_dropped_and_told(
    downloads: Downloads, caplog: pytest.LogCaptureFixture
) -> None:
    path = downloads.disk.put(KEY, DATA)
    path.write_bytes(DATA[:-1] + b"!")
    assert await downloads.stored(KEY, SHA256) is None
    assert not path.exists()
    assert "is damaged; it is fetched again" in caplog.text


async def test_an_entry_is_checked_once_for_all_who_ask_at_once(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = downloads.disk.put(KEY, DATA)
    checked: list[Path] = []
    digest = hashlib.file_digest

    def noted(file: Any, name: str) -> object:
        checked.append(Path(file.name))
        return digest(file, name)

    monkeypatch.setattr("hashlib.file_digest", noted)
    asked = [downloads.stored(KEY, SHA256) for _ in range(20)]
    assert await asyncio.gather(*asked) == [path] * 20
    assert await downloads.stored(KEY, SHA256) == path
    assert checked == [path]


async def test_an_entry_that_vanishes_while_it_is_checked_is_none(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads.disk.put(KEY, DATA)

    opened = Path.open

    def vanishing(path: Path, *options: Any) -> object:
        path.unlink()  # as another process might
        return opened(path, *options)

    monkeypatch.setattr(Path, "open", vanishing)
    assert await downloads.stored(KEY, SHA256) is None


async def test_an_entry_without_a_digest_is_taken_as_it_is(downloads: Downloads) -> None:
    path = downloads.disk.put(KEY, b"anything")
    assert await downloads.stored(KEY, "") == path


async def test_one_that_left_the_cache_is_checked_again_when_it_is_back(
    downloads: Downloads,
) -> None:
    downloads.disk.put(KEY, DATA)
    assert await downloads.stored(KEY, SHA256) is not None
    downloads.disk.remove(KEY)
    downloads.disk.put(KEY, b"something else")
    assert await downloads.stored(KEY, SHA256) is None


# --- who leaves ---------------------------------------------------------------------------------


async def test_when_all_readers_leave_the_download_goes_on(
    downloads: Downloads, client: Client
) -> None:
    held = Held()
    async with origin(held) as upstream:
        download = start(downloads, place(client, upstream.url))
        readers = [asyncio.ensure_future(read(download)) for _ in range(3)]
        await exactly(download.read(0, HALF - 1), HALF - 1)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        held.go.set()
        assert (await download.whole()).read_bytes() == DATA
        assert len(upstream.requests) == 1


async def test_who_leaves_before_the_headers_stops_nobody(
    downloads: Downloads, client: Client
) -> None:
    go = asyncio.Event()

    async def slow(_: web.BaseRequest) -> web.StreamResponse:
        await go.wait()
        return web.Response(body=DATA)

    async with origin(slow) as upstream:
        download = start(downloads, place(client, upstream.url))
        leaving, staying = (asyncio.ensure_future(download.headers()) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        go.set()
        await staying
        assert await read(download) == DATA


async def test_an_error_that_nobody_waits_for_is_not_reported_as_forgotten(
    downloads: Downloads, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(lambda _: Response(status=500))
    download = start(downloads, place(client, f"http://127.0.0.1:{server.port}"))
    leaving = asyncio.ensure_future(download.headers())
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(UpstreamError):
        await download.whole()
    del download
    await asyncio.sleep(0)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    server.close()


async def test_closing_stops_what_is_under_way_and_tells_its_readers(
    tmp_path: Path, client: Client
) -> None:
    downloads = Downloads(Disk(tmp_path / "cache", 1 << 30))
    async with origin(Held()) as upstream:
        download = start(downloads, place(client, upstream.url))
        reader = asyncio.ensure_future(read(download))
        await download.headers()
        await downloads.close()
        with pytest.raises(UpstreamError, match="the download was stopped"):
            await reader
    assert unfinished(tmp_path / "cache") == []


async def test_closing_tells_who_waits_for_one_that_had_not_begun_yet(
    tmp_path: Path, client: Client
) -> None:
    downloads = Downloads(Disk(tmp_path / "cache", 1 << 30))
    download = start(downloads, place(client, "http://127.0.0.1:1"))
    await downloads.close()
    async with asyncio.timeout(30):
        with pytest.raises(UpstreamError, match="the download was stopped"):
            await download.whole()
    assert unfinished(tmp_path / "cache") == []


async def test_a_bug_on_the_way_is_logged_and_told_to_the_readers(
    downloads: Downloads, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> AsyncIterator[Place]:
        raise RuntimeError("a bug")
        yield  # type: ignore[unreachable]

    download = downloads.join(KEY, broken(), sha256=SHA256, size=None)
    with pytest.raises(UpstreamError, match="the download was stopped"):
        await download.headers()
    await asyncio.sleep(0)
    assert "a download ended unexpectedly" in caplog.text


async def test_two_files_are_two_downloads(downloads: Downloads, client: Client) -> None:
    other = f"url-{'0' * 64}"
    held = Held()
    held.go.set()
    async with origin(held) as upstream:
        at = place(client, upstream.url)
        one, two = start(downloads, at), start(downloads, at, key=other, sha256="")
        assert one is not two
        assert await read(one) == await read(two) == DATA
        assert len(upstream.requests) == 2
