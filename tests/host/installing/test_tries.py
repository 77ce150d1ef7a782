"""Where an install must end or may be tried again, on a virtual clock.

Private indexes, other pages after a failure, and ``verify="quorum"``.
"""

from contextlib import suppress
from dataclasses import replace

import pytest

from pyodide_mirror.errors import DigestMismatch, MirrorError
from pyodide_mirror.installing import Failover
from pyodide_mirror.installing.failover import Source
from pyodide_mirror.model import Mirror
from tests.host.installing.test_files import FAULTS, NEWER, ON_A, ON_B, REBUILT, WRONG, lose, shop
from tests.support.fake_web import (
    ACME,
    DEMO,
    DOWN,
    GONE,
    PRIVATE,
    A,
    Answer,
    B,
    C,
    Web,
    file_url,
    may_retry,
    reading,
    told,
    urls,
)
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


# --- private files --------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_private_file_that_cannot_be_had_is_asked_of_nobody_else(fault: Answer) -> None:
    web = shop(PRIVATE, A)
    web.answer(file_url(PRIVATE, DEMO), fault)
    failover, _ = reading(web, PRIVATE, A)
    await lose(failover)
    assert web.hosts == ["https://private.example"]
    assert isinstance(failover.faults.fatal, MirrorError)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_file_of_a_named_project_is_asked_of_its_own_index_only(fault: Answer) -> None:
    web = shop(ACME, PRIVATE, A)
    web.answer(file_url(ACME, DEMO), fault)
    failover, _ = reading(web, PRIVATE, A, ACME)
    await lose(failover)
    assert not may_retry(failover, OSError("Failed to fetch"))
    assert web.hosts == ["https://acme.example"]


@pytest.mark.parametrize("lost", [True, False], ids=["file not to be had", "version not there"])
async def test_a_private_page_is_never_followed_by_a_public_one(lost: bool) -> None:
    web = shop(PRIVATE)
    web.publish(A, NEWER)
    failover, _ = reading(web, PRIVATE, A)
    if lost:
        web.answer(file_url(PRIVATE, DEMO), GONE)
        await lose(failover)
    else:
        await failover.page("demo")
    assert not may_retry(failover, ValueError("Can't find a pure Python 3 wheel for 'demo>=2'"))
    assert web.hosts == ["https://private.example"]


async def test_nor_is_it_when_there_is_another_try_for_another_project() -> None:
    web = shop(PRIVATE)
    web.publish(A, NEWER)
    web.publish(A, make_wheel("else", "1.0"))
    web.publish(B, make_wheel("else", "2.0"))
    failover, _ = reading(web, PRIVATE, A, B)
    await failover.page("demo")
    await failover.page("else")
    error = ValueError("Can't find a pure Python 3 wheel for: 'demo>=2', 'else>=2'")
    if may_retry(failover, error):
        with suppress(OSError):
            await failover.page("demo")
    assert A.project_url("demo") not in web.asked


async def test_a_private_file_that_cannot_be_had_is_what_ends_the_install() -> None:
    web = shop(PRIVATE)
    other = make_wheel("else", "1.0")
    web.publish(A, other)
    web.answer(file_url(A, other), WRONG)
    web.answer(file_url(PRIVATE, DEMO), GONE)
    failover, _ = reading(web, PRIVATE, A)
    await lose(failover, "else")
    await lose(failover, "demo")
    assert DEMO.filename in str(failover.faults.fatal)


# --- another try ----------------------------------------------------------------------------------


async def test_there_is_another_try_while_another_page_is_left() -> None:
    web = Web()
    web.publish(A, NEWER)
    web.publish(B, DEMO)
    web.answer(file_url(A, NEWER), GONE)
    web.answer(ON_B, GONE)
    failover, events = reading(web, A, B)
    await lose(failover)
    assert may_retry(failover, OSError("Failed to fetch"))
    assert told(events)[-1] == ("again", "a.example")
    assert failover.faults.lost == set()
    assert urls(await failover.page("demo")) == [ON_B]
    assert web.asked.count(A.project_url("demo")) == 1
    await lose(failover)
    assert not may_retry(failover, OSError("Failed to fetch"))
    assert failover.faults.lost == {"demo"}


