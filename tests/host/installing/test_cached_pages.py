"""A page in the cache that cannot be parsed counts as none: anybody may have put it there."""

import time

import pytest

from pyodide_mirror.index import JSON_TYPE
from pyodide_mirror.storage import Cache, CachedPage, MemoryBackend
from tests.support.fake_web import DEMO, DOWN, A, Web, file_url, reading, told, urls

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

URL = A.project_url("demo")


async def cache_of(body: bytes, fetched: float) -> Cache:
    cache = Cache(MemoryBackend())
    await cache.save_page(URL, CachedPage(body, JSON_TYPE, URL, fetched))
    return cache


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"name": "other", "files": []}'])
async def test_a_fresh_one_is_asked_for_again(body: bytes) -> None:
    web, cache = Web(), await cache_of(body, time.time())
    web.publish(A, DEMO)
    failover, events = reading(web, A, cache=cache)
    assert urls(await failover.page("demo")) == [file_url(A, DEMO)]
    assert web.asked == [URL]
    assert told(events) == [("page", A.name)]


async def test_an_old_one_does_not_stand_in_for_a_mirror_that_is_down() -> None:
    web, cache = Web(), await cache_of(b"{", 1.0)
    web.answer(URL, DOWN)
    failover, events = reading(web, A, cache=cache)
    with pytest.raises(OSError, match="Failed to fetch"):
        await failover.page("demo")
    assert "kept" not in {event.kind for event in events}
