"""The run_race, on a virtual clock: who wins, when exactly, and who was asked."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from pyodide_mirror.model import Mirror, Outcome, Reason
from pyodide_mirror.probing import Result, check_all, run_race
from pyodide_mirror.probing.race import GRACE, MAX_AT_ONCE, STAGGER
from pyodide_mirror.transport import Progress

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

NEVER = 1e6
OK, CORS = Reason.OK, Reason.CORS
HTML, UNHASHED = Reason.HTML_ONLY, Reason.NO_HASHES
REPAIRED = (HTML, UNHASHED)


@dataclass
class Runner:
    """A mirror that has its headers and its verdict so many seconds after its start."""

    verdict: float
    reason: Reason = OK
    headers: float = NEVER


@dataclass
class Field:
    """What happened."""

    runners: Sequence[Runner]
    started: dict[int, float] = field(default_factory=dict)
    running: int = 0
    peak: int = 0
    cancelled: list[int] = field(default_factory=list)

    @property
    def mirrors(self) -> list[Mirror]:
        return [Mirror(f"https://m{index}.example") for index in range(len(self.runners))]

    async def check(self, mirror: Mirror, progress: Progress) -> Outcome:
        index = int(mirror.name.removeprefix("m").partition(".")[0])
        runner = self.runners[index]
        self.started[index] = asyncio.get_running_loop().time()
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            if runner.headers < runner.verdict:
                await asyncio.sleep(runner.headers)
                progress.headers(200, None)
                await asyncio.sleep(runner.verdict - runner.headers)
            else:
                await asyncio.sleep(runner.verdict)
        except asyncio.CancelledError:
            self.cancelled.append(index)
            raise
        finally:
            self.running -= 1
        repairs = (runner.reason,) if runner.reason in REPAIRED else ()
        return Outcome(mirror=mirror, reason=runner.reason, repairs=repairs)


def index_of(result: Result) -> int | None:
    if result.winner is None:
        return None
    return int(result.winner.mirror.name.removeprefix("m").partition(".")[0])


@pytest.mark.parametrize(
    ("runners", "winner", "seconds"),
    [
        pytest.param([Runner(0.3)], 0, 0.3, id="a single one"),
        pytest.param([Runner(0.3), Runner(0.3)], 0, 0.3, id="equals: the first"),
        pytest.param(
            [Runner(NEVER), Runner(0.1)], 1, STAGGER + 0.1, id="a hanging one costs 10 ms"
        ),
        pytest.param([Runner(0, CORS), Runner(0.1)], 1, 0.1, id="a failed one costs nothing"),
        pytest.param(
            [Runner(0.02, CORS), Runner(0.03, CORS), Runner(0.1)],
            2,
            2 * STAGGER + 0.1,
            id="failures in turn",
        ),
        pytest.param([Runner(0.3), Runner(0.1)], 1, STAGGER + 0.1, id="no headers yet: no grace"),
        pytest.param(
            [Runner(0.2, headers=0.01), Runner(0.1)], 0, 0.2, id="grace is used by the earlier one"
        ),
        pytest.param(
            [Runner(NEVER, headers=0.01), Runner(0.1)],
            1,
            STAGGER + 0.1 + GRACE,
            id="grace is spent",
        ),
        pytest.param(
            [Runner(0.2, CORS, headers=0.01), Runner(0.1)], 1, 0.2, id="grace ends with a verdict"
        ),
        pytest.param(
            [Runner(0.1), Runner(0.2, headers=0.01)], 0, 0.1, id="later ones get no grace"
        ),
        pytest.param(
            [Runner(0.01, HTML), Runner(0.5)], 0, 0.01, id="a repaired one is as good as a full one"
        ),
        pytest.param(
            [Runner(0.2, headers=0.01), Runner(0.1, HTML)], 0, 0.2, id="and so gives grace, too"
        ),
        pytest.param(
            [Runner(0.01, UNHASHED), Runner(0.5, HTML)], 1, 0.51, id="no hashes: the last resort"
        ),
        pytest.param(
            [Runner(0.01, UNHASHED), Runner(0.5, CORS)], 0, 0.51, id="no hashes where nothing else"
        ),
        pytest.param(
            [Runner(0.2, HTML), Runner(0.1, HTML)], 1, STAGGER + 0.1, id="repaired: the first"
        ),
        pytest.param([Runner(0.1, CORS), Runner(0.1, CORS)], None, STAGGER + 0.1, id="nobody"),
        pytest.param([Runner(0, CORS)] * 50 + [Runner(0.1)], 50, 0.1, id="fifty fail at once"),
    ],
)
async def test_scenarios(runners: list[Runner], winner: int | None, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    ground = Field(runners)
    started = loop.time()
    result = await run_race(ground.mirrors, ground.check)
    assert index_of(result) == winner
    assert loop.time() - started == pytest.approx(seconds, abs=0.005)
    assert ground.running == 0
    judged = {outcome.mirror for outcome in result.outcomes}
    assert judged.isdisjoint(result.pending)
    assert judged | set(result.pending) == set(ground.mirrors)


async def test_starts_are_staggered_in_order() -> None:
    ground = Field([Runner(NEVER), Runner(NEVER), Runner(0.02)])
    origin = asyncio.get_running_loop().time()
    result = await run_race(ground.mirrors, ground.check)
    starts = [ground.started[index] - origin for index in range(3)]
    assert starts == pytest.approx([0, STAGGER, 2 * STAGGER], abs=0.005)
    assert ground.cancelled == [0, 1]
    assert [mirror.name for mirror in result.pending] == ["m0.example", "m1.example"]


async def test_the_clock_is_virtual() -> None:
    started = time.monotonic()
    await asyncio.sleep(3600)
    assert time.monotonic() - started < 5


async def test_never_more_than_eight_run_and_a_hanging_crowd_is_passed_as_it_ends() -> None:
    ground = Field([Runner(5, Reason.TIMEOUT)] * 20 + [Runner(0.1)] + [Runner(NEVER)] * 79)
    result = await run_race(ground.mirrors, ground.check)
    assert index_of(result) == 20
    assert ground.peak == MAX_AT_ONCE
    assert len(ground.started) <= 20 + MAX_AT_ONCE


async def test_nobody_starts_any_more_once_one_is_verified() -> None:
    ground = Field([Runner(NEVER, headers=0.01), Runner(STAGGER / 2), *[Runner(0.1)] * 10])
    result = await run_race(ground.mirrors, ground.check)
    assert index_of(result) == 1
    assert set(ground.started) == {0, 1}


async def test_cancelling_the_race_ends_all_checks() -> None:
    ground = Field([Runner(NEVER)] * 3)
    task = asyncio.ensure_future(run_race(ground.mirrors, ground.check))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ground.cancelled == [0, 1, 2]
    assert ground.running == 0


async def test_a_bug_in_a_check_is_not_hidden() -> None:
    ground = Field([Runner(NEVER), Runner(NEVER)])

    async def check(mirror: Mirror, progress: Progress) -> Outcome:
        if mirror.name == "m1.example":
            raise ZeroDivisionError
        return await ground.check(mirror, progress)

    with pytest.raises(ZeroDivisionError):
        await run_race(ground.mirrors, check)
    assert ground.running == 0


async def test_verdicts_are_told_as_they_come_and_a_failing_listener_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = []

    def watch(outcome: Outcome) -> None:
        seen.append(str(outcome.reason))
        raise RuntimeError("listener")

    ground = Field([Runner(0.01, CORS), Runner(0.1)])
    result = await run_race(ground.mirrors, ground.check, watch)
    assert index_of(result) == 1
    assert seen == ["cors", "ok"]
    assert "listener" in caplog.text


async def test_check_all_waits_for_every_verdict_eight_at_a_time() -> None:
    ground = Field([Runner(1, CORS)] * 20)
    seen: list[Outcome] = []
    loop = asyncio.get_running_loop()
    started = loop.time()
    result = await check_all(ground.mirrors, ground.check, seen.append)
    assert loop.time() - started == pytest.approx(3, abs=0.01)
    assert ground.peak == MAX_AT_ONCE
    assert [outcome.mirror for outcome in result.outcomes] == ground.mirrors
    assert len(seen) == 20
    assert (result.winner, result.pending) == (None, ())
