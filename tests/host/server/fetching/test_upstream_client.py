"""Requests to an upstream lead nowhere else, carry nothing else, and fail in words."""

import asyncio
import base64
import contextlib
import gzip
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
import trustme
from aiohttp import web as aioweb
from aiohttp.abc import ResolveResult

from pyodide_mirror.server.fetching.client import (
    REDIRECTS,
    UpstreamClient,
    UpstreamError,
    explained,
)
from tests.support.asgi import origin
from tests.zoo.server import ClosedPort, Manner, Request, Response, Server

SECRET = "hunter2-is-secret"  # noqa: S105  # of nobody
OK = Response(body=b"here")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


Make = Callable[..., UpstreamClient]
Serve = Callable[[Callable[[Request], Response]], Server]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[UpstreamClient] = []

    def new(
        index_url: str, *, login: tuple[str, str] | None = None, timeout: float = 30
    ) -> UpstreamClient:
        made.append(UpstreamClient(index_url, login=login, timeout=timeout))
        return made[-1]

    yield new
    for each in made:
        await each.close()


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Server] = []

    def start(handler: Callable[[Request], Response]) -> Server:
        servers.append(Server(handler))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def proxied(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Server]:
    """A proxy of the environment that answers for every host itself."""

    def start(handler: Callable[[Request], Response] = lambda _: OK, user: str = "") -> Server:
        server = serve(handler)
        monkeypatch.setenv("http_proxy", f"http://{user}127.0.0.1:{server.port}")
        return server

    return start


def at(server: Server, path: str = "/simple") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


async def fetch(
    client: UpstreamClient, url: str, *, raw: bool = False, known: bool = False
) -> tuple[int, bytes]:
    async with client.get(url, {}, raw=raw, known=known) as answer:
        return answer.status, await answer.read()


async def failure(client: UpstreamClient, url: str, **options: bool) -> UpstreamError:
    with pytest.raises(UpstreamError) as raised:
        await fetch(client, url, **options)
    assert SECRET not in str(raised.value)
    return raised.value


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def redirect(to: str, status: int = 302) -> Response:
    return Response(status=status, headers=(("Location", to),))


# --- redirects ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", sorted(REDIRECTS))
@pytest.mark.parametrize("to", ["/there", "there", "//127.0.0.1:{port}/there", "?q=1"])
async def test_redirects_are_followed(make: Make, serve: Serve, status: int, to: str) -> None:
    def answer(request: Request) -> Response:
        if request.target == "/simple/x/":
            return redirect(to.format(port=request.port), status)
        return OK

    server = serve(answer)
    assert await fetch(make(at(server)), at(server, "/simple/x/")) == (200, b"here")
    targets = [request.target for request in server.requests]
    assert targets[1] in {"/there", "/simple/x/there", "/simple/x/?q=1"}


async def test_five_redirects_are_followed_and_no_more(make: Make, serve: Serve) -> None:
    def count(request: Request) -> Response:
        left = int(request.target.rpartition("/")[2])
        return redirect(f"/{left - 1}") if left else OK

    server = serve(count)
    client = make(at(server))
    assert (await fetch(client, at(server, "/5")))[0] == 200
    assert str(await failure(client, at(server, "/6"))) == "more than 5 redirects"
    assert str(await failure(client, at(server, "/100"))) == "more than 5 redirects"


async def test_a_redirect_to_a_signed_url_is_followed(make: Make, serve: Serve) -> None:
    there = "/there?X-Amz-Security-Token="
    there += "x" * (16_384 - len(there) - len("http://127.0.0.1:12345"))
    server = serve(lambda asked: redirect(there) if asked.path == "/x" else OK)
    assert await fetch(make(at(server)), at(server, "/x")) == (200, b"here")
    assert server.requests[1].target == there


@pytest.mark.parametrize("status", [300, 304, 404, 500])
async def test_other_statuses_come_back_as_they_are(make: Make, serve: Serve, status: int) -> None:
    server = serve(lambda _: Response(status=status, headers=(("Location", "/there"),)))
    assert (await fetch(make(at(server)), at(server, "/x")))[0] == status


async def test_a_redirect_to_nowhere_comes_back_as_it_is(make: Make, serve: Serve) -> None:
    server = serve(lambda _: Response(status=302))
    assert (await fetch(make(at(server)), at(server, "/x")))[0] == 302


