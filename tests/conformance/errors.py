"""Checks of what a client learns when something is wrong, and of what nobody can do through it."""

# ruff: noqa: D403  # micropip, pip and uv are written small, wherever they stand

from dataclasses import replace
from http.client import HTTPException
from threading import Event
from urllib.parse import urlsplit

from tests.conformance.base import (
    DOWN,
    EVERY,
    MICROPIP,
    PROXIED,
    WORKING,
    Context,
    Group,
    exhibit,
    is_not_kept,
    is_sentence,
    readable,
    status_is,
)
from tests.support.upstreams import EXHIBIT, Kind, until
from tests.support.wheels import Wheel
from tests.zoo.changes import failing, in_manner, says
from tests.zoo.parts import JSON_V1, LOGIN, Change
from tests.zoo.server import Manner

ERRORS = Group("errors", DOWN)
HYGIENE = Group("hygiene", WORKING)
_HANGING: frozenset[Kind] = frozenset({"hanging"})
_FAILING: frozenset[Kind] = frozenset({"failing"})
_SECRET = b'VALUE = "zoo-secret 1.0"'
"""What stands in the other server's file, and in no URL."""


@ERRORS()
def an_outage_is_at_least_500(ctx: Context) -> None:
    """404 would mean "no such project", and 200 an empty page: both end the search wrongly."""
    assert ctx.down().status >= 500, f"status {ctx.down().status}"


@ERRORS()
def an_outage_is_not_kept(ctx: Context) -> None:
    """When the upstream is back, no cache may still say that it is gone."""
    is_not_kept(ctx.down())


@ERRORS("ours")
def an_outage_is_plain_text_and_marked_as_not_to_be_kept(ctx: Context) -> None:
    """CDNs have rules of their own for errors, and all know `no-store`; a console shows text."""
    assert ctx.down().media_type == "text/plain", f"it is {ctx.down().media_type}"
    words = ctx.down().words("Cache-Control")
    assert "no-store" in words, f"Cache-Control is {sorted(words)}"


@ERRORS()
def an_outage_is_told_in_words(ctx: Context) -> None:
    """A person reads it in the console: something that helps, and no traceback."""
    is_sentence(ctx.down())


@ERRORS("ours")
def an_outage_has_the_status_of_its_cause(ctx: Context) -> None:
    """502: it answers wrongly or not at all; 504: it does not answer in time (RFC 9110, 15.6)."""
    status = ctx.down().status
    if ctx.upstream.kind == "hanging":
        wanted = 504
    elif ctx.upstream.kind == "failing" and ctx.can.keeps_upstream_status:
        wanted = 503
    else:
        wanted = 502
    assert status == wanted, f"status {status}, not {wanted}"


@ERRORS(on=_HANGING)
def a_silent_upstream_is_given_up(ctx: Context) -> None:
    """micropip has no time-outs: who waits for ever lets the page wait for ever."""
    assert ctx.down().status >= 500, f"status {ctx.down().status}"


@ERRORS("keeps_upstream_status", on=_FAILING)
def the_upstream_says_when_to_come_back(ctx: Context) -> None:
    """Whoever keeps a 503 keeps its `Retry-After`, too."""
    assert ctx.down().one("Retry-After") == "7", "no Retry-After"


@ERRORS()
def head_says_the_same(ctx: Context) -> None:
    """A probe by HEAD must not find an outage healthy."""
    headers = {"Accept": MICROPIP}
    path, seconds = ctx.path_of(EXHIBIT), ctx.can.patience
    answer = ctx.ask(path, headers, method="HEAD", timeout=seconds)
    status_is(answer, ctx.down().status)


@ERRORS()
def html_readers_learn_it_too(ctx: Context) -> None:
    """Whatever was accepted, an outage is no page."""
    path, seconds = ctx.path_of(EXHIBIT), ctx.can.patience
    answer = ctx.ask(path, {"Accept": "text/html"}, timeout=seconds)
    assert answer.status >= 500, f"status {answer.status}"


@ERRORS()
def what_needs_no_upstream_works_on(ctx: Context) -> None:
    """An outage of one thing is not an outage of all."""
    answer = ctx.ask("/no/such/path", timeout=3.0)
    status_is(answer, 404)