async def test_a_page_without_the_version_that_is_wanted_is_not_served_again() -> None:
    web = shop(A)
    web.publish(A, make_wheel("else", "1.0"))
    web.publish(B, NEWER)
    failover, events = reading(web, A, B)
    await failover.page("demo")
    await failover.page("else")
    error = ValueError("Can't find a pure Python 3 wheel for 'demo>=2'.")
    assert may_retry(failover, error)
    assert [event.kind for event in events].count("again") == 1
    assert urls(await failover.page("demo")) == [file_url(B, NEWER)]
    assert B.project_url("else") not in web.asked
    await failover.page("else")
    assert not may_retry(failover, error)


async def test_an_error_that_is_about_no_page_of_ours_is_no_reason_for_another_try() -> None:
    web = shop(A, B)
    failover, _ = reading(web, A, B)
    await failover.page("demo")
    assert not may_retry(failover, ValueError("Can't find a pure Python 3 wheel for 'other>=2'"))
    assert not may_retry(failover, RuntimeError("demo is broken"))


@pytest.mark.parametrize("same", [True, False], ids=["the same file", "different files"])
async def test_there_are_as_many_tries_as_mirrors(same: bool) -> None:
    web = Web()
    for number, mirror in enumerate((A, B, C)):
        wheel = DEMO if same else make_wheel("demo", f"1.{number}")
        web.publish(mirror, wheel)
        web.answer(file_url(mirror, wheel), WRONG)
    failover, _ = reading(web, A, B, C)
    tries = 0
    again = True
    while again:
        tries += 1
        await lose(failover)
        failover.stop()
        again = may_retry(failover, OSError("Failed to fetch"))
    assert tries == 3
    assert failover.faults.lost == {"demo"}
    assert failover.faults.mismatches


async def test_a_page_that_was_not_asked_for_again_is_no_reason_for_a_third_try() -> None:
    failover, _ = reading(shop(A, B), A, B)
    await failover.page("demo")
    error = ValueError("Can't find a pure Python 3 wheel for 'demo>=2'")
    assert may_retry(failover, error)
    assert not may_retry(failover, error), "the same error for ever would be tried for ever"


async def test_a_mirror_that_does_not_have_the_project_is_no_reason_for_another_try() -> None:
    web = shop(A)
    web.answer(ON_A, WRONG)
    failover, _ = reading(web, A, B)
    await lose(failover)
    assert B.project_url("demo") in web.asked  # and has answered 404
    assert not may_retry(failover, OSError("Failed to fetch"))
    assert failover.faults.lost == {"demo"}  # else the install does not end with the mismatch


# --- quorum ---------------------------------------------------------------------------------------


async def refused(failover: Failover) -> MirrorError:
    """How the install must end when the file is asked for."""
    await failover.page("demo")
    with pytest.raises(OSError, match=DEMO.filename):
        await failover.read(ON_A)
    assert failover.faults.fatal is not None
    return failover.faults.fatal


async def test_a_second_host_with_the_same_digest_is_enough() -> None:
    web = Web()
    web.publish(A, DEMO)
    web.publish(B, DEMO)
    failover, _ = reading(web, A, B, C, quorum=True)
    await failover.page("demo")
    assert await failover.read(ON_A) == DEMO.data
    assert failover.faults.fatal is None
    assert web.asked == [A.project_url("demo"), ON_A, B.project_url("demo")]


async def test_a_host_that_cannot_say_is_passed_by() -> None:
    web = Web()
    web.publish(A, DEMO)
    web.answer(B.project_url("demo"), DOWN)
    web.publish(C, DEMO)
    failover, _ = reading(web, A, B, C, quorum=True)
    await failover.page("demo")
    assert await failover.read(ON_A) == DEMO.data


