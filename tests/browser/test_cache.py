"""What is kept in IndexedDB: found again, bounded, shared by tabs, and never believed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_pyodide import run_in_pyodide

from tests.browser import figures
from tests.support.engines import BROWSERS, PAGES, Engine


@run_in_pyodide
async def prepare(selenium: Engine) -> None:
    """Make the module `lab` of what the tests need in the page, and delete the cache."""
    import asyncio
    import hashlib
    import sys
    import types

    import js
    from pyodide.code import run_js

    from pyodide_mirror.browser import storage
    from pyodide_mirror.browser.ffi import settle

    lab = types.ModuleType("lab")
    sys.modules["lab"] = lab
    lab.name = storage.CACHE_DATABASE
    lab.both = [storage.CONTENT, storage.ORDER]
    lab.url = "https://mirror.example/simple/textual/"

    def content(number: int, size: int = 1000) -> tuple[str, bytes]:
        data = number.to_bytes(4, "big") * (size // 4)
        return hashlib.sha256(data).hexdigest(), data

    async def keep(cache: object, *numbers: int, size: int = 1000) -> None:
        for number in numbers:
            await cache.save_file(*content(number, size))
        await cache.settled()

    async def found(cache: object, numbers: object, size: int = 1000) -> list[int]:
        wanted = [content(number, size) for number in numbers]
        read = await asyncio.gather(*[cache.file(digest) for digest, _ in wanted])
        for (_, data), got in zip(wanted, read, strict=True):
            assert got in (None, data)
        await cache.settled()
        return [number for number, got in zip(numbers, read, strict=True) if got is not None]

    # What any script of the origin can do: `change` gets the stores by name.
    js_raw = run_js("""async (name, change) => {
      const settled = (request, good) => new Promise((resolve, reject) => {
        request.addEventListener(good, () => resolve(request.result));
        for (const bad of ["error", "abort"]) {
          request.addEventListener(bad, () => reject(request.error));
        }
      });
      const database = await settled(indexedDB.open(name), "success");
      try {
        const transaction = database.transaction([...database.objectStoreNames], "readwrite");
        const stores = {};
        for (const each of database.objectStoreNames) stores[each] = transaction.objectStore(each);
        const request = change(stores);
        await settled(transaction, "complete");
        return request ? request.result : null;
      } finally {
        database.close();
      }
    }""")

    async def raw(source: str, *values: object) -> object:
        js_change = run_js(f"(...values) => (stores) => {{ {source} }}")(*values)
        return await settle(js_raw, None, lab.name, js_change)

    async def delete() -> None:
        js_delete = run_js("""(name) => new Promise((resolve, reject) => {
          const request = indexedDB.deleteDatabase(name);
          request.onsuccess = () => resolve();
          request.onerror = () => reject(request.error);
        })""")
        await settle(js_delete, None, lab.name)

    async def consistent() -> set[str]:
        """The keys, after it was looked at whether both stores agree, sizes included."""
        order = str(await raw("return stores.order.get('order')"))
        listed = {line.partition(" ")[2]: int(line.split(" ")[0]) for line in order.split("\n")}
        keys = list(await raw("return stores.content.getAllKeys()"))
        kept = list(await raw("return stores.content.getAll()"))
        sizes = {
            key: getattr(js_kept, "byteLength", None) or js_kept.size
            for key, js_kept in zip(keys, kept, strict=True)
        }
        assert sizes == listed
        return set(sizes)

    lab.content, lab.keep, lab.found, lab.raw = content, keep, found, raw
    lab.delete, lab.consistent, lab.run_js = delete, consistent, run_js
    if getattr(js, "indexedDB", None) is not None:
        await delete()


@run_in_pyodide
async def clean_up(selenium: Engine) -> None:
    """Delete what a test has left behind."""
    import js
    import lab

    if getattr(js, "indexedDB", None) is not None:
        await lab.delete()


@pytest.fixture(autouse=True)
def _clean(page: Engine) -> Iterator[None]:
    prepare(page)
    yield
    clean_up(page)


# --- found again ----------------------------------------------------------------------------------


@run_in_pyodide
async def keep_all(selenium: Engine) -> dict[str, Any]:
    """Keep two files, one of them large, and a page; return what the cache says of itself."""
    import lab

    from pyodide_mirror.browser import open_cache
    from pyodide_mirror.storage import CachedPage

    cache = open_cache()
    await lab.keep(cache, 1)
    await lab.keep(cache, 2, size=2_000_000)
    await cache.save_page(lab.url, CachedPage(b'{"files":[]}', "application/json", lab.url, 7.25))
    return (await cache.info()).to_dict()


@run_in_pyodide
async def find_all(selenium: Engine) -> dict[str, Any]:
    """Find them."""
    import lab

    from pyodide_mirror.browser import open_cache
    from pyodide_mirror.storage import CachedPage

    cache = open_cache()
    page = await cache.page(lab.url)
    assert page == CachedPage(b'{"files":[]}', "application/json", lab.url, 7.25)
    assert await cache.page(lab.url + "x") is None
    assert await lab.found(cache, [1, 3]) == [1]
    assert await lab.found(cache, [2, 4], size=2_000_000) == [2]
    return (await cache.info()).to_dict()


@run_in_pyodide
async def prepare_without_deleting(selenium: Engine) -> None:
    """Make `lab` in a second page: only what `find_all` needs."""
    import asyncio
    import hashlib
    import sys
    import types

    lab = types.ModuleType("lab")
    sys.modules["lab"] = lab
    lab.url = "https://mirror.example/simple/textual/"

    async def found(cache: object, numbers: list[int], size: int = 1000) -> list[int]:
        contents = [number.to_bytes(4, "big") * (size // 4) for number in numbers]
        digests = [hashlib.sha256(each).hexdigest() for each in contents]
        read = await asyncio.gather(*[cache.file(digest) for digest in digests])
        assert all(got in (None, data) for got, data in zip(read, contents, strict=True))
        return [number for number, got in zip(numbers, read, strict=True) if got is not None]

    lab.found = found


@run_in_pyodide
async def works_insecurely(selenium: Engine) -> bool:
    """Use the cache, and tell whether this is a secure context."""
    import js
    import lab

    from pyodide_mirror.browser import open_cache

    cache = open_cache()
    await lab.keep(cache, 2, size=2_000_000)
    assert await lab.found(cache, [2], size=2_000_000) == [2]
    assert (await cache.info()).where == "indexeddb"
    return bool(js.isSecureContext)


# WebKit maps no names.
@pytest.mark.engines("chromium", "chromium-worker", "firefox", "firefox-worker", ci=("chromium",))
def test_plain_http_pages_have_it_too(open_page: Callable[..., Engine]) -> None:
    page = open_page(host="page.test")
    assert page.run_js("return location.hostname") == "page.test"
    prepare(page)
    assert works_insecurely(page) is False


@run_in_pyodide
async def reads_before_it_is_written(selenium: Engine) -> None:
    """Read what was kept a moment ago, use and drop included."""
    import lab

    from pyodide_mirror.browser.storage import IndexedDBBackend
    from pyodide_mirror.storage import Cache

    shelf = IndexedDBBackend(1_000_000)
    cache = Cache(shelf)
    digest, data = lab.content(1)
    await cache.save_file(digest, data)
    assert shelf._writer is not None
    assert await cache.file(digest) == data
    assert await cache.file(digest) == data
    assert shelf._writer is not None, "it waited for the writing"
    await cache.settled()
    assert await lab.consistent() == {f"file:{digest}"}
    await cache.save_file(digest, b"something else")
    assert await cache.file(digest) is None
    assert await cache.file(digest) is None
    assert (await cache.info()).files == 0


@pytest.mark.engines(*BROWSERS)
def test_what_is_kept_can_be_read_before_it_is_written(page: Engine) -> None:
    reads_before_it_is_written(page)


@run_in_pyodide
async def count_transactions(selenium: Engine) -> tuple[int, int]:
    """Return how many transactions 19 files need, to be written and to be read."""
    import js
    import lab

    from pyodide_mirror.browser import open_cache

    js_count = lab.run_js("""(() => {
      const prototype = IDBDatabase.prototype, original = prototype.transaction;
      const stop = () => { prototype.transaction = original; };
      const count = { readonly: 0, readwrite: 0, stop };
      prototype.transaction = function (stores, mode) {
        count[mode] += 1;
        return original.call(this, stores, mode);
      };
      return count;
    })()""")
    assert js
    cache = open_cache()
    try:
        await lab.keep(cache, *range(19))
        writes = js_count.readwrite
        assert await lab.found(cache, range(19)) == list(range(19))
    finally:
        js_count.stop()
    return writes, js_count.readonly


@pytest.mark.engines(*BROWSERS)
def test_what_is_wanted_at_once_is_one_transaction(page: Engine) -> None:
    assert count_transactions(page) == (1, 1)


@run_in_pyodide
async def read_and_cancel(selenium: Engine) -> None:
    """Two read, one of them loses interest."""
    import asyncio

    import lab

    from pyodide_mirror.browser import open_cache

    await lab.keep(open_cache(), 1, 2)
    cache = open_cache()
    first, second = (lab.content(number) for number in (1, 2))
    tasks = [asyncio.ensure_future(cache.file(digest)) for digest in (first[0], second[0])]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert await tasks[1] == second[1]
    assert tasks[0].cancelled()
    assert await cache.file(first[0]) == first[1]


@pytest.mark.engines(*BROWSERS)
def test_who_loses_interest_does_not_disturb_the_others(page: Engine) -> None:
    read_and_cancel(page)


# --- hostile neighbours ---------------------------------------------------------------------------


@run_in_pyodide
async def read_foreign(selenium: Engine, expression: str, kind: str) -> tuple[bool, int]:
    """Write a foreign value over a kept entry; return what is read, and entries left."""
    import lab

    from pyodide_mirror.browser.storage import IndexedDBBackend
    from pyodide_mirror.storage import Cache, CachedPage

    cache = Cache(IndexedDBBackend(100_000_000))
    await lab.keep(cache, 1, size=200_000)
    await cache.save_page(lab.url, CachedPage(b"{}", "application/json", lab.url, 7.25))
    await cache.settled()
    digest = lab.content(1, 200_000)[0]
    key = f"file:{digest}" if kind == "file" else f"page:{lab.url}"
    await lab.raw(f"stores.content.put({expression}, values[0])", key)
    found = await (cache.file(digest) if kind == "file" else cache.page(lab.url))
    info = await cache.info()
    assert info.where == "indexeddb"
    await lab.consistent()
    return found is None, info.files + info.pages


@pytest.mark.engines(*BROWSERS)
@pytest.mark.parametrize("kind", ["file", "page"])
def test_a_foreign_value_is_dropped_and_never_served(page: Engine, engine: str, kind: str) -> None:
    for expression in (
        "7",
        "'text'",
        "'\\ud800'",
        "[1, 2]",
        "{ byteLength: 3, body: 'x' }",
        "new Date()",
        "new Map()",
        "new ArrayBuffer(0)",
        "new ArrayBuffer(3)",
        "new ArrayBuffer(200_000)",
        "new ArrayBuffer(26_000_000)",
        "new Float64Array(300_000)",
        "new DataView(new ArrayBuffer(9))",
        "new BigUint64Array(9)",
        "10n",
        *([] if engine.startswith("webkit") else ["new Blob()"]),  # it cannot store them
    ):
        assert read_foreign(page, expression, kind) == (True, 1), expression


@run_in_pyodide
async def replace_nothing(selenium: Engine, value: str) -> None:
    """Read an entry that has a key and nothing else, and keep it again."""
    import lab

    from pyodide_mirror.browser import open_cache

    await lab.keep(open_cache(), 1)
    await lab.raw(f"stores.content.put({value}, values[0])", f"file:{lab.content(1)[0]}")
    cache = open_cache()
    assert await lab.found(cache, [1]) == []
    await lab.keep(cache, 1)
    assert await lab.found(open_cache(), [1]) == [1]
    assert len(await lab.consistent()) == 1


@pytest.mark.engines(*BROWSERS)
@pytest.mark.parametrize("value", ["null", "undefined"])
def test_an_entry_without_a_value_is_missing(page: Engine, value: str) -> None:
    replace_nothing(page, value)


@run_in_pyodide
async def meddle(selenium: Engine, source: str) -> tuple[list[int], int]:
    """Keep three files, meddle, keep a fourth; return what is found, and how many are listed."""
    import lab

    from pyodide_mirror.browser import open_cache

    cache = open_cache()
    await lab.keep(cache, 1, 2, 3)
    await lab.raw(source, f"file:{lab.content(1)[0]}")
    assert await lab.found(cache, [9]) == []
    await lab.keep(cache, 4)
    found = await lab.found(cache, [1, 2, 3, 4])
    assert len(await lab.consistent()) == len(found)
    info = await cache.info()
    assert info.bytes == 1000 * info.files
    return found, info.files


@pytest.mark.engines(*BROWSERS)
@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("stores.content.clear()", [4]),
        ("stores.content.delete(values[0])", [2, 3, 4]),
        ("stores.order.clear()", [4]),
        ("stores.order.put('nonsense', 'order')", [4]),
        ("stores.order.put('\\ud800', 'order')", [4]),
        ("stores.order.put({ length: 1 }, 'order')", [4]),
        ("stores.order.put(7n, 'order')", [4]),
        ("stores.order.put('999999999999 ' + values[0], 'order')", [4]),
        ("stores.content.put(new ArrayBuffer(5), 'other')", [1, 2, 3, 4]),
        ("stores.content.put(new ArrayBuffer(5), '\\ud800')", [1, 2, 3, 4]),
        ("stores.content.put(new ArrayBuffer(5), 7)", [1, 2, 3, 4]),
        ("stores.content.put(new ArrayBuffer(5), Infinity)", [1, 2, 3, 4]),
        ("stores.content.put(new ArrayBuffer(5), [1, [values[0]]])", [1, 2, 3, 4]),
        ("stores.content.put(new ArrayBuffer(5), new Date(0))", [1, 2, 3, 4]),
        ("stores.content.put(new ArrayBuffer(5), new Uint8Array(3))", [1, 2, 3, 4]),
    ],
)
def test_what_others_have_broken_mends_itself(page: Engine, source: str, left: list[int]) -> None:
    assert meddle(page, source) == (left, len(left))


# --- bounds ---------------------------------------------------------------------------------------


@run_in_pyodide
async def fill(selenium: Engine) -> None:
    """Fill a cache of 10 kB, use the first entry, and clear it."""
    import lab

    from pyodide_mirror.browser import open_cache

    cache = open_cache(10_000)
    await lab.keep(cache, *range(10))
    assert await lab.found(cache, [0]) == [0]
    await lab.keep(open_cache(10_000), 10, 11)
    assert await lab.found(cache, range(12)) == [0, *range(3, 12)]
    await cache.save_file(*lab.content(12, 2504))
    await cache.settled()
    assert await lab.found(cache, [12], size=2504) == []
    await lab.keep(cache, *range(20, 40))
    assert await lab.found(cache, range(50)) == list(range(30, 40))
    assert len(await lab.consistent()) == 10
    await cache.save_file(*lab.content(1))
    await cache.clear()
    assert str(await cache.info()) == "files: 0, pages: 0, bytes: 0 of 10,000 (indexeddb)"
    assert await lab.found(cache, range(50)) == []
    await lab.keep(cache, 1)
    assert await lab.found(cache, [1]) == [1]


@pytest.mark.engines(*BROWSERS)
def test_the_least_recently_used_leave(page: Engine) -> None:
    fill(page)


@run_in_pyodide
async def fill_with_little_room(selenium: Engine) -> None:
    """Keep files where the browser says that little is free."""
    import lab

    from pyodide_mirror.browser import open_cache

    js_estimate = lab.run_js("""(quota, usage) => {
      const storage = { estimate: async () => ({ quota, usage }) };
      Object.defineProperty(navigator, "storage", { value: storage, configurable: true });
    }""")
    cache = open_cache(100_000)
    try:
        js_estimate(16_000, 0)
        await lab.keep(cache, *range(10))
        assert await lab.found(cache, range(10)) == list(range(2, 10))
        js_estimate(16_000, 12_000)  # others have taken 4 kB of the rest: 4 + our 8 are 6 + 6
        await lab.keep(cache, 10)
        assert await lab.found(cache, range(11)) == list(range(5, 11))
        for nonsense in ("text", float("nan"), float("inf"), None):
            js_estimate(nonsense, 0)
            await lab.keep(cache, *range(20, 40))
            assert await lab.found(cache, range(20, 40)) == list(range(20, 40))
            await cache.clear()
        lab.run_js("navigator.storage.estimate = () => Promise.reject(new TypeError('none'))")
        await lab.keep(cache, 12)
        assert await lab.found(cache, [12]) == [12]
    finally:
        lab.run_js("delete navigator.storage")


@pytest.mark.engines(*BROWSERS)
def test_no_more_than_half_of_what_is_free_is_taken(page: Engine) -> None:
    fill_with_little_room(page)


@run_in_pyodide
async def exceed(selenium: Engine, failures: int, how: str) -> list[int]:
    """Keep files 0 to 15, and another when the browser refuses so many times to write."""
    import lab

    from pyodide_mirror.browser import open_cache

    await lab.delete()
    cache = open_cache()
    await lab.keep(cache, *range(16))
    js_stop = lab.run_js("""(failures, how) => {
      const prototype = IDBObjectStore.prototype, original = prototype.put;
      prototype.put = function (value, key) {
        if (this.name === "content" && failures-- > 0) {
          const error = new DOMException("full", "QuotaExceededError");
          if (how === "at once") throw error;
          const transaction = this.transaction, request = original.call(this, value, key);
          Object.defineProperty(transaction, "error", { value: error });
          request.addEventListener("success", () => transaction.abort());
          return request;
        }
        return original.call(this, value, key);
      };
      return () => { prototype.put = original; };
    }""")(failures, how)
    try:
        await lab.keep(cache, 16)
    finally:
        js_stop()
    found = await lab.found(cache, range(17))
    assert len(await lab.consistent()) == len(found)
    return found


@run_in_pyodide
async def keep_a_large_one(selenium: Engine, *, refuse: bool) -> list[str]:
    """Keep a large file and a small one, where blobs may be refused; what they are kept as."""
    import lab

    from pyodide_mirror.browser import open_cache

    await lab.delete()
    js_stop = lab.run_js("""(refuse) => {
      const prototype = IDBObjectStore.prototype, original = prototype.put;
      prototype.put = function (value, key) {
        if (!(refuse && value instanceof Blob)) return original.call(this, value, key);
        throw new DOMException("no blobs", "DataCloneError");
      };
      return () => { prototype.put = original; };
    }""")(refuse)
    cache = open_cache()
    try:
        await lab.keep(cache, 1, size=1_500_000)
        await lab.keep(cache, 2)
    finally:
        js_stop()
    for each in (cache, open_cache()):
        assert await lab.found(each, [1], 1_500_000) == [1]
        assert await lab.found(each, [2]) == [2]
    await lab.consistent()
    kinds = []
    for number, size in ((1, 1_500_000), (2, 1000)):
        key = f"file:{lab.content(number, size)[0]}"
        js_kept = await lab.raw("return stores.content.get(values[0])", key)
        kinds.append(js_kept.constructor.name)
    return kinds


@pytest.mark.engines(*BROWSERS)
def test_a_large_file_is_a_blob_where_the_browser_can_keep_one(page: Engine, engine: str) -> None:
    large = "ArrayBuffer" if engine.startswith("webkit") else "Blob"
    assert keep_a_large_one(page, refuse=False) == [large, "ArrayBuffer"]
    assert keep_a_large_one(page, refuse=True) == ["ArrayBuffer", "ArrayBuffer"]


@run_in_pyodide
async def damage_a_blob(selenium: Engine) -> list[int]:
    """Put a blob of other bytes in the place of a file."""
    import lab

    from pyodide_mirror.browser import open_cache

    await lab.delete()
    await lab.keep(open_cache(), 1, size=1_500_000)
    key = f"file:{lab.content(1, 1_500_000)[0]}"
    await lab.raw("stores.content.put(new Blob([new Uint8Array(1_500_000)]), values[0])", key)
    found = await lab.found(open_cache(), [1], 1_500_000)
    assert not list(await lab.raw("return stores.content.getAllKeys()"))
    return found


@pytest.mark.engines("chromium", "firefox")
def test_a_blob_of_other_bytes_is_dropped(page: Engine) -> None:
    assert damage_a_blob(page) == []


@pytest.mark.engines(*BROWSERS)
def test_when_the_quota_is_exceeded_half_leaves_and_then_it_gives_up(page: Engine) -> None:
    assert exceed(page, 1, "late") == list(range(9, 17))
    assert exceed(page, 2, "late") == list(range(16))


@pytest.mark.engines(*BROWSERS)
def test_what_cannot_be_written_is_not_kept_and_does_no_harm(page: Engine) -> None:
    assert exceed(page, 1, "at once") == list(range(16))


@run_in_pyodide
async def exceed_really(selenium: Engine, sizes: list[int]) -> list[bool]:
    """Keep files that cannot be compressed; return which of them are there in the end."""
    import os
    from hashlib import sha256

    import lab

    from pyodide_mirror.browser import open_cache

    # The browser shall find out for itself.
    lab.run_js("Object.defineProperty(navigator, 'storage', { value: {}, configurable: true })")
    cache = open_cache()
    files = [os.urandom(size) for size in sizes]
    digests = [sha256(data).hexdigest() for data in files]
    try:
        for digest, data in zip(digests, files, strict=True):
            await cache.save_file(digest, data)
            await cache.settled()
    finally:
        lab.run_js("delete navigator.storage")
    found = [await cache.file(digest) == data for digest, data in zip(digests, files, strict=True)]
    await cache.settled()
    assert len(await lab.consistent()) == sum(found)
    return found


@pytest.mark.nightly
@pytest.mark.engines("chromium")  # the one that can be told a quota
def test_a_real_quota_is_respected(open_page: Callable[..., Engine]) -> None:
    # An origin of its own: what other tests have deleted still counts, in one sense or the other.
    page = open_page(host="other.test")
    prepare(page)
    quota = {"origin": page.run_js("return location.origin"), "quotaSize": 8_000_000}
    page.driver.execute_cdp_cmd("Storage.overrideQuotaForOrigin", quota)
    kept = exceed_really(page, [*[1000] * 16, 40_000_000, 2000])
    assert kept == [*[False] * 8, *[True] * 8, False, True]


# --- other pages ----------------------------------------------------------------------------------


@run_in_pyodide
async def crowd(selenium: Engine) -> int:
    """Write, read and evict by six connections at once; return how many entries are left."""
    import asyncio

    import lab

    from pyodide_mirror.browser import open_cache

    caches = [open_cache(20_000) for _ in range(6)]

    async def use(at: int) -> None:
        for step in range(6):
            numbers = range(at * 5 + step, at * 5 + step + 5)
            await lab.keep(caches[at], *numbers)
            await lab.found(caches[at - 1], numbers)

    await asyncio.gather(*[use(at) for at in range(6)])
    left = await lab.consistent()
    # A page looks once for what is there; so one that opens now sees it all.
    assert len(await lab.found(open_cache(20_000), range(60))) == len(left)
    infos = [await cache.info() for cache in caches]
    assert len(set(infos)) == 1
    assert infos[0].bytes <= 20_000
    return len(left)


@pytest.mark.engines(*BROWSERS)
def test_several_pages_at_once_corrupt_nothing(page: Engine) -> None:
    assert crowd(page) == 20


@run_in_pyodide
async def someone_else(selenium: Engine, version: int | None) -> str:
    """Use the cache while another page deletes its database, or upgrades it to a version."""
    import lab

    from pyodide_mirror.browser import open_cache
    from pyodide_mirror.browser.ffi import settle

    cache = open_cache()
    await lab.keep(cache, 1)
    if version is None:
        await lab.delete()
    else:
        js_upgrade = lab.run_js("""(name, version) => new Promise((resolve, reject) => {
          const request = indexedDB.open(name, version);
          request.onsuccess = () => { request.result.close(); resolve(); };
          request.onerror = () => reject(request.error);
          request.onblocked = () => reject(new Error("blocked"));
        })""")
        await settle(js_upgrade, None, lab.name, version)
    assert await lab.found(cache, [1]) == []
    await lab.keep(cache, 2)
    assert await lab.found(cache, [1, 2]) == [2]
    return str((await cache.info()).where)


@pytest.mark.engines(*BROWSERS)
def test_a_page_that_deletes_or_upgrades_it_need_not_wait(page: Engine) -> None:
    assert someone_else(page, None) == "indexeddb"
    assert someone_else(page, 2) == "memory"


@run_in_pyodide
async def held_up(selenium: Engine) -> str:
    """Use the cache when another page does not let go of its database, which is to be deleted."""
    import lab

    from pyodide_mirror.browser import database, storage
    from pyodide_mirror.browser.ffi import settle

    await storage.IndexedDBStore().forget()  # what an install in this browser has remembered
    js_hold = lab.run_js("""(name) => new Promise((resolve, reject) => {
      const request = indexedDB.open(name, 1);
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const deletion = indexedDB.deleteDatabase(name);
        deletion.onblocked = () => resolve(request.result);
      };
    })""")
    js_database = await settle(js_hold, None, lab.name)
    patience, database.PATIENCE = database.PATIENCE, 0.3
    try:
        cache = storage.open_cache()
        assert await lab.found(cache, [1, 2, 3]) == []  # which would wait for the database for ever
        await lab.keep(cache, 1)
        assert await lab.found(cache, [1]) == [1]
        where = (await cache.info()).where
        choice = storage.IndexedDBStore()
        assert await choice.load() is None
    finally:
        js_database.close()
        database.PATIENCE = patience
    again = storage.open_cache()
    await lab.keep(again, 1)
    assert (await again.info()).where == "indexeddb"
    return where


@pytest.mark.engines(*BROWSERS)
def test_a_database_that_hangs_holds_up_nothing(page: Engine) -> None:
    assert held_up(page) == "memory"


@run_in_pyodide
async def old_release(selenium: Engine) -> str:
    """Make a database as earlier releases did, use and clear the cache, and load the choice."""
    import lab

    from pyodide_mirror.browser import open_cache
    from pyodide_mirror.browser.ffi import settle
    from pyodide_mirror.browser.storage import IndexedDBStore

    js_make = lab.run_js("""(text) => new Promise((resolve, reject) => {
      const deletion = indexedDB.deleteDatabase("pyodide_mirror");
      deletion.onsuccess = () => {
        const request = indexedDB.open("pyodide_mirror", 1);
        request.onerror = () => reject(request.error);
        request.onupgradeneeded = () => request.result.createObjectStore("choice");
        request.onsuccess = () => {
          const transaction = request.result.transaction("choice", "readwrite");
          transaction.objectStore("choice").put(text, "choice");
          transaction.oncomplete = () => { request.result.close(); resolve(); };
        };
      };
    })""")
    text = '{"index_url": "https://m.example/simple", "date": "2026-11-20T00:00:00+00:00"}'
    await settle(js_make, None, text)
    cache = open_cache()
    await lab.keep(cache, 1)
    await cache.clear()
    choice = await IndexedDBStore().load()
    await IndexedDBStore().forget()
    assert await IndexedDBStore().load() is None
    return choice.index_url


@pytest.mark.engines(*BROWSERS)
def test_the_choice_of_an_earlier_release_survives(page: Engine) -> None:
    assert old_release(page) == "https://m.example/simple"


# --- no storage -----------------------------------------------------------------------------------


@run_in_pyodide
async def in_memory(selenium: Engine) -> dict[str, Any]:
    """Use the cache where nothing can be stored."""
    import lab

    from pyodide_mirror.browser import open_cache

    cache = open_cache()
    assert await lab.found(cache, [1, 2]) == []
    await lab.keep(cache, 1)
    assert await lab.found(cache, [1, 2]) == [1]
    return (await cache.info()).to_dict()


MEMORY = {"files": 1, "pages": 0, "bytes": 1000, "max_bytes": 50_000_000, "where": "memory"}


@pytest.mark.engines("node")
def test_node_has_a_cache_in_memory(page: Engine) -> None:
    assert in_memory(page) == MEMORY


@run_in_pyodide
async def without_databases(selenium: Engine, getter: str) -> dict[str, Any]:
    """Use the cache where ``indexedDB`` is something else."""
    import lab

    from pyodide_mirror.browser import open_cache

    js_restore = lab.run_js(f"""(() => {{
      const original = indexedDB;
      const get = () => {{ {getter} }};
      Object.defineProperty(globalThis, "indexedDB", {{ get, configurable: true }});
      return () => Object.defineProperty(
        globalThis, "indexedDB", {{ value: original, configurable: true }});
    }})()""")
    try:
        cache = open_cache()
        assert await lab.found(cache, [1, 2]) == []
        await lab.keep(cache, 1)
        assert await lab.found(cache, [1, 2]) == [1]
        return (await cache.info()).to_dict()
    finally:
        js_restore()


@pytest.mark.engines(*BROWSERS)
@pytest.mark.parametrize(
    "getter",
    [
        "return undefined",
        "return null",
        "throw new DOMException('no', 'SecurityError')",
        "return { open() { throw new DOMException('no', 'SecurityError'); } }",
    ],
)
def test_without_databases_the_cache_is_in_memory(page: Engine, getter: str) -> None:
    assert without_databases(page, getter) == MEMORY


@run_in_pyodide
async def sandboxed(selenium: Engine) -> tuple[str, str, int]:
    """Use the cache, and return the page's origin, where the cache is, and what it has."""
    import hashlib

    import js

    from pyodide_mirror.browser import open_cache

    cache = open_cache()
    digest = hashlib.sha256(b"x").hexdigest()
    assert await cache.file(digest) is None
    await cache.save_file(digest, b"x")
    assert await cache.file(digest) == b"x"
    info = await cache.info()
    return str(js.origin), info.where, info.files


