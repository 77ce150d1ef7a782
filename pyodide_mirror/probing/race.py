"""The staggered race over mirrors, after RFC 8305 ("Happy Eyeballs").

Unlike there, the losers' results are reported, too: they are what people ask for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from pyodide_mirror.reporting import notify
from pyodide_mirror.transport import Progress

from .verdict import LAST_RESORT, UNUSABLE, tier

if TYPE_CHECKING:
    from .verdict import Judged

P = TypeVar("P")
"""What races: mirrors, or CDNs."""
V = TypeVar("V", bound="Judged")
"""The verdict on one."""

STAGGER: Final = 0.01
"""Seconds between the starts of two mirrors.

RFC 8305 recommends 0.25 between connections to one host, to spare it. Here each is another host,
and a user waits.
"""
GRACE: Final = 0.1
"""Seconds that earlier mirrors get to finish when a later one is verified before them."""
MAX_AT_ONCE: Final = 8
_RESOLUTION: Final = 0.001

Check = Callable[[P, Progress], Awaitable[V]]
Watcher = Callable[[V], None]


class Result(NamedTuple, Generic[P, V]):
    """The winner or None, all verdicts so far, and the mirrors or CDNs without one."""

    winner: V | None
    outcomes: tuple[V, ...]
    pending: tuple[P, ...]


async def run_race(
    mirrors: Sequence[P], check: Check[P, V], watch: Watcher[V] | None = None
) -> Result[P, V]:
    """``check`` the mirrors, one after the other's start, until one is verified.

    The next one starts :data:`STAGGER` seconds after the one before, or at once when that has
    failed; at most :data:`MAX_AT_ONCE` run. The first ``full`` or ``repaired`` one wins, except
    that earlier ones whose response headers are here get :data:`GRACE` seconds. A ``no-hashes``
    one wins only when all others have ended. ``watch`` is called with each verdict.
    """
    race = _Race(mirrors, check, watch)
    try:
        return await race.run()
    finally:
        await race.stop()


async def check_all(
    mirrors: Sequence[P], check: Check[P, V], watch: Watcher[V] | None = None
) -> Result[P, V]:
    """``check`` all mirrors, at most :data:`MAX_AT_ONCE` at a time."""
    slots = asyncio.Semaphore(MAX_AT_ONCE)

    async def one(mirror: P) -> V:
        async with slots:
            outcome = await check(mirror, _Headers())
        notify(watch, outcome)
        return outcome

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(mirror)) for mirror in mirrors]
    return Result(None, tuple(task.result() for task in tasks), ())


class _Headers:
    """A Progress that remembers whether the headers have arrived."""

    here = False

    def headers(self, status: int, length: int | None) -> None:
        self.here = True

    def received(self, size: int) -> None:
        """Only the headers matter."""


class _Runner(Generic[P, V]):
    """A mirror or CDN in the race."""

    def __init__(self, mirror: P, check: Check[P, V]) -> None:
        self.mirror = mirror
        self.progress = _Headers()
        self.task = asyncio.ensure_future(check(mirror, self.progress))
        self.outcome: V | None = None


class _Race(Generic[P, V]):
    def __init__(self, mirrors: Sequence[P], check: Check[P, V], watch: Watcher[V] | None) -> None:
        self.waiting = list(mirrors)
        self.check = check
        self.watch = watch
        self.runners: list[_Runner[P, V]] = []
        self.loop = asyncio.get_running_loop()
        self.next_start = self.loop.time()
        self.grace_ends: float | None = None

    async def run(self) -> Result[P, V]:
        while True:
            self._start_due()
            winner, wake = self._decide()
            running = self._running()
            if winner or not (running or self.waiting):
                return self._result(winner)
            delay = None if wake is None else max(0.0, wake - self.loop.time())
            await asyncio.wait(
                [runner.task for runner in running],
                timeout=delay,
                return_when=asyncio.FIRST_COMPLETED,
            )
            self._collect()

    async def stop(self) -> None:
        """Cancel what still runs, and wait until it has ended: no request is left behind."""
        running = [runner.task for runner in self.runners if not runner.task.done()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _start_due(self) -> None:
        while self.waiting and self._may_start():
            if self._running() and not self._is_past(self.next_start):
                return
            self.runners.append(_Runner(self.waiting.pop(0), self.check))
            self.next_start = self.loop.time() + STAGGER

    def _is_past(self, time: float) -> bool:
        # As in asyncio, a timer may fire a little too early.
        return time - self.loop.time() < _RESOLUTION

    def _may_start(self) -> bool:
        return self.grace_ends is None and len(self._running()) < MAX_AT_ONCE

    def _running(self) -> list[_Runner[P, V]]:
        return [runner for runner in self.runners if runner.outcome is None]

    def _collect(self) -> None:
        for runner in self._running():
            if not runner.task.done():
                continue
            outcome = runner.outcome = runner.task.result()
            if tier(outcome) < LAST_RESORT and self.grace_ends is None:
                self.grace_ends = self.loop.time() + GRACE
            if tier(outcome) == UNUSABLE and runner is self.runners[-1]:
                self.next_start = self.loop.time()  # the one before has failed
            notify(self.watch, outcome)

    def _decide(self) -> tuple[V | None, float | None]:
        """The winner, if there is one; else when to look again (None: at the next verdict)."""
        if self.grace_ends is not None:
            first = next(i for i, runner in enumerate(self.runners) if _is_good(runner))
            graced = any(
                runner.outcome is None and runner.progress.here for runner in self.runners[:first]
            )
            if graced and not self._is_past(self.grace_ends):
                return None, self.grace_ends
            return self.runners[first].outcome, None
        if self.waiting:
            return None, self.next_start if self._may_start() else None
        if self._running():
            return None, None
        usable = [r.outcome for r in self.runners if r.outcome and tier(r.outcome) < UNUSABLE]
        return min(usable, key=tier, default=None), None

    def _result(self, winner: V | None) -> Result[P, V]:
        ended = tuple(runner.outcome for runner in self.runners if runner.outcome)
        pending = [runner.mirror for runner in self._running()]
        return Result(winner, ended, (*pending, *self.waiting))


def _is_good(runner: _Runner[P, V]) -> bool:
    return runner.outcome is not None and tier(runner.outcome) < LAST_RESORT
