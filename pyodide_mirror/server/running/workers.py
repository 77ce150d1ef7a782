"""Several processes that serve on one socket: a processor can do more than one of them asks for.

They share the socket, so that a connection that waits is taken by one that lives, and the cache
folder, in which they see what the others fetch. They are forked from a process that does nothing
but start them, and start them again: the operating system must be able to fork.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from contextlib import suppress
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.process import BaseProcess

_log = logging.getLogger("pyodide_mirror.server")
_RESTART: Final = 1.0
"""Seconds between two starts of the same worker: one that cannot start must not take all time."""
_SWEEP_AFTER: Final = 10.0
"""Seconds after the end of a worker until its unfinished files are removed.

Before that, others go on with those that somebody waits for.
"""
_STOP: Final = (signal.SIGTERM, signal.SIGINT)


def check_workers(count: int) -> None:
    """Raise ValueError where there can be no more than one worker."""
    if count > 1 and not hasattr(os, "fork"):
        raise ValueError("leave out --workers: this operating system cannot fork processes")


class Workers:
    """Workers that are kept running.

    ``serve``: what each does until SIGTERM or SIGINT. ``grace``: seconds that it may take to end.
    ``sweep``: removes what workers that were killed have left. ``ended`` is called with the process
    id of each that has ended.
    """

    def __init__(
        self,
        count: int,
        serve: Callable[[], None],
        *,
        grace: float,
        sweep: Callable[[], None],
        ended: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._context = multiprocessing.get_context("fork")
        self._serve = serve
        self._grace = grace
        self._sweep = sweep
        self._ended = ended
        self._running: list[BaseProcess | None] = [None] * count
        self._started = [float("-inf")] * count
        self._sweep_at = float("inf")
        self._alive, self._owned = os.pipe()  # its other end is closed when this process ends
        self._signals, self._noted = socket.socketpair()
        self._stopping = False

    def run(self) -> None:
        """Keep them running until SIGTERM or SIGINT, and end them."""
        before = {each: signal.signal(each, self._stop) for each in _STOP}
        self._noted.settimeout(0)  # as set_wakeup_fd demands
        signal.set_wakeup_fd(self._noted.fileno())
        try:
            while not self._stopping:
                self._start()
                ready = wait(self._waited_for(), self._due())
                if self._signals in ready:
                    self._signals.recv(100)
                self._note_ended()
                if time.monotonic() >= self._sweep_at:
                    self._sweep_at = float("inf")
                    self._sweep()
        finally:
            signal.set_wakeup_fd(-1)
            self._end()
            for each, handler in before.items():
                signal.signal(each, handler)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _start(self) -> None:
        """Start what does not run, unless it was started a moment ago."""
        now = time.monotonic()
        for number, running in enumerate(self._running):
            if running is None and now - self._started[number] >= _RESTART:
                process = self._context.Process(target=self._work, name=f"worker-{number}")
                self._started[number] = now
                try:
                    process.start()
                except OSError as error:  # no memory, say; it is tried again
                    _log.error("cannot start a worker: %s", error)
                else:
                    self._running[number] = process

    def _waited_for(self) -> Sequence[int | socket.socket]:
        return [self._signals, *(each.sentinel for each in self._alive_ones())]

    def _alive_ones(self) -> Iterator[BaseProcess]:
        return (each for each in self._running if each is not None)

    def _due(self) -> float | None:
        """Seconds until there is something to do; None if it is for others to say."""
        missing = [
            started + _RESTART
            for started, running in zip(self._started, self._running, strict=True)
            if running is None
        ]
        due = min([*missing, self._sweep_at])
        return None if due == float("inf") else max(0.0, due - time.monotonic())

    def _note_ended(self) -> None:
        for number, running in enumerate(self._running):
            if running is not None and running.exitcode is not None:
                if not self._stopping:
                    _log.error("%s; another one is started", _how_it_ended(running))
                    self._sweep_at = time.monotonic() + _SWEEP_AFTER
                self._ended(running.pid or 0)
                running.close()
                self._running[number] = None

    def _end(self) -> None:
        until = time.monotonic() + self._grace
        for each in self._alive_ones():
            each.terminate()
        for each in self._alive_ones():
            each.join(max(0.0, until - time.monotonic()))
            if each.exitcode is None:
                each.kill()
                each.join()
        for one in (self._signals, self._noted):
            one.close()
        os.close(self._alive)
        os.close(self._owned)
        self._sweep()

    def _work(self) -> None:
        """Be a worker."""
        signal.set_wakeup_fd(-1)
        for each in _STOP:
            signal.signal(each, signal.SIG_DFL)
        if self._stopping:  # it was told to while the handlers were those of its parent
            return
        os.close(self._owned)
        self._signals.close()
        self._noted.close()
        threading.Thread(target=self._end_with_parent, daemon=True).start()
        self._serve()

    def _end_with_parent(self) -> None:
        """End this worker when the process that started it is no more, however it ended."""
        with suppress(OSError):
            os.read(self._alive, 1)
        os.kill(os.getpid(), signal.SIGTERM)


def _how_it_ended(process: BaseProcess) -> str:
    code = process.exitcode or 0
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"the worker with process id {process.pid} has ended ({how})"