def _page_is_error(ctx: Context, page: Change, kept: int = 502) -> None:
    wheel = ctx.upstream.fresh(page=page)
    answer = ctx.page(wheel.name)
    assert answer.status >= 500, f"status {answer.status}"
    is_not_kept(answer)
    if ctx.can.ours:
        status_is(answer, kept if ctx.can.keeps_upstream_status else 502)
        readable(answer)
        is_sentence(answer)
        assert "no-store" in answer.words("Cache-Control"), "no Cache-Control: no-store"


@ERRORS(on=PROXIED)
def a_page_that_fails_upstream_is_at_least_500(ctx: Context) -> None:
    """One project's outage is not its absence."""
    _page_is_error(ctx, failing(500), 500)


@ERRORS(on=PROXIED)
def a_login_page_is_no_project_page(ctx: Context) -> None:
    """A captive portal answers 200 to everything; passed on, it ends the client's search."""
    _page_is_error(ctx, says(LOGIN, "text/html"))


@ERRORS(on=PROXIED)
def garbage_is_no_project_page(ctx: Context) -> None:
    """What the mirror cannot read, the client cannot read either."""
    _page_is_error(ctx, says('{"meta": {"api-version": "1.1"}, "files": [', JSON_V1))


@ERRORS(on=PROXIED)
def another_major_version_is_refused(ctx: Context) -> None:
    """PEP 629: what a new major version means is not known."""
    doc = '{"meta": {"api-version": "2.0"}, "name": "x", "files": [], "versions": []}'
    _page_is_error(ctx, says(doc, JSON_V1))


@ERRORS(on=PROXIED)
def a_page_that_is_cut_off_is_not_passed_on_as_whole(ctx: Context) -> None:
    """A page without its last files hides the newest version."""
    wheel = ctx.upstream.fresh(page=in_manner(Manner.CUT))
    try:
        answer = ctx.page(wheel.name)
    except (HTTPException, OSError):
        return  # the client sees that it is cut off
    assert answer.status >= 500, f"status {answer.status} with {len(answer.body)} bytes"


@ERRORS(on=PROXIED)
def an_outage_is_over_when_it_is_over(ctx: Context) -> None:
    """Clients try again, and the mirror must, too."""
    fixed = Event()
    wheel = ctx.upstream.fresh(page=until(fixed, failing(503)))
    ctx.page(wheel.name)
    fixed.set()
    assert wheel.filename.encode() in ctx.page(wheel.name).body, "it is still down"


@ERRORS(on=WORKING)
def errors_are_told_in_words(ctx: Context) -> None:
    """What a person reads in the console should help."""
    for answer in (ctx.page("zoo-no-such-thing"), ctx.ask("/no/such/path")):
        status_is(answer, 404)
        is_sentence(answer)


# ---------------------------------------------------------------- hygiene


@HYGIENE()
def no_cookie_is_ever_set(ctx: Context) -> None:
    """An upstream's cookie would count for the mirror's origin."""
    for answer in (ctx.page(), ctx.fetch(exhibit()), ctx.page("zoo-no-such-thing")):
        assert not answer.all("Set-Cookie"), f"Set-Cookie: {answer.one('Set-Cookie')}"


_PRIVATE = {
    "Cookie": "session=zoo-private",
    "Authorization": "Basic em9vLXByaXZhdGU=",
    "Proxy-Authorization": "Basic em9vLXByaXZhdGU=",
    "X-Api-Key": "zoo-private",
}


@HYGIENE(on=PROXIED)
def what_is_private_goes_no_further(ctx: Context) -> None:
    """Cookies and credentials are meant for the mirror, not for whom it asks."""
    wheel = ctx.upstream.fresh()
    ctx.ask(ctx.path_of(wheel.name), _PRIVATE | {"Accept": MICROPIP})
    ctx.fetch(wheel, _PRIVATE)
    seen = ctx.upstream.requests_of(wheel.name)
    assert seen, "the upstream was not asked at all"
    leaks = {
        name.title()
        for request in seen
        for name, value in request.headers
        if any(private in value for private in _PRIVATE.values())
    }
    assert not leaks, f"{', '.join(sorted(leaks))} went upstream"


def _other(ctx: Context) -> str:
    return f"127.0.0.1:{ctx.upstream.bystander.port}"


