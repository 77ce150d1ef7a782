"""One file that several processes want: one writes it, the others read it, and go on with it.

Another ``Disk`` over the same folder is as good as another process: locks belong to open files.
"""

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web

from pyodide_mirror.server.cache.disk import Disk
from pyodide_mirror.server.cache.download import Download, Downloads, Place
from pyodide_mirror.server.cache.unfinished import SharedPart
from pyodide_mirror.server.fetching.client import UpstreamClient, UpstreamError
from tests.support.asgi import origin

pytest.importorskip("fcntl", reason="there are no such locks here")

DATA = hashlib.shake_256(b"shared").digest(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
KEY = f"file-{SHA256}"
HALF = len(DATA) // 2


@pytest.fixture
async def downloads(tmp_path: Path) -> AsyncIterator[Downloads]:
    opened = Downloads(Disk(tmp_path, 1 << 30))
    yield opened
    await opened.close()
    assert not list((tmp_path / "unfinished").iterdir())


@pytest.fixture
def other(tmp_path: Path, downloads: Downloads) -> Iterator[SharedPart]:
    """The file as another process has begun it."""
    with Disk(tmp_path, 1 << 30).begin(KEY) as part:
        assert isinstance(part, SharedPart)
        assert part.is_mine
        yield part


class Upstream:
    """An index with the file, which notes what is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        wanted = request.headers.get("range", "")
        self.asked.append(wanted)
        begin = int(wanted[6:-1]) if wanted else 0
        head = {"content-range": f"bytes {begin}-{len(DATA) - 1}/{len(DATA)}"} if wanted else {}
        return web.Response(body=DATA[begin:], status=206 if wanted else 200, headers=head)


Start = Callable[..., Download]


@pytest.fixture
async def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
async def start(downloads: Downloads, upstream: Upstream) -> AsyncIterator[Start]:
    async with origin(upstream) as running:
        client = UpstreamClient(f"{running.url}/simple", login=None, timeout=30)

        async def places() -> AsyncIterator[Place]:
            yield Place(f"{running.url}/files/x.whl", client)

        def begin(*, sha256: str = SHA256, size: int | None = len(DATA)) -> Download:
            return downloads.join(KEY, places(), sha256=sha256, size=size)

        yield begin
        await client.close()


async def first(pieces: AsyncIterator[bytes], size: int) -> bytes:
    found = b""
    async with asyncio.timeout(30):
        while len(found) < size:
            found += await anext(pieces)
    return found


async def ended(downloads: Downloads) -> None:
    """Wait until nothing runs that another client could join."""
    await asyncio.gather(*downloads._tasks, return_exceptions=True)
    await asyncio.sleep(0)
    assert not downloads._running


async def rest(pieces: AsyncIterator[bytes]) -> bytes:
    async with asyncio.timeout(30):
        return b"".join([piece async for piece in pieces])


async def test_what_another_process_receives_is_read_and_not_asked_for(
    start: Start, other: SharedPart, upstream: Upstream
) -> None:
    download = start()
    pieces = download.read(0, None)
    other.write(DATA[:HALF])
    assert await first(pieces, HALF - 1) == DATA[: HALF - 1]
    assert download.size == len(DATA)
    other.write(DATA[HALF:])
    # The last byte is kept until the other one has checked the whole.
    assert await first(pieces, HALF) == DATA[HALF - 1 : -1]
    other.commit(KEY)
    assert await rest(pieces) == DATA[-1:]
    assert (await download.whole()).read_bytes() == DATA
    assert upstream.asked == []


async def test_one_that_another_process_gives_up_unread_is_fetched(
    start: Start, other: SharedPart, upstream: Upstream
) -> None:
    download = start()
    await asyncio.sleep(0)
    other.close()
    assert await rest(download.read(0, None)) == DATA
    assert upstream.asked == [""]


async def test_one_that_another_process_gives_up_half_read_is_an_error(
    downloads: Downloads, start: Start, other: SharedPart, upstream: Upstream
) -> None:
    download = start()
    pieces = download.read(0, None)
    other.write(DATA[:HALF])
    await first(pieces, HALF - 1)
    other.close()
    with pytest.raises(UpstreamError, match="another process of this server could not fetch"):
        await rest(pieces)
    await ended(downloads)
    assert await rest(start().read(0, None)) == DATA


async def test_one_that_was_finished_since_it_was_looked_for_is_used(
    start: Start, downloads: Downloads, upstream: Upstream, tmp_path: Path
) -> None:
    Disk(tmp_path, 1 << 30).put(KEY, DATA)
    download = start()
    assert await rest(download.read(10, None)) == DATA[10:]
    assert (await download.whole()).read_bytes() == DATA
    assert upstream.asked == []


# --- what a process leaves that is killed -------------------------------------------------------

_PROGRAM = """\
import pathlib, sys
from pyodide_mirror.server.cache.disk import Disk
part = Disk(pathlib.Path(sys.argv[1]), 1 << 30).begin(sys.argv[2])
part.write(sys.stdin.buffer.read(int(sys.argv[3])))
print("ready", flush=True)
sys.stdin.buffer.read()
"""


@contextmanager
def writing(cache: Path, content: bytes) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process, which has written this much and is killed at the end of the block."""
    command = [sys.executable, "-c", _PROGRAM, str(cache), KEY, str(len(content))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(content)
        process.stdin.flush()
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process
        finally:
            process.kill()


async def test_what_a_killed_process_was_writing_is_gone_on_with(
    start: Start, upstream: Upstream, tmp_path: Path
) -> None:
    with writing(tmp_path, DATA[:HALF]) as process:
        pieces = start().read(0, None)
        begun = await first(pieces, HALF - 1)
        assert upstream.asked == []
        process.kill()
        assert begun + await rest(pieces) == DATA
    assert upstream.asked == [f"bytes={HALF}-"]


def _left(cache: Path, content: bytes) -> None:
    """Leave an unfinished file as a killed process does."""
    (cache / "unfinished" / KEY).write_bytes(content)


async def test_a_whole_file_of_a_killed_process_needs_no_request(
    start: Start, upstream: Upstream, tmp_path: Path
) -> None:
    _left(tmp_path, DATA)
    download = start()
    assert await rest(download.read(0, None)) == DATA
    assert (await download.whole()).read_bytes() == DATA
    assert upstream.asked == []


@pytest.mark.parametrize(
    ("left", "sha256"),
    [(DATA + b"more", SHA256), (DATA[:HALF], "")],
    ids=["too large", "without a digest"],
)
async def test_what_cannot_be_gone_on_with_is_fetched_anew(
    start: Start, upstream: Upstream, tmp_path: Path, left: bytes, sha256: str
) -> None:
    _left(tmp_path, left)
    assert await rest(start(sha256=sha256).read(0, None)) == DATA
    assert upstream.asked == [""]


async def test_wrong_bytes_of_a_killed_process_are_an_error_once(
    downloads: Downloads, start: Start, upstream: Upstream, tmp_path: Path
) -> None:
    _left(tmp_path, bytes(HALF))
    with pytest.raises(UpstreamError, match="SHA-256 differs"):
        await rest(start().read(0, None))
    await ended(downloads)
    assert await rest(start().read(0, None)) == DATA
    assert upstream.asked == [f"bytes={HALF}-", ""]


async def test_one_that_was_read_and_has_no_digest_is_an_error(
    downloads: Downloads, start: Start, other: SharedPart, upstream: Upstream
) -> None:
    download = start(sha256="")
    pieces = download.read(0, None)
    other.write(DATA[:HALF])
    await first(pieces, HALF - 1)
    other.file.close()  # as a kill does
    with pytest.raises(UpstreamError, match="cannot be resumed"):
        await rest(pieces)
    await ended(downloads)
    assert await rest(start(sha256="").read(0, None)) == DATA
