"""Uploads over a wire that breaks, into a server that is killed: nothing is left over."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.logins import UPLOADER
from tests.support.own_server import Serving, serving
from tests.support.server_wire import parsed
from tests.support.uploads import CONTENT_TYPE, LOGIN, form_of
from tests.support.wheels import make_wheel

pytestmark = pytest.mark.nightly
WHEEL = make_wheel("acme-tool", "1.0", padding=3_000_000)
WITHIN = 30.0


def head(server: Serving, size: int, login: str) -> bytes:
    lines = ["POST /legacy/ HTTP/1.1", f"Host: {urlsplit(server.url).netloc}"]
    lines += [f"Content-Type: {CONTENT_TYPE['content-type']}", f"Content-Length: {size}"]
    return "\r\n".join([*lines, f"Authorization: {login}", "", ""]).encode()


def connected(server: Serving) -> socket.socket:
    return socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=WITHIN)


def wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + WITHIN
    while not until():
        assert time.monotonic() < end
        time.sleep(0.02)


def received(connection: socket.socket) -> bytes:
    content = b""
    while b"\n" not in content.partition(b"\r\n\r\n")[2]:
        piece = connection.recv(65_536)
        assert piece, content
        content += piece
    return content


def test_what_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    folder, tokens = tmp_path / "uploaded", tmp_path / "tokens"
    folder.mkdir()
    tokens.write_text(f"upload {UPLOADER}\n")
    body = form_of(WHEEL)
    right = LOGIN["authorization"]

    def unfinished() -> list[int]:
        return [path.stat().st_size for path in (folder / ".uploads").iterdir()]

    options = ["--upload", str(folder), "--token-file", str(tokens)]
    with serving(options=options) as server:
        with connected(server) as connection:
            connection.sendall(head(server, len(body), right) + body[:2_500_000])
            wait(lambda: sum(unfinished()) > 1_000_000)  # it is on disk and not in memory
        wait(lambda: unfinished() == [])
        # Who is refused has sent all of it before he reads why.
        with connected(server) as connection:
            connection.sendall(head(server, len(body), "Bearer unknown") + body)
            [answer] = parsed(received(connection))
            assert answer.status == 401
        with connected(server) as connection:
            connection.sendall(head(server, 2_000_000_000, right))
            [answer] = parsed(received(connection))
            assert answer.status == 413
        with connected(server) as connection:
            connection.sendall(head(server, len(body), right) + body[:2_500_000])
            wait(lambda: sum(unfinished()) > 1_000_000)
            server.process.kill()
            server.process.wait()
        assert len(unfinished()) == 1
        assert "Traceback" not in server.output
    with serving(options=options) as server:
        assert unfinished() == []
        with connected(server) as connection:
            connection.sendall(head(server, len(body), right) + body)
            [answer] = parsed(received(connection))
            assert answer.status == 200
        with connected(server) as connection:  # a regular end in the middle of one
            connection.sendall(head(server, len(body), right) + body[:2_500_000])
            wait(lambda: sum(unfinished()) > 1_000_000)
            server.process.terminate()
            assert server.process.wait(WITHIN) == 0
        assert "Traceback" not in server.output
    assert unfinished() == []
    assert [path.name for path in folder.glob("*.whl")] == [WHEEL.filename]
