"""Files that the kernel copies into the connection: ASGI's extension "Zero Copy Send" for uvicorn.

A file of 20 MB costs half of what pieces cost that Python reads and writes. An application hands
over an open file, so that it may be removed from its folder, or be replaced, while it is sent.

granian 2.8, whose extension takes a path, was tried with the same application and costs more: it
reads files itself, in pieces of 128 KiB. And it counts idle connections among its requests at once,
waits without end for clients that do not read, and takes a request with two lengths.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from starlette.types import Message, Scope, Send

ZERO_COPY: Final = "http.response.zerocopysend"
"""The extension's name, and the type of its message."""
_PIECE: Final = 1024 * 1024
"""Bytes that are copied at a time: other clients wait some 0.3 ms for it."""
_NO_WAIT: Final = getattr(os, "RWF_NOWAIT", 0)
_CAN_SEND: Final = hasattr(os, "sendfile")


class ShortFileError(Exception):
    """A file that became shorter while it was sent."""


class ZeroCopy:
    """The extension for one connection. ``within``: seconds in which a client must read more."""

    def __init__(self, transport: Any, within: float) -> None:
        self._transport = transport
        self._within = within
        self._moved = asyncio.Event()

    @property
    def is_possible(self) -> bool:
        """Whether the connection is a plain socket: TLS has to see each byte."""
        told = self._transport.get_extra_info
        return _CAN_SEND and told("sslcontext") is None and told("socket") is not None

    def lost(self) -> None:
        """Note that the connection is closed."""
        self._moved.set()

    def offered(self, scope: Scope, cycle: Any, send: Send) -> Send:
        """Add the extension to a request's scope; returns the ``send`` that knows its message."""
        if not self.is_possible:
            return send
        scope.setdefault("extensions", {})[ZERO_COPY] = {}

        async def send_any(message: Message) -> None:
            if message["type"] != ZERO_COPY:
                await send(message)
            else:
                await self._send(cycle, message)
                more = message.get("more_body", False)
                await send({"type": "http.response.body", "body": b"", "more_body": more})

        return send_any

    async def _send(self, cycle: Any, message: Message) -> None:
        """Send a part of a file; ConnectionError if the client has left, or ShortFileError."""
        if cycle.chunked_encoding is not False:
            raise RuntimeError("zero copy send needs a response with a Content-Length")
        file = message["file"].fileno()
        start = message.get("offset", 0)
        count = message.get("count", cycle.expected_content_length)
        if count > cycle.expected_content_length:
            raise RuntimeError("Response content longer than Content-Length")
        await self._flush(cycle)
        if cycle.disconnected or self._transport.is_closing():
            raise ConnectionAbortedError
        # Not the transport's own number: once that is closed, another client may get it.
        out = os.dup(self._transport.get_extra_info("socket").fileno())
        try:
            await self._copy(cycle, out, file, start, count)
        except ConnectionError:
            self._transport.abort()
            raise
        finally:
            os.close(out)
        cycle.expected_content_length -= count

    async def _flush(self, cycle: Any) -> None:
        """Wait until all that was written before has been sent."""
        if self._transport.get_write_buffer_size():
            await asyncio.sleep(0)  # it is written once per turn of the loop
        if self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(high=0)
            await cycle.flow.drain()
            self._transport.set_write_buffer_limits()

    async def _copy(self, cycle: Any, out: int, file: int, start: int, count: int) -> None:
        """Copy all of it; raises as :meth:`_send`."""
        at, end = start, start + count
        while at < end:
            if cycle.disconnected:
                raise ConnectionAbortedError
            size = min(_PIECE, end - at)
            await _bring(file, at, size)
            try:
                sent = os.sendfile(out, file, at, size)
            except BlockingIOError:
                await self._writable(out)
                continue
            if not sent:
                raise ShortFileError
            at += sent
            if sent < size:  # there is no more room, most likely
                await self._writable(out)
            elif at < end:
                await asyncio.sleep(0)  # let others have their turn

    async def _writable(self, out: int) -> None:
        """Wait until the client has read something; raises ConnectionError if it takes too long."""
        loop = asyncio.get_running_loop()
        self._moved.clear()
        if self._transport.is_closing():
            raise ConnectionAbortedError
        loop.add_writer(out, self._moved.set)
        try:
            async with asyncio.timeout(self._within):
                await self._moved.wait()
        except TimeoutError:
            raise ConnectionAbortedError from None
        finally:
            loop.remove_writer(out)


async def _bring(file: int, at: int, size: int) -> None:
    """Let a thread read what is not in memory, so that nobody else waits for the disk."""
    if _NO_WAIT:
        with suppress(OSError):
            os.preadv(file, [bytearray(1)], at + size - 1, _NO_WAIT)
            return
    await asyncio.to_thread(os.pread, file, size, at)
