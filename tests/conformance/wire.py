"""Checks of HTTP itself: methods, odd requests, and many requests on one connection."""

# ruff: noqa: D403  # micropip, pip and uv are written small, wherever they stand

from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

from tests.conformance.base import (
    EVERY,
    MICROPIP,
    WORKING,
    Answer,
    Connection,
    Context,
    Group,
    exhibit,
    status_is,
)
from tests.support.upstreams import EXHIBIT

WIRE = Group("robustness", WORKING)
_ACCEPT = {"Accept": MICROPIP}


def _is_page(answer: Answer) -> None:
    status_is(answer, 200)
    assert exhibit().filename.encode() in answer.body, "it is not the project's page"


def _still_answers(ctx: Context) -> None:
    _is_page(ctx.page())


@WIRE()
def head_on_a_page_is_get_without_the_body(ctx: Context) -> None:
    """Tools and caches ask so (RFC 9110, 9.3.2)."""
    head = ctx.ask(ctx.path_of(EXHIBIT), _ACCEPT, method="HEAD")
    page = ctx.page()
    status_is(head, page.status)
    for name in ("Content-Type", "ETag", "Vary", "Cache-Control"):
        assert head.one(name) == page.one(name), f"{name} is {head.one(name)!r}"
    assert head.one("Content-Length") in {"", page.one("Content-Length")}, "another length"


@WIRE()
def head_on_what_is_missing_is_404(ctx: Context) -> None:
    """HEAD must not find what GET does not."""
    answer = ctx.ask(ctx.path_of("zoo-no-such-thing"), _ACCEPT, method="HEAD")
    status_is(answer, 404)


@WIRE(on=EVERY)
def other_methods_are_refused(ctx: Context) -> None:
    """A mirror is read-only; RFC 9110, 15.5.6: the answer lists what it can."""
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = ctx.ask(ctx.path_of(EXHIBIT), {"Content-Length": "0"}, method=method, timeout=5)
        status_is(answer, 405, 501)
        if answer.status == 405:
            assert "get" in answer.words("Allow"), f"Allow is {answer.one('Allow')!r}"


@WIRE()
def files_can_be_neither_written_nor_deleted(ctx: Context) -> None:
    """The same holds for files, and afterwards they are as they were."""
    target = ctx.target_of(exhibit())
    for method in ("PUT", "DELETE", "POST"):
        status_is(ctx.ask(target, {"Content-Length": "0"}, method=method), 405, 501, 403)
    assert ctx.fetch(exhibit()).body == exhibit().data, "it has other bytes"


@WIRE()
def methods_nobody_knows_are_refused(ctx: Context) -> None:
    """They are answered, not dropped."""
    answer = ctx.ask(ctx.path_of(EXHIBIT), method="BREW")
    status_is(answer, 405, 501, 400)


@WIRE()
def long_urls_are_refused_and_harm_nothing(ctx: Context) -> None:
    """40,000 characters are no project name."""
    for target in (ctx.path_of("x" * 40_000), f"{ctx.path_of(EXHIBIT)}?{'x' * 40_000}"):
        try:
            answer = ctx.ask(target)
        except (HTTPException, OSError):
            continue  # hanging up is an answer, too
        assert answer.status < 500, f"status {answer.status}"
    _still_answers(ctx)


@WIRE()
def large_headers_are_refused_and_harm_nothing(ctx: Context) -> None:
    """Cookies of other services on the same host may be large."""
    _is_page(ctx.page(Cookie="x=" + "y" * 4_000))
    try:
        answer = ctx.page(Cookie="x=" + "y" * 200_000)
    except (HTTPException, OSError):
        pass
    else:
        assert answer.status < 500, f"status {answer.status}"
    _still_answers(ctx)


@WIRE()
def nonsense_is_refused_and_harms_nothing(ctx: Context) -> None:
    """Scanners send it all day."""
    for nonsense in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\x00" * 64 + b"\r\n\r\n"):
        with ctx.connect(3) as connection:
            connection.put(nonsense)
    _still_answers(ctx)


@WIRE()
def a_connection_can_be_used_again(ctx: Context) -> None:
    """Browsers have six for each host, and set them up once."""
    with ctx.connect() as connection:
        for _ in range(3):
            connection.ask("GET", ctx.path_of(EXHIBIT), _ACCEPT)
            _is_page(connection.answer())


