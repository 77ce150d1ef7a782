"""Downloads: files that are fetched once, checked, and readable while they arrive.

A download runs to its end in the background, whether or not its readers stay. The last byte is
held back until the digest has been checked, so that no client takes a tampered file for a complete
one.

A file that cannot be stored is passed on without being kept: see :mod:`.received`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pyodide_mirror.server.fetching import UpstreamClient, UpstreamError
from pyodide_mirror.transport import OnceMap

from .disk import GRACE, Disk
from .received import ReceivedBytes
from .threads import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
    from pathlib import Path

_log = logging.getLogger("pyodide_mirror.server")
_PIECE: Final = 256 * 1024
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_NOBODY: Final = 10.0
"""Seconds that a download which cannot be stored waits for somebody who reads it."""
MAX_FILE_BYTES: Final = 16 * 1024**3
"""No wheel is larger, and an upstream that sends more would fill the disk."""


def _ignore(_: UpstreamError | None) -> None:
    """What most do with the news of a place."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file is: a URL, and the client of the upstream that named it.

    ``note`` is told what was wrong with it; None if the file is whole and right.
    """

    url: str
    client: UpstreamClient
    note: Callable[[UpstreamError | None], None] = _ignore


class StatusError(UpstreamError):
    """A place that answers with a status that is no success."""


class WrongBytesError(UpstreamError):
    """A place that has another file, or a damaged one, under the name."""


class _UnreadError(UpstreamError):
    """A file that nobody reads, and that cannot be stored; no other place is asked for it."""


class Download:
    """One file that is being fetched.

    ``size`` is known once :meth:`headers` returns, or stays None where the upstream tells none.
    """

    def __init__(self, received: ReceivedBytes, *, sha256: str, size: int | None) -> None:
        self.size: int | None = None
        self.sha256 = sha256
        self.path: Path | None = None
        self._promised = size
        self._bytes = received
        self._hash = hashlib.sha256()
        self._headers: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._headers.add_done_callback(lambda done: done.exception())  # who waits may have left
        self._moved = asyncio.Event()
        self._error: UpstreamError | None = None
        self._done = False
        self._has_given = False
        self._readers: dict[object, int] = {}
        """Where each reader is."""

    @property
    def received(self) -> int:
        """How many bytes are here."""
        return self._bytes.size

    @property
    def is_stored(self) -> bool:
        """Whether others can still read it from its begin."""
        return self._bytes.is_stored

    async def headers(self) -> None:
        """Wait until the upstream has begun to answer; raises :class:`UpstreamError`."""
        await asyncio.shield(self._headers)

    async def whole(self) -> Path:
        """Wait for the checked file; raises :class:`UpstreamError`."""
        while not self._done:
            await self._moved.wait()
        if self.path is None:
            raise self._error or UpstreamError("this server cannot store the file")
        return self.path

    async def read(self, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        """The bytes from ``start`` to before ``end`` as they arrive; raises UpstreamError."""
        if self.path is not None:  # it was complete before anybody read
            async for piece in _pieces(self.path, start, self.received if end is None else end):
                yield piece
            return
        reader = object()
        self._readers[reader] = start
        try:
            while end is None or start < end:
                if self._error is not None:  # nothing proves what there is
                    raise self._error
                stop = min(self._safe(), self.received if end is None else end)
                if start < stop:
                    found = self._bytes.read(start, min(_PIECE, stop - start))
                    if found is None:
                        raise UpstreamError("the file is not stored, and its begin is gone")
                    start += len(found)
                    self._has_given = True
                    yield found
                    self._note_reader(reader, start)
                elif self._done:
                    return
                else:
                    await self._moved.wait()
        finally:
            del self._readers[reader]
            self._forget()
            self._close_if_unused()

    async def run(
        self, places: AsyncIterator[Place], keep: Callable[[ReceivedBytes], Path | None]
    ) -> None:
        """Fetch from one place after another until it is complete, then ``keep`` it."""
        try:
            self.path = await self._bytes.wait_for_turn(self._followed)
            if self.path is None:
                if not await self._is_here():
                    await self._fetch(places)
                await in_thread(self._bytes.flush)
                self.path = await in_thread(keep, self._bytes)
            self._settle(None)
        except UpstreamError as error:
            self._settle(error)
        except OSError as error:  # the disk has lost what it took
            _log.error("cannot store a file: %s", error)
            self._settle(UpstreamError("this server cannot store the file; its log says why"))

    def end(self) -> None:
        """Let go of all once nothing is fetched any more, or nothing ever will be."""
        if not self._done:
            self._settle(UpstreamError("the download was stopped"))
        self._close_if_unused()

    @property
    def digest(self) -> str:
        """SHA-256 of what has been received."""
        return self._hash.hexdigest()

    def _followed(self) -> None:
        """Another process has received something."""
        self.size = self._promised
        if not self._headers.done():
            self._headers.set_result(None)
        self._wake()

    async def _is_here(self) -> bool:
        """Whether a process that was killed has left the whole file; else the rest is fetched."""
        most = (self._promised or MAX_FILE_BYTES) if self.sha256 else 0
        self._hash = await self._bytes.left_behind(most, is_read=self._has_given)
        return bool(self.received) and self.digest == self.sha256

    async def _fetch(self, places: AsyncIterator[Place]) -> None:
        problems: list[UpstreamError] = []
        silent: set[str] = set()
        async for place in places:
            if place.url in silent:
                continue
            try:
                await self._fetch_from(place)
            except _UnreadError:
                raise
            except UpstreamError as error:
                _log.warning("file: %s", error.detail)
                place.note(error)
                problems.append(error)
                if error.timed_out and not self.received:
                    silent.add(place.url)
                continue
            if not self.sha256 or self.digest == self.sha256:
                place.note(None)
                return
            problems.append(WrongBytesError("the file is not what it must be (SHA-256 differs)"))
            place.note(problems[-1])
            _log.warning("file %s: %s", place.url, problems[-1].detail)
            break  # readers have most of it already: another copy cannot fix that
        detail = "; ".join(dict.fromkeys(problem.detail for problem in problems))
        late = bool(problems) and all(problem.timed_out for problem in problems)
        raise UpstreamError(detail or "no upstream has the file", timed_out=late)

    async def _fetch_from(self, place: Place) -> None:
        headers = {"range": f"bytes={self.received}-"} if self.received else {}
        known = bool(self.sha256)
        async with place.client.get(place.url, headers, raw=True, known=known) as answer:
            known_already = self._check_answer(answer.status, answer.headers)
            if not self._headers.done():
                self._headers.set_result(None)
            async for piece in answer.content.iter_chunked(_PIECE):
                fresh = piece[known_already:]
                known_already -= len(piece) - len(fresh)
                await self._take(fresh)
        if self.size is not None and self.received < self.size:
            raise UpstreamError("the answer was cut off")

    async def _take(self, piece: bytes) -> None:
        if self.received + len(piece) > (MAX_FILE_BYTES if self.size is None else self.size):
            raise UpstreamError("more bytes than were announced")
        self._bytes.append(piece)
        self._hash.update(piece)
        self._wake()
        while self._bytes.is_crowded:
            # Whoever asked for it may be about to read; a reader that stalls is cut off elsewhere.
            try:
                async with asyncio.timeout(None if self._readers else _NOBODY):
                    await self._moved.wait()
            except TimeoutError:
                raise _UnreadError("nobody reads the file, and it cannot be stored") from None

    def _check_answer(self, status: int, headers: Mapping[str, str]) -> int:
        """How many bytes of the answer are here already; UpstreamError if it cannot be used."""
        if self.received:
            # Another try resumes where the last one stopped; the digest proves that they fit.
            found = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
            resumed = status == 206 and found is not None and int(found[1]) == self.received
            if not self.sha256 or not (resumed or status == 200):
                raise UpstreamError("the answer was cut off, and cannot be resumed")
            self.size = self.size or _size_of(headers, found)
            return 0 if resumed else self.received
        if status != 200:
            raise StatusError(f"the file host answers {status}")
        if not self.sha256 and headers.get("content-encoding", "identity") != "identity":
            raise UpstreamError("the file comes in a Content-Encoding, and has no digest")
        size = _size_of(headers)
        if None not in (size, self._promised) and size != self._promised:
            raise UpstreamError(f"the file has {size} bytes, the index says {self._promised}")
        if size is not None and size > MAX_FILE_BYTES:
            raise UpstreamError("the file is larger than any wheel")
        # An empty file has no last byte to hold back until the digest is checked.
        if size == 0 and self.sha256 not in {"", self.digest}:
            raise UpstreamError("the file is empty")
        self.size = size
        return 0

    def _safe(self) -> int:
        return self.received if self._done and not self._error else max(0, self.received - 1)

    def _note_reader(self, reader: object, position: int) -> None:
        self._readers[reader] = position
        self._forget()

    def _forget(self) -> None:
        """Let go of what nobody is to read again, which makes room for more."""
        if self._readers and not self.is_stored:
            self._bytes.forget(min(self._readers.values()))
            self._wake()

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _settle(self, error: UpstreamError | None) -> None:
        self._error = error
        if error is None:
            self.size = self.received
        self._done = True
        if not self._headers.done():
            if error is None:
                self._headers.set_result(None)
            else:
                self._headers.set_exception(error)
        self._wake()

    def _close_if_unused(self) -> None:
        if self._done and not self._readers:
            self._bytes.close()


def _size_of(headers: Mapping[str, str], part: re.Match[str] | None = None) -> int | None:
    """The size of the whole file, as an answer, or a part of one, tells it."""
    told = headers.get("content-length", "") if part is None else part[3]
    return int(told) if re.fullmatch(r"\d{1,18}", told) else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _pieces(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < end and (piece := file.read(min(_PIECE, end - start))):
            start += len(piece)
            yield piece
            await asyncio.sleep(0)  # let others have their turn


class Downloads:
    """All downloads that are running: one for each file, however many ask for it."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self._running: dict[str, Download] = {}
        self._checks: OnceMap[str, bool] = OnceMap()
        self._tasks: set[asyncio.Task[None]] = set()

    async def stored(self, key: str, sha256: str) -> Path | None:
        """A complete file from the disk; a damaged one is removed.

        Each is checked once in the life of this process, because disks fail and people edit.
        """
        path = await self._intact(key, sha256)
        self.disk.counts.looked_up("file", hit=path is not None)
        return path

    @property
    def running(self) -> int:
        """How many there are."""
        return len(self._tasks)

    async def _intact(self, key: str, sha256: str) -> Path | None:
        path = self.disk.get(key)
        if path is None or not sha256 or key in self.disk.checked:
            return path
        intact = await self._checks.get(
            key, lambda: asyncio.to_thread(self._check, key, path, sha256)
        )
        return path if intact else None

    def _check(self, key: str, path: Path, sha256: str) -> bool:
        try:
            intact = _digest(path) == sha256
        except FileNotFoundError:  # another process has just removed it
            return False
        if intact:
            self.disk.checked.add(key)
        else:
            _log.error("the cached file %s is damaged; it is fetched again", path)
            self.disk.remove(key)
        return intact

    def join(
        self, key: str, places: AsyncIterator[Place], *, sha256: str, size: int | None
    ) -> Download:
        """The running download of a key, or a new one."""
        running = self._running.get(key)
        if running is not None and running.is_stored:
            return running
        download = Download(ReceivedBytes(self.disk, key), sha256=sha256, size=size)

        def keep(finished: ReceivedBytes) -> Path | None:
            path = finished.commit(key)
            if path is not None:
                self.disk.checked.add(key)
            return path

        task = asyncio.ensure_future(download.run(places, keep))
        self._running[key] = download
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            download.end()  # here, as a task that is stopped at once never runs
            self._tasks.discard(task)
            if self._running.get(key) is download:
                del self._running[key]
            if not task.cancelled() and task.exception() is not None:
                _log.error("a download ended unexpectedly", exc_info=task.exception())
            # A file larger than the cache leaves it too, once nobody is about to open it.
            asyncio.get_running_loop().call_later(GRACE + 1, self.disk.make_room)

        task.add_done_callback(ended)
        return download

    async def close(self) -> None:
        """Stop them all."""
        for task in self._tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)
