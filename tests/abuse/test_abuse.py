"""Hostile clients and hostile upstreams: nothing else is reached, and others are served on."""

import os
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

from pyodide_mirror.server.fetching.client import (
    Reach,
    ReachResolver,
    Refused,
    UpstreamClient,
    UpstreamError,
)
from tests.abuse.hostile import HOSTILE, PASSWORD, SCRIPT, Hostile
from tests.abuse.tries import TRIES, Try
from tests.support.own_server import Serving, serving
from tests.support.server_place import GOOD, TIMEOUT, Place, hostile_place
from tests.support.server_stock import Stock, content_of, stock, stocked
from tests.support.server_wire import (
    Answer,
    Costs,
    assert_readable,
    connected,
    everything,
    exchange,
    files_of,
    get,
    parsed,
)
from tests.support.wheels import make_wheel
from tests.zoo.server import LOOPBACK, Response, Server

SECONDS = 20.0
"""Of the processor, for one request: usually some hundredths; minutes for a careless pattern."""
IDLE = 500
SLOW = 60
BIG = 8 * 1024 * 1024
BIG_CONTENT = content_of("big", BIG)
BIG_FILES = {"stock-1.0.zip": BIG_CONTENT}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Two servers over a hostile upstream; they are the same for all tries."""
    with hostile_place() as place:
        yield place


# ---------------------------------------------------------------- clients


@pytest.mark.parametrize("attempt", TRIES, ids=str)
def test_a_hostile_client_gets_nothing_but_an_answer(place: Place, attempt: Try) -> None:
    path = urlsplit(files_of(place.near.index_url, "good")[GOOD.filename]).path
    sent = attempt.sent.replace("{path}", path)
    sent = sent.replace("{decoy}", f"{LOOPBACK}:{place.decoy.port}")
    sent = sent.replace("{host}", urlsplit(place.near.url).netloc)
    costs = Costs(place.near.process.pid)
    before = costs.now
    costs.forget_peak()
    seconds = costs.seconds
    answers = exchange(place.near.url, sent.encode("latin-1"))
    seconds = costs.seconds - seconds
    assert [answer.status for answer in answers] == [
        answer.status if answer.status in statuses else statuses
        for answer, statuses in zip(answers, attempt.answers, strict=False)
    ]
    assert len(answers) == len(attempt.answers), answers
    for answer in answers:
        assert_readable(answer)
        assert b"secret" not in answer.body
        assert b"root:" not in answer.body
        assert b"<script" not in answer.body
        assert b"evil" not in answer.body
        assert "x-evil" not in answer.headers
    assert costs.peak - before < attempt.peak
    assert seconds < SECONDS
    place.check_still_well(place.near)


# ---------------------------------------------------------------- upstreams


def _asked(server: Serving, hostile: Hostile) -> Answer:
    page_url = f"{server.index_url}/{hostile.project}/"
    if hostile.asked == "html":
        return get(page_url, "Accept: text/html")
    answer = get(page_url)
    if hostile.asked == "page":
        return answer
    assert_readable(answer)
    if answer.status != 200:  # it has no file that could be asked for
        return answer
    url = answer.document["files"][0]["url"]
    assert url.startswith(f"{server.url}/files/"), url
    return get(url + (".metadata" if hostile.asked == "metadata" else ""))


@pytest.mark.parametrize("hostile", HOSTILE, ids=str)
def test_a_hostile_upstream_reaches_nothing_and_breaks_nothing(
    place: Place, hostile: Hostile
) -> None:
    server = place.far if hostile.far else place.soon if hostile.slow else place.near
    hostile.prepare()
    costs = Costs(server.process.pid)
    before = costs.now
    costs.forget_peak()
    answer = _asked(server, hostile)
    cost = costs.peak - before
    assert answer.status in hostile.statuses, answer
    assert_readable(answer)
    assert hostile.says in answer.text
    assert PASSWORD not in answer.text
    assert "secret" not in answer.text
    assert "x-evil" not in answer.headers
    if answer.status == 200:
        assert answer.whole is hostile.whole
    assert cost < hostile.peak, f"{cost:.0f} MB"
    place.check_still_well(server)


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_a_page_lists_plain_names_only_and_escapes_the_rest(place: Place, accept: str) -> None:
    (hostile,) = (each for each in HOSTILE if each.name == "markup and dots in names")
    answer = get(f"{place.near.index_url}/{hostile.project}/", f"Accept: {accept}")
    stem = hostile.project.replace("-", "_")
    if accept == "text/html":
        assert re.findall(r">([^<]*)</a>", answer.text) == [f"{stem}-1.0-py3-none-any.whl"]
        assert "<script" not in answer.text
        assert re.fullmatch(r"(?s)(?:[^<>]|<[^<>]*>)*", answer.text)
        return
    (file,) = answer.document["files"]
    assert file["filename"] == f"{stem}-1.0-py3-none-any.whl"
    assert file["yanked"] == SCRIPT
    assert file["hashes"] == {"sha256": "0" * 64}


def test_a_tampered_file_is_not_kept_and_is_asked_for_again(place: Place) -> None:
    (hostile,) = (each for each in HOSTILE if each.name == "a file of another content")

    def fetched() -> int:
        paths = [request.path for request in place.upstream.server.requests]
        return paths.count(f"/files/{hostile.project}/a")

    assert not _asked(place.near, hostile).whole
    before = fetched()
    assert not _asked(place.near, hostile).whole
    assert fetched() == before + 1


def test_nothing_of_a_client_goes_upstream(place: Place) -> None:
    place.upstream.server.forget()
    secret = ("Authorization: Bearer abc", "Cookie: session=abc", "Referer: http://abc.example/")
    answer = get(
        f"{place.near.index_url}/nothing-of-mine/", *secret, "X-Forwarded-Host: abc.example"
    )
    assert answer.status == 404
    (request,) = place.upstream.server.requests
    assert "abc" not in repr(request)
    assert {name.lower() for name, _ in request.headers} <= {
        *("host", "accept", "accept-encoding", "user-agent", "connection")
    }


# ---------------------------------------------------------------- many clients, and slow ones


def test_idle_clients_keep_nobody_from_being_served(place: Place) -> None:
    costs = Costs(place.near.process.pid)
    before = costs.now
    with ExitStack() as stack:
        for number in range(IDLE):
            idle = stack.enter_context(connected(place.near.url))
            idle.sendall(b"GET /simple/good/ HTTP/1.1\r\nHost: localhost\r\nX: "[: number % 40])
        place.check_still_well(place.near)
        assert get(files_of(place.near.index_url, "good")[GOOD.filename]).body == GOOD.data
        assert costs.open_files > IDLE
        assert costs.now - before < 50


@pytest.fixture(scope="module")
def big() -> Iterator[tuple[Stock, Serving]]:
    """A server over an upstream and a folder that each have a large file."""
    with tempfile.TemporaryDirectory() as folder, stocked(BIG_FILES) as upstream:
        Path(folder, "local-1.0.zip").write_bytes(BIG_CONTENT)
        with serving(Path(folder), [upstream.url]) as server:
            yield upstream, server


@pytest.mark.parametrize("name", ["stock-1.0.zip", "local-1.0.zip"])
def test_slow_readers_take_no_memory_and_get_all_in_the_end(
    big: tuple[Stock, Serving], name: str
) -> None:
    """Of a file that arrives meanwhile, and of one in the folder."""
    upstream, server = big
    url = files_of(server.index_url, name.partition("-")[0])[name]
    request = f"GET {urlsplit(url).path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    costs = Costs(server.process.pid)
    before = costs.now
    costs.forget_peak()
    with ExitStack() as stack:
        slow = [
            stack.enter_context(connected(server.url, receive_buffer=4096)) for _ in range(SLOW)
        ]
        for each in slow:
            each.sendall(request.encode())
        starts = [each.recv(100) for each in slow]
        assert get(url).body == BIG_CONTENT  # one that is quick
        (answer,) = parsed(starts[0] + everything(slow[0]))
        assert answer.body == BIG_CONTENT
        assert costs.peak - before < 80
        assert upstream.counts[name] == int(name in upstream.files)


_IMPATIENT = """
import sys
from pyodide_mirror.server.running import run
run.HEADERS_DUE = run.READ_WITHIN = 0.5
run.MAX_CONNECTIONS = 30
from pyodide_mirror.cli import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def hasty() -> Iterator[tuple[Stock, Serving]]:
    """A server whose patience is short, so that a test sees its end, and its upstream."""
    with tempfile.TemporaryDirectory() as folder, stocked(stock(1, 300_000)) as upstream:
        Path(folder, "local-1.0.zip").write_bytes(BIG_CONTENT)
        program = ["-c", _IMPATIENT]
        with serving(Path(folder), [upstream.url], program=program) as server:
            yield upstream, server


