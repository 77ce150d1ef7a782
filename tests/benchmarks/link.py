"""A slow line between a browser and servers of this machine: round trips, bandwidth, a cut."""

import asyncio
import threading
from contextlib import suppress
from typing import NamedTuple, Self

from tests.zoo.server import LOOPBACK

_PIECE = 4096
"""Bytes that go over the line at once: 1.6 ms at 20 Mbit/s."""


class Network(NamedTuple):
    """What a line is like: milliseconds of a round trip, and Mbit/s down, 0 for no limit."""

    round_trip: float = 30.0
    mbit: float = 20.0

    def __str__(self) -> str:
        speed = f"{self.mbit:g} Mbit/s" if self.mbit else "any bandwidth"
        return f"{self.round_trip:g} ms, {speed}"

    def seconds(self, trips: int, received: float) -> float:
        """Return what no client can be faster than, for trips that wait for one another."""
        transfer = received * 8 / (self.mbit * 1e6) if self.mbit else 0.0
        return max(trips * self.round_trip / 1000, transfer)  # bytes may come in these trips


class Link:
    """Ports that lead to other ports of this machine over one line; a context manager.

    A connection takes a round trip, and so does a request; all connections share the bandwidth, in
    the order of arrival. TCP's slow start and lost packets are left out. ``received`` counts bytes.
    """

    def __init__(self) -> None:
        self.network = Network(0, 0)
        self.received = 0
        self._is_cut = False
        self._free_at = 0.0
        self._ports: dict[int, int] = {}
        self._servers: list[asyncio.Server] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def port(self, target: int) -> int:
        """Return the port at which ``target`` is to be had over this line."""
        if target not in self._ports:
            work = asyncio.run_coroutine_threadsafe(self._listen(target), self._loop)
            self._ports[target] = work.result()
        return self._ports[target]

    def cut(self) -> None:
        """End all connections, and refuse others until `mend`."""
        self._is_cut = True

        asyncio.run_coroutine_threadsafe(self._abort(), self._loop).result()

    def mend(self) -> None:
        """Let connections through again."""
        self._is_cut = False

    async def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        await self._abort()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _listen(self, target: int) -> int:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self._is_cut:
                writer.transport.abort()
                return
            there = await asyncio.open_connection(LOOPBACK, target)
            self._writers |= {writer, there[1]}
            await asyncio.gather(
                self._carry(reader, there[1], opening=self.network.round_trip / 1000),
                self._carry(there[0], writer, down=True),
            )
            self._writers -= {writer, there[1]}

        server = await asyncio.start_server(serve, LOOPBACK, 0)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        down: bool = False,
        opening: float = 0.0,
    ) -> None:
        """Carry bytes one way; the first ones wait for the connection's own round trip."""
        under_way = asyncio.Queue[tuple[float, bytes]]()
        putting = asyncio.ensure_future(self._deliver(under_way, writer))
        with suppress(OSError):
            while piece := await reader.read(_PIECE):
                arrives = self._sent_at(len(piece)) if down else self._loop.time()
                under_way.put_nowait((arrives + self.network.round_trip / 2000 + opening, piece))
                opening = 0.0
        under_way.put_nowait((0.0, b""))
        await putting

    def _sent_at(self, size: int) -> float:
        """When a piece has gone out, after those of all connections that came before it."""
        self.received += size
        speed = self.network.mbit * 1e6 / 8
        now = self._loop.time()
        self._free_at = max(now, self._free_at) + size / speed if speed else now
        return self._free_at

    async def _deliver(
        self, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while piece := (await self._next(under_way)):
                writer.write(piece)
                await writer.drain()
        with suppress(OSError):
            writer.close()

    async def _next(self, under_way: asyncio.Queue[tuple[float, bytes]]) -> bytes:
        arrives, piece = await under_way.get()
        await asyncio.sleep(arrives - self._loop.time())
        return piece
