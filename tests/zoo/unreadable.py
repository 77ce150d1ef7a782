"""Animals whose pages cannot be had: no connection, no answer in time, no CORS, an error."""

from dataclasses import replace
from types import MappingProxyType

from tests.zoo.changes import failing, header, in_manner, moved, no_cors, says, then, urls
from tests.zoo.parts import ALLOW_ORIGIN, LOGIN, MEBIBYTE, Animal, Visit, as_html, cors, in_node
from tests.zoo.server import Manner, Response


def _two_origins(_visit: Visit, response: Response) -> Response:
    return replace(response, headers=(*response.headers, (ALLOW_ORIGIN, "*")))


def _refuse_null(visit: Visit, response: Response) -> Response:
    origin = visit.request.header("Origin")
    return no_cors(visit, response) if origin in {None, "null"} else response


def _around(visit: Visit, _response: Response) -> Response:
    where = f"{visit.here}{visit.request.path}"
    return cors(b"", "text/plain", 302).with_header("Location", where)


def _to_login(visit: Visit, response: Response) -> Response:
    if visit.at_second_origin:
        return no_cors(visit, says(LOGIN, "text/html", 200)(visit, response))
    away = cors(b"", "text/plain", 302).with_header("Location", f"{visit.site.there}/login")
    return no_cors(visit, away)


CORS: tuple[Animal, ...] = (
    Animal("no-cors", "PEP 691, but no CORS at all", "cors", in_node("ok"), every=no_cors),
    Animal(
        "html-no-cors",
        "PEP 503 HTML without CORS: the mirror of old",
        "cors",
        in_node("html-only"),
        document=urls("../../files/{filename}"),
        render=as_html(),
        every=no_cors,
    ),
    Animal(
        "page-no-cors",
        "files may be read, pages may not",
        "cors",
        in_node("ok"),
        page=no_cors,
    ),
    Animal(
        "cors-for-another",
        "CORS for one other origin",
        "cors",
        in_node("ok"),
        every=header(ALLOW_ORIGIN, "https://elsewhere.example"),
    ),
    Animal("cors-twice", "the CORS header twice", "cors", in_node("ok"), every=_two_origins),
    Animal(
        "cors-list",
        "two origins in one CORS header",
        "cors",
        in_node("ok"),
        every=header(ALLOW_ORIGIN, "https://elsewhere.example, *"),
    ),
    Animal(
        "redirect-no-cors",
        "a redirect without CORS to a page with CORS",
        "cors",
        in_node("ok"),
        page=moved("/real", hop=no_cors),
    ),
    Animal(
        "redirect-null-origin",
        "a redirect to another origin, which does not allow the Origin `null` that results",
        "cors",
        in_node("ok"),
        page=then(moved("", to="there"), _refuse_null),
    ),
    Animal(
        "404-no-cors",
        "404 without CORS for everything",
        "cors",
        in_node("http-status"),
        every=then(failing(404), no_cors),
    ),
    Animal(
        "500-no-cors",
        "500 without CORS for everything",
        "cors",
        in_node("http-status"),
        every=then(failing(500), no_cors),
    ),
    Animal(
        "login-redirect",
        "everything redirects to another origin's login page, without CORS",
        "cors",
        in_node("not-an-index"),
        every=_to_login,
    ),
)

# Firefox takes bytes without a status line for HTTP/0.9: an opaque request succeeds.
_HTTP_0_9 = MappingProxyType({"firefox": "cors"})

CONNECTION: tuple[Animal, ...] = (
    Animal("closed-port", "nobody listens", "unreachable", port="closed"),
    Animal("reset-on-connect", "each connection is reset at once", "unreachable", port="resets"),
    Animal(
        "reset-on-request",
        "each connection is reset when the request has come",
        "unreachable",
        every=in_manner(Manner.RESET),
    ),
    Animal(
        "garbage",
        "garbage in place of HTTP",
        "unreachable",
        _HTTP_0_9,
        every=then(says(b"\x00\x01\x02 what? \xff\n" * 9, ""), in_manner(Manner.RAW)),
    ),
    Animal(
        "speaks-tls",
        "a TLS alert in place of HTTP: http: where https: is spoken",
        "unreachable",
        _HTTP_0_9,
        every=then(says(b"\x15\x03\x03\x00\x02\x02\x0a", ""), in_manner(Manner.RAW)),
    ),
    Animal("speaks-no-tls", "https: where only http: is spoken", "unreachable", scheme="https"),
    Animal(
        "empty-answer",
        "the connection ends before one byte has come",
        "unreachable",
        every=then(says(b"", ""), in_manner(Manner.RAW)),
    ),
    Animal("redirect-loop", "pages redirect to themselves", "unreachable", page=_around),
    Animal(
        "huge-header",
        "a response header of one mebibyte",
        "unreachable",
        every=header("X-Zoo", "z" * MEBIBYTE),
    ),
    Animal(
        "page-cut",
        "pages break off half-way, short of their Content-Length",
        "unreachable",
        page=in_manner(Manner.CUT),
        doubt="Or malformed: the headers came, and an opaque request succeeds. WebKit hands over"
        " the half page as if it were whole; only its Content-Length tells.",
    ),
    Animal(
        "page-chunks-cut",
        "pages break off half-way, without their last chunk",
        "unreachable",
        # They hand over the half page as if it were whole, and no length tells.
        MappingProxyType({"webkit": "malformed"}),
        page=in_manner(Manner.CHUNKS_CUT),
        doubt="As page-cut.",
    ),
    Animal("hangs", "no answer, ever", "timeout", every=in_manner(Manner.HANG)),
    Animal(
        "hangs-half-page",
        "headers and half a page, then silence",
        "timeout",
        page=in_manner(Manner.HALF),
    ),
    Animal("drips", "pages at one byte a second", "timeout", page=in_manner(Manner.DRIP)),
)

STATUS: tuple[Animal, ...] = (
    Animal("404", "a readable 404 for everything", "http-status", every=failing(404)),
    Animal("401", "a readable 401: it wants credentials", "http-status", every=failing(401)),
    Animal("403", "a readable 403 for everything", "http-status", every=failing(403)),
    Animal("500", "a readable 500 for everything", "http-status", every=failing(500)),
    Animal(
        "503",
        "a readable 503 with Retry-After",
        "http-status",
        every=then(failing(503), header("Retry-After", "120")),
    ),
    Animal(
        "429",
        "a readable 429 with a readable Retry-After",
        "http-status",
        every=then(
            failing(429),
            header("Retry-After", "120"),
            header("Access-Control-Expose-Headers", "Retry-After"),
        ),
    ),
    Animal(
        "hostile-error",
        "500 with markup and ANSI escapes in its text",
        "http-status",
        every=says("<script>alert(1)</script>\x1b[2J\x1b[31mred\x07", "text/html", 500),
    ),
)