@pytest.fixture
def impatient(hasty: tuple[Stock, Serving]) -> Serving:
    """The server alone."""
    return hasty[1]


@pytest.mark.parametrize("sent", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_a_client_must_say_in_time_what_it_wants(impatient: Serving, sent: bytes) -> None:
    with connected(impatient.url) as idle:
        idle.sendall(sent)
        assert everything(idle) == b""
    assert get(f"{impatient.url}/healthz").status == 200


def test_a_client_must_take_in_time_what_it_asked_for(impatient: Serving) -> None:
    path = urlsplit(files_of(impatient.index_url, "local")["local-1.0.zip"]).path
    with connected(impatient.url, receive_buffer=4096) as slow:
        slow.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert slow.recv(1)
        for _ in range(2):  # as long as the server waits for a request, and once more
            with connected(impatient.url) as idle:
                assert everything(idle) == b""
        assert len(everything(slow)) < BIG
    assert get(f"{impatient.url}/healthz").status == 200


def test_an_answer_to_a_pipelined_request_may_take_its_time(hasty: tuple[Stock, Serving]) -> None:
    upstream, server = hasty
    upstream.hold = lambda _: 100_000
    ((name, url),) = files_of(server.index_url, "stock").items()
    head = "HTTP/1.1\r\nHost: localhost\r\n"
    requests = f"GET /healthz {head}\r\nGET {urlsplit(url).path} {head}Connection: close\r\n\r\n"
    with connected(server.url) as client, connected(server.url) as idle:
        client.sendall(requests.encode())
        received = b""
        while len(received) < 90_000:
            received += client.recv(1 << 16)
        assert everything(idle) == b""
        with connected(server.url) as later:  # begun after our answer: its end is after ours
            assert everything(later) == b""
        upstream.release()
        health, file = parsed(received + everything(client))
    assert health.status == file.status == 200
    assert file.body == upstream.files[name]


@pytest.fixture(scope="module")
def narrow() -> Iterator[Serving]:
    """A server with few connections, and with all the patience that it usually has."""
    program = ["-c", _IMPATIENT.replace("run.HEADERS_DUE = run.READ_WITHIN = 0.5", "")]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "local-1.0.zip").write_bytes(BIG_CONTENT)
        with serving(Path(folder), program=program) as server:
            yield server