@pytest.mark.parametrize(
    "to",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "data:text/plain,x",
        "gopher://127.0.0.1/",
        "javascript:alert(1)",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        f"http://user:{SECRET}@127.0.0.1/",
        "http://127.0.0.1\\@evil.example/",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/" + "x" * 16_368,
        "http://ex\u00e4mple.example/",
    ],
)
async def test_redirects_to_what_is_no_plain_url_are_refused(
    make: Make, serve: Serve, to: str
) -> None:
    server = serve(lambda _: redirect(to))
    error = await failure(make(at(server)), at(server, "/x"))
    assert "a URL that cannot be used" in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "to", ["http://127.0.0.1:1/", "http://10.0.0.1/", "http://[::1]/", "http://nas.local/"]
)
async def test_a_public_index_leads_to_no_private_host(
    make: Make, proxied: Callable[..., Server], to: str
) -> None:
    server = proxied(lambda _: redirect(to))
    error = await failure(make("http://index.example/simple"), "http://index.example/simple/x/")
    assert "a private host, named by a public upstream" in str(error)
    assert len(server.requests) == 1


# --- https --------------------------------------------------------------------------------------


async def test_below_an_https_index_nothing_comes_in_the_clear_whose_digest_is_not_known(
    make: Make, proxied: Callable[..., Server]
) -> None:
    server = proxied()
    client = make("https://index.example/simple")
    error = await failure(client, "http://files.example/x")
    assert str(error) == "files.example: plain http below an https index"
    assert server.requests == ()
    assert await fetch(client, "http://files.example/x", known=True) == (200, b"here")


async def test_below_an_http_index_all_may_come_in_the_clear(
    make: Make, proxied: Callable[..., Server]
) -> None:
    proxied()
    client = make("http://index.example/simple")
    assert (await fetch(client, "http://files.example/x"))[0] == 200


# --- credentials --------------------------------------------------------------------------------


async def test_a_login_goes_to_its_own_origin_only(make: Make, serve: Serve) -> None:
    other = serve(lambda _: OK)
    own = serve(lambda _: redirect(at(other, "/there")))
    client = make(at(own), login=("me", SECRET))
    assert (await fetch(client, at(own, "/simple/x/")))[0] == 200
    assert own.requests[0].header("Authorization") == basic("me", SECRET)
    assert other.requests[0].header("Authorization") is None