@WIRE()
def requests_in_a_row_are_answered_in_order(ctx: Context) -> None:
    """RFC 9112, 9.3.2: pipelined requests, as proxies may send them."""
    target = ctx.target_of(exhibit())
    with ctx.connect() as connection:
        connection.ask("GET", ctx.path_of(EXHIBIT), _ACCEPT)
        connection.ask("GET", target)
        connection.ask("GET", ctx.path_of("zoo-no-such-thing"), _ACCEPT)
        connection.ask("GET", ctx.path_of(EXHIBIT), _ACCEPT)
        _is_page(connection.answer())
        assert connection.answer().body == exhibit().data, "the second is not the file"
        status_is(connection.answer(), 404)
        _is_page(connection.answer())


def _then_page(ctx: Context, connection: Connection, method: str, target: str, **more: str) -> None:
    """Ask for something without a body, then for a page, on one connection."""
    headers = _ACCEPT | {key.replace("_", "-"): value for key, value in more.items()}
    connection.ask(method, target, headers)
    connection.answer(method)
    connection.ask("GET", ctx.path_of(EXHIBIT), _ACCEPT)
    _is_page(connection.answer())


@WIRE()
def answers_without_body_leave_the_connection_in_order(ctx: Context) -> None:
    """A stray byte after HEAD, 204 or 304 is taken for the next answer's beginning."""
    etag = ctx.page().one("ETag") or '"none"'
    target = ctx.target_of(exhibit())
    with ctx.connect() as connection:
        _then_page(ctx, connection, "HEAD", ctx.path_of(EXHIBIT))
        _then_page(ctx, connection, "HEAD", target)
        _then_page(ctx, connection, "GET", ctx.path_of(EXHIBIT), If_None_Match=etag)
        _then_page(ctx, connection, "GET", target, Range="bytes=99999999-")


@WIRE()
def errors_leave_the_connection_in_order(ctx: Context) -> None:
    """A 404 of one project is followed by the page of the next."""
    with ctx.connect() as connection:
        _then_page(ctx, connection, "GET", ctx.path_of("zoo-no-such-thing"))
        _then_page(ctx, connection, "GET", ctx.path_of("Zoo_Exhibit"))


@WIRE()
def http_1_0_is_answered(ctx: Context) -> None:
    """nginx asks its upstreams so, unless told otherwise."""
    with ctx.connect() as connection:
        lines = (f"GET {ctx.path_of(EXHIBIT)} HTTP/1.0", "Host: localhost", f"Accept: {MICROPIP}")
        connection.put(("\r\n".join(lines) + "\r\n\r\n").encode())
        _is_page(connection.answer())


@WIRE()
def two_lengths_are_not_believed(ctx: Context) -> None:
    """RFC 9112, 6.3: behind a proxy they let one client answer another (request smuggling)."""
    with ctx.connect(5) as connection:
        head = f"GET {ctx.path_of(EXHIBIT)} HTTP/1.1\r\nHost: localhost\r\n"
        length = "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"
        connection.put(f"{head}{length}".encode())
        try:
            answer = connection.answer()
        except (HTTPException, OSError):
            return  # it hung up
    assert answer.status >= 400, f"status {answer.status}"


@WIRE()
def twenty_clients_at_once_are_served(ctx: Context) -> None:
    """A class opens the same notebook."""
    with ThreadPoolExecutor(20) as pool:
        pages = [pool.submit(ctx.page) for _ in range(20)]
        files = [pool.submit(ctx.fetch, exhibit()) for _ in range(20)]
        for page in pages:
            _is_page(page.result())
        assert all(one.result().body == exhibit().data for one in files), "files differ"


@WIRE()
def a_slow_client_holds_nobody_up(ctx: Context) -> None:
    """One connection that says nothing, or reads nothing, is not everybody's."""
    with ctx.connect() as silent, ctx.connect() as half:
        half.put(f"GET {ctx.path_of(EXHIBIT)} HTTP/1.1\r\nHost: localhost\r\n".encode())
        _is_page(ctx.ask(ctx.path_of(EXHIBIT), _ACCEPT, timeout=5))
        half.put(f"Accept: {MICROPIP}\r\n\r\n".encode())
        _is_page(half.answer())
        silent.ask("GET", ctx.path_of(EXHIBIT), _ACCEPT)
        _is_page(silent.answer())
