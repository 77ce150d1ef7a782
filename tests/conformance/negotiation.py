"""Checks of which dialect a client gets, and of requests that depend on what it has already."""

# ruff: noqa: D403  # micropip, pip and uv are written small, wherever they stand

import gzip
from html import unescape
from http import HTTPStatus

from tests.conformance.base import (
    BROWSER,
    HTML_V1,
    JSON_V1,
    MICROPIP,
    PIP,
    PROXIED,
    UV,
    WORKING,
    Answer,
    Context,
    Group,
    exhibit,
    names_of,
    requires_python_is_right,
    status_is,
)
from tests.support.upstreams import EXHIBIT, HOSTILE_REASON, PROJECTS

NEGOTIATION = Group("negotiation", WORKING)
CONDITIONAL = Group("conditional requests", WORKING)
HTML = "text/html"


def _gets(ctx: Context, accept: str, *wanted: str, query: str = "") -> Answer:
    answer = ctx.ask(f"{ctx.path_of(EXHIBIT)}{query}", {"Accept": accept} if accept else {})
    status_is(answer, 200)
    assert answer.media_type in wanted, f"it gets {answer.media_type}"
    return answer


@NEGOTIATION()
def pip_gets_json(ctx: Context) -> None:
    """pip ranks JSON above both HTML types: it is faster, and has sizes and times."""
    _gets(ctx, PIP, JSON_V1)


@NEGOTIATION()
def uv_gets_json(ctx: Context) -> None:
    """uv ranks JSON above both HTML types."""
    _gets(ctx, UV, JSON_V1)


@NEGOTIATION()
def a_browser_gets_html(ctx: Context) -> None:
    """People look at pages, too."""
    _gets(ctx, BROWSER, HTML)


@NEGOTIATION()
def old_pips_get_html(ctx: Context) -> None:
    """pip before 22.2 asks for, and reads, `text/html` alone."""
    _gets(ctx, HTML, HTML)


@NEGOTIATION()
def the_html_page_is_as_complete_as_the_json_page(ctx: Context) -> None:
    """Whoever reads HTML must be able to install the same, and verify it."""
    read = ctx.read(accept=HTML)
    page = {file.filename: file for file in read.files}
    missing = {dist.filename for dist in PROJECTS[EXHIBIT]} - page.keys()
    assert not missing, f"missing: {names_of(missing)}"
    for dist in PROJECTS[EXHIBIT]:
        file = page[dist.filename]
        assert file.sha256 == dist.sha256, f"{dist.filename} has digest {file.sha256!r}"
        ctx.inside(file.url)
    requires_python_is_right(ctx, read)


@NEGOTIATION()
def the_html_page_escapes_what_it_shows(ctx: Context) -> None:
    """A reason for a yank is anybody's text; unescaped it runs as script in the mirror's origin."""
    answer = _gets(ctx, BROWSER, HTML)
    assert b"<script>alert" not in answer.body, f"it has {HOSTILE_REASON!r} as it is"


@NEGOTIATION(on=PROXIED)
def the_html_page_says_how_it_is_encoded(ctx: Context) -> None:
    """Without a charset a browser guesses Windows-1252, and names and reasons become garbage."""
    answer = _gets(ctx, BROWSER, HTML)
    assert "charset=utf-8" in answer.one("Content-Type").lower().replace('"', ""), "no charset"
    text = unescape(answer.body.decode())
    start, _, end = HOSTILE_REASON.rpartition(" ")
    assert end in text or start not in text, f"{end} has become something else"


@NEGOTIATION()
def the_html_type_of_pep_691_is_given(ctx: Context) -> None:
    """A client that asks for nothing else may refuse everything else."""
    _gets(ctx, HTML_V1, HTML_V1)


@NEGOTIATION()
def quality_values_count(ctx: Context) -> None:
    """The client's order is in its q values, not in the order of its list (RFC 9110, 12.5.1)."""
    _gets(ctx, f"{JSON_V1};q=0.1, {HTML};q=0.9", HTML)
    _gets(ctx, f"{HTML};q=0.1, {JSON_V1};q=0.9", JSON_V1)


