"""The slow line of the benchmark is as slow as it says, and its tables show what was measured."""

import socket
import time
from collections.abc import Iterator

import pytest

from tests.benchmarks.link import Link, Network
from tests.benchmarks.startup_tables import Measured, Run, tables
from tests.zoo.server import LOOPBACK, Response, Server

BODY = b"x" * 50_000


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server(lambda request: Response(body=BODY if request.path == "/big" else b""))
    yield started
    started.close()


def ask(connection: socket.socket, path: str) -> bytes:
    connection.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    with connection.makefile("rb") as answer:
        size = 0
        while (line := answer.readline()) != b"\r\n":
            if not line:
                raise ConnectionResetError
            size = int(line.partition(b":")[2]) if line.startswith(b"Content-Length") else size
        return answer.read(size)


def test_connections_requests_and_bytes_take_their_time(server: Server) -> None:
    with Link() as link:
        link.network = Network(round_trip=40, mbit=0)
        with socket.create_connection((LOOPBACK, link.port(server.port))) as connection:
            started = time.monotonic()
            assert ask(connection, "/") == b""
            assert time.monotonic() - started >= 0.08, "the connection, and the request"
            link.network = Network(round_trip=0, mbit=4)
            before, started = link.received, time.monotonic()
            assert ask(connection, "/big") == BODY
            assert time.monotonic() - started >= 0.1
            assert len(BODY) < link.received - before < len(BODY) + 200


def test_a_line_that_was_cut_can_be_mended(server: Server) -> None:
    with Link() as link:
        port = link.port(server.port)
        with socket.create_connection((LOOPBACK, port)) as connection:
            assert ask(connection, "/") == b""
            link.cut()
            with pytest.raises(ConnectionError):
                ask(connection, "/")
        with (
            pytest.raises(ConnectionError),
            socket.create_connection((LOOPBACK, port)) as connection,
        ):
            ask(connection, "/")
        link.mend()
        with socket.create_connection((LOOPBACK, port)) as connection:
            assert ask(connection, "/big") == BODY


def test_the_tables_show_ratios_the_floor_and_what_failed() -> None:
    found = Measured()
    for slower in (1.0, 2.0, 4.0):
        found.add("small", Run([100 * slower, 0, 0, 0, 0], 1000), ours=False)
        found.add("small", Run([50 * slower, 0, 25 * slower, 0, 0], 25_000), ours=True)
        found.add("offline", "ValueError", ours=False)
        found.add("offline", Run([1, 2, 3, 4, 5], 0), ours=True)
    compared, parts = tables(found, "firefox", 1.0, Network(30, 20))
    assert compared.rows[1:] == [
        ["one small package", "200 ms", "150 ms", "0.75", "0.75 to 0.75", "1.15", "180 ms"],
        ["tree of 19, an hour later, offline", "fails, 3 of 3", "15 ms", "", "", "", "0 ms"],
    ]
    assert parts.rows[1:] == [
        ["one small package", "plain", "200", "0", "0", "0", "0", "1"],
        ["one small package", "ours", "100", "0", "50", "0", "0", "25"],
        ["tree of 19, an hour later, offline", "ours", "1", "2", "3", "4", "5", "0"],
    ]
