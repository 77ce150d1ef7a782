"""Pages through the router, on a virtual clock: who answers, and who is never asked."""

import asyncio

import pytest

from pyodide_mirror.errors import MirrorError
from pyodide_mirror.index import ACCEPT
from pyodide_mirror.installing import RankedMirror, mirror_client
from pyodide_mirror.model import Mirror, Reason
from pyodide_mirror.storage import Cache, MemoryBackend
from tests.support.fake_web import (
    ACME,
    BUSY,
    DEMO,
    DOWN,
    GONE,
    LOGIN,
    OUTAGE,
    PRIVATE,
    SLOW,
    TIMEOUT,
    A,
    Answer,
    B,
    Web,
    entry,
    file_url,
    listed,
    page_of,
    reading,
    told,
    urls,
)
from tests.support.wheels import make_sdist, make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

FAULTS = [
    pytest.param(OUTAGE, id="HTTP 500"),
    pytest.param(DOWN, id="no connection"),
    pytest.param(SLOW, id="no answer in time"),
    pytest.param(LOGIN, id="a login page"),
]


# --- the page that is handed out ------------------------------------------------------------------


async def test_a_page_comes_from_the_first_mirror_and_nobody_else_is_asked() -> None:
    web = Web()
    web.publish(A, DEMO)
    web.publish(B, DEMO)
    failover, events = reading(web, A, B)
    response = await failover.page("demo")
    assert (response.status, response.url) == (200, A.project_url("demo"))
    assert urls(response) == [file_url(A, DEMO)]
    assert web.asked == [A.project_url("demo")]
    assert told(events) == [("page", "a.example")]


async def test_a_page_is_asked_for_as_micropip_does_and_within_the_time_out() -> None:
    web = Web()
    web.publish(A, DEMO)
    await reading(web, A)[0].page("demo")
    [request] = web.requests
    assert dict(request.headers) == {"accept": ACCEPT}
    assert (request.timeout, request.stall, request.credentials) == (TIMEOUT, False, "omit")


async def test_a_page_is_exact_json_with_absolute_urls_whatever_it_was() -> None:
    web = Web()
    digest = DEMO.sha256.upper()
    link = f"<a href='../files/{DEMO.filename}#sha256={digest}'>{DEMO.filename}</a>"
    url = A.project_url("demo")
    web.answer(url, Answer(body=link.encode(), headers={"content-type": "text/html"}))
    failover, events = reading(web, A)
    response = await failover.page("demo")
    assert response.document == {
        "meta": {"api-version": "1.0"},
        "name": "demo",
        "versions": [],
        "files": [
            {
                "filename": DEMO.filename,
                "url": f"https://a.example/simple/files/{DEMO.filename}",
                "hashes": {"sha256": DEMO.sha256},
                "yanked": False,
            }
        ],
    }
    assert told(events) == [("repaired", "a.example")]
    assert "html-only" in events[0].text


async def test_only_wheels_for_this_python_are_on_the_page() -> None:
    web = Web()
    future = make_wheel("demo", "2.0")
    files = [
        entry(A, make_sdist("demo", "1.0")),
        entry(A, DEMO, requires_python=">=3.8"),
        entry(A, future, requires_python=">=3.99"),
    ]
    web.list_files(A, "demo", files)
    failover, _ = reading(web, A)
    assert urls(await failover.page("demo")) == [file_url(A, DEMO)]
    assert failover.knows(file_url(A, DEMO))
    assert failover.knows(f"{file_url(A, DEMO)}.metadata")
    assert not failover.knows(file_url(A, future))


@pytest.mark.parametrize("promise", [True, {}, {"md5": "0" * 32}, False])
async def test_a_promise_of_metadata_that_cannot_be_verified_is_not_passed_on(
    promise: object,
) -> None:
    web = Web()
    web.publish(A, DEMO, core_metadata=promise)
    failover, _ = reading(web, A)
    [file] = listed(await failover.page("demo"))
    assert "core-metadata" not in file
    assert not failover.knows(f"{file['url']}.metadata")


async def test_a_promise_of_metadata_that_can_be_verified_is_passed_on() -> None:
    web = Web()
    web.publish(A, DEMO)
    [file] = listed(await reading(web, A)[0].page("demo"))
    assert file["core-metadata"] == {"sha256": DEMO.metadata_sha256}


async def test_no_metadata_is_promised_for_a_mirror_whose_promise_was_found_broken() -> None:
    web = Web()
    web.publish(A, DEMO)
    failover, _ = reading(web, RankedMirror(A, (Reason.METADATA_BROKEN,)))
    [file] = listed(await failover.page("demo"))
    assert "core-metadata" not in file
    assert not failover.knows(f"{file['url']}.metadata")


