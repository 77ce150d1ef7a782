"""Two hundred clients at once: no error, one request upstream, and memory that stays small."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import aiohttp
import pytest

from tests.support.own_server import Serving, serving
from tests.support.server_stock import Stock, stock, stocked
from tests.support.server_wire import Costs, connected, everything, files_of, get, parsed, sha256

MB = 1024 * 1024
CLIENTS = 200
PEAK = 100
"""MB beyond what an idle server has: 200 clients of 256 KB each would be 50."""


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Stock, Serving]]:
    """An upstream, and a server over it; each test puts up a project that nobody asked for yet."""
    with stocked({}) as upstream, serving(upstreams=[upstream.url]) as server:
        yield upstream, server
        assert "Traceback" not in server.output, server.output


async def _downloaded(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as answer:
        assert answer.status == 200, answer
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        return sha256(await answer.read())


async def _everybody(wanted: list[tuple[str, str]], digests: Mapping[str, str]) -> None:
    """Let each have its file at the same time as all others; ``wanted``: digests' keys and URLs."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        found = await asyncio.gather(*(_downloaded(session, url) for _, url in wanted))
    for (name, _), digest in zip(wanted, found, strict=True):
        assert digest == digests[name], name


async def test_two_hundred_clients_are_served_cold_and_warm(place: tuple[Stock, Serving]) -> None:
    upstream, server = place
    small = stock(20, 100_000, "mixed")
    large, content = next(iter(stock(1, 4 * MB, "large").items()))
    large = large.replace("large-", "mixed-9")
    upstream.files |= small | {large: content}
    digests = {name: sha256(upstream.files[name]) for name in (*small, large)}
    upstream.counts.clear()
    urls = await asyncio.to_thread(files_of, server.index_url, "mixed")
    costs = Costs(server.process.pid)
    before = costs.now
    costs.forget_peak()
    # Each tenth wants the large one; the others, all small ones in some order.
    order = random.Random(4)  # noqa: S311  # the same in every run
    wanted = [large if n % 10 == 0 else order.choice(list(small)) for n in range(CLIENTS)]
    every = [(name, urls[name]) for name in wanted]
    await _everybody(every, digests)
    cold = costs.peak - before
    asked = Counter(upstream.counts)
    costs.forget_peak()
    await _everybody(every, digests)
    warm = costs.peak - before
    print(f"peak beyond {before:.0f} MB: cold {cold:.0f} MB, warm {warm:.0f} MB")
    assert asked == {"mixed": 1, **dict.fromkeys(wanted, 1)}
    assert upstream.counts == asked
    assert cold < PEAK
    assert warm < PEAK


async def test_two_hundred_clients_of_one_cold_file_cause_one_request(
    place: tuple[Stock, Serving],
) -> None:
    upstream, server = place
    ((name, content),) = stock(1, MB, "cold").items()
    upstream.files[name] = content
    url = (await asyncio.to_thread(files_of, server.index_url, "cold"))[name]
    costs = Costs(server.process.pid)
    before = costs.now
    costs.forget_peak()
    upstream.hold_again(lambda _: len(content) // 2)
    upstream.last_byte_sent.clear()
    reached = [asyncio.Event() for _ in range(CLIENTS)]

    async def download(session: aiohttp.ClientSession, event: asyncio.Event) -> str:
        async with session.get(url) as answer:
            first = await answer.content.readexactly(len(content) // 2 - 1)
            event.set()
            return sha256(first + await answer.read())

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        clients = [asyncio.ensure_future(download(session, event)) for event in reached]
        await asyncio.gather(*(event.wait() for event in reached))
        # All have its first half before the upstream has sent the second one.
        assert not upstream.last_byte_sent.is_set()
        upstream.release()
        assert set(await asyncio.gather(*clients)) == {sha256(content)}
    assert upstream.counts[name] == 1
    assert upstream.counts["cold"] == 1
    cost = costs.peak - before
    print(f"peak beyond {before:.0f} MB: {cost:.0f} MB")
    assert cost < PEAK


async def test_two_hundred_clients_of_one_cold_page_cause_one_request(
    place: tuple[Stock, Serving],
) -> None:
    upstream, server = place
    upstream.files |= stock(20, 1_000, "page")

    async def page(session: aiohttp.ClientSession) -> bytes:
        async with session.get(f"{server.index_url}/page/") as answer:
            assert answer.status == 200
            return await answer.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        pages = await asyncio.gather(*(page(session) for _ in range(CLIENTS)))
    assert len(set(pages)) == 1
    assert upstream.counts["page"] == 1


def _half(server: Serving, stack: ExitStack, url: str, size: int) -> tuple[object, bytes]:
    connection = stack.enter_context(connected(server.url))
    path = url.removeprefix(server.url)
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    received = b""
    while len(received.partition(b"\r\n\r\n")[2]) < size:
        received += connection.recv(1 << 16)
    return connection, received


@pytest.mark.parametrize("leaves", ["first", "second", "both"])
def test_a_client_that_leaves_does_not_stop_the_other(
    place: tuple[Stock, Serving], leaves: str
) -> None:
    upstream, server = place
    ((name, content),) = stock(1, 100_000, f"leave{leaves}").items()
    upstream.files[name] = content
    url = files_of(server.index_url, f"leave{leaves}")[name]
    upstream.hold_again(lambda _: 50_000)
    with ExitStack() as one, ExitStack() as other:
        first, first_half = _half(server, one, url, 49_999)
        second, second_half = _half(server, other, url, 49_999)
        if leaves in {"first", "both"}:
            one.close()
        if leaves in {"second", "both"}:
            other.close()
        upstream.release()
        stay = {"first": (second, second_half), "second": (first, first_half)}.get(leaves)
        if stay is not None:
            connection, received = stay
            (answer,) = parsed(received + everything(connection))  # type: ignore[arg-type]
            assert answer.body == content
    assert get(url).body == content
    assert upstream.counts[name] == 1


def test_nothing_is_left_open_when_clients_leave_half_way(place: tuple[Stock, Serving]) -> None:
    upstream, server = place
    ((name, content),) = stock(1, 100_000, "left").items()
    upstream.files[name] = content
    upstream.hold_again(lambda _: None)
    url = files_of(server.index_url, "left")[name]
    assert get(url).status == 200
    costs = Costs(server.process.pid)
    before = costs.open_files
    path = url.removeprefix(server.url)
    for _ in range(100):
        with connected(server.url) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert client.recv(1)
    while costs.open_files > before + 5:
        assert get(f"{server.url}/healthz").status == 200  # until it has noticed
    assert upstream.counts[name] == 1
