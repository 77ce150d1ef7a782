"""Calls of JavaScript from Python.

In all of this room, names that start with ``js_`` are JavaScript objects.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import js
from pyodide.ffi import create_once_callable, to_js

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from pyodide_mirror.storage import Content


async def next_task() -> None:
    """Let the browser run one task (HTML standard), so that it delivers queued events."""

    def start(js_resolve: Any, _js_reject: Any) -> None:
        js.setTimeout(js_resolve, 0)

    await js.Promise.new(create_once_callable(start))


class Rejected(Exception):
    """A JavaScript promise was rejected, with an error of this ``name`` and ``message``."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(name, message)
        self.name = name
        self.message = message

    @classmethod
    def because(cls, js_reason: Any) -> Rejected:
        """The error for a promise's reason."""
        message = str(getattr(js_reason, "message", js_reason))
        return cls(str(getattr(js_reason, "name", "")), message)


async def settle(js_function: Any, js_this: Any, *arguments: Any) -> Any:
    """Call a JavaScript function and wait for its promise: its value, or :class:`Rejected`.

    Pyodide must not await a promise that may be rejected: a reason without a ``stack``, as all of
    WebKit's network errors are, is no exception to it, and it would wait for ever. So JavaScript
    makes the call (``Array.from`` with the bound function as its map function), and what is
    awaited is never rejected.
    """
    js_bound = js_function.bind(js_this, *arguments)
    js_promises = js.Array.from_(js.Array.of(0), js_bound)
    (js_outcome,) = await js.Promise.allSettled(js_promises)
    if js_outcome.status == "rejected":
        raise Rejected.because(js_outcome.reason)
    return js_outcome.value


def to_js_object(**members: object) -> Any:
    """A plain JavaScript object."""
    return to_js(members, dict_converter=js.Object.fromEntries)


class BrowserBytes:
    """Bytes in the browser's memory; Python's own never shrinks again.

    ``js_data``: a Uint8Array, which may be a part of a larger buffer.
    """

    def __init__(self, js_data: Any) -> None:
        self.js_data = js_data

    def __len__(self) -> int:
        return int(self.js_data.length)

    def __bytes__(self) -> bytes:
        return bytes(self.js_data.to_bytes())


def to_js_bytes(content: Content) -> Any:
    """A Uint8Array with these bytes, which is not to be changed."""
    return content.js_data if isinstance(content, BrowserBytes) else to_js(bytes(content))


def promise_of(work: Coroutine[Any, Any, Content], tasks: set[asyncio.Future[Content]]) -> Any:
    """A JavaScript promise of bytes; what the work raises is an Error with its text.

    Pyodide would give the whole traceback for a text. ``tasks`` has the work as long as it goes on.
    """

    def start(js_resolve: Any, js_reject: Any) -> None:
        task = asyncio.ensure_future(work)
        tasks.add(task)

        def ended(_: object) -> None:
            tasks.discard(task)
            if task.cancelled():
                js_reject(js.Error.new("it is not wanted any more"))
            elif task.exception() is not None:
                js_reject(js.Error.new(str(task.exception())))
            else:
                js_resolve(to_js_bytes(task.result()))

        task.add_done_callback(ended)

    return js.Promise.new(create_once_callable(start))
