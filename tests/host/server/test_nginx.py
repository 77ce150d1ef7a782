"""nginx in front of the server, with the settings of the documents, serves what it has cached."""

import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from pyodide_mirror.server import create_app
from pyodide_mirror.server.running.run import server_config
from tests.docs.tables import ROOT
from tests.support.server_stock import stock, stocked
from tests.support.server_wire import Answer, assert_readable, exchange
from tests.support.static_hosts import free_port, nginx_with
from tests.support.wheels import make_wheel

FILES = stock(2, 300_000)
WHEEL = make_wheel("ours", "1.0")
JSON = "Accept: application/vnd.pypi.simple.v1+json"


def _settings(scratch: Path, ours: int, port: int) -> str:
    """The block of the documents, with the places and ports of this test."""
    text = (ROOT / "docs" / "scaling.md").read_text("utf-8")
    (block,) = re.findall(r"```nginx\n(.*?)```", text, re.DOTALL)
    block = block.replace("/var/cache/nginx/mirror", f"{scratch}/cache")
    block = block.replace("127.0.0.1:8080", f"127.0.0.1:{ours}")
    block = block.replace("listen 80;", f"listen 127.0.0.1:{port};")
    return f"access_log off;\nerror_log stderr crit;\n{block}"


@dataclass
class Place:
    """nginx, and what it has asked of the server behind it: counts by path."""

    url: str
    asked: Counter[str]

    def get(self, path: str, *headers: str, method: str = "GET") -> Answer:
        host = self.url.removeprefix("http://")
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
        (answer,) = exchange(self.url, ("\r\n".join([*lines, "", ""])).encode(), method)
        return answer

    def file(self, project: str, number: int = 0) -> str:
        """The path of a file on a page."""
        url = self.get(f"/simple/{project}/", JSON).document["files"][number]["url"]
        assert url.startswith(f"{self.url}/"), "not that of the server behind it"
        return str(url.removeprefix(self.url))


@contextmanager
def _counted(app: Any, asked: Counter[str]) -> Iterator[int]:
    """Serve an application by a thread; yields the port."""

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            asked[scope["path"]] += 1
        await app(scope, receive, send)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(server_config(counting))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _in_front(scratch: Path, ours: int) -> Iterator[str]:
    port = free_port()
    scratch.mkdir()
    with nginx_with(_settings(scratch, ours, port), scratch, port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def place(scratch: Path, **given: Any) -> Iterator[Place]:
    asked: Counter[str] = Counter()
    app = create_app(cache=scratch / "ours", **given)
    with _counted(app, asked) as port, _in_front(scratch / "nginx", port) as url:
        yield Place(url, asked)


def test_pages_and_files_of_upstreams_are_asked_for_once(tmp_path: Path) -> None:
    with stocked(FILES) as upstream, place(tmp_path, upstreams=[upstream.url]) as nginx:
        path = nginx.file("stock")
        answers = [nginx.get(path) for _ in range(3)]
        part = nginx.get(path, "Range: bytes=100-199")
        known = nginx.get(path, f"If-None-Match: {answers[0].headers['etag']}")
        head = nginx.get(path, method="HEAD")
        for answer in (*answers, part, known, head):
            assert_readable(answer)
        assert {each.body for each in answers} == {FILES["stock-0.0.zip"]}
        assert (part.status, part.body) == (206, FILES["stock-0.0.zip"][100:200])
        assert (known.status, head.status, head.body) == (304, 200, b"")
        assert nginx.asked[path] == 1
        for _ in range(3):
            page = nginx.get("/simple/stock/", JSON)
            html = nginx.get("/simple/stock/", "Accept: text/html")
            assert page.document["name"] == "stock"
            assert "<!DOCTYPE html>" in html.text
        assert nginx.asked["/simple/stock/"] == 2, "one in JSON, one in HTML"


def test_another_name_of_the_host_has_pages_of_its_own(tmp_path: Path) -> None:
    with stocked(FILES) as upstream, place(tmp_path, upstreams=[upstream.url]) as nginx:
        nginx.file("stock")
        port = nginx.url.rpartition(":")[2]
        sent = f"GET /simple/stock/ HTTP/1.1\r\nHost: localhost:{port}\r\n{JSON}\r\n"
        (answer,) = exchange(nginx.url, f"{sent}Connection: close\r\n\r\n".encode())
        assert answer.document["files"][0]["url"].startswith(f"http://localhost:{port}/files/")


def test_errors_and_what_is_in_a_folder_are_asked_for_each_time(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / WHEEL.filename).write_bytes(WHEEL.data)
    with place(tmp_path, folder=folder, upstreams=[]) as nginx:
        path = nginx.file("ours")
        for _ in range(2):
            assert nginx.get(path).body == WHEEL.data
            assert nginx.get("/simple/nothing/", JSON).status == 404
        assert nginx.asked[path] == nginx.asked["/simple/nothing/"] == 2
        (folder / WHEEL.filename).unlink()
        assert nginx.get("/simple/ours/", JSON).status == 404


def test_what_needs_a_login_is_kept_for_nobody_else(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("read abcdefghijklmnopqrstuvwxyz0123456789\n")
    given = {"token_file": tmp_path / "tokens"}
    bearer = "Authorization: Bearer abcdefghijklmnopqrstuvwxyz0123456789"
    with stocked(FILES) as upstream, place(tmp_path, upstreams=[upstream.url], **given) as nginx:
        page = nginx.get("/simple/stock/", JSON, bearer)
        path = page.document["files"][0]["url"].removeprefix(nginx.url)
        assert nginx.get(path, bearer).body == FILES["stock-0.0.zip"]
        assert nginx.get(path).status == 401
        assert nginx.get("/simple/stock/", JSON).status == 401


@pytest.mark.parametrize("count", [20])
def test_many_who_ask_at_once_reach_the_upstream_once(tmp_path: Path, count: int) -> None:
    with stocked(FILES) as upstream, place(tmp_path, upstreams=[upstream.url]) as nginx:
        path, found = nginx.file("stock", 1), []
        threads = [
            threading.Thread(target=lambda: found.append(nginx.get(path).body))
            for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [FILES["stock-1.0.zip"]] * count
        assert upstream.counts["stock-1.0.zip"] == 1
