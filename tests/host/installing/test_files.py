"""Files through the router, on a virtual clock: verified, from elsewhere, or not at all."""

import asyncio
import hashlib

import pytest

from pyodide_mirror.errors import DigestMismatch
from pyodide_mirror.installing import Failover
from pyodide_mirror.installing.failover import Source
from pyodide_mirror.model import Mirror
from pyodide_mirror.reporting import Event
from tests.support.fake_web import (
    BUSY,
    DEMO,
    DOWN,
    GONE,
    LOGIN,
    OUTAGE,
    SLOW,
    TIMEOUT,
    A,
    Answer,
    B,
    C,
    Web,
    entry,
    file_url,
    may_retry,
    page_of,
    reading,
    told,
    urls,
)
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

REBUILT = make_wheel("demo", "1.0", modules={"rebuilt.py": "REBUILT = True\n"})
"""The same file name as `DEMO`, with another content."""
NEWER = make_wheel("demo", "2.0")
WRONG = Answer(body=b"not what the page says")
FAULTS = [
    pytest.param(GONE, id="HTTP 404"),
    pytest.param(OUTAGE, id="HTTP 500"),
    pytest.param(DOWN, id="no connection"),
    pytest.param(SLOW, id="no answer in time"),
    pytest.param(LOGIN, id="a login page"),
    pytest.param(WRONG, id="another digest"),
]
ON_A = file_url(A, DEMO)
ON_B = file_url(B, DEMO)


def shop(*mirrors: Mirror) -> Web:
    """Mirrors that all have the same file."""
    web = Web()
    for mirror in mirrors:
        web.publish(mirror, DEMO)
    return web


async def lose(failover: Failover, project: str = "demo") -> None:
    """Ask for the first file of a page, as micropip does, in vain."""
    [url, *_] = urls(await failover.page(project))
    with pytest.raises(OSError, match="cannot be read"):
        await failover.read(url)


# --- from where -----------------------------------------------------------------------------------


async def test_a_file_comes_from_the_mirror_whose_page_lists_it() -> None:
    web = shop(A, B)
    failover, events = reading(web, A, B)
    await failover.page("demo")
    assert await failover.read(ON_A) == DEMO.data
    assert failover.sources == {ON_A: Source(A.index_url, ON_A, len(DEMO.data))}
    assert web.asked == [A.project_url("demo"), ON_A]
    assert told(events) == [("page", "a.example"), ("file", "a.example")]


async def test_the_digest_of_what_was_verified_is_known_and_of_nothing_else() -> None:
    failover, _ = reading(shop(A), A)
    await failover.page("demo")
    data = await failover.read(ON_A)
    assert failover.sha256_of(data) == DEMO.sha256
    assert failover.sha256_of(bytearray(data)) == ""  # type: ignore[arg-type]  # equal, another
    unverified = Web()
    unverified.publish(A, DEMO, hashes={})
    failover, _ = reading(unverified, A)
    await failover.page("demo")
    assert failover.sha256_of(await failover.read(ON_A)) == ""


async def test_a_file_has_no_time_limit_but_must_not_stall() -> None:
    web = shop(A)
    failover, _ = reading(web, A)
    await failover.page("demo")
    await failover.read(ON_A)
    assert (web.requests[1].stall, web.requests[1].timeout) == (True, TIMEOUT)


async def test_the_bytes_of_a_file_are_told_as_they_come() -> None:
    web = Web()
    size = len(DEMO.data)
    web.publish(A, DEMO, size=size)
    failover, events = reading(web, A)
    await failover.page("demo")
    await failover.read(ON_A)
    text = f"{DEMO.filename}: {size:,} bytes so far"
    assert events[1] == Event("progress", text, A.index_url, ON_A, size, size)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_file_that_cannot_be_had_comes_from_another_mirror(fault: Answer) -> None:
    web = shop(A, B)
    web.answer(ON_A, fault)
    failover, events = reading(web, A, B)
    await failover.page("demo")
    assert await failover.read(ON_A) == DEMO.data
    assert failover.sources == {ON_A: Source(B.index_url, ON_B, len(DEMO.data))}
    assert told(events) == [
        ("page", "a.example"),
        ("problem", "a.example"),
        ("page", "b.example"),
        ("failover", "b.example"),
        ("file", "b.example"),
    ]
    assert (failover.faults.lost, failover.faults.mismatches, failover.faults.fatal) == (
        set(),
        {},
        None,
    )


