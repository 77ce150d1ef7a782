"""Large bodies, read into one buffer, are what was sent, however they were sent."""

import gzip
import hashlib
import random
from collections.abc import Iterator

import pytest
from pytest_pyodide import run_in_pyodide

from tests.support.engines import BROWSERS, Engine
from tests.zoo.server import LOOPBACK, Manner, Request, Response, Server

pytestmark = pytest.mark.engines(*BROWSERS)

RANDOM = random.Random(7).randbytes(100_000)  # noqa: S311
"""What grows when it is compressed."""
EVEN = RANDOM + bytes(250_000)
"""More than twice what it is compressed."""
PARTS = [RANDOM[at : at + 20_000] for at in range(0, len(RANDOM), 20_000)]
SENT = {
    "/plain": (RANDOM, Response(body=RANDOM)),
    "/parts": (RANDOM, Response(stream=lambda: iter(PARTS), manner=Manner.CHUNKED)),
    "/grown": (RANDOM, Response(body=gzip.compress(RANDOM, 1))),
    "/packed": (EVEN, Response(body=gzip.compress(EVEN, 1))),
    "/empty": (b"", Response()),
}


def answer(request: Request) -> Response:
    path = request.path.partition("?")[0]
    response = SENT[path][1].with_header("Access-Control-Allow-Origin", "*")
    if path in {"/grown", "/packed"}:
        response = response.with_header("Content-Encoding", "gzip")
    return response


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server(answer)
    yield running
    running.close()


def url(server: Server, path: str) -> str:
    return f"http://{LOOPBACK}:{server.port}{path}"


@run_in_pyodide
async def read(selenium: Engine, url: str, max_bytes: int, hold: bool) -> tuple[str, str, int]:
    """Read the body; its digest by Python and by the browser, and how many bytes were told of."""
    import hashlib

    from pyodide_mirror.api import SESSION
    from pyodide_mirror.transport import Request, TransportError

    class Told:
        size = 0

        def headers(self, status: int, length: int | None) -> None:
            assert status == 200

        def received(self, size: int) -> None:
            self.size += size

    told = Told()
    transport = await SESSION._host.transport()
    request = Request(url, 20, max_bytes, digest=True, hold=hold)
    try:
        response = await transport.fetch(request, told)
    except TransportError as error:
        return error.failure.kind.value, "", told.size
    data = bytes(response.content)
    assert len(data) == len(response.content)
    assert (response.held is not None) == hold
    return hashlib.sha256(data).hexdigest(), response.sha256, told.size


@pytest.fixture(params=[True, False], ids=["byte streams", "other streams"])
def byte_streams(page: Engine, request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether bodies are byte streams, which those of older browsers are not."""
    page.run_js(
        """
      const prototype = ReadableStream.prototype;
      prototype.own = prototype.getReader;
      prototype.buffered = 0;
      prototype.getReader = function (options) {
        if (options?.mode && !there) throw new TypeError("no byte stream");
        const reader = prototype.own.call(this, options);
        if (options?.mode) prototype.buffered += 1;
        return reader;
      };
    """.replace("there", str(request.param).lower())
    )
    yield request.param
    page.run_js("ReadableStream.prototype.getReader = ReadableStream.prototype.own")


def test_a_body_is_what_was_sent(
    page: Engine, engine: str, server: Server, byte_streams: bool
) -> None:
    for path, (body, _) in SENT.items():
        digest = hashlib.sha256(body).hexdigest()
        for hold in (False, True):
            found = read(page, url(server, path), 1_000_000, hold)
            assert found == (digest, digest, len(body)), path
    buffered = page.run_js("return ReadableStream.prototype.buffered")
    # WebKit's bodies are no byte streams (yet).
    assert buffered > 0 or not byte_streams or engine.startswith("webkit")


@pytest.mark.parametrize("path", ["/plain", "/parts", "/packed"])
def test_a_body_that_is_too_large_is_not_read(page: Engine, server: Server, path: str) -> None:
    kind, _, told = read(page, url(server, path), 90_000, hold=False)
    assert kind == "too-large"
    assert told <= 400_000
