"""Bodies of an upstream's answers: unpacked within bounds, off the loop, few large ones at once."""

import asyncio
import gzip
import threading
import zlib
from pathlib import Path

import pytest
from aiohttp import web

from pyodide_mirror.server.fetching import body as body_module
from pyodide_mirror.server.fetching.client import UpstreamError
from pyodide_mirror.server.upstreams.upstream import Limits
from tests.support.asgi import JSON_TYPE, document
from tests.support.upstream_world import a_world

MB = 1024 * 1024


def deflated(content: bytes, bits: int) -> bytes:
    packer = zlib.compressobj(wbits=bits)
    return packer.compress(content) + packer.flush()


PAGE = document()
HALVES = PAGE[:50], PAGE[50:]
CODINGS = {
    "gzip": ("gzip", gzip.compress(PAGE)),
    "gzip in capitals": ("GZIP", gzip.compress(PAGE)),
    "gzip by its old name": ("x-gzip", gzip.compress(PAGE)),
    "gzip of two members": ("gzip", b"".join(map(gzip.compress, HALVES))),
    "gzip and padding": ("gzip", gzip.compress(PAGE) + bytes(10)),
    "deflate": ("deflate", deflated(PAGE, 15)),
    "deflate without a header": ("deflate", deflated(PAGE, -15)),
    "none": ("identity", PAGE),
}


@pytest.mark.parametrize("piece", [7, body_module.PIECE])
@pytest.mark.parametrize(("coding", "packed"), CODINGS.values(), ids=CODINGS)
async def test_it_is_unpacked(
    tmp_path: Path, coding: str, packed: bytes, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_module, "PIECE", piece)
    async with a_world(tmp_path) as world:
        world.index.page(packed, headers={"content-encoding": coding})
        assert await world.upstream.page("x") is not None


BROKEN = {
    "cut off": ("gzip", gzip.compress(PAGE)[:-20], "its answer was cut off"),
    "damaged": ("gzip", b"\x1f\x8bnonsense", "its answer cannot be unpacked"),
    "not packed": ("gzip", PAGE, "its answer cannot be unpacked"),
    "another coding": ("br", PAGE, "a Content-Encoding that nobody asked for"),
    "two codings": ("gzip, gzip", PAGE, "a Content-Encoding that nobody asked for"),
    "a bomb": ("gzip", gzip.compress(bytes(70 * MB)), "more than 67,108,864 bytes"),
    "nothing": ("gzip", b"", "its answer was cut off"),
    "nothing, deflated": ("deflate", b"", "its answer was cut off"),
    "too many members": ("gzip", 200 * gzip.compress(b""), "more than 100 members"),
    "a bomb of many members": ("gzip", 70 * gzip.compress(bytes(MB)), "more than 67,108,864 bytes"),
}


@pytest.mark.parametrize(("coding", "packed", "sentence"), BROKEN.values(), ids=BROKEN)
async def test_what_cannot_be_unpacked_is_told(
    tmp_path: Path, coding: str, packed: bytes, sentence: str
) -> None:
    async with a_world(tmp_path) as world:
        world.index.page(packed, headers={"content-encoding": coding})
        with pytest.raises(UpstreamError, match=sentence):
            await world.upstream.page("x")


async def test_of_many_large_contents_only_a_few_are_there_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty small bodies that unpack to 2 MB each: four at a time, and none in the loop."""
    unpack, loop_thread = body_module._unpack, threading.get_ident()
    lock, held, most, in_loop = threading.Lock(), 0, 0, 0

    def watched(body: bytes, coding: str, max_bytes: int) -> bytes:
        nonlocal held, most, in_loop
        in_loop += threading.get_ident() == loop_thread
        is_large = max_bytes >= MB
        with lock:
            held += is_large
            most = max(most, held)
        try:
            return unpack(body, coding, max_bytes)
        finally:
            with lock:
                held -= is_large

    monkeypatch.setattr(body_module, "_unpack", watched)
    bomb = gzip.compress(b" " * (2 * MB))
    async with a_world(tmp_path) as world:
        for number in range(40):
            headers = {"content-type": JSON_TYPE, "content-encoding": "gzip"}
            world.index.answers[f"/simple/a{number}/"] = web.Response(body=bomb, headers=headers)
        asked = [world.upstream.page(f"a{number}") for number in range(40)]
        found = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(error, UpstreamError) for error in found)
    assert 1 <= most <= Limits().large_pages_at_once
    assert in_loop == 0
