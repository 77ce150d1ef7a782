"""The access log: one line for each request, whatever came and however it ended."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from pyodide_mirror.server import create_app
from pyodide_mirror.server.observing.counts import FORGETS
from pyodide_mirror.server.observing.log import access_log
from pyodide_mirror.server.observing.observed import Observed
from pyodide_mirror.server.web.forwarded import TrustedProxies
from pyodide_mirror.server.web.hosts import AllowedHosts
from tests.support.asgi import ASGI, WHEEL, Answer, Index, ask, document, entry, origin, shut
from tests.support.logins import READER, UPLOADER, USER, basic, bearer, write_login_files
from tests.support.own_server import serving_here
from tests.support.server_wire import assert_readable, exchange, get
from tests.support.wheels import make_wheel

LOCAL = make_wheel("local-only", "1.0")
_LINE = re.compile(
    r'(?P<time>\S+) (?P<client>\S+) (?P<user>\S+|"[^"]*") "(?P<request>[^"]*)"'
    r' (?P<status>\S+) (?P<bytes>\d+) (?P<seconds>\d+\.\d{3}) (?P<end>\w+) "(?P<agent>[^"]*)"'
)


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "pyodide_mirror.access")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    name = "pyodide_mirror.access"
    found = [each.getMessage() for each in caplog.records if each.name == name]
    caplog.clear()
    return found


def line(caplog: pytest.LogCaptureFixture) -> dict[str, str]:
    [found] = lines(caplog)
    match = _LINE.fullmatch(found)
    assert match is not None, found
    return match.groupdict()


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[ASGI]:
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / LOCAL.filename).write_bytes(LOCAL.data)
    made: Any = create_app(
        folder,
        upstreams=[],
        cache=tmp_path / "cache",
        access_log="text",
        trusted_proxies=["127.0.0.1"],
    )
    yield made
    await shut(made)


async def test_a_line_has_all_that_is_asked_of_one(
    app: ASGI, caplog: pytest.LogCaptureFixture
) -> None:
    said = {"x-forwarded-for": "6.6.6.6, 203.0.113.9", "user-agent": "pip/25.3"}
    answer = await ask(app, "/simple/local-only/", said)
    found = line(caplog)
    assert found["request"] == "GET /simple/local-only/ HTTP/1.1"
    assert (found["client"], found["user"], found["agent"]) == ("203.0.113.9", "-", "pip/25.3")
    assert (found["status"], found["bytes"]) == ("200", str(len(answer.body)))
    assert found["end"] == "complete"
    assert datetime.fromisoformat(found["time"]).tzinfo is not None
    assert 0 <= float(found["seconds"]) < 60


async def test_every_kind_of_answer_is_a_line(app: ASGI, caplog: pytest.LogCaptureFixture) -> None:
    page = json.loads((await ask(app, "/simple/local-only/")).body)
    path = page["files"][0]["url"].removeprefix("http://mirror.localhost")
    etag = {"if-none-match": f'"{LOCAL.sha256}"'}
    lines(caplog)
    size = str(len(LOCAL.data))
    for target, options, expected in (
        (path, {}, ("200", size)),
        (path, {"headers": {"range": "bytes=0-9"}}, ("206", "10")),
        (path, {"headers": etag}, ("304", "0")),
        (path, {"method": "HEAD"}, ("200", "0")),
        ("/simple/local-only", {}, ("301", "0")),
        ("/simple/nothing/", {}, ("404", None)),
        ("/simple/", {"method": "POST"}, ("405", None)),
        ("/simple/", {"method": "OPTIONS"}, ("204", "0")),
        ("/simple/", {"headers": {"host": "attacker.example"}}, ("421", None)),
    ):
        answer = await ask(app, target, **options)
        found = line(caplog)
        assert (found["status"], found["bytes"]) == (
            expected[0],
            expected[1] or str(len(answer.body)),
        )
        assert found["request"].startswith(f"{options.get('method', 'GET')} {target} ")
        assert found["end"] == "complete"


async def test_nobody_writes_a_line_of_his_own(app: ASGI, caplog: pytest.LogCaptureFixture) -> None:
    def change(scope: MutableMapping[str, Any]) -> None:
        scope["raw_path"] = b'/a" 200 0\n1.2.3.4 \x1b[31m\xe4\x7f\\'
        scope["query_string"] = b'lang=en"\n\x00'
        scope["headers"].append((b"user-agent", b'x" 1\r\nfake \x1b]0;title\x07\x9b1m'))

    await ask(app, "/", change=change)
    [found] = lines(caplog)
    assert found.isprintable()
    assert found.isascii()
    match = _LINE.fullmatch(found)
    assert match is not None
    assert match["request"] == (
        r"GET /a\x22 200 0\x0a1.2.3.4 \x1b[31m\xe4\x7f\x5c?lang=en\x22\x0a\x00 HTTP/1.1"
    )
    assert match["agent"] == r"x\x22 1\x0d\x0afake \x1b]0;title\x07\x9b1m"


async def test_what_may_be_a_secret_is_not_logged(
    app: ASGI, caplog: pytest.LogCaptureFixture
) -> None:
    for target, shown in (
        ("/simple/?token=s3cret&format=text/html", "/simple/?...&format=text/html"),
        ("/?project=x&s3cret&lang=es&a=s3cret", "/?project=x&...&lang=es"),
        ("/https://ann:s3cret@index.example/simple/", "/https://***@index.example/simple/"),
        ("/https:%2F%2Fann%3As3cret%40index.example/", "/***@index.example/"),
    ):
        await ask(app, target, {"authorization": "Bearer s3cret", "cookie": "s3cret"})
        [found] = lines(caplog)
        assert f'"GET {shown} HTTP/1.1"' in found
        assert "s3cret" not in found


async def test_a_line_has_its_bounds(app: ASGI, caplog: pytest.LogCaptureFixture) -> None:
    await ask(
        app, "/simple/x/" + "a" * 60_000 + "?" + "b=1&" * 10_000, {"user-agent": "c" * 60_000}
    )
    assert len(lines(caplog)[0]) < 3_000


async def test_as_json_it_has_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app: Any = create_app(upstreams=[], cache=tmp_path, access_log="json")
    answer = await ask(app, "/simple/?token=s3cret", {"user-agent": 'a"\\\n\x1b'})
    [found] = lines(caplog)
    assert "\n" not in found
    told = json.loads(found)
    assert datetime.fromisoformat(told.pop("time")).tzinfo is not None
    assert 0 <= told.pop("seconds") < 60
    assert told == {
        "client": "127.0.0.1",
        "user": "",
        "method": "GET",
        "path": "/simple/?…",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": len(answer.body),
        "end": "complete",
        "agent": 'a"\\\n\x1b',
    }
    await shut(app)


async def test_off_it_is_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Which it is by itself where another server runs the application, and has its own."""
    for settings in ({"access_log": "off"}, {}):
        app: Any = create_app(upstreams=[], cache=tmp_path, **settings)
        await ask(app, "/simple/")
        assert lines(caplog) == []
        await shut(app)
    with pytest.raises(ValueError, match="access_log must be one of text, json, off, not 'xml'"):
        create_app(upstreams=[], cache=tmp_path, access_log="xml")


