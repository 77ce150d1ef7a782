"""One task for each key, however many ask for its result."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

K = TypeVar("K")
T = TypeVar("T")


def begin(work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
    """A task that has already done what it can before it has to wait, where Python can do that.

    It spares turns of Pyodide's event loop, each of which takes 0.2 ms, and an install has a
    thousand: the one that starts a task, and the one in which the loop counts those that end.
    """
    eager: Any = getattr(asyncio, "eager_task_factory", None)
    if eager is None:  # before Python 3.12
        return asyncio.ensure_future(work)
    task: asyncio.Task[T] = eager(asyncio.get_running_loop(), work)
    return task


class OnceMap(Generic[K, T]):
    """Runs work once for each key, and gives its result to all who ask meanwhile.

    The work belongs to the map: if who asked first is cancelled, the others still get the result.
    ``remember``: results, and errors, are also given to those who ask later.
    """

    def __init__(self, *, remember: bool = False) -> None:
        self._remember = remember
        self._tasks: dict[K, asyncio.Future[T]] = {}
        self._waiters: dict[asyncio.Future[T], list[asyncio.Future[None]]] = {}

    async def get(self, key: K, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of ``work`` for this key; raises what the work raises."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = begin(work())
            self._waiters[task] = []
            if task.done():
                self._ended(key, task)
            else:
                task.add_done_callback(functools.partial(self._ended, key))
        if not task.done():
            # Not by asyncio.shield, which since Python 3.14 reports an error that comes when who
            # asked was cancelled; nor by asyncio.wait, which costs a page several times as much;
            # nor by a future of Pyodide's loop, or a callback for each who asks (see `begin`).
            waiter = asyncio.Future[None]()
            self._waiters[task].append(waiter)
            await waiter
        return task.result()

    def has_failed(self, key: K) -> bool:
        """Whether the work for this key is remembered to have ended with an error."""
        task = self._tasks.get(key)
        if task is None or not task.done() or task.cancelled():
            return False
        return task.exception() is not None

    def forget(self, key: K) -> None:
        """Do the work anew for who asks next."""
        self._tasks.pop(key, None)

    def stop(self) -> list[asyncio.Future[T]]:
        """Cancel what still runs, and forget it; returns what was cancelled."""
        running = {key: task for key, task in self._tasks.items() if not task.done()}
        for key, task in running.items():
            del self._tasks[key]
            task.cancel()
        return list(running.values())

    def _ended(self, key: K, task: asyncio.Future[T]) -> None:
        if not task.cancelled():
            task.exception()  # so that asyncio does not log it as never retrieved
        if self._tasks.get(key) is task and (task.cancelled() or not self._remember):
            del self._tasks[key]
        for waiter in self._waiters.pop(task):
            if not waiter.done():  # else who waited was cancelled
                waiter.set_result(None)
