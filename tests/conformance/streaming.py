"""Checks of files on their way from an upstream: how soon they come, and what if they do not."""

# micropip, pip and uv are written small, wherever they stand

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPException
from threading import Event

from tests.conformance.base import PROXIED, Context, Group, is_not_kept, is_sentence, status_is
from tests.support.upstreams import until
from tests.zoo.changes import failing, in_manner, replaced
from tests.zoo.server import Manner

STREAMING = Group("streaming", PROXIED)
_SOON = 5.0


@STREAMING()
def the_first_byte_comes_before_the_last_has_arrived(ctx: Context) -> None:
    """A mirror that stores a file first lets its client wait twice, and run into time-outs."""
    with ctx.upstream.held() as held:
        target = ctx.target_of(held.wheel)
        with ctx.connect(_SOON) as connection:
            connection.ask("GET", target)
            response = connection.begin()
            assert response.status == 200, f"status {response.status}"
            first = response.read(100_000)
            assert first == held.wheel.data[:100_000], "it has other bytes"
            held.release()
            rest = response.read()
    assert first + rest == held.wheel.data, "the rest has other bytes"


@STREAMING()
def the_length_comes_before_the_file(ctx: Context) -> None:
    """While a large file comes the browser shows how much is still to come."""
    with ctx.upstream.held() as held, ctx.connect(_SOON) as connection:
        connection.ask("GET", ctx.target_of(held.wheel))
        length = connection.begin().getheader("Content-Length")
        assert length == str(len(held.wheel.data)), f"Content-Length is {length}"


@STREAMING()
def a_client_that_leaves_spoils_nothing(ctx: Context) -> None:
    """A closed tab must not leave half a file for the next one."""
    with ctx.upstream.held() as held:
        target = ctx.target_of(held.wheel)
        with ctx.connect(_SOON) as connection:
            connection.ask("GET", target)
            connection.begin()
        held.release()
        answer = ctx.ask(target)
    status_is(answer, 200)
    assert answer.body == held.wheel.data, "it has other bytes"


@STREAMING()
def two_clients_at_once_get_the_same_file(ctx: Context) -> None:
    """A class of thirty opens the same notebook at nine."""
    with ctx.upstream.held() as held, ThreadPoolExecutor() as pool:
        target = ctx.target_of(held.wheel)
        answers = [pool.submit(ctx.ask, target) for _ in range(4)]
        held.release()
        assert all(one.result().body == held.wheel.data for one in answers), "they differ"


@STREAMING("single_flight")
def two_clients_at_once_cost_the_upstream_one_request(ctx: Context) -> None:
    """Who has a mirror has a thin line, mostly."""
    wheel = ctx.upstream.fresh(padding=1 << 20)
    target = ctx.target_of(wheel)
    before = len(ctx.upstream.requests_of(wheel.name))
    with ThreadPoolExecutor() as pool:
        answers = [pool.submit(ctx.ask, target) for _ in range(4)]
        assert all(one.result().body == wheel.data for one in answers), "they differ"
    count = len(ctx.upstream.requests_of(wheel.name)) - before
    assert count == 1, f"{count} requests"


def _fails_or_is_cut(ctx: Context, target: str) -> None:
    """Fail unless the file failed, and soon enough, and in a way that the client sees."""
    try:
        answer = ctx.ask(target, timeout=ctx.can.patience)
    except TimeoutError as error:
        raise AssertionError(f"nothing happens for {ctx.can.patience:.0f} seconds") from error
    except (HTTPException, OSError):
        return
    # Whoever redirects to the upstream lets it speak for itself.
    assert answer.status >= 300, f"status {answer.status} with {len(answer.body)} bytes"
    is_not_kept(answer)
    if ctx.can.ours:
        assert answer.status >= 400, f"status {answer.status}"
        is_sentence(answer)
        assert "no-store" in answer.words("Cache-Control"), "no Cache-Control: no-store"


@STREAMING()
def a_file_that_is_cut_off_looks_cut_off(ctx: Context) -> None:
    """Half a file that ends like a whole one is `BadZipFile` at best."""
    wheel = ctx.upstream.fresh(padding=1 << 20, file=in_manner(Manner.CUT))
    _fails_or_is_cut(ctx, ctx.target_of(wheel))


@STREAMING()
def a_file_that_never_comes_is_given_up(ctx: Context) -> None:
    """Micropip has no time-outs: who waits for ever lets the page wait for ever."""
    wheel = ctx.upstream.fresh(file=in_manner(Manner.HANG))
    _fails_or_is_cut(ctx, ctx.target_of(wheel))


@STREAMING("watches_bodies")
def a_file_that_stops_half_way_is_given_up(ctx: Context) -> None:
    """The same, when the line breaks in the middle."""
    wheel = ctx.upstream.fresh(padding=1 << 20, file=in_manner(Manner.HALF))
    _fails_or_is_cut(ctx, ctx.target_of(wheel))


@STREAMING()
def a_file_that_the_upstream_lacks_is_an_error(ctx: Context) -> None:
    """200 with an error's text is taken for the file."""
    wheel = ctx.upstream.fresh(file=failing(404))
    _fails_or_is_cut(ctx, ctx.target_of(wheel))


@STREAMING()
def a_file_that_fails_upstream_is_an_error_that_is_not_kept(ctx: Context) -> None:
    """A gateway's bad minute must not last for the life of a cache."""
    wheel = ctx.upstream.fresh(file=failing(503))
    _fails_or_is_cut(ctx, ctx.target_of(wheel))


@STREAMING()
def a_file_that_failed_once_can_be_had_afterwards(ctx: Context) -> None:
    """Clients try again, and the mirror must, too."""
    fixed = Event()
    wheel = ctx.upstream.fresh(file=until(fixed, failing(503)))
    target = ctx.target_of(wheel)
    ctx.ask(target)
    fixed.set()
    answer = ctx.ask(target)
    status_is(answer, 200)
    assert answer.body == wheel.data, "it has other bytes"


@STREAMING("verifies_files")
def a_file_that_was_tampered_with_does_not_arrive_whole(ctx: Context) -> None:
    """What does not match its digest must not look like a complete file, now or from the cache."""
    wheel = ctx.upstream.fresh(padding=1 << 20, file=replaced(b"VALUE", b"EVIL_"))
    target = ctx.target_of(wheel)
    for _ in range(2):
        _fails_or_is_cut(ctx, target)


@STREAMING("verifies_files")
def a_file_that_is_too_long_does_not_arrive_whole(ctx: Context) -> None:
    """More bytes than the page says are not the file of the page."""
    wheel = ctx.upstream.fresh(file=lambda _, whole: replace(whole, body=whole.body + b"more"))
    _fails_or_is_cut(ctx, ctx.target_of(wheel))
