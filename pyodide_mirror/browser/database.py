"""The use of IndexedDB databases."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

import js
from pyodide.ffi import JsException, create_once_callable, create_proxy

from .ffi import Rejected, settle

T = TypeVar("T")

PATIENCE: Final = 5.0
"""Seconds for what may wait for other pages, or for ever: browsers' databases do hang."""
LONG_PATIENCE: Final = 60.0
"""Seconds for writing, for which nothing waits."""
CHOICE_DATABASE: Final = "pyodide_mirror"
"""The database of the remembered mirror."""


def has_databases() -> bool:
    """Whether this page has IndexedDB, and may use it."""
    try:
        return bool(getattr(js, "indexedDB", None))
    except JsException:
        return False  # SecurityError: it must not even be looked at


async def has_choice() -> bool:
    """Whether a mirror may be remembered; True where the browser does not say quickly."""
    if not has_databases():
        return False
    js_databases = getattr(js.indexedDB, "databases", None)
    if js_databases is None:
        return True
    try:
        js_found = await settle(js_databases, js.indexedDB)
    except Rejected:
        return True
    return any(each.name == CHOICE_DATABASE for each in js_found)


async def open_database(name: str, stores: list[str]) -> Any:
    """Open a database, with these stores if it is new.

    Raises JsException, Rejected, or TimeoutError when another page blocks it.
    """
    js_request = js.indexedDB.open(name, 1)

    def upgrade(_js_event: Any) -> None:
        for store in stores:
            js_request.result.createObjectStore(store)

    js_upgrade = create_proxy(upgrade)
    js_request.addEventListener("upgradeneeded", js_upgrade)
    try:
        async with asyncio.timeout(PATIENCE):
            await wait_for_event(js_request, "success", "error")
    except BaseException:
        # It may be opened later, and must not stay open.
        js_close = create_once_callable(lambda _js_event: js_request.result.close())
        js_request.addEventListener("success", js_close)
        raise
    js_upgrade.destroy()
    return js_request.result


async def wait_for_event(js_target: Any, good: str, bad: str) -> None:
    """Wait for one of two events of an IndexedDB object; the bad one raises its error."""

    def start(js_resolve: Any, _js_reject: Any) -> None:
        for name in (good, bad):
            js_target.addEventListener(name, js_resolve)

    js_event = await js.Promise.new(create_once_callable(start))
    if js_event.type != good:
        raise Rejected.because(js_target.error)
