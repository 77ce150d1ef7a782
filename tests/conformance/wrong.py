"""The spoilers: every check of the table fails over at least one of them."""

from dataclasses import replace
from urllib.parse import unquote

from tests.conformance.spoilers import (
    Proxy,
    Spoiler,
    answers,
    anything,
    having,
    is_page,
    masked,
    right,
    saying,
    without,
)
from tests.conformance.wrong_files import CORS, FILES
from tests.conformance.wrong_pages import NEGOTIATION, PAGES
from tests.zoo.server import Manner, Request, Response


def _kept(answer: Response) -> Response:
    if answer.status < 400:
        return answer
    return answer.with_header("Cache-Control", "max-age=60")


def _open_proxy(request: Request, proxy: Proxy) -> Response:
    other = f"127.0.0.1:{proxy.upstream.bystander.port}"
    if other in unquote(request.target) or request.header("Host") == other:
        return proxy.elsewhere(f"http://{other}/")
    return proxy.ask(request)


def _walks_up(request: Request, proxy: Proxy) -> Response:
    if "etc/passwd" in request.target:
        return Response(body=b"root:x:0:0:root:/root:/bin/sh")
    if "zoo-private" in request.target:
        proxy.elsewhere(f"{proxy.upstream.file_hosts[0]}/zoo-private/settings")
    return proxy.ask(request)


def _splits(request: Request, proxy: Proxy) -> Response:
    answer = proxy.ask(request)
    return answer.with_header("X-Zoo", "yes") if "%0d%0a" in request.target else answer


def _reflects(request: Request, proxy: Proxy) -> Response:
    answer = proxy.ask(request)
    if answer.status != 404:
        return answer
    text = f"<h1>No {unquote(request.target)}</h1>"
    return replace(answer, body=text.encode()).with_header("Content-Type", "text/html")


def _tells_upstream(request: Request, proxy: Proxy) -> Response:
    if is_page(request):
        private = {"Host": "upstream", **dict(request.headers)}
        proxy.elsewhere(f"{proxy.upstream.url}{request.target[7:]}".replace("?", "%3F"), private)
    return proxy.ask(request)


def _is_write(request: Request) -> bool:
    return request.method not in {"GET", "HEAD", "OPTIONS"}


def _until_close(answer: Response) -> Response:
    return replace(answer, manner=Manner.UNTIL_CLOSE)


def _is_large(request: Request) -> bool:
    return len(request.target) > 10_000 or len(request.header("Cookie") or "") > 1_000


HYGIENE = (
    Spoiler(
        "errors keep",
        answers(_kept),
        (
            "a file that the upstream lacks is an error",
            "a file that fails upstream is an error that is not kept",
        ),
    ),
    Spoiler("an error says nothing", saying(404, b""), ("errors are told in words",)),
    Spoiler("cookies are set", having("Set-Cookie", "a=b"), ("no cookie is ever set",)),
    Spoiler(
        "everything is told to the upstream",
        _tells_upstream,
        ("what is private goes no further", "the upstream is asked for names only"),
    ),
    Spoiler(
        "it is an open proxy",
        _open_proxy,
        (
            *("absolute targets lead nowhere", "hosts in paths lead nowhere"),
            *("urls in queries lead nowhere", "the host header leads nowhere"),
        ),
    ),
    Spoiler(
        "paths are believed",
        _walks_up,
        ("dots lead nowhere", "encoded slashes lead nowhere"),
    ),
    Spoiler("line breaks make headers", _splits, ("line breaks make no headers",)),
    Spoiler("paths are shown", _reflects, ("paths are not shown as markup",)),
    Spoiler("types are guessed", without("X-Content-Type-Options"), ("types are not guessed",)),
    Spoiler(
        "any file host is asked",
        right,
        ("only configured hosts are asked",),
        capabilities={"pins_file_hosts": True},
    ),
    Spoiler(
        "it can be written to",
        saying(200, which=_is_write),
        (
            *("other methods are refused", "methods nobody knows are refused"),
            *("files can be neither written nor deleted",),
        ),
    ),
    Spoiler(
        "what is large breaks it",
        saying(500, which=_is_large),
        (
            "long urls are refused and harm nothing",
            "large headers are refused and harm nothing",
        ),
    ),
    Spoiler(
        "each answer ends the connection",
        answers(_until_close),
        (
            *("a connection can be used again", "requests in a row are answered in order"),
            *("answers without body leave the connection in order",),
            *("errors leave the connection in order",),
        ),
    ),
    Spoiler("of two lengths one is believed", right, ("two lengths are not believed",)),
    Spoiler(
        "it is out of order",
        saying(500, which=anything),
        (
            *("nonsense is refused and harms nothing", "http 1 0 is answered"),
            *("twenty clients at once are served", "a slow client holds nobody up"),
        ),
    ),
)


# ---------------------------------------------------------------- outages


def _head_is_fine(request: Request) -> bool:
    return request.method == "HEAD"


def _is_html(request: Request) -> bool:
    return request.header("Accept") == "text/html"


_TRACEBACK = b"Traceback (most recent call last):\n  File ...\nOSError: no"

OUTAGES = (
    Spoiler(
        "outages have status 200",
        answers(masked),
        ("an outage is at least 500", "an outage has the status of its cause"),
        kind="failing",
    ),
    Spoiler(
        "outages have status 404",
        saying(404),
        ("an outage is at least 500", "an outage has the status of its cause"),
        kind="refused",
    ),
    Spoiler(
        "silence has status 200",
        answers(masked),
        ("a silent upstream is given up",),
        kind="hanging",
    ),
    Spoiler(
        "outages keep",
        answers(_kept),
        ("an outage is not kept", "an outage is plain text and marked as not to be kept"),
        kind="failing",
    ),
    Spoiler(
        "outages are tracebacks",
        saying(502, _TRACEBACK),
        ("an outage is told in words", "what needs no upstream works on"),
        kind="failing",
    ),
    Spoiler(
        "Retry-After is lost",
        without("Retry-After"),
        ("the upstream says when to come back",),
        kind="failing",
        capabilities={"keeps_upstream_status": True},
    ),
    Spoiler(
        "HEAD knows nothing of an outage",
        saying(200, which=_head_is_fine),
        ("head says the same",),
        kind="failing",
    ),
    Spoiler(
        "HTML knows nothing of an outage",
        saying(200, which=_is_html),
        ("html readers learn it too",),
        kind="failing",
    ),
)

SPOILERS: tuple[Spoiler, ...] = (*PAGES, *NEGOTIATION, *CORS, *FILES, *HYGIENE, *OUTAGES)
