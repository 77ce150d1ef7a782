"""The remembered choice and the cache in the page's IndexedDB.

Each has a database of its own, so that releases that know only one of them get along.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from contextlib import suppress
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import js
from pyodide.ffi import JsException, create_once_callable, to_js

from pyodide_mirror.storage import (
    MAX_BYTES,
    Cache,
    CacheBackendError,
    Change,
    Choice,
    ChoiceStore,
    Content,
    LruIndex,
    MemoryBackend,
    MemoryStore,
    Where,
    byte_limit,
    max_entry_bytes,
)

from .database import (
    CHOICE_DATABASE,
    LONG_PATIENCE,
    PATIENCE,
    T,
    has_databases,
    open_database,
    wait_for_event,
)
from .entries import is_large, to_js_entry, verified
from .ffi import Rejected, settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping

_log = logging.getLogger(__name__)

CHOICE: Final = "choice"
CACHE_DATABASE: Final = "pyodide_mirror_cache"
CONTENT: Final = "content"
ORDER: Final = "order"
_BOTH: Final = [CONTENT, ORDER]


def open_store(key: str = CHOICE, *, empty: bool = False) -> ChoiceStore:
    """A store in IndexedDB, which plain-http pages and workers have, too; else in memory.

    ``key``: what it remembers. ``empty``: nothing is remembered, as far as is known.
    """
    return IndexedDBStore(key, empty=empty) if has_databases() else MemoryStore()


def open_cache(max_bytes: int = MAX_BYTES) -> Cache:
    """A cache in IndexedDB; where that cannot be used, in memory."""
    return Cache(IndexedDBBackend(max_bytes) if has_databases() else MemoryBackend())


class IndexedDBStore:
    """:class:`~pyodide_mirror.storage.ChoiceStore` in the page's IndexedDB, under a key there."""

    def __init__(self, key: str = CHOICE, *, empty: bool = False) -> None:
        self._key = key
        self._empty = empty
        self._ahead: asyncio.Task[Choice | None] | None = None

    def read_ahead(self) -> None:
        """See :class:`~pyodide_mirror.storage.ChoiceStore`."""
        self._ahead = _in_background(self._load())

    def load(self) -> Awaitable[Choice | None]:
        """See :class:`~pyodide_mirror.storage.ChoiceStore`."""
        if self._empty:
            return MemoryStore().load()  # to open a database takes 10 ms
        ahead, self._ahead = self._ahead, None
        return ahead or asyncio.ensure_future(self._load())

    def save(self, choice: Choice) -> Awaitable[None]:
        """See :class:`~pyodide_mirror.storage.ChoiceStore`."""
        text = choice.to_json()
        return self._write(lambda js_store: js_store.put(text, self._key))

    def forget(self) -> Awaitable[None]:
        """See :class:`~pyodide_mirror.storage.ChoiceStore`."""
        return self._write(lambda js_store: js_store.delete(self._key))

    async def _load(self) -> Choice | None:
        js_request = await self._use("readonly", lambda js_store: js_store.get(self._key))
        return js_request and Choice.from_json(js_request.result)

    def _write(self, change: Callable[[Any], Any]) -> Awaitable[None]:
        self._ahead, self._empty = None, False
        return asyncio.ensure_future(self._change(change))

    async def _change(self, change: Callable[[Any], Any]) -> None:
        await self._use("readwrite", change)

    async def _use(self, mode: str, start: Callable[[Any], Any]) -> Any:
        """The finished request that ``start`` makes; None where nothing can be stored."""
        try:
            js_database = await open_database(CHOICE_DATABASE, [CHOICE])
            try:
                js_transaction = js_database.transaction(CHOICE, mode)
                js_request = start(js_transaction.objectStore(CHOICE))
                await wait_for_event(js_transaction, "complete", "abort")
            finally:
                js_database.close()
        except (Rejected, JsException, TimeoutError) as error:
            _log.warning("nothing can be remembered on this page: %s", error)
            return None
        return js_request