# --- mirrors without the page ---------------------------------------------------------------------


async def test_a_project_that_a_mirror_does_not_have_is_asked_of_the_next() -> None:
    web = Web()
    web.publish(B, DEMO)
    failover, events = reading(web, A, B)
    response = await failover.page("demo")
    assert (response.url, urls(response)) == (B.project_url("demo"), [file_url(B, DEMO)])
    assert told(events) == [("problem", "a.example"), ("page", "b.example")]


async def test_a_project_that_no_mirror_has_is_not_found() -> None:
    web = Web()
    response = await reading(web, A, B)[0].page("demo")
    assert (response.status, response.document) == (404, None)
    assert web.hosts == ["https://a.example", "https://b.example"]


async def test_a_project_that_no_mirror_may_answer_for_is_not_found() -> None:
    web = Web()
    assert (await reading(web, ACME)[0].page("else")).status == 404
    assert web.asked == []


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_mirror_that_fails_is_passed_by_and_told_of(fault: Answer) -> None:
    web = Web()
    web.answer(A.project_url("demo"), fault)
    web.publish(B, DEMO)
    failover, events = reading(web, A, B)
    assert urls(await failover.page("demo")) == [file_url(B, DEMO)]
    assert told(events) == [("problem", "a.example"), ("page", "b.example")]
    assert failover.faults.fatal is None


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("last", [GONE, DOWN], ids=["nor is it elsewhere", "all fail"])
async def test_a_page_that_may_exist_but_cannot_be_read_is_a_failed_fetch(
    fault: Answer, last: Answer
) -> None:
    web = Web()
    web.answer(A.project_url("demo"), fault)
    web.answer(B.project_url("demo"), last)
    failover, events = reading(web, A, B)
    with pytest.raises(OSError, match=r"(a|b)\.example"):
        await failover.page("demo")
    assert told(events) == [("problem", "a.example"), ("problem", "b.example")]
    assert failover.faults.fatal is None


