"""What the cache keeps, what leaves it, and what is not believed of what it held."""

import time
from dataclasses import FrozenInstanceError
from hashlib import sha256

import pytest

from pyodide_mirror.storage import (
    NO_CACHE,
    Cache,
    CacheBackendError,
    CachedPage,
    CacheInfo,
    MemoryBackend,
)

URL = "https://mirror.example/simple/textual/"
KEY = f"page:{URL}"
PAGE = CachedPage(b'{"files":[]}', "application/vnd.pypi.simple.v1+json", URL, 1_700_000_000.25)


def drive(awaitable):
    """The result of something that never really waits, without an event loop."""
    steps = awaitable.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


def content(number, size=100):
    """A file's content and its digest."""
    data = number.to_bytes(2, "big") * (size // 2)
    return sha256(data).hexdigest(), data


def made(max_bytes=1000):
    """A cache in memory."""
    return Cache(MemoryBackend(max_bytes))


def keep(cache, *numbers, size=100):
    for number in numbers:
        drive(cache.save_file(*content(number, size)))


def kept(cache, numbers, size=100):
    """Which of these files are there; to look is to use."""
    found = []
    for number in numbers:
        digest, data = content(number, size)
        read = drive(cache.file(digest))
        assert read in (None, data)
        found += [number] if read else []
    return found


# --- files --------------------------------------------------------------------------------------


def test_a_file_that_was_kept_is_there():
    cache = made()
    assert kept(cache, [1]) == []
    keep(cache, 1)
    assert kept(cache, [1, 2]) == [1]


def test_a_file_that_is_not_what_its_digest_says_is_never_served_and_dropped():
    cache = made()
    drive(cache.save_file(content(1)[0], b"something else"))
    assert drive(cache.info()).files == 1
    assert kept(cache, [1]) == []
    assert drive(cache.info()).files == 0


def test_what_is_no_digest_is_no_key():
    for digest in ("", "a" * 63, "A" * 64, "g" * 64, "a" * 64 + "\n", "٣" * 64):
        cache = made()
        drive(cache.save_file(digest, b"data"))
        assert drive(cache.file(digest)) is None, digest
        assert drive(cache.info()).files == 0, digest


def test_an_empty_file_is_not_worth_keeping():
    cache = made()
    digest = sha256(b"").hexdigest()
    drive(cache.save_file(digest, b""))
    assert drive(cache.file(digest)) is None


def test_the_least_recently_used_leave_when_it_is_full():
    cache = made(1000)
    keep(cache, *range(10))
    assert kept(cache, [0, 3]) == [0, 3]
    keep(cache, 10, 11)
    assert kept(cache, range(12)) == [0, 3, 4, 5, 6, 7, 8, 9, 10, 11]


def test_keeping_again_is_using():
    cache = made(300)
    keep(cache, 1, 2, 3, size=70)
    keep(cache, 4, size=70)
    keep(cache, 1, size=70)
    keep(cache, 5, size=70)
    assert kept(cache, range(1, 6), size=70) == [1, 3, 4, 5]


def test_what_takes_more_than_a_quarter_of_the_room_is_not_kept():
    cache = made(1000)
    keep(cache, 1, size=250)
    keep(cache, 2, size=252)
    assert kept(cache, [1], size=250) == [1]
    assert kept(cache, [2], size=252) == []


# --- pages --------------------------------------------------------------------------------------


def test_a_page_that_was_kept_is_there():
    cache = made()
    assert drive(cache.page(URL)) is None
    drive(cache.save_page(URL, PAGE))
    assert drive(cache.page(URL)) == PAGE
    assert drive(cache.page(URL + "?")) is None


def test_a_newer_page_takes_the_place_of_the_older_one():
    cache = made()
    drive(cache.save_page(URL, PAGE))
    newer = CachedPage(b"{}", "application/json", URL, 1_700_000_001)
    drive(cache.save_page(URL, newer))
    assert drive(cache.page(URL)) == newer
    assert drive(cache.info()).pages == 1


def test_a_page_that_became_too_large_does_not_leave_the_older_one_behind():
    cache = made()
    drive(cache.save_page(URL, PAGE))
    drive(cache.save_page(URL, CachedPage(b"x" * 300, "", URL, 1)))
    assert drive(cache.page(URL)) is None


def test_whatever_is_in_a_page_comes_back():
    for page in (
        CachedPage(bytes(range(256)) + b"\n\n", "", "", 0.0),
        CachedPage(b"", "text/html; charset=utf-8", "https://[::1]:8080/[{", 1e-300),
        CachedPage(b"{}", 'a"b\n\ud800\x00', "https://bücher.example/\u2028", 1_700_000_000),
    ):
        again = CachedPage.from_bytes(page.to_bytes(KEY), KEY)
        assert again == page, page
        assert isinstance(again.fetched, float), page


def test_pages_count_against_the_same_bound_as_files():
    cache = made(1000)
    keep(cache, *range(10))
    drive(cache.save_page(URL, PAGE))
    info = drive(cache.info())
    assert (info.files, info.pages) == (8, 1)
    assert info.bytes <= 1000


def test_a_page_with_what_no_page_has_is_not_served():
    for page in (
        CachedPage(b"", "x" * 9000, URL, 1.0),
        CachedPage(b"", "[" * 9, URL, 1.0),
        CachedPage(b"", "", URL, float("nan")),
        CachedPage(b"", "", URL, float("inf")),
        CachedPage(b"", "", URL, -1.0),
    ):
        cache = made(100_000)
        drive(cache.save_page(URL, page))
        assert drive(cache.page(URL)) is None, page
        assert drive(cache.info()).pages == 0, page


def test_what_is_no_url_is_no_key():
    for url in (
        "",
        "file:///etc",
        "https://",
        "https://m.example/a b",
        "https://m.example/\n",
        "https://\ud800/",
    ):
        cache = made()
        drive(cache.save_page(url, PAGE))
        assert drive(cache.page(url)) is None, url
        assert drive(cache.info()).pages == 0, url


def forged(head, body=b"{}"):
    """What somebody writes who knows how pages are kept: the checksum is right."""
    from zlib import crc32

    rest = head + b"\n" + body
    return b"%08x\n" % crc32(rest, crc32(KEY.encode())) + rest


def test_the_forged_is_read_where_it_is_sound():
    page = CachedPage.from_bytes(forged(b'[1.5, "text/html", "https://x.example/"]'), KEY)
    assert page == CachedPage(b"{}", "text/html", "https://x.example/", 1.5)


def test_what_another_page_has_written_is_not_believed():
    for content in (
        b"",
        b"nonsense",
        b"\n\n\n\n",
        forged(b""),
        forged(b"1"),
        forged(b"{}"),
        forged(b"[]"),
        forged(b'[1.5, "a"]'),
        forged(b'[1.5, "a", "b", "c"]'),
        forged(b'[1, "a", "b"]'),
        forged(b'["1.5", "a", "b"]'),
        forged(b'[NaN, "a", "b"]'),
        forged(b'[-1.5, "a", "b"]'),
        forged(b'[1e999, "a", "b"]'),
        forged(b'[true, "a", "b"]'),
        forged(b'[1.5, 7, "b"]'),
        forged(b'[1.5, "a", null]'),
        forged(b'[1.5, "a", ["b"]]'),
        forged(b'[1.5, "\xff", "b"]'),
        forged(b'[1.5, "a", "b"'),
        forged(b"[" * 8000),
        forged(b'{"":' * 2000),
        forged(b'[1.5, "a", "' + b"b" * 9000 + b'"]'),
        b"00000000" + forged(b'[1.5, "a", "b"]')[8:],
    ):
        assert CachedPage.from_bytes(content, KEY) is None, content[:100]


def test_no_byte_of_a_kept_page_can_change_unnoticed():
    whole = PAGE.to_bytes(KEY)
    for at in range(len(whole)):
        damaged = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        assert CachedPage.from_bytes(damaged, KEY) is None
        assert CachedPage.from_bytes(whole[:at], KEY) is None


def test_the_page_of_another_url_is_not_served():
    assert CachedPage.from_bytes(PAGE.to_bytes(KEY), KEY + "?") is None


def test_a_damaged_page_is_dropped():
    shelf = MemoryBackend()
    cache = Cache(shelf)
    shelf.change(KEY, b"nonsense")
    assert drive(cache.info()).pages == 1
    assert drive(cache.page(URL)) is None
    assert drive(cache.info()).pages == 0


def test_a_page_from_the_future_is_an_old_one():
    for fetched in (time.time() + 1000, 1e300):
        page = CachedPage(b"{}", "", URL, fetched)
        assert CachedPage.from_bytes(page.to_bytes(KEY), KEY) == CachedPage(b"{}", "", URL, 0.0)


# --- the cache as a whole -----------------------------------------------------------------------


def test_info_tells_what_is_held():
    cache = made()
    keep(cache, 1, 2)
    drive(cache.save_page(URL, PAGE))
    info = drive(cache.info())
    size = 200 + len(PAGE.to_bytes(KEY))
    assert info == CacheInfo(2, 1, size, 1000, "memory")
    assert info.to_dict() == {
        "files": 2,
        "pages": 1,
        "bytes": size,
        "max_bytes": 1000,
        "where": "memory",
    }
    assert str(info) == f"files: 2, pages: 1, bytes: {size} of 1,000 (memory)"
    with pytest.raises(FrozenInstanceError):
        info.files = 3


def test_clear_removes_everything_and_it_can_be_used_again():
    cache = made()
    keep(cache, 1)
    drive(cache.save_page(URL, PAGE))
    drive(cache.clear())
    assert drive(cache.info()) == CacheInfo(0, 0, 0, 1000, "memory")
    assert drive(cache.page(URL)) is None
    keep(cache, 1)
    assert kept(cache, [1]) == [1]


class BrokenShelf:
    """A shelf that a browser does not allow."""

    where = "indexeddb"

    def __init__(self, max_bytes=200):
        self.max_bytes = max_bytes

    def change(self, key, change):
        """Forget it: nobody is told."""

    async def settled(self):
        """Be done."""

    async def read(self, key, sha256=""):
        raise CacheBackendError("SecurityError")

    async def sizes(self):
        raise CacheBackendError("SecurityError")

    async def clear(self):
        raise CacheBackendError("SecurityError")


@pytest.mark.parametrize(
    "use",
    [
        lambda cache: cache.page(URL),
        lambda cache: cache.file("a" * 64),
        lambda cache: cache.info(),
        lambda cache: cache.clear(),
    ],
)
def test_where_the_browser_allows_none_the_memory_is_used(use):
    cache = Cache(BrokenShelf())
    keep(cache, 1, size=40)
    drive(use(cache))
    keep(cache, 2, size=40)
    assert kept(cache, [1, 2], size=40) == [2]
    assert drive(cache.info()) == CacheInfo(1, 0, 40, 200, "memory")


def test_memory_is_bounded_to_less():
    cache = Cache(BrokenShelf(200_000_000))
    assert drive(cache.info()) == CacheInfo(0, 0, 0, 50_000_000, "memory")


def test_no_cache_keeps_nothing():
    keep(NO_CACHE, 1)
    assert kept(NO_CACHE, [1]) == []
    drive(NO_CACHE.save_page(URL, PAGE))
    assert drive(NO_CACHE.page(URL)) is None
    drive(NO_CACHE.clear())
    drive(NO_CACHE.settled())
    assert drive(NO_CACHE.info()) == CacheInfo(0, 0, 0, 0, "off")
    assert str(drive(NO_CACHE.info())) == "no cache"