def _reaches_nobody(ctx: Context, targets: list[str]) -> None:
    """Ask for each target; fail when another server was asked, or its file came back."""
    before = len(ctx.upstream.bystander.requests)
    for target in targets:
        answer = ctx.ask(target)
        assert _SECRET not in answer.body, f"{target} brought another server's file"
    assert len(ctx.upstream.bystander.requests) == before, "another server was asked"


@HYGIENE()
def absolute_targets_lead_nowhere(ctx: Context) -> None:
    """`GET http://elsewhere/` is how one asks an open proxy (RFC 9112, 3.2.2)."""
    other = _other(ctx)
    targets = [f"http://{other}/zoo_secret-1.0-py3-none-any.whl", f"http://{other}/simple/x/"]
    _reaches_nobody(ctx, targets)


@HYGIENE()
def hosts_in_paths_lead_nowhere(ctx: Context) -> None:
    """A mirror that fetches what its path says reaches the machines behind the firewall."""
    other, name = _other(ctx), "zoo_secret-1.0-py3-none-any.whl"
    hosts = (other, f"http://{other}", f"http:/{other}", f"http%3A%2F%2F{other}", f"http:{other}")
    targets = [f"/{host}/{name}" for host in hosts]
    targets += [f"/files/{host}/{name}" for host in hosts]
    targets += [f"{ctx.index}/{host}/{name}" for host in hosts]
    targets += [f"//{other}/{name}", f"/\\{other}/{name}", f"{ctx.index}/%2F%2F{other}%2F{name}/"]
    targets += [f"/files/user:pass@{other}/{name}", f"/files/x@{other}/{name}"]
    _reaches_nobody(ctx, targets)


@HYGIENE()
def urls_in_queries_lead_nowhere(ctx: Context) -> None:
    """Neither does `?url=`, which such services often have."""
    other = f"http://{_other(ctx)}/zoo_secret-1.0-py3-none-any.whl"
    target = urlsplit(ctx.target_of(exhibit())).path
    queries = [f"?{key}={other}" for key in ("url", "u", "target", "upstream", "index")]
    _reaches_nobody(ctx, [f"{path}{query}" for path in ("/", target) for query in queries])


@HYGIENE()
def the_host_header_leads_nowhere(ctx: Context) -> None:
    """The Host header says who is asked, not whom to ask."""
    before = len(ctx.upstream.bystander.requests)
    answer = ctx.ask(ctx.path_of(EXHIBIT), {"Host": _other(ctx), "Accept": MICROPIP})
    assert _SECRET not in answer.body, "another server's file"
    assert len(ctx.upstream.bystander.requests) == before, "another server was asked"


def _asked_for_nothing_private(ctx: Context, before: int) -> None:
    targets = [request.target for request in ctx.upstream.requests[before:]]
    strays = [target for target in targets if target.startswith("/zoo-private")]
    assert not strays, f"the upstream was asked for {strays[0]}"


_UP = ("..", "%2e%2e", "%2E.", ".%2e", "..%2f..", "..%5c..", "%252e%252e", "..;", "....")


@HYGIENE()
def dots_lead_nowhere(ctx: Context) -> None:
    """No way out of the index's and the files' folders, here or upstream."""
    target = urlsplit(ctx.target_of(exhibit())).path.rpartition("/")[0]
    before = len(ctx.upstream.requests)
    for up in _UP:
        for start in (target, ctx.index):
            steps = "/".join([up] * 8)
            answer = ctx.ask(f"{start}/{steps}/etc/passwd")
            assert b"root:" not in answer.body, f"{up} leads to /etc/passwd"
            answer = ctx.ask(f"{start}/{up}/zoo-private/settings")
            assert answer.status >= 300, f"{up} has status {answer.status}"
    _asked_for_nothing_private(ctx, before)


@HYGIENE()
def encoded_slashes_lead_nowhere(ctx: Context) -> None:
    """A project's name is one segment, whatever it looks like decoded."""
    before = len(ctx.upstream.requests)
    names = ("..%2Fzoo-private", f"{EXHIBIT}%2F..%2F..%2Fzoo-private", "%2Fzoo-private%2F")
    for name in names:
        answer = ctx.page(name)
        assert answer.status >= 300, f"{name} has status {answer.status}"
    _asked_for_nothing_private(ctx, before)