async def test_without_quorum_no_second_mirror_is_asked() -> None:
    web = Web()
    web.publish(A, DEMO)
    web.publish(B, REBUILT)
    failover, _ = reading(web, A, B)
    await failover.page("demo")
    assert await failover.read(ON_A) == DEMO.data
    assert web.hosts == ["https://a.example"]


@pytest.mark.parametrize(
    "index_url", ["https://a.example:8443/simple", "http://a.example/other"], ids=["port", "path"]
)
async def test_the_same_host_under_another_address_is_no_second_one(index_url: str) -> None:
    web = Web()
    web.publish(A, DEMO)
    twin = Mirror(index_url)
    web.publish(twin, DEMO, url=ON_A)
    error = await refused(reading(web, A, twin, quorum=True)[0])
    assert twin.project_url("demo") in web.asked
    assert "only one mirror, a.example," in str(error)


@pytest.mark.parametrize("there", [True, False], ids=["without that file", "without the project"])
async def test_a_file_that_only_one_mirror_has_is_refused(there: bool) -> None:
    web = Web()
    web.publish(A, DEMO)
    if there:
        web.publish(B, make_wheel("demo", "2.0"))
    failover, _ = reading(web, A, B, quorum=True)
    error = await refused(failover)
    assert type(error) is MirrorError
    assert "only one mirror, a.example," in str(error)
    assert failover.sources == {}


async def test_a_second_host_with_another_digest_is_a_mismatch() -> None:
    web = Web()
    web.publish(A, DEMO)
    web.publish(B, REBUILT)
    failover, _ = reading(web, A, B, C, quorum=True)
    error = await refused(failover)
    assert isinstance(error, DigestMismatch)
    assert (error.filename, error.expected, error.got, error.mirrors) == (
        DEMO.filename,
        DEMO.sha256,
        REBUILT.sha256,
        (A, B),
    )
    assert failover.sources == {}


async def test_a_file_from_elsewhere_is_vouched_for_by_the_page_that_promised_it() -> None:
    web = Web()
    web.publish(A, DEMO)
    web.publish(B, DEMO)
    web.answer(ON_A, GONE)
    failover, _ = reading(web, A, B, quorum=True)
    await failover.page("demo")
    assert await failover.read(ON_A) == DEMO.data
    assert failover.sources[ON_A] == Source(B.index_url, file_url(B, DEMO), len(DEMO.data))


async def test_a_host_that_publishes_no_digest_says_nothing_against_a_file() -> None:
    web = Web()
    web.publish(A, DEMO)
    web.publish(B, DEMO, hashes={})
    web.publish(C, DEMO)
    failover, _ = reading(web, A, B, C, quorum=True)
    await failover.page("demo")
    assert await failover.read(ON_A) == DEMO.data


async def test_a_file_without_a_digest_is_refused_for_want_of_one() -> None:
    web = Web()
    web.publish(A, DEMO, hashes={})
    web.publish(B, DEMO)
    error = await refused(reading(web, A, B, quorum=True)[0])
    assert not isinstance(error, DigestMismatch)


@pytest.mark.parametrize("hashed", [True, False])
async def test_a_broken_archive_may_be_whole_elsewhere_unless_its_digest_is_right(
    hashed: bool,
) -> None:
    web, broken = Web(), replace(DEMO, data=DEMO.data[:-40])
    web.publish(A, broken, core_metadata=None, **({} if hashed else {"hashes": {}}))
    web.publish(B, NEWER)
    failover, _ = reading(web, A, B)
    [url] = urls(await failover.page("demo"))
    with pytest.raises(OSError, match="cannot be unpacked: it is no zip archive"):
        await failover.read(url)
    assert isinstance(failover.faults.fatal, MirrorError) is hashed
    assert "demo" in failover.faults.lost
    assert may_retry(failover, OSError("Failed to fetch"))  # which a fatal fault forbids