async def test_a_busy_mirror_is_asked_for_a_file_twice() -> None:
    web = shop(A, B)
    web.answer(ON_A, BUSY, Answer(body=DEMO.data))
    failover, _ = reading(web, A, B)
    await failover.page("demo")
    assert await failover.read(ON_A) == DEMO.data
    assert web.asked[1:] == [ON_A, ON_A]
    assert web.times[2] - web.times[1] == pytest.approx(0.5, abs=1e-3)


async def test_one_mirror_after_the_other_is_asked_for_a_file() -> None:
    web = shop(A, B, C)
    web.answer(ON_A, DOWN)
    web.answer(ON_B, WRONG)
    failover, _ = reading(web, A, B, C)
    await failover.page("demo")
    assert await failover.read(ON_A) == DEMO.data
    assert failover.sources[ON_A].mirror == C.index_url
    assert not failover.faults.mismatches


async def test_a_file_of_the_same_name_with_another_digest_is_never_taken() -> None:
    web = shop(A)
    web.answer(ON_A, GONE)
    web.publish(B, REBUILT)
    failover, _ = reading(web, A, B)
    await lose(failover)
    assert file_url(B, REBUILT) not in web.asked


async def test_a_file_of_another_name_with_the_same_digest_is_not_taken() -> None:
    web = shop(A)
    web.answer(ON_A, GONE)
    web.publish(B, DEMO, filename="demo-1.0-py2.py3-none-any.whl")
    failover, _ = reading(web, A, B)
    await lose(failover)
    assert ON_B not in web.asked


async def test_a_file_without_a_digest_is_read_as_it_is() -> None:
    web = Web()
    web.publish(A, DEMO, hashes={})
    failover, _ = reading(web, A)
    await failover.page("demo")
    assert await failover.read(ON_A) == DEMO.data


async def test_a_file_without_a_digest_comes_from_nowhere_else() -> None:
    web = Web()
    web.publish(A, DEMO, hashes={"md5": "0" * 32})
    web.publish(B, DEMO, hashes={"md5": "0" * 32})
    web.publish(C, DEMO)
    web.answer(ON_A, GONE)
    failover, _ = reading(web, A, B, C)
    await lose(failover)
    assert {ON_B, file_url(C, DEMO)}.isdisjoint(web.asked)


async def test_a_mirror_that_fails_in_the_search_for_a_file_is_told_of() -> None:
    web = shop(A, C)
    web.answer(ON_A, GONE)
    web.answer(B.project_url("demo"), OUTAGE)
    failover, events = reading(web, A, B, C)
    await failover.page("demo")
    assert await failover.read(ON_A) == DEMO.data
    assert ("problem", "b.example") in told(events)


async def test_where_a_file_came_from_is_known_for_each_url_it_is_read_by() -> None:
    web = shop(A, B)
    failover, _ = reading(web, A, B)
    await failover.page("demo")
    await failover.read(ON_A)
    assert may_retry(failover, ValueError("no wheel for 'demo'"))
    await failover.page("demo")
    assert await failover.read(ON_B) == DEMO.data
    assert failover.sources[ON_B] == Source(A.index_url, ON_A, len(DEMO.data))


# --- from nowhere ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS[:-2])
async def test_a_file_that_nobody_can_give_is_lost(fault: Answer) -> None:
    web = shop(A, B)
    web.answer(ON_A, fault)
    web.answer(ON_B, GONE)
    failover, _ = reading(web, A, B)
    await lose(failover)
    assert failover.faults.lost == {"demo"}
    assert (failover.sources, failover.faults.mismatches, failover.faults.fatal) == ({}, {}, None)


async def test_a_file_that_is_nowhere_what_it_should_be_is_a_mismatch() -> None:
    web = shop(A, B, C)
    web.answer(ON_A, WRONG)
    web.answer(ON_B, GONE)
    web.answer(file_url(C, DEMO), WRONG)
    failover, _ = reading(web, A, B, C)
    await lose(failover)
    mismatch = failover.faults.mismatches["demo"]
    assert type(mismatch) is DigestMismatch
    assert (mismatch.filename, mismatch.expected) == (DEMO.filename, DEMO.sha256)
    assert mismatch.got == hashlib.sha256(WRONG.body).hexdigest()
    assert mismatch.mirrors == (A, C)
    assert failover.faults.lost == {"demo"}


