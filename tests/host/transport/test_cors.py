"""The browser's rules, applied in CPython: the whole zoo, then each rule by itself."""

import asyncio
import gc
import gzip
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from pyodide_mirror.index import ACCEPT
from pyodide_mirror.model import Mirror, Outcome, host_kind
from pyodide_mirror.probing import Canary, probe_mirror
from pyodide_mirror.transport import (
    NO_PROGRESS,
    CorsTransport,
    Failure,
    FailureKind,
    PageFacts,
    Progress,
    Request,
    Response,
    TransportError,
    cpython,
)
from tests.support.wheels import CANARY
from tests.zoo import server as zoo_server
from tests.zoo.server import LOOPBACK, ClosedPort, Headers, Manner, Server
from tests.zoo.zoo import ANIMALS, Zoo

ORIGIN = "http://page.test:1234"
ALLOW_ALL: Headers = (("Access-Control-Allow-Origin", "*"),)

Answer = zoo_server.Response
Serve = Callable[..., Server]


# ---------------------------------------------------------------- the zoo

_SLOW = [name for name in ANIMALS if "hang" in name or "drip" in name]


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """The verdict on every animal."""
    room = asyncio.Semaphore(16)
    transport = CorsTransport(PageFacts(origin=ORIGIN))

    async def probe(url: str, seconds: float) -> Outcome:
        async with room:
            return await probe_mirror(
                Mirror(url), transport, canary=Canary(project=CANARY), timeout=seconds, named=True
            )

    async def probe_all(zoo: Zoo) -> dict[str, Outcome]:
        quick = [name for name in ANIMALS if name not in _SLOW]
        found = await asyncio.gather(*(probe(zoo.url(name), 30) for name in quick))
        # What hangs is only waited for when nothing else keeps this process busy.
        slow = await asyncio.gather(*(probe(zoo.url(name), 0.8) for name in _SLOW))
        return dict(zip([*quick, *_SLOW], [*found, *slow], strict=True))

    with Zoo() as zoo:
        return asyncio.run(probe_all(zoo))


@pytest.mark.parametrize("name", ANIMALS)
def test_an_animal_gets_the_verdict_that_a_browser_would_give(
    name: str, outcomes: dict[str, Outcome]
) -> None:
    outcome, animal = outcomes[name], ANIMALS[name]
    assert (outcome.reason, outcome.repairs) == (animal.reason, animal.repairs), outcome.detail


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("no-cors", "the answer has no Access-Control-Allow-Origin"),
        ("404-no-cors", "the answer (HTTP 404) has no Access-Control-Allow-Origin"),
        ("cors-for-another", f"'https://elsewhere.example', not '*' or '{ORIGIN}'"),
        ("cors-twice", "more than once: '*' and '*'"),
        ("redirect-no-cors", "the redirect to http://127.0.0.1:"),
        ("redirect-null-origin", "Origin is 'null'"),
        ("closed-port", "refused"),
        ("reset-on-connect", "reset"),
        ("speaks-no-tls", "TLS: "),
        ("speaks-tls", "does not speak HTTP"),
        ("empty-answer", "closed without a complete answer"),
        ("huge-header", "does not speak HTTP/1.1 (LineTooLong)"),
        ("redirect-loop", "more than 20 redirects"),
        ("drips", "bytes of the answer within 0.8 s"),
        ("hangs", "no answer within 0.8 s"),
    ],
)
def test_the_verdict_says_what_was_seen(
    name: str, detail: str, outcomes: dict[str, Outcome]
) -> None:
    assert detail in outcomes[name].detail


