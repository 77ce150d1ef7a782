"""The metadata of a wheel elsewhere, by Range requests: few of them, and bounded."""

import io
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from pyodide_mirror.model import File
from pyodide_mirror.server.distributions import archive
from pyodide_mirror.server.fetching.client import UpstreamClient, UpstreamError
from pyodide_mirror.server.upstreams.wheel_ranges import NoRangesError, read_remote_metadata
from tests.support.asgi import WHEEL, Index, Origin, origin
from tests.support.wheels import make_wheel

NAME = WHEEL.filename
METADATA = b"Metadata-Version: 2.1\nName: x\nVersion: 1.0\n" + b"".join(
    b"Requires-Dist: a%d\n" % n for n in range(20_000)
)


def wheel(*, before: int = 0, after: int = 0, members: int = 0, comment: bytes = b"") -> bytes:
    """A wheel with so many bytes before and after METADATA, and so many members more."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x/before.bin", bytes(before))
        archive.writestr("x-1.0.dist-info/METADATA", METADATA, zipfile.ZIP_DEFLATED)
        archive.writestr("x/after.bin", bytes(after))
        for number in range(members):
            archive.writestr(f"x/a_rather_long_folder_name/module_number_{number}.py", b"")
        archive.comment = comment
    return buffer.getvalue()


@asynccontextmanager
async def served(data: bytes, size: int | None = None) -> AsyncIterator[tuple[Origin, File, Index]]:
    """A host with this wheel, and its entry on a page that gives this size."""
    index = Index()
    index.file(NAME, data)
    async with origin(index) as running:
        yield (
            running,
            File(filename=NAME, url=f"{running.url}/files/{NAME}", hashes={}, size=size),
            index,
        )


async def read(running: Origin, file: File, timeout: float = 30) -> bytes:
    client = UpstreamClient(f"{running.url}/simple", login=None, timeout=timeout)
    try:
        return await read_remote_metadata(client, file)
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("data", "requests"),
    [
        (wheel(), 1),
        (wheel(before=5_000_000), 1),
        (wheel(after=5_000_000), 2),
        (wheel(before=300_000, after=300_000), 2),
        (wheel(before=1_000_000, members=3_000), 3),
        (wheel(comment=b"c" * 60_000, after=1_000_000), 2),
    ],
    ids=["small", "at the end", "at the begin", "in the middle", "many members", "a comment"],
)
async def test_it_takes_few_requests(data: bytes, requests: int) -> None:
    for size in (None, len(data)):
        async with served(data, size) as (running, file, _):
            assert await read(running, file) == METADATA
            assert len(running.requests) == requests
            assert all("range" in request.headers for request in running.requests)


async def test_a_directory_that_is_too_large_is_not_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = wheel(before=1_000_000, members=3_000)
    monkeypatch.setattr(archive, "_MAX_ENTRIES", 3_000)
    async with served(data) as (running, file, _):
        with pytest.raises(ValueError, match="has a directory of 3,003 entries"):
            await read(running, file)
        assert len(running.requests) == 1


@pytest.mark.parametrize("data", [b"", b"PK", b"x" * 1000, b"x" * 300_000], ids=len)
async def test_what_is_no_archive_is_told(data: bytes) -> None:
    async with served(data or b" ") as (running, file, _):
        with pytest.raises(ValueError, match="is not a complete wheel"):
            await read(running, file)


async def test_a_damaged_wheel_is_told() -> None:
    data = bytearray(wheel(before=400_000))
    data[400_300] ^= 1
    async with served(bytes(data)) as (running, file, _):
        with pytest.raises(ValueError, match="is no readable wheel"):
            await read(running, file)


def lying(**headers: str) -> Callable[[web.BaseRequest], web.Response]:
    return lambda _: web.Response(body=wheel(), status=206, headers=headers)


LENGTH = len(wheel())
LIES = {
    "no range": {},
    "another unit": {"content-range": f"items 0-{LENGTH - 1}/{LENGTH}"},
    "no size": {"content-range": f"bytes 0-{LENGTH - 1}/*"},
    "an end after the end": {"content-range": f"bytes 0-{LENGTH}/{LENGTH}"},
    "an end before the begin": {"content-range": f"bytes 9-8/{LENGTH}"},
    "a huge number": {"content-range": f"bytes 0-1/{'9' * 30}"},
    "a coding": {
        "content-range": f"bytes 0-{LENGTH - 1}/{LENGTH}",
        "content-encoding": "gzip",
    },
}


@pytest.mark.parametrize("headers", LIES.values(), ids=LIES)
async def test_parts_that_cannot_be_read_are_none(headers: dict[str, str]) -> None:
    async with served(b"x") as (running, file, index):

        async def answer(request: web.BaseRequest) -> web.Response:
            return lying(**headers)(request)

        index.answers[f"/files/{NAME}"] = answer
        with pytest.raises(NoRangesError):
            await read(running, file)


@pytest.mark.parametrize("status", [200, 416, 501])
async def test_a_host_without_parts_is_told_from_one_that_fails(status: int) -> None:
    async with served(b"x") as (running, file, index):
        index.answers[f"/files/{NAME}"] = web.Response(status=status, body=wheel())
        with pytest.raises(NoRangesError):
            await read(running, file)
        index.answers[f"/files/{NAME}"] = web.Response(status=503)
        with pytest.raises(UpstreamError, match="the file host answers 503") as raised:
            await read(running, file)
        assert not isinstance(raised.value, NoRangesError)


async def test_more_bytes_than_told_are_not_taken() -> None:
    async with served(b"x") as (running, file, index):

        async def answer(_: web.BaseRequest) -> web.Response:
            told = {"content-range": "bytes 0-999/1000"}
            return web.Response(body=wheel(before=5000), status=206, headers=told)

        index.answers[f"/files/{NAME}"] = answer
        with pytest.raises(UpstreamError, match="more bytes than were announced"):
            await read(running, file)


async def test_parts_of_another_file_do_not_fit() -> None:
    data = wheel(after=400_000)
    async with served(data) as (running, file, index):
        sizes = iter([len(data), len(data) + 1])

        async def answer(request: web.BaseRequest) -> web.Response:
            begin, end, _ = request.http_range.indices(len(data))
            told = {"content-range": f"bytes {begin}-{end - 1}/{next(sizes)}"}
            return web.Response(body=data[begin:end], status=206, headers=told)

        index.answers[f"/files/{NAME}"] = answer
        with pytest.raises(UpstreamError, match="the parts of the file do not fit"):
            await read(running, file)


async def test_nothing_unproven_comes_in_the_clear_below_an_https_index() -> None:
    file = File(filename=NAME, url=f"http://files.example/{NAME}", hashes={"sha256": "0" * 64})
    client = UpstreamClient("https://index.example/simple", login=None, timeout=30)
    with pytest.raises(UpstreamError, match="plain http below an https index"):
        await read_remote_metadata(client, file)
    await client.close()


async def test_a_normal_wheel_is_read() -> None:
    real = make_wheel("x", "1.0", requires=["y"])
    async with served(real.data) as (running, file, _):
        assert await read(running, file) == real.metadata