def write_netrc(path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path.write_text(text)
    monkeypatch.setenv("NETRC", str(path))


async def test_netrc_has_logins_by_host(
    make: Make,
    proxied: Callable[..., Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_netrc(
        tmp_path / "netrc",
        monkeypatch,
        f"machine index.example login me password {SECRET}\n"
        "machine files.example login you password other\n",
    )
    server = proxied()
    client = make("http://index.example/simple")
    for host in ("index.example", "files.example", "third.example"):
        await fetch(client, f"http://{host}/x")
    assert [request.header("Authorization") for request in server.requests] == [
        basic("me", SECRET),
        basic("you", "other"),
        None,
    ]


async def test_the_default_login_of_netrc_goes_to_nobody(
    make: Make,
    proxied: Callable[..., Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_netrc(tmp_path / "netrc", monkeypatch, f"default login me password {SECRET}\n")
    server = proxied()
    client = make("http://index.example/simple")
    for host in ("index.example", "files.example", "default"):
        await fetch(client, f"http://{host}.example/x")
    assert [request.header("Authorization") for request in server.requests] == [None] * 3


async def test_a_login_of_the_environment_goes_before_netrc(
    make: Make,
    proxied: Callable[..., Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_netrc(tmp_path / "netrc", monkeypatch, "machine index.example login n password p\n")
    server = proxied()
    await fetch(make("http://index.example", login=("me", SECRET)), "http://index.example/x")
    assert server.requests[0].header("Authorization") == basic("me", SECRET)


async def test_no_login_of_netrc_goes_in_the_clear_below_an_https_index(
    make: Make,
    proxied: Callable[..., Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_netrc(
        tmp_path / "netrc", monkeypatch, f"machine files.example login me password {SECRET}\n"
    )
    server = proxied()
    await fetch(make("https://index.example/simple"), "http://files.example/x", known=True)
    assert server.requests[0].header("Authorization") is None


async def test_a_netrc_that_cannot_be_read_is_told_without_its_content(
    make: Make, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_netrc(tmp_path / "netrc", monkeypatch, f"nonsense {SECRET}\n")
    server = serve(lambda _: OK)
    error = await failure(make(at(server)), at(server, "/x"))
    assert str(error) == "the .netrc cannot be read (NetrcParseError)"
    assert server.requests == ()


async def test_no_cookie_is_ever_kept(make: Make, serve: Serve) -> None:
    server = serve(lambda _: OK.with_header("Set-Cookie", "a=1; Path=/"))
    client = make(at(server))
    for raw in (False, True, False, True):
        await fetch(client, at(server, "/x"), raw=raw)
    assert [request.header("Cookie") for request in server.requests] == [None] * 4


# --- proxies ------------------------------------------------------------------------------------


async def test_the_proxy_of_the_environment_is_used(
    make: Make, proxied: Callable[..., Server]
) -> None:
    server = proxied()
    client = make("http://index.example/simple")
    await fetch(client, "http://index.example/simple/x/?a=%2B")
    assert server.requests[0].target == "http://index.example/simple/x/?a=%2B"


async def test_a_proxy_is_not_asked_for_what_it_should_not_be(
    make: Make, serve: Serve, proxied: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = proxied()
    server = serve(lambda _: OK)
    assert (await fetch(make(at(server)), at(server, "/x")))[0] == 200
    assert proxy.requests == (), "this machine is reached without"
    monkeypatch.setenv("no_proxy", "index.example")

    async def resolve(*_: object) -> list[ResolveResult]:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    error = await failure(make("http://index.example"), "http://index.example/x")
    assert str(error) == "index.example: its name has no address"
    assert proxy.requests == ()


async def test_a_proxys_password_goes_to_the_proxy_and_into_no_error(
    make: Make, proxied: Callable[..., Server]
) -> None:
    server = proxied(lambda _: Response(status=407), user=f"me:{SECRET}@")
    client = make("http://index.example/simple")
    assert (await fetch(client, "http://index.example/x"))[0] == 407
    assert server.requests[0].header("Proxy-Authorization") == basic("me", SECRET)
    server.close()
    await failure(client, "http://index.example/x")


@pytest.mark.parametrize(
    "proxy", [f"socks5://me:{SECRET}@127.0.0.1:1", f"http://me:{SECRET}@127.0.0.1:x", "nonsense"]
)
async def test_a_proxy_that_is_of_no_use_is_told_in_words(
    make: Make, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    error = await failure(make("http://index.example"), "http://index.example/x")
    assert str(error).startswith("index.example: ")


# --- the wire -----------------------------------------------------------------------------------


async def test_urls_are_asked_for_as_they_are_written(make: Make, serve: Serve) -> None:
    server = serve(lambda _: OK)
    client = make(at(server))
    for target in ("/a%2Bb+c%20d", "/%2e%2e/x", "/a?x=%2F&y=1+2", "/~a/%7Eb"):
        await fetch(client, at(server, target))
        assert server.requests[-1].target == target


async def test_pages_may_come_packed_and_files_may_not(make: Make, serve: Serve) -> None:
    packed = gzip.compress(b"here")
    server = serve(lambda _: Response(body=packed, headers=(("Content-Encoding", "gzip"),)))
    client = make(at(server))
    assert (await fetch(client, at(server, "/page")))[1] == packed
    assert (await fetch(client, at(server, "/file"), raw=True))[1] == packed
    accepted = [request.header("Accept-Encoding") for request in server.requests]
    assert accepted == ["gzip, deflate", "identity"]


async def test_connections_are_used_again(make: Make, serve: Serve) -> None:
    server = serve(lambda _: OK)
    client = make(at(server))
    for _ in range(5):
        await fetch(client, at(server, "/x"))
    assert server.connections == 1


async def test_who_waits_for_a_turn_is_not_late(make: Make, serve: Serve) -> None:
    """64 answers are being read, and no more may be asked for meanwhile."""
    server = serve(lambda _: OK)
    client = make(at(server))
    async with contextlib.AsyncExitStack() as reading:
        for n in range(64):
            await reading.enter_async_context(client.get(at(server, f"/{n}"), {}))
        client.timeout = 0.01
        waiting = asyncio.ensure_future(fetch(client, at(server, "/last")))
        await asyncio.sleep(0.1)  # as long as it may wait for an answer, and longer
        assert not waiting.done()
        assert len(server.requests) == 64
        client.timeout = 30
    assert await waiting == (200, b"here")


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("manner", "sentence"),
    [
        (Manner.HANG, "127.0.0.1: no answer within 0.3 s"),
        (Manner.HALF, "127.0.0.1: no answer within 0.3 s"),
        (Manner.RESET, "127.0.0.1: the connection was closed without an answer"),
        (Manner.CUT, "127.0.0.1: the answer was cut off"),
        (Manner.CHUNKS_CUT, "127.0.0.1: the answer was cut off"),
        (Manner.RAW, "127.0.0.1: what answers does not speak HTTP properly"),
    ],
)
async def test_what_goes_wrong_on_the_wire_is_said(
    make: Make, serve: Serve, manner: Manner, sentence: str
) -> None:
    server = serve(lambda _: Response(body=b"here and there", manner=manner))
    late = manner in {Manner.HANG, Manner.HALF}
    error = await failure(make(at(server), timeout=0.3 if late else 30), at(server, "/x"))
    assert str(error).startswith(sentence)
    assert error.timed_out is late


async def test_a_closed_port_is_no_connection(make: Make) -> None:
    closed = ClosedPort()
    url = f"http://127.0.0.1:{closed.port}"
    error = await failure(make(url), f"{url}/x")
    closed.close()
    assert str(error).startswith("127.0.0.1: no connection (Connect")
    assert not error.timed_out


async def test_plain_http_at_an_https_address_is_said(make: Make, serve: Serve) -> None:
    server = serve(lambda _: OK)
    url = at(server).replace("http:", "https:")
    error = await failure(make(url), url)
    assert str(error) == "127.0.0.1: TLS failed"


async def test_a_certificate_of_nobody_is_said(make: Make) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    async def answer(_: aioweb.BaseRequest) -> aioweb.StreamResponse:
        raise AssertionError("nobody should get that far")

    runner = aioweb.ServerRunner(aioweb.Server(answer))
    await runner.setup()
    await aioweb.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    error = await failure(make(url), url)
    await runner.cleanup()
    assert str(error) == "127.0.0.1: its certificate is not valid"


async def test_a_url_with_a_password_is_refused_and_not_shown(make: Make, serve: Serve) -> None:
    server = serve(lambda _: OK)
    url = f"http://me:{SECRET}@127.0.0.1:{server.port}/x"
    error = await failure(make(at(server)), url)
    assert str(error) == (
        "the upstream: a URL that cannot be used (it contains a user name or password)"
    )
    assert server.requests == ()


async def test_an_error_in_the_block_is_the_upstreams_only_when_it_is_one(
    make: Make, serve: Serve
) -> None:
    server = serve(lambda _: OK)
    client = make(at(server))
    with pytest.raises(KeyError):
        async with client.get(at(server, "/x"), {}):
            raise KeyError
    with pytest.raises(UpstreamError, match=r"^mine$"):
        async with client.get(at(server, "/x"), {}):
            raise UpstreamError("mine")


async def test_who_leaves_ends_the_request(make: Make) -> None:
    left = asyncio.Event()

    async def answer(_: aioweb.BaseRequest) -> aioweb.StreamResponse:
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError

    async with origin(answer) as upstream:
        asked = asyncio.ensure_future(fetch(make(upstream.url, timeout=30), f"{upstream.url}/x"))
        await upstream.heard()
        asked.cancel()
        async with asyncio.timeout(30):
            await left.wait()


def test_no_error_shows_what_a_url_hides() -> None:
    url = f"https://me:{SECRET}@index.example/{SECRET}?token={SECRET}"
    for error in (
        TimeoutError(),
        ValueError(url),
        OSError(5, url),
        aiohttp.InvalidURL(url),
        aiohttp.ServerDisconnectedError(url),
        aiohttp.ClientPayloadError(url),
        aiohttp.ClientError(url),
        ConnectionResetError(url),
        ssl.SSLError(url),
    ):
        found = explained(error, url, 1.0)
        assert SECRET not in str(found), repr(error)
        assert str(found)