# ---------------------------------------------------------------- helpers


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers that give one answer, or what a function makes of each request."""
    servers: list[Server] = []

    def start(answer: Answer | Callable[[zoo_server.Request], Answer]) -> Server:
        server = Server(answer if callable(answer) else lambda _: answer)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


def url_of(server: Server, path: str = "/") -> str:
    return f"http://{LOOPBACK}:{server.port}{path}"


def answering(*headers: tuple[str, str], status: int = 200, **more: Any) -> Answer:
    return Answer(status=status, headers=headers, **more)


def allowing(*headers: tuple[str, str], **more: Any) -> Answer:
    return answering(*ALLOW_ALL, *headers, **more)


def moved(location: str, *headers: tuple[str, str], status: int = 302) -> Answer:
    return allowing(("Location", location), *headers, status=status)


async def get(
    url: str,
    *,
    origin: str = ORIGIN,
    progress: Progress = NO_PROGRESS,
    timeout: float = 5,  # what is tested
    max_bytes: int = 1_000_000,
    **request: Any,
) -> Response:
    page = PageFacts(origin=origin, host_kind=host_kind(origin)) if origin else PageFacts()
    asked = Request(url=url, timeout=timeout, max_bytes=max_bytes, **request)
    return await CorsTransport(page).fetch(asked, progress)


async def failure(url: str, **given: Any) -> Failure:
    with pytest.raises(TransportError) as caught:
        await get(url, **given)
    return caught.value.failure


def origins(server: Server) -> list[str | None]:
    return [request.header("Origin") for request in server.requests]


def methods(server: Server) -> list[str]:
    return [request.method for request in server.requests]


@dataclass
class Watcher:
    head: list[tuple[int, int | None]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def headers(self, status: int, length: int | None) -> None:
        self.head.append((status, length))

    def received(self, size: int) -> None:
        self.sizes.append(size)


# ---------------------------------------------------------------- the CORS check


async def test_without_a_page_there_are_no_rules(serve: Serve) -> None:
    server = serve(answering(("X-Any", "1"), body=b"body"))
    response = await get(url_of(server), origin="", headers={"Authorization": "secret"})
    assert (response.status, response.body, response.headers["x-any"]) == (200, b"body", "1")
    assert (methods(server), origins(server)) == (["GET"], [None])


async def test_a_request_to_the_own_origin_needs_no_cors(serve: Serve) -> None:
    server = serve(answering(("X-Any", "1"), ("Set-Cookie", "a=b")))
    response = await get(url_of(server), origin=url_of(server, ""), headers={"X-Token": "1"})
    assert "x-any" in response.headers
    assert "set-cookie" not in response.headers
    assert (methods(server), origins(server)) == (["GET"], [None])


@pytest.mark.parametrize("allowed", ["*", ORIGIN])
async def test_a_page_may_read_what_allows_its_origin(serve: Serve, allowed: str) -> None:
    server = serve(answering(("Access-Control-Allow-Origin", allowed), body=b"body"))
    assert (await get(url_of(server))).body == b"body"
    assert origins(server) == [ORIGIN]


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ([], "the answer has no Access-Control-Allow-Origin"),
        (["null"], f"'null', not '*' or '{ORIGIN}'"),
        ([ORIGIN.upper()], "HTTP://PAGE.TEST:1234"),
        ([f"{ORIGIN}/"], f"{ORIGIN}/"),
        (["http://page.test"], "'http://page.test'"),
        ([f"{ORIGIN}, *"], f"{ORIGIN}, *"),
        ([ORIGIN, ORIGIN], "more than once"),
        ([""], "''"),
    ],
)
async def test_a_page_may_read_nothing_else(
    serve: Serve, values: Sequence[str], detail: str
) -> None:
    server = serve(answering(*(("Access-Control-Allow-Origin", value) for value in values)))
    failed = await failure(url_of(server))
    assert failed.kind is FailureKind.CORS
    assert detail in failed.detail


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({"Access-Control-Allow-Origin": ORIGIN, "Access-Control-Allow-Credentials": "true"}, ""),
        ({"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "true"}, "'*'"),
        ({"Access-Control-Allow-Origin": ORIGIN}, "Access-Control-Allow-Credentials: true"),
        (
            {"Access-Control-Allow-Origin": ORIGIN, "Access-Control-Allow-Credentials": "True"},
            "Access-Control-Allow-Credentials: true",
        ),
    ],
)
async def test_credentials_demand_more(serve: Serve, headers: dict[str, str], detail: str) -> None:
    server = serve(answering(*headers.items()))
    if not detail:
        assert (await get(url_of(server), credentials="include")).ok
        return
    assert detail in (await failure(url_of(server), credentials="include")).detail


async def test_a_page_reads_the_headers_that_are_safe_or_exposed(serve: Serve) -> None:
    secret = (("X-One", "1"), ("X-Two", "2"), ("ETag", "3"), ("Content-Type", "text/plain"))
    path_to_exposed = {"/none": "", "/one": "x-ONE , etag", "/all": "*", "/bad": "x-one, ="}

    def answer(request: zoo_server.Request) -> Answer:
        exposed = path_to_exposed[request.path]
        extra = ("Access-Control-Expose-Headers", exposed)
        allow = ("Access-Control-Allow-Origin", ORIGIN)
        return answering(allow, ("Access-Control-Allow-Credentials", "true"), *secret, extra)

    server = serve(answer)
    safe = {"content-type", "content-length"}
    for path, include, readable in (
        ("/none", False, safe),
        ("/one", False, safe | {"x-one", "etag"}),
        ("/bad", False, safe),
        ("/all", True, safe),
    ):
        response = await get(url_of(server, path), credentials="include" if include else "omit")
        assert set(response.headers) == readable, path
    assert {"x-two", "etag"} <= set((await get(url_of(server, "/all"))).headers)


# ---------------------------------------------------------------- redirects


async def test_relative_redirects_are_followed_and_the_final_url_is_told(serve: Serve) -> None:
    def answer(request: zoo_server.Request) -> Answer:
        where = {"/a/b": " ../c?q=1 2#part ", "/c": "/\xc3\xa9\\d"}.get(request.path)
        return moved(where) if where else allowing(body=b"here")

    server = serve(answer)
    response = await get(url_of(server, "/a/b"))
    assert (response.url, response.body) == (url_of(server, "/%C3%A9/d"), b"here")
    assert [request.target for request in server.requests] == ["/a/b", "/c?q=1%202", "/%C3%A9/d"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_all_redirects_are_followed(serve: Serve, status: int) -> None:
    server = serve(lambda r: moved("/x", status=status) if r.path == "/" else allowing())
    assert (await get(url_of(server))).status == 200


@pytest.mark.parametrize("status", [300, 304, 305])
async def test_other_3xx_are_answers(serve: Serve, status: int) -> None:
    server = serve(moved("/x", status=status))
    assert (await get(url_of(server))).status == status


async def test_a_redirect_to_nowhere_is_an_answer(serve: Serve) -> None:
    assert (await get(url_of(serve(allowing(status=302))))).status == 302


async def test_twenty_redirects_are_followed_and_not_one_more(serve: Serve) -> None:
    server = serve(lambda r: allowing() if r.path == "/0" else moved(f"/{int(r.path[1:]) - 1}"))
    assert (await get(url_of(server, "/20"))).ok
    failed = await failure(url_of(server, "/21"))
    assert failed.kind is FailureKind.UNREACHABLE
    assert "more than 20 redirects" in failed.detail


@pytest.mark.parametrize(
    "location",
    [
        "ftp://page.test/",
        "javascript:alert(1)",
        "http://user:password@127.0.0.1/",
        "http://",
        "http://[::1",
        "http://127.0.0.1:6667/",
        "http://127.0.0.1:99999/",
    ],
)
async def test_some_redirects_are_network_errors(serve: Serve, location: str) -> None:
    failed = await failure(url_of(serve(moved(location))))
    assert failed.kind is FailureKind.UNREACHABLE
    assert "password@" not in failed.detail


async def test_two_locations_are_a_network_error(serve: Serve) -> None:
    failed = await failure(url_of(serve(moved("/a", ("Location", "/b")))))
    assert "several places" in failed.detail


async def test_user_info_in_a_redirect_of_the_own_origin_is_not_sent(serve: Serve) -> None:
    def answer(request: zoo_server.Request) -> Answer:
        if request.path == "/there":
            return answering()
        return moved(f"http://user:password@{LOOPBACK}:{request.port}/there")

    server = serve(answer)
    response = await get(url_of(server), origin=url_of(server, ""))
    assert response.url == url_of(server, "/there")
    assert server.requests[1].header("Authorization") is None


async def test_every_hop_needs_cors(serve: Serve) -> None:
    last = serve(answering())
    failed = await failure(url_of(serve(moved(url_of(last, "/x")))))
    assert failed.kind is FailureKind.CORS
    assert failed.detail.startswith(f"the answer of {url_of(last, '/x')} has no Access-Control-")


async def test_the_origin_is_null_after_two_foreign_origins(serve: Serve) -> None:
    last = serve(allowing())
    middle = serve(lambda r: moved("/again" if r.path == "/" else url_of(last)))
    assert (await get(url_of(middle))).ok
    # Within one foreign origin it is still the page's.
    assert (origins(middle), origins(last)) == ([ORIGIN, ORIGIN], ["null"])


async def test_the_origin_is_null_even_back_at_the_page(serve: Serve) -> None:
    home = serve(lambda r: answering() if r.path == "/private" else allowing())
    away = serve(lambda r: moved(url_of(home, r.path)))
    assert (await get(url_of(away, "/"), origin=url_of(home, ""))).ok
    assert origins(home) == ["null"]
    failed = await failure(url_of(away, "/private"), origin=url_of(home, ""))
    assert failed.kind is FailureKind.CORS
    assert "Origin is 'null'" in failed.detail


async def test_the_first_hop_away_from_the_page_keeps_its_origin(serve: Serve) -> None:
    away = serve(allowing())
    home = serve(answering(("Location", url_of(away)), status=307))
    assert (await get(url_of(home), origin=url_of(home, ""))).ok
    assert (origins(home), origins(away)) == ([None], [url_of(home, "")])


async def test_authorization_does_not_follow_to_another_origin(serve: Serve) -> None:
    def answer(_: zoo_server.Request) -> Answer:
        return allowing(("Access-Control-Allow-Headers", "Authorization, *"))

    last = serve(answer)
    first = serve(
        lambda r: answer(r) if r.method == "OPTIONS" else moved(url_of(last, "/x"), status=308)
    )
    assert (await get(url_of(first), headers={"Authorization": "a", "X-Token": "b"})).ok
    asked = [request.header("Access-Control-Request-Headers") for request in last.requests]
    assert asked == ["x-token", None]
    assert first.requests[1].header("Authorization") == "a"
    assert last.requests[1].header("Authorization") is None
    assert last.requests[1].header("X-Token") == "b"


# ---------------------------------------------------------------- preflights


@pytest.mark.parametrize("headers", [{}, {"Accept": ACCEPT}, {"Range": "bytes=0-99"}])
async def test_safelisted_headers_cause_no_preflight(serve: Serve, headers: dict[str, str]) -> None:
    server = serve(allowing())
    assert (await get(url_of(server), headers=headers)).ok
    assert methods(server) == ["GET"]


@pytest.mark.parametrize(
    "headers", [{"Accept": "a:b"}, {"Accept": "x" * 129}, {"Range": "bytes=-5"}, {"X-A": ""}]
)
async def test_other_headers_cause_one(serve: Serve, headers: dict[str, str]) -> None:
    server = serve(allowing(("Access-Control-Allow-Headers", "*")))
    assert (await get(url_of(server), headers=headers)).ok
    assert methods(server) == ["OPTIONS", "GET"]


async def test_a_preflight_names_the_headers_but_does_not_send_them(serve: Serve) -> None:
    server = serve(allowing(("Access-Control-Allow-Headers", "authorization, x-a, X-B")))
    assert (await get(url_of(server), headers={"X-B": "1", "X-a": "2", "Authorization": "3"})).ok
    asked = server.requests[0]
    assert asked.header("Access-Control-Request-Headers") == "authorization,x-a,x-b"
    assert asked.header("Access-Control-Request-Method") == "GET"
    assert asked.header("Origin") == ORIGIN
    assert asked.header("Authorization") is None


CREDENTIALS: Headers = (
    ("Access-Control-Allow-Origin", ORIGIN),
    ("Access-Control-Allow-Credentials", "true"),
)


@pytest.mark.parametrize(
    ("answer", "include", "detail"),
    [
        (allowing(), False, "does not allow the header 'authorization'"),
        (allowing(("Access-Control-Allow-Headers", "*")), False, "'authorization'"),
        (allowing(("Access-Control-Allow-Headers", "*, Authorization")), False, ""),
        (allowing(("Access-Control-Allow-Headers", "Authorization")), False, "'x-a'"),
        (allowing(("Access-Control-Allow-Headers", "Authorization, x y")), False, "not a list"),
        (answering(("Access-Control-Allow-Headers", "*, Authorization")), False, "has no Access"),
        (
            allowing(("Access-Control-Allow-Headers", "*, Authorization"), status=405),
            False,
            "(HTTP 405) has no success status",
        ),
        (moved("/x", ("Access-Control-Allow-Headers", "*")), False, "(HTTP 302) has no success"),
        (
            answering(*CREDENTIALS, ("Access-Control-Allow-Headers", "*, Authorization")),
            True,
            "'x-a'",
        ),
        (
            answering(*CREDENTIALS, ("Access-Control-Allow-Headers", "X-A, Authorization")),
            True,
            "",
        ),
    ],
)
async def test_a_preflight_must_be_answered_well(
    serve: Serve, answer: Answer, include: bool, detail: str
) -> None:
    plain = answering(*CREDENTIALS) if include else allowing()
    server = serve(lambda r: answer if r.method == "OPTIONS" else plain)
    asked: dict[str, Any] = {"headers": {"Authorization": "secret", "X-A": "1"}}
    if include:
        asked["credentials"] = "include"
    if not detail:
        assert (await get(url_of(server), **asked)).ok
        return
    failed = await failure(url_of(server), **asked)
    assert failed.kind is FailureKind.CORS
    assert failed.detail.startswith("the preflight's answer (HTTP ")
    assert detail in failed.detail
    assert methods(server) == ["OPTIONS"]


async def test_headers_that_pages_must_not_set_are_not_sent(serve: Serve) -> None:
    server = serve(allowing())
    headers = {"Cookie": "a=b", "Host": "x", "Sec-Any": "1", "Proxy-Any": "1", "Origin": "x"}
    assert (await get(url_of(server), headers=headers)).ok
    (asked,) = server.requests
    assert asked.header("Cookie") is None
    assert asked.header("Host") == f"{LOOPBACK}:{server.port}"
    assert asked.header("Origin") == ORIGIN


# ---------------------------------------------------------------- opaque requests


async def test_an_opaque_request_only_proves_that_something_answers(serve: Serve) -> None:
    server = serve(answering(("X-A", "1"), status=404, body=b"body"))
    response = await get(url_of(server), opaque=True, max_bytes=0)
    assert (response.status, response.headers, response.body) == (0, {}, b"")
    assert origins(server) == [None]
    assert (await failure("http://127.0.0.1:1719/", opaque=True)).kind is FailureKind.UNREACHABLE


# ---------------------------------------------------------------- where requests may not go


async def test_an_https_page_may_ask_http_of_this_machine_alone(serve: Serve) -> None:
    page = "https://app.example"
    assert (await get(url_of(serve(allowing())), origin=page)).ok
    for url in ("http://mirror.test/", "http://10.0.0.1/"):
        failed = await failure(url_of(serve(moved(url))), origin=page)
        assert failed.kind is FailureKind.UNREACHABLE
        assert "is http, which the https page" in failed.detail


async def test_a_port_that_browsers_block_is_not_asked() -> None:
    assert "port 6000" in (await failure("http://127.0.0.1:6000/")).detail


# ---------------------------------------------------------------- bodies


@pytest.mark.parametrize("manner", [Manner.PLAIN, Manner.CHUNKED, Manner.UNTIL_CLOSE])
async def test_bodies_come_in_three_ways(serve: Serve, manner: Manner) -> None:
    body = bytes(range(256)) * 1000
    watcher = Watcher()
    server = serve(allowing(body=body, manner=manner))
    response = await get(url_of(server), progress=watcher)
    assert response.body == body
    assert watcher.head == [(200, len(body) if manner is Manner.PLAIN else None)]
    assert sum(watcher.sizes) == len(body)


@pytest.mark.parametrize("manner", [Manner.CUT, Manner.CHUNKS_CUT])
async def test_a_body_that_ends_too_early_is_cut_off(serve: Serve, manner: Manner) -> None:
    failed = await failure(url_of(serve(allowing(body=b"x" * 1000, manner=manner))))
    assert failed == Failure(FailureKind.CUT_OFF, "the answer was cut off after 500 bytes")


@pytest.mark.parametrize(
    "body", [b"zz\r\nabc\r\n", b"-3\r\nabc\r\n0\r\n\r\n", b"3\r\nabcdef\r\n0\r\n\r\n", b""]
)
async def test_bad_chunks_are_cut_off(serve: Serve, body: bytes) -> None:
    head = (
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    server = serve(answering(body=head + body, manner=Manner.RAW))
    assert (await failure(url_of(server))).kind is FailureKind.CUT_OFF


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n%s\r\nabc", b"abc"),
        (b"HTTP/1.0 200\n%s\nabc", b"abc"),
        (b"HTTP/1.1 200 OK\r\n%sX-Folded: a\r\n b\r\nno colon\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 200 OK\r\n%sContent-Length: ?\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 204 No Content\r\n%s\r\nabc", b""),
    ],
)
async def test_odd_heads_are_understood(serve: Serve, head: bytes, body: bytes) -> None:
    allow = b"Access-Control-Allow-Origin: *\r\n"
    server = serve(answering(body=head.replace(b"%s", allow), manner=Manner.RAW))
    assert (await get(url_of(server))).body == body


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"220 mail.test ESMTP\r\n",
        b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000,
    ],
)
async def test_other_heads_are_network_errors(serve: Serve, answer: bytes) -> None:
    body = answer.replace(b"%s", b"Access-Control-Allow-Origin: *\r\n")
    server = serve(answering(body=body, manner=Manner.RAW))
    assert (await failure(url_of(server))).kind is FailureKind.UNREACHABLE


def deflated(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        *(("gzip", gzip.compress), ("X-GZip", gzip.compress), ("deflate", zlib.compress)),
        *(("deflate", deflated), ("identity", bytes), ("", bytes)),
    ],
)
async def test_content_encodings_are_undone(
    serve: Serve, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    body = b"0123456789" * 300_000  # more than is unpacked at once
    watcher = Watcher()
    server = serve(allowing(("Content-Encoding", coding), body=pack(body)))
    response = await get(url_of(server), max_bytes=len(body), progress=watcher)
    assert response.body == body
    assert sum(watcher.sizes) == len(body)
    assert (watcher.head[0][1] is None) == (pack is not bytes)
    assert server.requests[0].header("Accept-Encoding") == "gzip, deflate"


async def test_an_empty_compressed_body_is_empty(serve: Serve) -> None:
    server = serve(allowing(("Content-Encoding", "gzip")))
    assert (await get(url_of(server))).body == b""


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
async def test_the_cap_counts_decoded_bytes(serve: Serve, pack: Callable[[bytes], bytes]) -> None:
    coding = "identity" if pack is bytes else "gzip"
    server = serve(allowing(("Content-Encoding", coding), body=pack(b"x" * 5000)))
    assert len((await get(url_of(server), max_bytes=5000)).body) == 5000
    failed = await failure(url_of(server), max_bytes=4999)
    assert failed == Failure(FailureKind.TOO_LARGE, "more than 4,999 bytes")


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"x" * 5000, mtime=0)[:-9]),
        ("gzip", b"not gzip"),
        ("deflate", b"not deflate"),
        ("br", b"x"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"x", mtime=0), mtime=0)),
    ],
)
async def test_what_cannot_be_decoded_is_cut_off(serve: Serve, coding: str, body: bytes) -> None:
    server = serve(allowing(("Content-Encoding", coding), body=body))
    assert (await failure(url_of(server))).kind is FailureKind.CUT_OFF


@dataclass
class Leaver:
    """Loses interest at the first bytes, when all the others are on their way already."""

    task: "asyncio.Task[Response] | None" = None

    def headers(self, status: int, length: int | None) -> None:
        pass

    def received(self, size: int) -> None:
        assert self.task is not None
        self.task.cancel()
        # The loop stands still until the whole answer is read.
        for thread in threading.enumerate():
            if thread.name.startswith("fetch "):
                thread.join()


async def test_bytes_that_come_after_a_cancellation_are_no_error(serve: Serve) -> None:
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    url, leaver = url_of(serve(allowing(body=b"x" * 900_000))), Leaver()
    leaver.task = asyncio.ensure_future(get(url, progress=leaver, stall=True))
    with pytest.raises(asyncio.CancelledError):
        await leaver.task
    await asyncio.sleep(0)
    assert failures == []


# ---------------------------------------------------------------- time


@pytest.fixture
def dripping_head() -> Iterator[str]:
    """A server that never comes to the end of its headers, byte by byte."""
    ended = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not ended.wait(0.02):
                    connection.sendall(b"x")
            except OSError:
                pass

    with socket.create_server((LOOPBACK, 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}/"
        ended.set()
        thread.join()


async def timed(coroutine: Any) -> tuple[Any, float]:
    started = time.perf_counter()
    result = await coroutine
    return result, time.perf_counter() - started


async def test_headers_that_drip_end_in_time(dripping_head: str) -> None:
    failed, seconds = await timed(failure(dripping_head, timeout=0.3))
    assert failed == Failure(FailureKind.TIMEOUT, "no answer within 0.3 s")
    assert 0.3 <= seconds < 10  # and not for ever


@pytest.mark.parametrize("manner", [Manner.HANG, Manner.HALF, Manner.DRIP])
async def test_silence_ends_in_time(serve: Serve, manner: Manner) -> None:
    server = serve(allowing(body=b"x" * 100, manner=manner))
    failed, seconds = await timed(failure(url_of(server), timeout=0.3))
    assert failed.kind is FailureKind.TIMEOUT
    assert 0.3 <= seconds < 10  # and not for ever
    assert await gone(server)


async def test_silence_is_a_time_out_to_a_busy_program_as_well(serve: Serve) -> None:
    server = serve(allowing(body=b"x" * 100, manner=Manner.HANG))
    waiting = asyncio.ensure_future(failure(url_of(server), timeout=0.2))
    await asyncio.sleep(0.05)
    time.sleep(0.6)  # noqa: ASYNC251  # the socket's own limit ends first, unseen
    assert (await waiting).kind is FailureKind.TIMEOUT


async def test_all_hops_share_one_budget(serve: Serve) -> None:
    def answer(request: zoo_server.Request) -> Answer:
        time.sleep(0.1)
        return moved(request.path + "x")

    failed, seconds = await timed(failure(url_of(serve(answer)), timeout=0.35))
    assert failed.kind is FailureKind.TIMEOUT
    assert 0.35 <= seconds < 10


async def test_names_that_are_not_resolved_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ended.wait(60))
    failed = await failure("http://mirror.test/", timeout=0.2)
    assert failed.kind is FailureKind.TIMEOUT
    assert not ended.is_set()
    (thread,) = [one for one in threading.enumerate() if "mirror.test" in one.name]
    assert thread.daemon, "it would hold up the end of the program"
    ended.set()
    thread.join()


async def gone(server: Server) -> bool:
    """Whether the server's connections end within a second."""
    for _ in range(100):
        if server.open_connections == 0:
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.parametrize("manner", [Manner.HANG, Manner.HALF])
async def test_a_cancelled_fetch_leaves_nothing_behind(serve: Serve, manner: Manner) -> None:
    server = serve(allowing(body=b"x" * 100, manner=manner))
    fetching = asyncio.create_task(get(url_of(server), timeout=60))
    while not server.requests:  # noqa: ASYNC110  # it is in another thread
        await asyncio.sleep(0.01)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert await gone(server)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    # The connection is gone; its thread may still be on its last lines.
    left = [one for one in threading.enumerate() if one.name.startswith("fetch")]
    for thread in left:
        await asyncio.to_thread(thread.join, 10)
    assert not [one for one in left if one.is_alive()]


