"""Work in a thread: what it gives, and that who is stopped waits for its end."""

import asyncio
import threading

import pytest

from pyodide_mirror.server.cache.threads import in_thread


async def test_what_it_returns_and_raises_is_passed_on() -> None:
    assert await in_thread(int, "11", base=2) == 3
    with pytest.raises(ValueError, match="no number"):
        await in_thread(int, "no number", base=2)


@pytest.mark.parametrize("fails", [False, True])
async def test_who_is_cancelled_even_twice_waits_for_its_end(
    fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert go.wait(30)
        ended.set()
        if fails:
            raise OSError("the disk is full")

    waiting = asyncio.create_task(in_thread(work))
    assert await asyncio.to_thread(begun.wait, 30)
    for _ in range(2):
        waiting.cancel()
        await asyncio.sleep(0)
        assert not waiting.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()
    assert caplog.records == []