@HYGIENE()
def line_breaks_make_no_headers(ctx: Context) -> None:
    """A line break in a path that comes out in `Location` splits the answer."""
    for name in ("Zoo_%0d%0aX-Zoo:%20yes", "zoo%0aX-Zoo:yes", "Zoo%E5%98%8A%E5%98%8DX-Zoo:yes"):
        for path in (ctx.path_of(name), f"{ctx.index}/{name}", f"/files/{name}.whl"):
            answer = ctx.ask(path)
            assert not answer.all("X-Zoo"), f"{path} set a header"
    for request in ctx.upstream.requests:
        assert not request.header("X-Zoo"), "it set a header upstream"


@HYGIENE()
def paths_are_not_shown_as_markup(ctx: Context) -> None:
    """What anyone can write into a link must not run as script in the mirror's origin."""
    mark = "%3Cscript%3Ealert(1)%3C/script%3E"
    for path in (ctx.path_of(mark), f"/{mark}", f"/files/{mark}.whl", f"{ctx.index}/?x={mark}"):
        answer = ctx.ask(path, {"Accept": "text/html"})
        plain = answer.media_type not in {"text/html", "application/xhtml+xml"}
        assert plain or b"<script>alert(1)" not in answer.body, f"{path} comes back as markup"


@HYGIENE(on=EVERY)
def types_are_not_guessed(ctx: Context) -> None:
    """`nosniff` keeps a browser from running a file, or an error, as a page."""
    answers = [ctx.down()]
    if ctx.upstream.kind in WORKING:
        answers = [ctx.page(), ctx.fetch(exhibit()), ctx.page("zoo-no-such-thing")]
    for answer in answers:
        got = answer.one("X-Content-Type-Options")
        assert got == "nosniff", f"on status {answer.status} it is {got!r}"


@HYGIENE(on=PROXIED)
def the_upstream_is_asked_for_names_only(ctx: Context) -> None:
    """A client's query is its own; passed on it makes a thousand pages of one."""
    wheel = ctx.upstream.fresh()
    ctx.ask(f"{ctx.path_of(wheel.name)}?zoo-private=1", {"Accept": MICROPIP})
    targets = [one.target for one in ctx.upstream.requests_of(wheel.name)]
    assert targets, "the upstream was not asked at all"
    assert not any("zoo-private" in target for target in targets), f"asked for {targets}"


@HYGIENE(on=PROXIED)
def a_redirect_of_the_upstream_to_another_host_leads_nowhere(ctx: Context) -> None:
    """An index that was taken over must not steer the mirror into its own network."""
    where = f"http://{_other(ctx)}/zoo_secret-1.0-py3-none-any.whl"
    away = says(b"", "text/plain", 302)
    wheel = ctx.upstream.fresh(
        page=lambda visit, page: away(visit, page).with_header("Location", where),
    )
    answer = ctx.page(wheel.name)
    assert answer.status >= 400, f"status {answer.status}"
    assert _SECRET not in answer.body, "another server's file"


def _moved_file(ctx: Context) -> Wheel:
    """Put up a project whose file the upstream moves to where another server has another one."""
    where = f"http://{_other(ctx)}/zoo_secret-1.0-py3-none-any.whl"
    return ctx.upstream.fresh(
        file=lambda _, whole: replace(whole, status=302, body=b"").with_header("Location", where),
    )


@HYGIENE("verifies_files", on=PROXIED)
def what_a_redirect_leads_to_must_be_the_same_file(ctx: Context) -> None:
    """File hosts do redirect; whatever comes must match the page's digest."""
    wheel = _moved_file(ctx)
    try:
        answer = ctx.fetch(wheel)
    except (HTTPException, OSError):
        return  # cut off: it did not match
    assert answer.status >= 400, f"status {answer.status}"
    assert _SECRET not in answer.body, "another server's file"


@HYGIENE("pins_file_hosts", on=PROXIED)
def only_configured_hosts_are_asked(ctx: Context) -> None:
    """No request at all leaves for elsewhere: reaching is the harm already."""
    wheel = _moved_file(ctx)
    before = len(ctx.upstream.bystander.requests)
    answer = ctx.fetch(wheel)
    assert answer.status >= 400, f"status {answer.status}"
    assert len(ctx.upstream.bystander.requests) == before, "another server was asked"