class IndexedDBBackend:
    """:class:`~pyodide_mirror.storage.CacheBackend` in the page's IndexedDB, shared by its tabs.

    The store ``content`` has an ArrayBuffer or Blob per key, the store ``order`` one text, that of
    :class:`~pyodide_mirror.storage.LruIndex`. Every transaction that writes contents makes both
    agree, whatever has happened to either.
    """

    where: Where = "indexeddb"

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._opening: asyncio.Task[Any] | None = None
        self._wanted: dict[str, None] = {}
        self._reading: asyncio.Task[dict[str, Any]] | None = None
        self._ahead: dict[str, asyncio.Task[dict[str, Any]]] = {}
        self._changes: dict[str, Change] = {}  # to be written
        self._writing: Mapping[str, Change] = {}  # being written
        self._writer: asyncio.Task[None] | None = None
        self._blobs = True

    async def read(self, key: str, sha256: str = "") -> Content | None:
        """See :class:`~pyodide_mirror.storage.CacheBackend`."""
        pending = [changes.get(key) for changes in (self._changes, self._writing)]
        known = next((change for change in pending if change not in (None, "used")), None)
        if known == "drop":
            return None
        content = await self._get(key) if known is None else known
        if content is None:
            return None
        data = await verified(content, sha256, max_entry_bytes(self.max_bytes))
        self.change(key, "drop" if data is None else "used")
        return data

    def read_ahead(self, keys: Iterable[str]) -> None:
        """See :class:`~pyodide_mirror.storage.CacheBackend`."""
        wanted = dict.fromkeys(keys)
        if wanted:
            self._ahead = dict.fromkeys(wanted, _in_background(self._get_all(wanted)))

    async def _get(self, key: str) -> Any:
        """Read what any script may have written; what is wanted at once is one transaction."""
        ahead = self._ahead.pop(key, None)
        if ahead is not None:
            return (await asyncio.shield(ahead))[key]
        if self._reading is None:
            self._wanted = {}
            self._reading = asyncio.ensure_future(self._get_wanted(self._wanted))
        self._wanted[key] = None
        return (await asyncio.shield(self._reading))[key]

    async def _get_wanted(self, keys: dict[str, None]) -> dict[str, Any]:
        self._reading = None  # what is wanted from now on comes with the next one
        return await self._get_all(keys)

    async def _get_all(self, keys: dict[str, None]) -> dict[str, Any]:
        def get_all(js_content: Any) -> dict[str, Any]:
            return {key: js_content.get(key) for key in keys}

        js_requests = await self._transact([CONTENT], "readonly", get_all)
        return {key: js_request.result for key, js_request in js_requests.items()}

    async def sizes(self) -> Mapping[str, int]:
        """See :class:`~pyodide_mirror.storage.CacheBackend`."""

        def get_state(js_content: Any, js_order: Any) -> tuple[Any, Any]:
            return js_content.getAllKeys(), js_order.get(ORDER)

        js_keys, js_text = await self._transact(_BOTH, "readonly", get_state)
        index = LruIndex.from_text(js_text.result)
        index.retain(js_keys.result)
        return index.sizes

    def change(self, key: str, change: Change) -> None:
        """See :class:`~pyodide_mirror.storage.CacheBackend`."""
        before = self._changes.pop(key, change)
        # At the end in any case; what was written and then used is still to be written.
        self._changes[key] = before if change == "used" else change
        if change != "used":  # which can wait until the reading is done
            self._ahead.pop(key, None)
            self._start_writing()

    def flush(self) -> None:
        """See :class:`~pyodide_mirror.storage.CacheBackend`."""
        self._ahead.clear()
        self._start_writing()

    def _start_writing(self) -> None:
        if self._changes and self._writer is None:
            self._writer = asyncio.ensure_future(self._write())

    async def settled(self) -> None:
        """See :class:`~pyodide_mirror.storage.CacheBackend`."""
        self.flush()
        while self._writer is not None:
            await asyncio.shield(self._writer)

    async def clear(self) -> None:
        """See :class:`~pyodide_mirror.storage.CacheBackend`."""
        self._changes.clear()
        self._ahead.clear()
        await self.settled()
        await self._transact(
            _BOTH, "readwrite", lambda *js_both: [each.clear() for each in js_both]
        )

    async def _write(self) -> None:
        try:
            free = await _free_bytes()
            while self._changes:
                self._writing, self._changes = self._changes, {}
                try:
                    await self._commit(self._writing, free)
                except CacheBackendError as error:
                    _log.debug("not saved: %s", error)
        finally:
            self._writing, self._writer = {}, None

    async def _commit(self, changes: Mapping[str, Change], free: float | None) -> None:
        """Make the changes in one transaction; the tabs take turns."""
        blobs = self._blobs
        update = functools.partial(_update, changes, self.max_bytes, free, blobs)
        # If nothing is written others may read meanwhile.
        used = all(change == "used" for change in changes.values())
        stores = [ORDER] if used else _BOTH
        try:
            await self._transact(stores, "readwrite", update, LONG_PATIENCE)
        except CacheBackendError as error:
            if "QuotaExceededError" in str(error):
                if free == 0:
                    raise
                _log.debug("the browser has no room: half of the cache is dropped")
                free = 0
            elif blobs and any(is_large(change) for change in changes.values()):
                _log.debug("without blobs from now on: %s", error)
                self._blobs = False
            else:
                raise
            await self._commit(changes, free)

    async def _transact(
        self, stores: list[str], mode: str, start: Callable[..., T], patience: float = PATIENCE
    ) -> T:
        """What ``start`` returns for these stores, once its transaction is complete."""
        opening = self._opening
        try:
            async with asyncio.timeout(patience):
                try:
                    js_transaction = await self._begin(stores, mode)
                except JsException:
                    # Closed: for a page that upgrades or deletes it, or with the user's data.
                    # (Not all browsers let Pyodide see that it is an InvalidStateError.)
                    if self._opening is opening:
                        self._opening = None
                    js_transaction = await self._begin(stores, mode)
                result = start(*[js_transaction.objectStore(store) for store in stores])
                await wait_for_event(js_transaction, "complete", "abort")
                return result
        except (Rejected, JsException, TimeoutError) as error:
            raise CacheBackendError(repr(error)) from error

    async def _begin(self, stores: list[str], mode: str) -> Any:
        if self._opening is None:
            self._opening = _in_background(self._open())
        js_database = await asyncio.shield(self._opening)
        return js_database.transaction(to_js(stores), mode)

    async def _open(self) -> Any:
        js_database = await open_database(CACHE_DATABASE, _BOTH)
        # So that another release can upgrade it, and who deletes it need not wait.
        js_database.addEventListener("versionchange", js_database.close.bind(js_database))
        return js_database