@pytest.mark.parametrize(
    "host", ["http://192.168.0.1", "http://localhost:8080", "http://127.1", "https://intranet"]
)
async def test_a_public_page_that_points_into_a_private_network_is_not_followed(host: str) -> None:
    web = Web()
    web.publish(A, DEMO, url=f"{host}/{DEMO.filename}")
    failover, _ = reading(web, A)
    await lose(failover)
    assert web.hosts == ["https://a.example"]


async def test_nor_is_it_followed_for_metadata() -> None:
    web = Web()
    url = f"http://192.168.0.1/{DEMO.filename}"
    web.publish(A, DEMO, url=url)
    failover, _ = reading(web, A)
    await failover.page("demo")
    with pytest.raises(OSError, match=r"."):
        await failover.read(f"{url}.metadata")
    assert web.hosts == ["https://a.example"]


async def test_metadata_that_is_refused_is_taken_from_the_wheel_of_another_mirror() -> None:
    web = shop(B)
    url = f"http://192.168.0.1/{DEMO.filename}"
    web.publish(A, DEMO, url=url)
    failover, _ = reading(web, A, B)
    await failover.page("demo")
    assert await failover.read(url) == DEMO.data
    assert await failover.read(f"{url}.metadata") == DEMO.metadata
    assert web.hosts == ["https://a.example", "https://b.example"]


async def test_a_private_page_that_points_into_its_own_network_is_followed() -> None:
    own = Mirror("http://localhost:8080/simple")
    web = shop(own)
    failover, _ = reading(web, own)
    await failover.page("demo")
    assert await failover.read(file_url(own, DEMO)) == DEMO.data


# --- metadata -------------------------------------------------------------------------------------


