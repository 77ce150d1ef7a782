"""Pages of one upstream that several processes keep; two caches stand for two processes."""

from pathlib import Path

import pytest

from pyodide_mirror.model import ProjectPage
from pyodide_mirror.server.cache.disk import Disk
from pyodide_mirror.server.upstreams.page_cache import CachedPage, PageCache

URL = "https://index.example/simple"


@pytest.fixture
def ours(tmp_path: Path) -> PageCache:
    return PageCache(URL, Disk(tmp_path, 1 << 20), 100)


@pytest.fixture
def theirs(tmp_path: Path) -> PageCache:
    return PageCache(URL, Disk(tmp_path, 1 << 20), 100)


def page(fetched: float) -> CachedPage:
    return CachedPage(ProjectPage(name="x", files=(), status="archived"), fetched, "etag")


async def test_what_another_process_has_renewed_is_read_again(
    ours: PageCache, theirs: PageCache
) -> None:
    await ours.store("x", page(1))
    assert await theirs.load("x") == page(1)
    assert "x" in theirs
    await ours.store("x", page(2.5))
    assert "x" in ours
    assert "x" not in theirs
    assert await theirs.load("x") == page(2.5)
    assert "x" in theirs


async def test_what_another_process_has_removed_is_asked_for_again(
    ours: PageCache, theirs: PageCache
) -> None:
    await ours.store("x", page(1))
    await theirs.load("x")
    assert await ours.remove("x") == page(1)
    for each in (ours, theirs):
        assert "x" not in each
        assert await each.load("x") is None
    await theirs.store("x", page(2.5))
    assert await ours.load("x") == page(2.5)


async def test_what_left_the_disk_for_want_of_room_stays_in_memory(
    ours: PageCache, tmp_path: Path
) -> None:
    await ours.store("x", page(1))
    (stored,) = tmp_path.glob("page/??/*")  # noqa: ASYNC240  # nothing else runs
    stored.unlink()
    assert "x" in ours
    assert ours["x"] == page(1)