def test_a_client_too_many_is_told_so(narrow: Serving) -> None:
    path = urlsplit(files_of(narrow.index_url, "local")["local-1.0.zip"]).path
    with ExitStack() as stack:
        for _ in range(30):
            client = stack.enter_context(connected(narrow.url, receive_buffer=4096))
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert client.recv(1)
        answer = get(f"{narrow.url}/healthz", "Origin: https://lab.example")
    assert answer.status == 503
    assert_readable(answer)
    assert answer.headers["retry-after"]
    while get(f"{narrow.url}/healthz").status != 200:
        pass  # until it has noticed that they left


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("sent", [0, 30, len(HEALTH)])
def test_connections_that_wait_do_not_keep_out_who_asks(narrow: Serving, sent: int) -> None:
    """Those that have waited longest are closed; they might wait for 20 seconds."""

    def answered(client: socket.socket) -> bool:
        received = b""
        while not received.endswith(b"}\n") and not received.endswith(b"}"):
            received += client.recv(1 << 16)
        return received.startswith(b"HTTP/1.1 200")

    with ExitStack() as stack:
        for _ in range(100):
            newest = stack.enter_context(connected(narrow.url))
            newest.sendall(HEALTH[:sent])
            assert sent < len(HEALTH) or answered(newest)
        assert get(f"{narrow.url}/healthz").status == 200
        newest.sendall(HEALTH[sent:] or HEALTH)
        assert answered(newest), "the newest may go on"


# ---------------------------------------------------------------- folders