@NEGOTIATION()
def what_has_quality_zero_is_not_sent(ctx: Context) -> None:
    """`q=0` means "not acceptable" (RFC 9110, 12.4.2)."""
    _gets(ctx, f"{JSON_V1};q=0, {HTML}", HTML)


@NEGOTIATION("ours")
def media_types_have_no_case(ctx: Context) -> None:
    """RFC 9110, 8.3.1; intermediaries rewrite headers."""
    _gets(ctx, JSON_V1.upper(), JSON_V1)


@NEGOTIATION("ours")
def accept_may_come_in_two_headers(ctx: Context) -> None:
    """A list in two headers is one list (RFC 9110, 5.3)."""
    with ctx.connect() as connection:
        lines = (
            f"GET {ctx.path_of(EXHIBIT)} HTTP/1.1",
            f"Host: {ctx.address[0]}",
            f"Accept: {HTML};q=0.1",
            f"Accept: {JSON_V1}",
            "Connection: close",
        )
        connection.put(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = connection.answer()
    assert answer.media_type == JSON_V1, f"it gets {answer.media_type}"


@NEGOTIATION()
def no_accept_header_gets_a_page(ctx: Context) -> None:
    """Simple clients send none."""
    _gets(ctx, "", JSON_V1, HTML_V1, HTML)


@NEGOTIATION("ours")
def whoever_takes_anything_gets_json(ctx: Context) -> None:
    """`fetch()` sends `*/*`; people write it by hand in the console."""
    _gets(ctx, "*/*", JSON_V1)
    _gets(ctx, "", JSON_V1)
    _gets(ctx, "application/json", JSON_V1)


@NEGOTIATION("ours")
def the_latest_version_is_understood(ctx: Context) -> None:
    """PEP 691: it may be asked for, and must be answered with the version that it is."""
    _gets(ctx, "application/vnd.pypi.simple.latest+json", JSON_V1)
    _gets(ctx, "application/vnd.pypi.simple.latest+html", HTML_V1)


@NEGOTIATION("ours")
def what_fits_nobody_is_406(ctx: Context) -> None:
    """A client that cannot read any dialect learns it from the status."""
    answer = ctx.page(accept="application/pdf")
    status_is(answer, 406)


@NEGOTIATION("ours")
def the_format_parameter_overrules_accept(ctx: Context) -> None:
    """PEP 691 allows it: links and address bars cannot send an Accept header."""
    for value in (JSON_V1, JSON_V1.replace("+", "%2B"), JSON_V1.replace("+", "%20")):
        _gets(ctx, BROWSER, JSON_V1, query=f"?format={value}")
    _gets(ctx, MICROPIP, HTML, query="?format=text/html")


@NEGOTIATION()
def other_parameters_are_ignored(ctx: Context) -> None:
    """People append `?x=1` to get round a cache."""
    _gets(ctx, MICROPIP, JSON_V1, HTML_V1, HTML, query="?x=1&y=%2e%2e%2f&x&=&%00")


@NEGOTIATION()
def pages_vary_by_accept(ctx: Context) -> None:
    """Without it a shared cache gives pip's JSON to a person, or HTML to micropip."""
    for accept in (MICROPIP, BROWSER):
        vary = ctx.page(accept=accept).words("Vary")
        assert vary & {"accept", "*"}, f"Vary is {sorted(vary)}"


@NEGOTIATION()
def pages_say_how_long_they_keep(ctx: Context) -> None:
    """Without Cache-Control browsers guess from Last-Modified, and miss new releases for days."""
    words = ctx.page().words("Cache-Control")
    assert words, "no Cache-Control"
    ages = [int(word.partition("=")[2]) for word in words if word.startswith("max-age=")]
    assert words & {"no-cache", "no-store"} or (ages and max(ages) <= 3600), f"{sorted(words)}"


@NEGOTIATION()
def pages_are_compressed_only_for_who_accepts_it(ctx: Context) -> None:
    """A client that does not unpack gets garbage; a cache needs Vary to tell them apart."""
    plain = ctx.page(Accept_Encoding="identity")
    assert not plain.one("Content-Encoding"), f"it has {plain.one('Content-Encoding')}"
    packed = ctx.page(Accept_Encoding="gzip")
    if packed.one("Content-Encoding"):
        assert packed.words("Vary") & {"accept-encoding", "*"}, "Vary lacks Accept-Encoding"
        assert gzip.decompress(packed.body) == plain.body, "unpacked it is another page"


# ---------------------------------------------------------------- conditional requests


def _etag(answer: Answer) -> str:
    etag = answer.one("ETag")
    assert etag, "no ETag"
    return etag


def _again(ctx: Context, condition: str, *, method: str = "GET", accept: str = MICROPIP) -> Answer:
    headers = {"Accept": accept, "If-None-Match": condition}
    return ctx.ask(ctx.path_of(EXHIBIT), headers, method=method)


@CONDITIONAL()
def pages_have_an_etag(ctx: Context) -> None:
    """Browsers and pip ask for a page again only if it has changed."""
    tag = _etag(ctx.page())
    assert tag.removeprefix("W/").startswith('"') and tag.endswith('"'), tag  # noqa: PT018


@CONDITIONAL()
def the_etag_of_a_page_stays(ctx: Context) -> None:
    """One that changes by itself is never matched."""
    assert _etag(ctx.page()) == _etag(ctx.page()), "two requests, two ETags"


@CONDITIONAL()
def json_and_html_have_different_etags(ctx: Context) -> None:
    """The same for two bodies makes a cache hand out the wrong one."""
    assert _etag(ctx.page()) != _etag(ctx.page(accept=BROWSER)), "they have the same"


@CONDITIONAL()
def a_known_page_is_304_without_body(ctx: Context) -> None:
    """A megabyte is spared."""
    answer = _again(ctx, _etag(ctx.page()))
    status_is(answer, HTTPStatus.NOT_MODIFIED)
    assert not answer.body, f"{len(answer.body)} bytes of body"


@CONDITIONAL()
def if_none_match_compares_weakly(ctx: Context) -> None:
    """RFC 9110, 13.1.2; a CDN that compresses makes ETags weak."""
    tag = _etag(ctx.page()).removeprefix("W/")
    status_is(_again(ctx, f"W/{tag}"), 304)


@CONDITIONAL()
def if_none_match_may_be_a_list(ctx: Context) -> None:
    """A cache with several variants sends all their ETags (RFC 9110, 13.1.2)."""
    status_is(_again(ctx, f'"one", {_etag(ctx.page())} , W/"three"'), 304)


@CONDITIONAL()
def if_none_match_may_be_an_asterisk(ctx: Context) -> None:
    """RFC 9110, 13.1.2: it stands for any version."""
    _etag(ctx.page())
    status_is(_again(ctx, "*"), 304)


@CONDITIONAL()
def a_page_that_changed_is_sent(ctx: Context) -> None:
    """A mirror that says 304 to everything freezes its clients."""
    answer = _again(ctx, '"something-else"')
    status_is(answer, 200)
    assert exhibit().filename.encode() in answer.body, "it is not the page"


@CONDITIONAL()
def a_304_says_what_a_cache_needs(ctx: Context) -> None:
    """RFC 9110, 15.4.5: ETag, Vary and Cache-Control as 200 would have them."""
    page = ctx.page()
    answer = _again(ctx, _etag(page))
    status_is(answer, 304)
    for name in ("ETag", "Vary", "Cache-Control"):
        assert answer.words(name) == page.words(name), f"{name} is {answer.one(name)!r}"


@CONDITIONAL()
def the_etag_of_json_is_not_known_for_html(ctx: Context) -> None:
    """A browser's cache must not show JSON where HTML is asked for."""
    status_is(_again(ctx, _etag(ctx.page()), accept=BROWSER), 200)


@CONDITIONAL()
def head_is_conditional_too(ctx: Context) -> None:
    """A client may ask whether a page has changed without wanting it."""
    status_is(_again(ctx, _etag(ctx.page()), method="HEAD"), 304)
