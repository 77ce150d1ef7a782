"""Files that the kernel copies into the connection."""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from pyodide_mirror.server.running.run import server_config
from pyodide_mirror.server.web import zero_copy
from pyodide_mirror.server.web.zero_copy import ZERO_COPY, ZeroCopy
from tests.support.own_server import Served, serving_here
from tests.support.server_wire import Costs, connected, everything, files_of, get, parsed
from tests.support.wheels import make_wheel

pytestmark = pytest.mark.skipif(not hasattr(os, "sendfile"), reason="the kernel cannot")

WHEEL = make_wheel("big", "1.0", padding=3_000_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wheels")
    (made / WHEEL.filename).write_bytes(WHEEL.data)
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Served]:
    with serving_here(folder) as running:
        yield running


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of each piece that the kernel has copied."""
    counts, real = [], os.sendfile

    def sendfile(out: int, file: int, offset: int, count: int) -> int:
        counts.append(real(out, file, offset, count))
        return counts[-1]

    monkeypatch.setattr(os, "sendfile", sendfile)
    return counts


def _request(url: str, *headers: str, method: str = "GET") -> bytes:
    path = "/" + url.split("/", 3)[3]
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def test_whole_files_and_parts_come_one_after_the_other(server: Served, sent: list[int]) -> None:
    url = files_of(server.index_url, "big")[WHEEL.filename]
    with connected(server.url) as client:
        client.sendall(
            _request(url)
            + _request(url, "Range: bytes=1000-2000999")
            + _request(url, method="HEAD")
            + _request(url, "Range: bytes=5-9")
            + _request(url, "Connection: close")
        )
        answers = parsed(everything(client), "GET", "GET", "HEAD")
    assert [each.status for each in answers] == [200, 206, 200, 206, 200]
    assert [each.body for each in answers] == [
        WHEEL.data,
        WHEEL.data[1000:2_001_000],
        b"",
        WHEEL.data[5:10],
        WHEEL.data,
    ]
    assert sum(sent) == 2 * len(WHEEL.data) + 2_000_000, "what is small is not worth it"


def test_what_is_removed_or_replaced_meanwhile_is_sent_as_it_was(
    server: Served, folder: Path
) -> None:
    url = files_of(server.index_url, "big")[WHEEL.filename]
    path = folder / WHEEL.filename
    with connected(server.url, receive_buffer=4096) as client:
        client.sendall(_request(url, "Connection: close"))
        begun = client.recv(1000)
        path.unlink()
        path.write_bytes(b"another")
        (answer,) = parsed(begun + everything(client))
    path.write_bytes(WHEEL.data)
    assert answer.body == WHEEL.data


def test_clients_that_leave_leave_nothing_open(server: Served) -> None:
    url = files_of(server.index_url, "big")[WHEEL.filename]
    costs = Costs(os.getpid())
    before = costs.open_files
    for _ in range(30):
        with connected(server.url, receive_buffer=4096) as client:
            client.sendall(_request(url))
            assert client.recv(1)
    while costs.open_files > before + 3:
        assert get(f"{server.url}/healthz").status == 200  # until it has noticed


@pytest.mark.parametrize("told", [0, os.EX_OSERR], ids=["cannot tell", "is not in memory"])
def test_what_is_not_in_memory_is_read_by_a_thread(
    server: Served, monkeypatch: pytest.MonkeyPatch, told: int
) -> None:
    read: list[int] = []
    real = os.pread

    def pread(file: int, size: int, at: int) -> bytes:
        read.append(size)
        return real(file, size, at)

    def refuse(*_: object) -> int:
        raise BlockingIOError

    monkeypatch.setattr(zero_copy, "_NO_WAIT", told)
    monkeypatch.setattr(os, "preadv", refuse, raising=False)
    monkeypatch.setattr(os, "pread", pread)
    url = files_of(server.index_url, "big")[WHEEL.filename]
    assert get(url).body == WHEEL.data
    assert sum(read) >= len(WHEEL.data)


async def _sendable(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    head = {"type": "http.response.start", "status": 200}
    if scope["path"] == "/chunked":
        await send(head)
    else:
        await send({**head, "headers": [(b"content-length", b"5")]})
    with Path(scope["state"]["path"]).open("rb") as file:  # noqa: ASYNC230  # nothing else runs
        await send({"type": ZERO_COPY, "file": file, "count": 9 if scope["path"] == "/more" else 5})


@pytest.fixture
async def ask(tmp_path: Path) -> Callable[[str], Any]:
    """Ask an application that sends by the extension whatever it is asked for."""
    (tmp_path / "file").write_bytes(b"content of a file")

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["state"]["path"] = tmp_path / "file"
            await _sendable(scope, receive, send)

    async def asked(path: str) -> bytes:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            config = server_config(app)  # type: ignore[arg-type]
            config.lifespan = "off"
            running = uvicorn.Server(config)
            serving = asyncio.ensure_future(running.serve([listening]))
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            received = await reader.read()
            writer.close()
            running.should_exit = True
            await serving
            return received

    return asked


async def test_any_application_can_send_by_it(ask: Callable[[str], Any]) -> None:
    assert (await ask("/")).endswith(b"\r\n\r\nconte")


@pytest.mark.parametrize("path", ["/more", "/chunked"])
async def test_what_does_not_fit_the_head_is_not_sent(
    ask: Callable[[str], Any], path: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert b"\r\n\r\nconte" not in await ask(path)
    assert "longer than Content-Length" in caplog.text or "needs a response with" in caplog.text


class _Transport:
    def __init__(self, **told: object) -> None:
        self.get_extra_info = told.get


def test_tls_has_to_see_each_byte() -> None:
    with socket.socket() as plain:
        assert ZeroCopy(_Transport(socket=plain), 1).is_possible
        assert not ZeroCopy(_Transport(socket=plain, sslcontext=object()), 1).is_possible
    assert not ZeroCopy(_Transport(), 1).is_possible


def test_the_log_says_who_left_and_who_got_all(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "pyodide_mirror.access")
    with serving_here(folder, access_log="json") as running:
        url = files_of(running.index_url, "big")[WHEEL.filename]
        assert get(url).body == WHEEL.data
        with connected(running.url, receive_buffer=4096) as client:
            client.sendall(_request(url))
            assert client.recv(1)
    told = [json.loads(record.getMessage()) for record in caplog.records]
    (whole, cut) = [each for each in told if each["path"].startswith("/files/")]
    assert (whole["end"], whole["bytes"]) == ("complete", len(WHEEL.data))
    assert cut["end"] == "left"