_ODD_NAMES = (
    f"odd-1.0-py3-none-{SCRIPT.replace('/', '')}.whl",
    "odd-1.0-py3-none-a\nSet-Cookie: a=b.whl",
    "odd-1.0-py3-none-\udcff.whl",
    "odd-1.0-py3-none-\u202e.whl",
    "odd-1.0-py3-none-any .whl",
    "odd-1.0-py3-none-..\\..\\x.whl",
    "odd-1.0-py3-none-%2e%2e%2f.whl",
)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_folder_of_odd_things_serves_what_is_sound(tmp_path: Path) -> None:
    folder, outside, linked = (tmp_path / name for name in ("folder", "outside", "linked"))
    for path in (folder, outside, linked):
        path.mkdir()
    odd = make_wheel("odd", "1.0")
    folder.joinpath(odd.filename).write_bytes(odd.data)
    for name in _ODD_NAMES:
        folder.joinpath(name).write_bytes(odd.data)
    for number, path in enumerate([Path("/proc/self/mem"), Path("/dev/zero"), Path("nowhere")]):
        folder.joinpath(f"odd-2.{number}.zip").symlink_to(path)
        folder.joinpath(f"odd-2.{number}-py3-none-any.whl").symlink_to(path)
    folder.joinpath("odd-3.0.zip").symlink_to("odd-3.0.zip")
    folder.joinpath("odd-4.0.zip").mkdir()
    os.mkfifo(folder / "odd-5.0.zip")
    os.mkfifo(folder / "odd-5.0-py3-none-any.whl")
    folder.joinpath("odd-6.0-py3-none-any.whl").write_bytes(odd.data[:-100])
    folder.joinpath("odd-7.0-py3-none-any.whl").write_bytes(b"")
    outside.joinpath("odd-8.0.zip").write_bytes(b"secret")
    linked.joinpath("odd-9.0.zip").write_bytes(b"meant to be served")
    folder.joinpath("inner").symlink_to(linked)
    folder.joinpath("again").symlink_to(folder)
    linked.joinpath("again").symlink_to(folder)
    sound = {odd.filename, "odd-9.0.zip"}
    with serving(folder) as server:
        for accept in ("*/*", "text/html"):
            answer = get(f"{server.index_url}/odd/", f"Accept: {accept}")
            assert answer.status == 200, server.output
            assert set(re.findall(r'odd-[^"<>/#]*\.(?:whl|zip)', answer.text)) == sound
        assert get(files_of(server.index_url, "odd")[odd.filename]).body == odd.data
        assert get(f"{server.url}/").status == 200
        for name in ("../outside/odd-8.0.zip", "..%2foutside%2fodd-8.0.zip", "inner/odd-9.0.zip"):
            assert get(f"{server.url}/files/unverified/odd/{name}").status == 404


# ---------------------------------------------------------------- names and their addresses


