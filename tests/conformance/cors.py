"""Checks of what a browser lets a page read: CORS on every answer, preflights, exposure."""

from tests.conformance.base import (
    DOWN,
    EVERY,
    MICROPIP,
    ORIGIN,
    WORKING,
    Answer,
    Context,
    Group,
    exhibit,
    readable,
    status_is,
)
from tests.support.upstreams import EXHIBIT

CORS = Group("cors", WORKING)
PREFLIGHT = Group("preflight", WORKING)
EXPOSED = (
    *("etag", "content-length", "content-range", "accept-ranges"),
    *("last-modified", "retry-after", "date"),
)
_AT_ONCE = 3.0


@CORS()
def a_page_may_be_read(ctx: Context) -> None:
    """Without this header the browser hides the answer, and micropip sees a network error."""
    answer = ctx.page()
    status_is(answer, 200)
    readable(answer)


@CORS()
def a_file_may_be_read(ctx: Context) -> None:
    """A page that may be read is of no use while its files may not."""
    answer = ctx.fetch(exhibit())
    status_is(answer, 200)
    readable(answer)


@CORS()
def a_part_of_a_file_may_be_read(ctx: Context) -> None:
    """Clients in the browser read wheels by parts, too."""
    answer = ctx.fetch(exhibit(), {"Range": "bytes=0-9"})
    status_is(answer, 206)
    readable(answer)


@CORS()
def a_part_that_does_not_exist_may_be_read(ctx: Context) -> None:
    """A 416 tells the size; unreadable it is a network error."""
    answer = ctx.fetch(exhibit(), {"Range": "bytes=99999999-"})
    status_is(answer, 416)
    readable(answer)


@CORS()
def metadata_may_be_read(ctx: Context) -> None:
    """Promised metadata that cannot be read ends micropip's install."""
    answer = ctx.ask(f"{ctx.target_of(exhibit())}.metadata")
    readable(answer)


@CORS()
def what_has_not_changed_may_be_read(ctx: Context) -> None:
    """Fetch checks CORS on a 304 as on anything else."""
    target = ctx.target_of(exhibit())
    for path, headers in ((ctx.path_of(EXHIBIT), {"Accept": MICROPIP}), (target, {})):
        etag = ctx.ask(path, headers).one("ETag")
        assert etag, f"no ETag on {path}"
        answer = ctx.ask(path, headers | {"If-None-Match": etag})
        status_is(answer, 304)
        readable(answer)


@CORS()
def redirects_may_be_followed(ctx: Context) -> None:
    """Fetch checks CORS on every hop: one without it is a network error."""
    for path in (ctx.path_of(EXHIBIT).rstrip("/"), ctx.path_of("Zoo_Exhibit")):
        readable(ctx.ask(path, {"Accept": MICROPIP}))


@CORS()
def a_404_may_be_read(ctx: Context) -> None:
    """Only a readable 404 says "not here, ask another index"; else it looks like an outage."""
    for path in (ctx.path_of("zoo-no-such-thing"), "/no/such/path", f"{ctx.index}/%00/"):
        answer = ctx.ask(path)
        assert 400 <= answer.status < 500, f"{path} has status {answer.status}"
        readable(answer)


@CORS()
def a_405_may_be_read(ctx: Context) -> None:
    """A client that errs can say how."""
    answer = ctx.ask(ctx.path_of(EXHIBIT), {"Content-Length": "0"}, method="POST")
    status_is(answer, 405, 501)
    readable(answer)


@CORS("ours")
def a_406_may_be_read(ctx: Context) -> None:
    """A client that errs can say how."""
    readable(ctx.page(accept="application/pdf"))


@CORS()
def head_may_be_read(ctx: Context) -> None:
    """A probe by HEAD must not look like a block."""
    readable(ctx.ask(ctx.path_of(EXHIBIT), {"Accept": MICROPIP}, method="HEAD"))
    readable(ctx.fetch(exhibit(), method="HEAD"))


@CORS()
def the_list_of_projects_may_be_read(ctx: Context) -> None:
    """A probe by the root must not look like a block."""
    readable(ctx.ask(f"{ctx.index}/", {"Accept": MICROPIP}))


