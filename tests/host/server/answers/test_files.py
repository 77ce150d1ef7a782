"""Files from disk: in large pieces, without waiting, and whatever happens to them meanwhile."""

import asyncio
import os
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from pyodide_mirror.model import File
from pyodide_mirror.server.answers import files
from pyodide_mirror.server.answers.files import file_answer
from pyodide_mirror.server.source import Stored

NAME = "x-1.0-py3-none-any.whl"
DATA = os.urandom(1_000_000)


@dataclass
class Client:
    """Someone who asks for the file, and leaves after so many messages."""

    path: Path
    headers: dict[str, str] = field(default_factory=dict)
    leaves_after: int | None = None
    messages: list[MutableMapping[str, Any]] = field(default_factory=list)
    method: str = "GET"

    async def ask(self) -> None:
        left = asyncio.Event()
        scope = {
            "type": "http",
            "method": self.method,
            "headers": [(name.encode(), value.encode()) for name, value in self.headers.items()],
        }

        async def receive() -> MutableMapping[str, Any]:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            self.messages.append(message)
            if len(self.messages) == self.leaves_after:
                left.set()

        file = File(filename=NAME, url="https://files.example/x", hashes={})
        made = await file_answer(Request(scope), file, Stored(self.path), caching="no-cache")
        await made(scope, receive, send)

    @property
    def pieces(self) -> list[bytes]:
        return [message["body"] for message in self.messages[1:]]

    @property
    def complete(self) -> bool:
        return not self.messages[-1].get("more_body", True)

    def header(self, name: str) -> str:
        found = dict(self.messages[0]["headers"])
        return str(found.get(name.encode(), b"").decode())


@pytest.fixture(params=["without waiting", "by threads", "not in memory"])
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file; as systems differ in how they read it."""
    if request.param == "by threads":
        monkeypatch.setattr(files, "_NO_WAIT", 0)
    elif request.param == "not in memory":

        def refuse(*_: object) -> int:
            raise BlockingIOError

        monkeypatch.setattr(files, "_NO_WAIT", 8)
        monkeypatch.setattr(os, "preadv", refuse, raising=False)
    elif not files._NO_WAIT:
        pytest.skip("this system cannot")
    made = tmp_path / NAME
    made.write_bytes(DATA)
    return made


async def test_it_goes_out_in_large_pieces(path: Path) -> None:
    client = Client(path)
    await client.ask()
    assert b"".join(client.pieces) == DATA
    assert client.complete
    assert len(client.pieces) == 5
    assert client.header("content-length") == str(len(DATA))


async def test_a_part_of_it_is_what_was_asked_for(path: Path) -> None:
    client = Client(path, {"range": "bytes=250000-750000"})
    await client.ask()
    assert b"".join(client.pieces) == DATA[250_000:750_001]
    assert client.complete


@pytest.mark.parametrize("header", ["etag", "last-modified"])
async def test_what_names_it_serves_as_a_condition(path: Path, header: str) -> None:
    first = Client(path, method="HEAD")
    await first.ask()
    assert first.pieces == [b""]
    client = Client(path, {"range": "bytes=0-9", "if-range": first.header(header)})
    await client.ask()
    assert client.pieces[0] == DATA[:10]


async def test_nothing_is_read_for_who_has_left(path: Path) -> None:
    client = Client(path, leaves_after=2)
    await client.ask()
    assert len(client.pieces) <= 3


async def test_one_that_is_cut_meanwhile_is_not_completed(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Cutting(Client):
        async def ask(self) -> None:
            file = File(filename=NAME, url="https://files.example/x", hashes={})
            scope = {"type": "http", "method": "GET", "headers": []}
            made = await file_answer(Request(scope), file, Stored(self.path), caching="no-cache")
            os.truncate(self.path, 300_000)

            async def receive() -> MutableMapping[str, Any]:
                await asyncio.Event().wait()
                raise AssertionError

            async def send(message: MutableMapping[str, Any]) -> None:
                self.messages.append(message)

            await made(scope, receive, send)

    client = Cutting(path)
    await client.ask()
    assert b"".join(client.pieces) == DATA[:300_000]
    assert not client.complete
    assert "a file became shorter while it was sent" in caplog.text


async def test_one_that_is_gone_is_told_before_anything_is_sent(path: Path) -> None:
    os.unlink(path)  # noqa: PTH108  # pathlib's would be called blocking
    client = Client(path)
    with pytest.raises(FileNotFoundError):
        await client.ask()
    assert client.messages == []


async def test_an_empty_one_has_no_part(path: Path) -> None:
    os.truncate(path, 0)
    whole, part = Client(path), Client(path, {"range": "bytes=0-"})
    await whole.ask()
    await part.ask()
    assert (whole.messages[0]["status"], part.messages[0]["status"]) == (200, 416)
    assert part.header("content-range") == "bytes */0"