@pytest.mark.engines(
    *PAGES, ci=("chromium", "webkit")
)  # an opaque origin can start no worker from a file
def test_a_sandboxed_page_has_a_cache_in_memory(open_page: Callable[..., Engine]) -> None:
    headers = {
        "Content-Security-Policy": "sandbox allow-scripts",
        "Access-Control-Allow-Origin": "*",
    }
    assert sandboxed(open_page(headers=headers)) == ("null", "memory", 1)


# --- speed, which is printed ----------------------------------------------------------------------


@run_in_pyodide
async def measure(selenium: Engine) -> dict[str, float]:
    """Return the seconds that keeping and finding take, in a cache opened anew."""
    import asyncio
    import time

    import lab

    from pyodide_mirror.browser import open_cache

    seconds = {}
    for what, numbers, size in (
        ("19 files of 10 kB", range(19), 10_000),
        ("a file of 16 MB", range(100, 101), 16_000_000),
    ):
        files = [lab.content(number, size) for number in numbers]
        cache = open_cache()
        await cache.info()
        started = time.perf_counter()
        for digest, data in files:
            await cache.save_file(digest, data)
        seconds[f"cache: to keep {what}"] = time.perf_counter() - started
        await cache.settled()
        seconds[f"cache: to write {what}"] = time.perf_counter() - started
        cache = open_cache()
        for again in ("", " again"):
            started = time.perf_counter()
            read = await asyncio.gather(*[cache.file(digest) for digest, _ in files])
            seconds[f"cache: to read {what}{again}"] = time.perf_counter() - started
            assert read == [data for _, data in files]
            await cache.settled()
    return seconds


@pytest.mark.engines(*BROWSERS)
def test_large_and_many_files_are_read_as_they_were_written(page: Engine, engine: str) -> None:
    figures.SECONDS[engine] |= measure(page)
