"""The process that starts workers; what they do under load is in tests/abuse."""

import multiprocessing
import os
import signal

import pytest

from pyodide_mirror.server.running import workers
from pyodide_mirror.server.running.workers import Workers

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no workers here")


def _pause() -> None:
    signal.pause()


def test_one_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, failures = os.fork, iter([True])

    def fork() -> int:
        if next(failures, False):
            raise BlockingIOError("no memory")
        made = real()
        if made:
            os.kill(os.getpid(), signal.SIGTERM)
        return made

    monkeypatch.setattr(workers, "_RESTART", 0.01)
    monkeypatch.setattr(os, "fork", fork)
    Workers(1, _pause, grace=5, sweep=lambda: None).run()
    assert "cannot start a worker: no memory" in caplog.text
    assert multiprocessing.active_children() == []


def test_what_a_killed_one_has_left_is_removed_a_while_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    swept: list[int] = []

    def sweep() -> None:
        swept.append(len(caplog.records))
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(workers, "_RESTART", 100)
    monkeypatch.setattr(workers, "_SWEEP_AFTER", 0.01)
    Workers(1, lambda: os.kill(os.getpid(), signal.SIGKILL), grace=5, sweep=sweep).run()
    assert "(SIGKILL); another one is started" in caplog.text
    assert swept == [1, 1], "once after it has ended, and once at the end"


def test_one_that_does_not_end_in_time_is_killed() -> None:
    ready, told = os.pipe()

    def stubborn() -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        os.write(told, b"x")
        signal.pause()

    made = Workers(1, stubborn, grace=0.01, sweep=lambda: None)

    def wait(waited: object, due: float | None) -> list[object]:
        os.read(ready, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "wait", wait)
        made.run()
    assert multiprocessing.active_children() == []
    os.close(ready)
    os.close(told)
