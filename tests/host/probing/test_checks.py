"""Which files of a page a probe looks at, when an install's own project is the canary."""

import pytest

from pyodide_mirror.model import Outcome, Reason
from pyodide_mirror.probing import Canary, ProbeDownloads, probe_mirror
from tests.support.fake_web import DOWN, GONE, OUTAGE, TIMEOUT, A, Answer, Web, file_url
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

LARGE = make_wheel("demo", "2.0", padding=300_000)
OLD = make_wheel("demo", "0.1")


async def probe(old: Answer | None, large: Answer | None) -> tuple[Outcome, list[str]]:
    """Probe a mirror whose project has a large new wheel and a small old one."""
    web = Web()
    web.publish(A, LARGE, OLD)
    for wheel, answer in ((OLD, old), (LARGE, large)):
        if answer is not None:
            web.answer(file_url(A, wheel), answer)
    outcome = await probe_mirror(
        A,
        web,
        canary=Canary("demo", downloads=ProbeDownloads()),
        timeout=TIMEOUT,
        named=True,
        thorough=False,
    )
    return outcome, [url.rpartition("/")[2] for url in web.asked[1:]]


async def test_a_large_wheel_is_not_fetched_to_choose_a_mirror() -> None:
    outcome, asked = await probe(old=None, large=None)
    assert outcome.reason is Reason.OK
    assert asked == [OLD.filename]


@pytest.mark.parametrize(
    "lost",
    [GONE, OUTAGE, DOWN, Answer(body=b"another file")],
    ids=["404", "500", "blocked", "other"],
)
async def test_an_old_wheel_that_is_lost_says_nothing_of_the_wanted_one(lost: Answer) -> None:
    outcome, asked = await probe(old=lost, large=None)
    assert outcome.reason is Reason.OK
    assert asked == [OLD.filename, LARGE.filename]


async def test_where_the_wanted_wheel_is_lost_too_the_mirror_is_of_no_use() -> None:
    outcome, asked = await probe(old=OUTAGE, large=GONE)
    assert outcome.reason is Reason.FILES_BLOCKED
    assert LARGE.filename in outcome.detail
    assert asked == [OLD.filename, LARGE.filename]