@CORS(on=DOWN)
def an_error_may_be_read(ctx: Context) -> None:
    """An upstream that is down and a page that may not ask are fixed by different people."""
    readable(ctx.down())


@CORS()
def a_page_of_no_origin_may_read_it(ctx: Context) -> None:
    """Sandboxed frames, and redirects across origins, ask as `null`."""
    for answer in (
        ctx.page(Origin="null"),
        ctx.fetch(exhibit(), {"Origin": "null"}),
    ):
        allowed = answer.all("Access-Control-Allow-Origin")
        assert allowed in (["*"], ["null"]), f"Access-Control-Allow-Origin is {allowed}"


@CORS()
def an_answer_that_is_kept_suits_every_page(ctx: Context) -> None:
    """A cache may give one site's answer, or pip's, to another: `*`, or `Vary: Origin`."""
    for other in ("https://another.example", ORIGIN):
        answer = ctx.page(Origin=other)
        everyone = answer.all("Access-Control-Allow-Origin") == ["*"]
        assert everyone or "origin" in answer.words("Vary"), "one origin, and no Vary: Origin"
    with ctx.connect() as connection:
        lines = (f"GET {ctx.path_of(EXHIBIT)} HTTP/1.1", "Host: localhost", f"Accept: {MICROPIP}")
        connection.put(("\r\n".join((*lines, "Connection: close")) + "\r\n\r\n").encode())
        answer = connection.answer()
    everyone = answer.all("Access-Control-Allow-Origin") == ["*"]
    assert everyone or "origin" in answer.words("Vary"), "without Origin it lacks the header"


def _exposes(answer: Answer) -> None:
    exposed = answer.words("Access-Control-Expose-Headers")
    missing = [name for name in EXPOSED if name not in exposed and "*" not in exposed]
    assert not missing, f"not exposed: {', '.join(missing)}"


@CORS()
def headers_that_clients_need_are_exposed(ctx: Context) -> None:
    """Others are hidden from pages: no resuming, no freshness, no progress without them."""
    _exposes(ctx.page())
    _exposes(ctx.fetch(exhibit()))
    _exposes(ctx.fetch(exhibit(), {"Range": "bytes=0-9"}))


@CORS(on=DOWN)
def an_error_exposes_headers_too(ctx: Context) -> None:
    """`Retry-After` is of most use on an error."""
    _exposes(ctx.down())


@CORS()
def credentials_are_never_allowed(ctx: Context) -> None:
    """With them a page could read a private index with its visitor's rights."""
    for answer in (ctx.page(), ctx.fetch(exhibit()), _preflight(ctx, ctx.path_of(EXHIBIT))):
        readable(answer)
        assert not answer.one("Access-Control-Allow-Credentials"), "credentials are allowed"


def _has(ctx: Context, name: str, value: str) -> None:
    for answer in (ctx.page(), ctx.fetch(exhibit()), ctx.page("zoo-no-such-thing")):
        got = answer.one(name)
        assert got.lower() == value, f"{name} on status {answer.status} is {got!r}"


@CORS()
def timings_may_be_read(ctx: Context) -> None:
    """Without it a page sees no sizes and no phases, and cannot compare mirrors."""
    _has(ctx, "Timing-Allow-Origin", "*")


@CORS()
def isolated_pages_may_load_it(ctx: Context) -> None:
    """Pages with threads (COEP `require-corp`) need CORP on what is fetched without CORS."""
    _has(ctx, "Cross-Origin-Resource-Policy", "cross-origin")


# ---------------------------------------------------------------- preflight


def _preflight(
    ctx: Context, path: str, headers: str = "", method: str = "GET", **more: str
) -> Answer:
    asked = {"Access-Control-Request-Method": method}
    asked |= {"Access-Control-Request-Headers": headers} if headers else {}
    asked |= {key.replace("_", "-"): value for key, value in more.items()}
    return ctx.ask(path, asked, method="OPTIONS")