@pytest.mark.parametrize("mirror", [PRIVATE, ACME], ids=["private", "named"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_private_or_named_index_that_fails_ends_the_install_and_nobody_else_is_asked(
    mirror: Mirror, fault: Answer
) -> None:
    web = Web()
    web.answer(mirror.project_url("demo"), fault)
    web.publish(A, DEMO)
    failover, _ = reading(web, A, mirror)
    with pytest.raises(OSError, match=mirror.name):
        await failover.page("demo")
    assert web.asked == [mirror.project_url("demo")]
    assert type(failover.faults.fatal) is MirrorError
    assert mirror.name in str(failover.faults.fatal)


async def test_what_a_private_mirror_does_not_have_is_asked_of_the_others() -> None:
    web = Web()
    web.publish(A, DEMO)
    failover, _ = reading(web, A, PRIVATE)
    assert urls(await failover.page("demo")) == [file_url(A, DEMO)]
    assert web.asked == [PRIVATE.project_url("demo"), A.project_url("demo")]
    assert failover.faults.fatal is None


async def test_what_its_own_index_does_not_have_is_asked_of_nobody_else() -> None:
    web = Web()
    web.publish(A, DEMO)
    web.publish(PRIVATE, DEMO)
    assert (await reading(web, PRIVATE, A, ACME)[0].page("demo")).status == 404
    assert web.asked == [ACME.project_url("demo")]


# --- busy mirrors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("3", 3), ("5", 5), ("0", 0), (None, 0.5), ("Wed, 21 Oct 2065 07:28:00 GMT", 0.5)],
)
async def test_a_busy_mirror_is_asked_again_when_it_says(
    status: int, retry_after: str | None, seconds: float
) -> None:
    web = Web()
    headers = {} if retry_after is None else {"retry-after": retry_after}
    good = page_of("demo", [entry(A, DEMO)])
    web.answer(A.project_url("demo"), Answer(status=status, headers=headers), good)
    failover, events = reading(web, A, B)
    assert urls(await failover.page("demo")) == [file_url(A, DEMO)]
    assert web.asked == [A.project_url("demo")] * 2
    assert web.times[1] - web.times[0] == pytest.approx(seconds, abs=1e-3)
    assert told(events) == [("retry", "a.example"), ("page", "a.example")]


async def test_a_busy_mirror_that_wants_too_long_a_pause_is_passed_by_at_once() -> None:
    web = Web()
    web.answer(A.project_url("demo"), Answer(status=503, headers={"retry-after": "6"}))
    web.publish(B, DEMO)
    failover, events = reading(web, A, B)
    assert urls(await failover.page("demo")) == [file_url(B, DEMO)]
    assert web.asked == [A.project_url("demo"), B.project_url("demo")]
    assert web.times[1] - web.times[0] == pytest.approx(0, abs=1e-3)
    assert told(events) == [("problem", "a.example"), ("page", "b.example")]


async def test_a_mirror_that_stays_busy_is_passed_by() -> None:
    web = Web()
    web.answer(A.project_url("demo"), BUSY)
    web.publish(B, DEMO)
    failover, events = reading(web, A, B)
    assert urls(await failover.page("demo")) == [file_url(B, DEMO)]
    assert web.asked == [A.project_url("demo")] * 2 + [B.project_url("demo")]
    assert [kind for kind, _ in told(events)] == ["retry", "problem", "page"]


# --- secrets --------------------------------------------------------------------------------------

HUSH = "not to be told"
LOCKED = Mirror("https://a.example/simple", headers={"Authorization": HUSH}, credentials="include")


async def test_headers_and_cookies_go_to_the_mirrors_own_origin_only() -> None:
    web = Web()
    there, elsewhere = make_wheel("demo", "1.0"), make_wheel("demo", "2.0")
    far = f"https://files.a.example/{elsewhere.filename}"
    web.list_files(A, "demo", [entry(A, there), entry(A, elsewhere, url=far)])
    web.answer(file_url(A, there), Answer(body=there.data))
    web.answer(far, Answer(body=elsewhere.data))
    web.answer(f"{far}.metadata", Answer(body=elsewhere.metadata))
    failover, _ = reading(web, LOCKED, B)
    await failover.page("demo")
    for url in (file_url(A, there), far, f"{far}.metadata"):
        await failover.read(url)
    await failover.page("else")
    sent = {
        request.url: (request.headers.get("Authorization"), request.credentials)
        for request in web.requests
    }
    assert sent == {
        A.project_url("demo"): (HUSH, "include"),
        file_url(A, there): (HUSH, "include"),
        far: (None, "omit"),
        f"{far}.metadata": (None, "omit"),
        A.project_url("else"): (HUSH, "include"),
        B.project_url("else"): (None, "omit"),
    }


async def test_the_credentials_of_an_install_come_before_those_of_its_mirrors() -> None:
    web = Web()
    web.publish(B, DEMO)
    failover, _ = reading(web, LOCKED, B, credentials="same-origin")
    await failover.page("demo")
    await failover.read(file_url(B, DEMO))
    assert [request.credentials for request in web.requests] == ["same-origin"] * 3


@pytest.mark.parametrize("private", [False, True])
async def test_a_secret_is_neither_told_nor_in_an_error(private: bool) -> None:
    web = Web()
    web.publish(A, DEMO)
    web.answer(file_url(A, DEMO), BUSY)
    web.answer(A.project_url("else"), LOGIN)
    headers = {"Authorization": HUSH}
    locked = Mirror(A.index_url, headers=headers, credentials="include", private=private)
    failover, events = reading(web, locked)
    await failover.page("demo")
    errors: list[object] = []
    with pytest.raises(OSError, match="cannot be read") as caught:
        await failover.read(file_url(A, DEMO))
    errors.append(caught.value)
    with pytest.raises(OSError, match=r"a\.example") as caught:
        await failover.page("else")
    errors += [caught.value, failover.faults.fatal]
    assert [kind for kind, _ in told(events)] == ["page", "retry", "problem", "problem"]
    assert (failover.faults.fatal is not None) == private
    assert HUSH not in f"{events!r} {errors!r} {[str(error) for error in errors]}"


async def test_a_mirror_that_hangs_is_waited_for_once_when_its_pages_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    web, cache = Web(), Cache(MemoryBackend())
    other = make_wheel("other", "1.0")
    for dist in (DEMO, other):
        web.publish(A, dist)
    failover, _ = reading(web, A, cache=cache)
    for dist in (DEMO, other):
        await failover.page(dist.name)
    await failover.save()
    for dist in (DEMO, other):
        web.answer(A.project_url(dist.name), SLOW)
    monkeypatch.setattr(mirror_client, "FRESH", 0.0)
    web.requests.clear()
    failover, events = reading(web, A, cache=cache)
    started = asyncio.get_running_loop().time()
    assert urls(await failover.page("demo")) == [file_url(A, DEMO)]
    assert urls(await failover.page("other")) == [file_url(A, other)]
    assert asyncio.get_running_loop().time() - started == pytest.approx(TIMEOUT)
    assert web.asked == [A.project_url("demo")]
    assert told(events)[0] == ("kept", A.name)