async def test_a_user_is_named_once_the_login_is_right(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = write_login_files(tmp_path)
    app: Any = create_app(
        upstreams=[],
        cache=tmp_path / "cache",
        access_log="text",
        auth=files.auth,
        token_file=files.tokens,
    )
    for given, user, status in (
        (basic(), USER, "200"),
        (bearer(), "__token__", "200"),
        (basic("__token__", READER), "__token__", "200"),
        (basic(USER, "wrong"), "-", "401"),
        (basic('evil" 200', "wrong"), "-", "401"),
        ({"authorization": "Basic nonsense"}, "-", "401"),
        (bearer(UPLOADER), "-", "403"),
    ):
        await ask(app, "/simple/", given)
        found = line(caplog)
        assert (found["user"], found["status"]) == (user, status)
    await ask(app, "/cache/x", bearer(UPLOADER), method="DELETE")
    found = line(caplog)
    assert (found["user"], found["status"]) == ("__token__", "204")
    await shut(app)


# --- how an answer ends -------------------------------------------------------------------------


Sender = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receiver = Callable[[], Awaitable[MutableMapping[str, Any]]]


def start(status: int = 200, length: int | None = None) -> dict[str, Any]:
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(content: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


def observed(app: Callable[[Any, Receiver, Sender], Awaitable[None]]) -> ASGI:
    hosts = AllowedHosts([])
    made: Any = Observed(app, TrustedProxies([], hosts), FORGETS, access_log("text"))
    return made


async def test_a_bug_is_a_line_too(
    app: ASGI, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr("pyodide_mirror.server.status.landing.Landing.page", broken)
    answer = Answer()
    with pytest.raises(RuntimeError):  # for the server, which logs it
        await ask(app, "/", into=answer)
    found = line(caplog)
    assert (found["status"], found["bytes"]) == ("500", str(len(answer.body)))
    assert found["end"] == "complete"


async def test_an_answer_that_breaks_off_is_broken(caplog: pytest.LogCaptureFixture) -> None:
    async def stops(_: Any, __: Receiver, send: Sender) -> None:
        await send(start(length=10))
        await send(body(b"abc", more=True))

    async def says_nothing(*_: object) -> None:
        raise RuntimeError("a bug")

    await ask(observed(stops), "/x")
    found = line(caplog)
    assert (found["status"], found["bytes"], found["end"]) == ("200", "3", "broken")
    with pytest.raises(RuntimeError):
        await ask(observed(says_nothing), "/x")
    found = line(caplog)
    assert (found["status"], found["bytes"], found["end"]) == ("-", "0", "broken")


async def test_a_download_that_an_upstream_cuts_off_is_broken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index = Index()
    index.page(document(entry(size=len(WHEEL.data))))
    wrong = bytes(reversed(WHEEL.data))
    index.file(WHEEL.filename, wrong)
    async with origin(index) as running:
        app: Any = create_app(
            upstreams=[f"{running.url}/simple"], cache=tmp_path, access_log="text"
        )
        file = json.loads((await ask(app, "/simple/x/")).body)["files"][0]
        lines(caplog)
        answer = await ask(app, file["url"].removeprefix("http://mirror.localhost"))
        assert not answer.complete
        found = line(caplog)
        assert (found["status"], found["end"]) == ("200", "broken")
        assert int(found["bytes"]) == len(answer.body) < len(WHEEL.data)
        await shut(app)


async def test_a_client_that_leaves_is_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    async def watches(_: Any, receive: Receiver, send: Sender) -> None:
        await send(start(length=10))
        await send(body(b"abc", more=True))
        while (await receive())["type"] != "http.disconnect":
            pass
        await send(body(b""))  # which nobody gets

    async def once_left(app: ASGI) -> dict[str, str]:
        messages = iter([{"type": "http.request"}, {"type": "http.disconnect"}])

        async def receive() -> dict[str, str]:
            return next(messages)

        async def send(_: object) -> None:
            pass

        scope: Any = {"type": "http", "method": "GET", "path": "/x", "http_version": "1.1"}
        await app({**scope, "headers": [], "client": None}, receive, send)
        return line(caplog)

    found = await once_left(observed(watches))
    assert (found["status"], found["bytes"], found["end"]) == ("200", "3", "left")
    assert found["client"] == "-"

    async def sends(_: Any, __: Receiver, send: Sender) -> None:
        with pytest.raises(OSError, match="left"):
            await send(start(length=10))
        raise ClientDisconnect

    with pytest.raises(ClientDisconnect):
        await ask(observed(sends), "/x", leaves=True)
    found = line(caplog)
    assert (found["status"], found["bytes"], found["end"]) == ("-", "0", "left")


async def test_who_leaves_after_the_end_has_had_everything(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(_: Any, receive: Receiver, send: Sender) -> None:
        await send(start(length=3))
        await send(body(b"abc"))
        await receive()

    sent: list[object] = []

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        sent.append(message)

    scope: Any = {"type": "http", "method": "GET", "path": "/x", "http_version": "1.1"}
    await observed(app)({**scope, "headers": [], "client": None}, receive, send)
    assert line(caplog)["end"] == "complete"


async def test_a_request_that_is_cancelled_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """So a server ends what is unfinished when it stops."""
    waiting = asyncio.Event()

    async def waits(*_: object) -> None:
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(ask(observed(waits), "/x"))
    await waiting.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert line(caplog)["end"] == "broken"


@pytest.mark.parametrize(
    ("message", "count"),
    [
        ({"type": "http.response.pathsend", "path": "/x"}, "12345"),
        ({"type": "http.response.zerocopysend", "file": None, "count": 345}, "345"),
    ],
)
async def test_a_file_that_the_server_sends_itself_counts(
    message: dict[str, Any], count: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Extensions of ASGI."""

    async def app(_: Any, __: Receiver, send: Sender) -> None:
        await send(start(length=12_345))
        await send(message)

    await ask(observed(app), "/x")
    found = line(caplog)
    assert (found["bytes"], found["end"]) == (count, "complete")


def test_a_client_too_many_is_a_line_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom the server refuses before it asks the application."""
    monkeypatch.setattr("pyodide_mirror.server.running.run.MAX_CONNECTIONS", 1)
    with serving_here(upstreams=[], cache=tmp_path, access_log="text") as running:
        answer = get(f"{running.url}/simple/", "User-Agent: pip")
        assert answer.status == 503
        assert_readable(answer)
    found = line(caplog)
    assert (found["client"], found["status"], found["agent"]) == ("127.0.0.1", "503", "pip")
    assert found["bytes"] == str(len(answer.body))


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01 hello\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000, "431"),
    ],
    ids=["no HTTP", "too long"],
)
def test_what_cannot_be_read_as_a_request_is_a_line_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sent: bytes, status: str
) -> None:
    with serving_here(upstreams=[], cache=tmp_path, access_log="text") as running:
        [answer] = exchange(running.url, sent)
        found = line(caplog)
        counted = get(f"{running.url}/metrics").text
    assert str(answer.status) == found["status"] == status
    assert (found["client"], found["request"], found["user"]) == ("127.0.0.1", "- - HTTP/-", "-")
    assert (found["bytes"], found["end"]) == (str(len(answer.body)), "complete")
    labels = f'{{kind="other",method="other",status="{status}"}}'
    assert f"pyodide_mirror_http_requests_total{labels} 1.0" in counted


async def test_what_is_no_request_is_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, _: Receiver, __: Sender) -> None:
        assert scope == {"type": "lifespan"}

    async def never(*_: object) -> Any:
        raise AssertionError

    await observed(app)({"type": "lifespan"}, never, never)
    assert lines(caplog) == []
