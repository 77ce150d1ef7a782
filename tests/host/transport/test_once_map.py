"""One task for each key, however many ask."""

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

from pyodide_mirror.transport import OnceMap


class Work:
    """Work that ends when it is told to, and counts how often it was begun."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.may_end = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> str:
        self.begun += 1
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return f"result {self.begun}"


@pytest.fixture
async def work() -> AsyncIterator[Work]:
    """Work, and all tasks that asked for it ended afterwards."""
    made = Work()
    yield made
    made.may_end.set()


async def a_turn() -> None:
    """Let the tasks that were made start, and get to where they wait."""
    for _ in range(3):
        await asyncio.sleep(0)


def asking(once: OnceMap[str, str], work: Work, times: int) -> list[asyncio.Task[str]]:
    return [asyncio.create_task(once.get("key", work)) for _ in range(times)]


async def test_all_who_ask_meanwhile_get_the_result_of_one_task(work: Work) -> None:
    once = OnceMap[str, str]()
    asked = asking(once, work, 3)
    await a_turn()
    work.may_end.set()
    assert await asyncio.gather(*asked) == ["result 1"] * 3
    assert work.begun == 1


async def test_each_key_has_a_task_of_its_own(work: Work) -> None:
    once = OnceMap[str, str]()
    work.may_end.set()
    assert await once.get("a", work) == "result 1"
    assert await once.get("b", work) == "result 2"


async def test_later_the_work_is_done_again_unless_results_are_remembered(work: Work) -> None:
    work.may_end.set()
    for remember, begun in ((False, 2), (True, 1)):
        once, work.begun = OnceMap[str, str](remember=remember), 0
        await once.get("key", work)
        await once.get("key", work)
        assert work.begun == begun, f"remember={remember}"


async def test_an_error_reaches_all_who_asked(work: Work) -> None:
    work.error = OSError("no such page")
    asked = asking(OnceMap[str, str](), work, 2)
    await a_turn()
    work.may_end.set()
    errors = await asyncio.gather(*asked, return_exceptions=True)
    assert list(map(repr, errors)) == [repr(work.error)] * 2
    assert work.begun == 1


async def test_a_failure_is_remembered_only_where_results_are(work: Work) -> None:
    work.error = OSError("no such page")
    work.may_end.set()
    for remember, begun in ((False, 2), (True, 1)):
        once, work.begun = OnceMap[str, str](remember=remember), 0
        for _ in range(2):
            with pytest.raises(OSError, match="no such page"):
                await once.get("key", work)
        assert work.begun == begun, f"remember={remember}"
        assert once.has_failed("key") == remember


async def test_what_runs_succeeded_or_is_unknown_has_not_failed(work: Work) -> None:
    once = OnceMap[str, str](remember=True)
    assert not once.has_failed("key")
    (asked,) = asking(once, work, 1)
    await a_turn()
    assert not once.has_failed("key")
    work.may_end.set()
    await asked
    assert not once.has_failed("key")


async def test_the_first_who_asked_may_be_cancelled_and_the_others_get_the_result(
    work: Work,
) -> None:
    first, second = asking(OnceMap[str, str](), work, 2)
    await a_turn()
    first.cancel()
    await asyncio.wait({first})
    assert first.cancelled()
    work.may_end.set()
    assert await second == "result 1"
    assert (work.begun, work.cancelled) == (1, 0)


async def test_work_that_nobody_waits_for_any_more_goes_on_and_its_error_is_no_noise(
    work: Work,
) -> None:
    """An error that nobody has looked at is logged by asyncio when its task goes away."""
    noise: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
    once = OnceMap[str, str]()
    work.error = OSError("no such page")
    (asked,) = asking(once, work, 1)
    await a_turn()
    asked.cancel()
    await asyncio.wait({asked})
    work.may_end.set()
    await a_turn()
    work.error = None
    assert await once.get("key", work) == "result 2"
    del asked  # its traceback holds the task
    gc.collect()
    assert noise == []


async def test_stopping_cancels_what_runs_and_keeps_what_is_remembered(work: Work) -> None:
    once = OnceMap[str, str](remember=True)
    done = Work()
    done.may_end.set()
    await once.get("done", done)
    (asked,) = asking(once, work, 1)
    await a_turn()
    (stopped,) = once.stop()
    await asyncio.wait({asked, stopped})
    assert asked.cancelled()
    assert work.cancelled == 1
    await once.get("done", done)
    assert done.begun == 1
    assert once.stop() == []


async def test_after_stopping_the_same_key_may_be_asked_for_at_once(work: Work) -> None:
    once = OnceMap[str, str](remember=True)
    (asked,) = asking(once, work, 1)
    await a_turn()
    once.stop()
    again = asking(once, work, 2)  # before the cancelled task has ended
    await asyncio.wait({asked})
    work.may_end.set()
    assert await asyncio.gather(*again) == ["result 2"] * 2
    assert not once.has_failed("key")