# ---------------------------------------------------------------- addresses


def resolving_to(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOOPBACK, port)) for port in ports]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


async def test_the_next_address_is_tried(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(ClosedPort()) as closed:
        resolving_to(monkeypatch, closed.port, serve(allowing(body=b"body")).port)
        assert (await get("http://mirror.test/")).body == b"body"
        resolving_to(monkeypatch, closed.port, closed.port)
        assert "refused" in (await failure("http://mirror.test/")).detail


async def test_an_unknown_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    failed = await failure("http://mirror.test/")
    what = "DNS: the host has no address (Name or service not known)"
    assert failed == Failure(FailureKind.UNREACHABLE, what)


async def test_an_impossible_name_is_told() -> None:
    assert "DNS" in (await failure(f"http://{'a' * 64}.test/")).detail


# ---------------------------------------------------------------- proxies and TLS


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies, to be filled."""
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    return monkeypatch


async def test_a_proxy_is_asked(serve: Serve, no_proxy: pytest.MonkeyPatch) -> None:
    proxy = serve(allowing(body=b"from the proxy"))
    no_proxy.setenv("http_proxy", f"http://me:p%40ss@{LOOPBACK}:{proxy.port}")
    assert (await get("http://mirror.test/simple/?a=b")).body == b"from the proxy"
    (asked,) = proxy.requests
    assert asked.target == "http://mirror.test/simple/?a=b"
    assert asked.header("Host") == "mirror.test"
    assert asked.header("Proxy-Authorization") == "Basic bWU6cEBzcw=="


async def test_a_proxy_is_not_asked_for_this_machine_or_exceptions(
    serve: Serve, no_proxy: pytest.MonkeyPatch
) -> None:
    server, proxy = serve(allowing()), serve(allowing())
    no_proxy.setenv("http_proxy", f"{LOOPBACK}:{proxy.port}")
    assert (await get(url_of(server))).ok
    no_proxy.setenv("no_proxy", "mirror.test")
    resolving_to(no_proxy, server.port)
    assert (await get("http://mirror.test/")).ok
    assert not proxy.requests


async def test_a_redirect_may_not_lead_from_the_public_into_the_network(
    serve: Serve, no_proxy: pytest.MonkeyPatch
) -> None:
    inside = serve(allowing())
    proxy = serve(moved(url_of(inside)))
    no_proxy.setenv("http_proxy", f"http://{LOOPBACK}:{proxy.port}")
    for origin in (ORIGIN, ""):
        failed = await failure("http://mirror.test/", origin=origin)
        assert "from a public to a loopback address" in failed.detail
    assert not inside.requests


async def answer_over_tls(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\n\r\nover TLS")
    await writer.drain()
    writer.close()
    await writer.wait_closed()


@pytest.fixture
async def tls_server(tmp_path: Any, no_proxy: pytest.MonkeyPatch) -> Any:
    """The port of a server with a certificate for `mirror.test`, by an authority we trust."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    no_proxy.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    cpython._tls.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("mirror.test").configure_cert(context)
    server = await asyncio.start_server(answer_over_tls, LOOPBACK, 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
    cpython._tls.cache_clear()


async def test_tls_is_verified(tls_server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    resolving_to(monkeypatch, tls_server)
    assert (await get("https://mirror.test/")).body == b"over TLS"
    failed = await failure("https://other.test/")
    assert failed.kind is FailureKind.UNREACHABLE
    assert failed.detail.startswith("TLS: the certificate is not valid (Hostname mismatch")


async def test_a_proxy_passes_tls_on(tls_server: int, no_proxy: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, tls_server)
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    async with await asyncio.start_server(proxy, LOOPBACK, 0) as server:
        port = server.sockets[0].getsockname()[1]
        no_proxy.setenv("https_proxy", f"http://me:pw@{LOOPBACK}:{port}")
        assert (await get("https://mirror.test/x")).body == b"over TLS"
    assert asked[0].startswith(b"CONNECT mirror.test:443 ")
    assert b"proxy-authorization: basic " in asked[0].lower()


async def test_a_proxy_that_refuses_is_told(serve: Serve, no_proxy: pytest.MonkeyPatch) -> None:
    proxy = serve(answering(status=403))
    no_proxy.setenv("https_proxy", f"http://{LOOPBACK}:{proxy.port}")
    failed = await failure("https://mirror.test/x")
    assert failed.kind is FailureKind.UNREACHABLE
    assert "Tunnel connection failed: 403 Forbidden" in failed.detail
    with warnings.catch_warnings():
        # http.client of 3.11 leaves the refusal unclosed; collected later, it would fail any test.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


# ---------------------------------------------------------------- what importing loads


def test_importing_the_package_loads_none_of_this() -> None:
    code = (
        "import sys, pyodide_mirror;"
        "print(*{'_cors', '_fetch', 'cli'} & {n.removeprefix('pyodide_mirror.') for n in"
        " sys.modules}, *{'http.server', 'argparse'} & set(sys.modules))"
    )
    ran = subprocess.run(  # our own code
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        check=True,
        text=True,
    )
    assert ran.stdout.strip() == ""