async def test_metadata_is_read_and_verified_and_the_wheel_left_alone() -> None:
    web = shop(A)
    failover, _ = reading(web, A)
    await failover.page("demo")
    assert await failover.read(f"{ON_A}.metadata") == DEMO.metadata
    assert web.asked == [A.project_url("demo"), f"{ON_A}.metadata"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_metadata_that_is_broken_is_taken_from_the_wheel(fault: Answer) -> None:
    web = shop(A, B)
    web.answer(f"{ON_A}.metadata", fault)
    failover, events = reading(web, A, B)
    await failover.page("demo")
    assert await failover.read(f"{ON_A}.metadata") == DEMO.metadata
    assert await failover.read(ON_A) == DEMO.data
    assert web.asked.count(ON_A) == 1
    assert told(events)[1:] == [("repaired", "a.example"), ("file", "a.example")]


async def test_metadata_and_file_share_one_request_at_the_same_time_too() -> None:
    web = shop(A)
    web.answer(f"{ON_A}.metadata", GONE)
    web.answer(ON_A, Answer(body=DEMO.data, delay=2))
    failover, _ = reading(web, A)
    await failover.page("demo")
    metadata, data = await asyncio.gather(failover.read(f"{ON_A}.metadata"), failover.read(ON_A))
    assert (metadata, data) == (DEMO.metadata, DEMO.data)
    assert web.asked.count(ON_A) == 1


async def test_metadata_may_come_from_the_wheel_of_another_mirror() -> None:
    web = shop(A, B)
    web.answer(f"{ON_A}.metadata", GONE)
    web.answer(ON_A, GONE)
    failover, _ = reading(web, A, B)
    await failover.page("demo")
    assert await failover.read(f"{ON_A}.metadata") == DEMO.metadata
    assert failover.sources[ON_A].mirror == B.index_url


async def test_metadata_of_a_wheel_that_cannot_be_opened_is_not_to_be_had() -> None:
    web = Web()
    digest = {"sha256": hashlib.sha256(WRONG.body).hexdigest()}
    web.publish(A, DEMO, hashes=digest)
    web.answer(ON_A, WRONG)
    web.answer(f"{ON_A}.metadata", GONE)
    failover, _ = reading(web, A)
    await failover.page("demo")
    with pytest.raises(OSError, match="no readable wheel"):
        await failover.read(f"{ON_A}.metadata")


async def test_metadata_is_taken_from_a_wheel_that_vendors_others() -> None:
    vendored = "demo/_vendor/packaging-24.0.dist-info/METADATA"
    wheel = make_wheel("demo", "1.0", modules={vendored: "Name: packaging\n"})
    web = Web()
    web.publish(A, wheel)
    web.answer(f"{ON_A}.metadata", GONE)
    failover, _ = reading(web, A)
    await failover.page("demo")
    assert await failover.read(f"{ON_A}.metadata") == wheel.metadata


async def test_metadata_of_a_url_with_a_query_is_where_the_specification_says() -> None:
    web = Web()
    web.publish(A, DEMO, url=f"{ON_A}?signature=1")
    web.answer(f"{ON_A}?signature=1.metadata", Answer(body=DEMO.data))  # the query of no file
    web.answer(f"{ON_A}.metadata?signature=1", Answer(body=DEMO.metadata))
    failover, _ = reading(web, A)
    [url] = urls(await failover.page("demo"))
    assert failover.knows(f"{url}.metadata")  # as micropip asks
    assert await failover.read(f"{url}.metadata") == DEMO.metadata
    assert web.asked[1:] == [f"{ON_A}.metadata?signature=1"]


# --- at the same time -----------------------------------------------------------------------------


async def test_two_readers_share_one_request() -> None:
    web = Web()
    web.answer(A.project_url("demo"), page_of("demo", [entry(A, DEMO)], delay=1))
    web.answer(ON_A, Answer(body=DEMO.data, delay=1))
    failover, events = reading(web, A)
    pages = await asyncio.gather(failover.page("demo"), failover.page("demo"))
    assert pages[0] == pages[1]
    first, second = await asyncio.gather(failover.read(ON_A), failover.read(ON_A))
    assert first == second == DEMO.data
    assert await failover.read(ON_A) == DEMO.data
    assert web.asked == [A.project_url("demo"), ON_A]
    assert told(events) == [("page", "a.example"), ("file", "a.example")]


async def test_a_reader_that_gives_up_does_not_take_the_file_from_another() -> None:
    web = shop(A)
    web.answer(ON_A, Answer(body=DEMO.data, delay=2))
    failover, _ = reading(web, A)
    await failover.page("demo")
    first = asyncio.create_task(failover.read(ON_A))
    second = asyncio.create_task(failover.read(ON_A))
    await asyncio.sleep(1)
    first.cancel()
    assert await second == DEMO.data
    assert first.cancelled()
    assert (web.asked.count(ON_A), web.cancelled) == (1, [])


async def test_stop_ends_what_runs_and_later_readers_start_anew() -> None:
    web = shop(A)
    slow = A.project_url("slow")
    web.answer(slow, page_of("slow", [entry(A, make_wheel("slow", "1.0"))], delay=2))
    web.answer(ON_A, Answer(body=DEMO.data, delay=2))
    failover, _ = reading(web, A)
    await failover.page("demo")
    readers = [
        asyncio.create_task(failover.read(ON_A)),
        asyncio.create_task(failover.page("slow")),
    ]
    await asyncio.sleep(1)
    failover.stop()
    results = await asyncio.gather(*readers, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    assert sorted(web.cancelled) == [ON_A, slow]
    assert await failover.read(ON_A) == DEMO.data
    assert (await failover.page("slow")).status == 200
    assert (web.asked.count(ON_A), web.asked.count(slow)) == (2, 2)


async def test_stop_ends_a_search_on_another_mirror_too() -> None:
    web = shop(A, B)
    web.answer(ON_A, GONE)
    web.answer(B.project_url("demo"), page_of("demo", [entry(B, DEMO)], delay=2))
    failover, _ = reading(web, A, B)
    await failover.page("demo")
    reader = asyncio.create_task(failover.read(ON_A))
    await asyncio.sleep(1)
    failover.stop()
    await asyncio.wait([reader])
    assert reader.cancelled()
    assert web.cancelled == [B.project_url("demo")]
    assert await failover.read(ON_A) == DEMO.data


async def test_what_is_there_survives_a_stop() -> None:
    web = shop(A)
    failover, _ = reading(web, A)
    await failover.page("demo")
    await failover.read(ON_A)
    failover.stop()
    await failover.page("demo")
    assert await failover.read(ON_A) == DEMO.data
    assert web.asked == [A.project_url("demo"), ON_A]