def _in_background(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task that may fail unseen, because who wanted it may no longer wait."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda task: task.cancelled() or task.exception())
    return task


def _update(
    changes: Mapping[str, Change],
    max_bytes: int,
    free: float | None,
    blobs: bool,  # noqa: FBT001
    *js_stores: Any,
) -> None:
    """Start to change entries in both stores, or only in the order, of entries that were used.

    The rest is an event's handler: a transaction ends when none of its handlers has anything to
    do, and Python's ``await`` would come back too late.
    """
    *js_contents, js_order = js_stores
    js_keys = [js_content.getAllKeys() for js_content in js_contents]
    js_text = js_order.get(ORDER)  # the last to succeed

    def write(index: LruIndex, js_content: Any, keys: list[Any]) -> None:
        index.retain(keys)
        index.apply(changes, byte_limit(max_bytes, index.total(), free))
        for key in index.unindexed(keys):
            js_content.delete(key)
        for key, change in changes.items():
            if not isinstance(change, str) and key in index.sizes:
                js_content.put(to_js_entry(change, blobs=blobs), key)

    def go_on(_js_event: Any) -> None:
        index = LruIndex.from_text(js_text.result)
        try:
            for js_content, js_request in zip(js_contents, js_keys, strict=True):
                write(index, js_content, list(js_request.result))
            if not js_contents:
                index.apply(changes, max_bytes)
            js_order.put(index.to_text(), ORDER)
        except JsException as error:
            # Otherwise it would be an uncaught error of the page.
            _log.debug("not saved: %s", error)
            with suppress(JsException):  # it may have ended already
                js_order.transaction.abort()

    js_text.addEventListener("success", create_once_callable(go_on))


async def _free_bytes() -> float | None:
    """The bytes that this origin may still store, if the browser says so."""
    js_storage: Any = getattr(getattr(js, "navigator", None), "storage", None)
    if not hasattr(js_storage, "estimate"):
        return None
    try:
        js_estimate = await settle(js_storage.estimate, js_storage)
    except Rejected:
        return None  # TypeError: this origin has no storage
    quota, usage = getattr(js_estimate, "quota", None), getattr(js_estimate, "usage", None)
    if not isinstance(quota, int | float) or not isinstance(usage, int | float):
        return None
    return quota - usage if isfinite(quota - usage) else None