class _System(AbstractResolver):
    """A system's resolver that knows what the test says."""

    def __init__(self, **addresses: str) -> None:
        self.addresses = {name.replace("_", "."): each for name, each in addresses.items()}

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        addresses = self.addresses[host].split()
        return [
            ResolveResult(hostname=host, host=each, port=port, family=family, proto=0, flags=0)
            for each in addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


def _resolver(index_url: str, **addresses: str) -> tuple[Reach, ReachResolver]:
    reach = Reach(index_url)
    return reach, ReachResolver(reach, _System(**addresses))


async def test_a_public_upstream_names_no_private_address() -> None:
    for address in [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),  # noqa: S104
        *("169.254.169.254", "100.64.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "255.255.255.255", "192.0.2.1"),
        *("64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1", "2002:7f00:1::"),
    ]:
        _, resolver = _resolver("https://index.example/simple", files_example=address)
        with pytest.raises(Refused, match="private address"):
            await resolver.resolve("files.example", 443)


async def test_of_several_addresses_only_those_in_reach_are_taken() -> None:
    known = {"files_example": "127.0.0.1 9.9.9.9 10.0.0.1"}
    _, resolver = _resolver("https://index.example/simple", **known)
    (found,) = await resolver.resolve("files.example", 443)
    assert ip_address(found["host"]).is_global


async def test_a_private_upstream_reaches_its_network_but_not_this_machine() -> None:
    known = {"files_example": "10.0.0.2", "evil_example": "127.0.0.1"}
    _, resolver = _resolver("https://10.0.0.1/simple", **known)
    assert await resolver.resolve("files.example", 443)
    with pytest.raises(Refused):
        await resolver.resolve("evil.example", 443)


async def test_an_index_with_a_private_address_reaches_that_and_nothing_else_inside() -> None:
    system = {"index_example": "10.0.0.1 10.0.0.2", "files_example": "10.0.0.2 127.0.0.1"}
    others = {"inner_example": "10.0.0.3", "evil_example": "127.0.0.1", "cloud_example": CLOUD}
    _, resolver = _resolver("https://index.example/simple", **system, **others)
    with pytest.raises(Refused):
        await resolver.resolve("files.example", 443)
    assert len(await resolver.resolve("index.example", 443)) == 2
    assert [each["host"] for each in await resolver.resolve("files.example", 443)] == ["10.0.0.2"]
    for name in ("inner.example", "evil.example", "cloud.example"):
        with pytest.raises(Refused, match="private address"):
            await resolver.resolve(name, 443)


CLOUD = "169.254.169.254"


@pytest.mark.parametrize("inside", ["127.0.0.1", "10.0.0.1", CLOUD, "64:ff9b::127.0.0.1", "::1"])
async def test_one_private_address_among_public_ones_opens_nothing(inside: str) -> None:
    known = {"index_example": f"9.9.9.9 {inside}", "files_example": inside}
    _, resolver = _resolver("https://index.example/simple", **known)
    assert [each["host"] for each in await resolver.resolve("index.example", 443)] == ["9.9.9.9"]
    with pytest.raises(Refused):
        await resolver.resolve("files.example", 443)


async def test_an_index_that_moves_out_of_the_private_network_reaches_it_no_more() -> None:
    reach = Reach("https://index.example/simple")
    system = _System(index_example="10.0.0.1", files_example="10.0.0.1")
    resolver = ReachResolver(reach, system)
    await resolver.resolve("index.example", 443)
    assert await resolver.resolve("files.example", 443)
    reach.check_name("https://10.0.0.1/x")
    reach.check_name("https://files/x")
    system.addresses["index.example"] = "9.9.9.9"
    await resolver.resolve("index.example", 443)
    with pytest.raises(Refused):
        await resolver.resolve("files.example", 443)
    for name in ("10.0.0.1", "files"):
        with pytest.raises(Refused):
            reach.check_name(f"https://{name}/x")


@pytest.mark.parametrize("own", ["127.0.0.1", "127.0.1.1 ::1", CLOUD, "fe80::1%eth0"])
async def test_a_public_name_is_no_name_of_this_machine(own: str) -> None:
    _, resolver = _resolver("https://index.example/simple", index_example=own)
    with pytest.raises(Refused, match=r"index\.example: its public name leads to .*; if that is"):
        await resolver.resolve("index.example", 443)


@pytest.mark.parametrize("own", ["nas.local", "pypi", "localhost", "127.0.0.1", CLOUD])
async def test_what_is_named_by_a_name_of_the_local_network_is_reached(own: str) -> None:
    reach = Reach(f"http://{own}/simple")
    system = _System()
    system.addresses = {own: "127.0.0.1 10.0.0.1 fe80::1%eth0"}
    assert len(await ReachResolver(reach, system).resolve(own, 80)) == 3
    reach.check_name(f"http://{own}/simple/x/")
    with pytest.raises(Refused):
        reach.check_name("http://169.254.169.253/x")


async def test_a_proxy_is_reached_wherever_it_stands() -> None:
    known = {"proxy_example": "10.0.0.1", "files_example": "10.0.0.2"}
    reach, resolver = _resolver("https://index.example/simple", **known)
    reach.trust("proxy.example")
    assert await resolver.resolve("proxy.example", 3128)
    with pytest.raises(Refused):
        await resolver.resolve("files.example", 443)


async def test_a_public_name_with_a_private_address_is_never_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = Server(lambda _: Response(body=b"secret"))
    system = _System(index_example="9.9.9.9", files_example=LOOPBACK)
    monkeypatch.setattr(ThreadedResolver, "resolve", lambda _, *where: system.resolve(*where))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    client = UpstreamClient("http://index.example/simple", login=None, timeout=TIMEOUT)
    try:
        with pytest.raises(UpstreamError, match="private address"):
            async with client.get(f"http://files.example:{asked.port}/x", {}):
                raise AssertionError
        system.addresses["index.example"] = LOOPBACK
        with pytest.raises(UpstreamError, match="its public name leads to 127"):
            async with client.get(f"http://index.example:{asked.port}/simple/x/", {}):
                raise AssertionError
        assert asked.connections == 0
    finally:
        await client.close()
        asked.close()


@pytest.mark.parametrize("known", [True, False])
async def test_below_an_https_index_plain_http_carries_only_what_a_digest_proves(
    known: bool,
) -> None:
    asked = Server(lambda _: Response(body=b"x"))
    client = UpstreamClient(f"https://{LOOPBACK}/simple", login=None, timeout=TIMEOUT)
    try:
        url = f"http://{LOOPBACK}:{asked.port}/x"
        if known:
            async with client.get(url, {}, known=True) as answer:
                assert await answer.read() == b"x"
        else:
            with pytest.raises(UpstreamError, match="plain http"):
                async with client.get(url, {}):
                    raise AssertionError
    finally:
        await client.close()
        asked.close()
    assert asked.connections == int(known)