def _allows(answer: Answer, headers: str) -> None:
    """Fail unless the preflight lets a request with these headers pass (Fetch standard, 4.8)."""
    assert 200 <= answer.status < 300, f"the preflight has status {answer.status}"
    readable(answer)
    allowed = answer.words("Access-Control-Allow-Headers")
    for name in headers.split(","):
        star = "*" in allowed and name != "authorization"
        assert name in allowed or star, f"{name} is not allowed"


@PREFLIGHT()
def a_page_may_be_asked_for_anew(ctx: Context) -> None:
    """`fetch(url, {cache: "no-cache"})` with own headers, and If-None-Match, are preflighted."""
    wanted = "cache-control,if-none-match,pragma"
    _allows(_preflight(ctx, ctx.path_of(EXHIBIT), wanted), wanted)


@PREFLIGHT()
def a_token_may_be_sent(ctx: Context) -> None:
    """`*` does not cover Authorization; a proxy before the mirror may want it."""
    wanted = "authorization"
    _allows(_preflight(ctx, ctx.path_of(EXHIBIT), wanted), wanted)


@PREFLIGHT()
def parts_of_files_may_be_asked_for(ctx: Context) -> None:
    """Open and suffix ranges, and If-Range, are preflighted."""
    wanted = "if-modified-since,if-none-match,if-range,range"
    _allows(_preflight(ctx, ctx.target_of(exhibit()), wanted), wanted)


@PREFLIGHT()
def unforeseen_headers_are_allowed(ctx: Context) -> None:
    """Libraries add headers of their own: tracing, `x-requested-with`."""
    wanted = "traceparent,x-requested-with"
    _allows(_preflight(ctx, ctx.path_of(EXHIBIT), wanted), wanted)


@PREFLIGHT()
def get_and_head_are_allowed(ctx: Context) -> None:
    """The methods that there are."""
    for method in ("GET", "HEAD"):
        answer = _preflight(ctx, ctx.path_of(EXHIBIT), "range", method)
        _allows(answer, "range")
        allowed = answer.words("Access-Control-Allow-Methods")
        assert allowed & {"*", method.lower()}, f"allowed are {sorted(allowed)}"


@PREFLIGHT()
def a_preflight_need_not_be_repeated_soon(ctx: Context) -> None:
    """Without Max-Age each of a hundred requests is two after five seconds."""
    answer = _preflight(ctx, ctx.path_of(EXHIBIT), "range")
    age = answer.one("Access-Control-Max-Age")
    assert age.isdigit() and int(age) >= 60, f"Access-Control-Max-Age is {age!r}"  # noqa: PT018


@PREFLIGHT()
def a_private_network_is_allowed_when_asked_for(ctx: Context) -> None:
    """Chromium asks before a public page may fetch from a mirror in a LAN."""
    asked = {"Access_Control_Request_Private_Network": "true"}
    answer = _preflight(ctx, ctx.path_of(EXHIBIT), "range", **asked)
    allowed = answer.one("Access-Control-Allow-Private-Network")
    assert allowed == "true", f"Access-Control-Allow-Private-Network is {allowed!r}"


@PREFLIGHT()
def a_path_that_is_not_there_is_preflighted_too(ctx: Context) -> None:
    """The answer proper says 404; a failed preflight would hide it."""
    for path in ("/no/such/path", ctx.path_of("zoo-no-such-thing"), f"{ctx.index}/Zoo_Exhibit"):
        _allows(_preflight(ctx, path, "range"), "range")


@PREFLIGHT(on=EVERY)
def a_preflight_asks_nobody_else(ctx: Context) -> None:
    """Whatever the upstream does, the browser knows at once that it may ask."""
    before = len(ctx.upstream.requests)
    asked = {"Access-Control-Request-Method": "GET"}
    path = ctx.path_of("zoo-preflight-only")
    answer = ctx.ask(path, asked, method="OPTIONS", timeout=_AT_ONCE)
    assert 200 <= answer.status < 300, f"the preflight has status {answer.status}"
    readable(answer)
    assert len(ctx.upstream.requests) == before, "it was passed on"
