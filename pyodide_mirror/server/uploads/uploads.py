"""Uploads into a folder, by the legacy upload API of PyPI that twine, uv and Poetry speak."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response

from pyodide_mirror.server.access import WHO
from pyodide_mirror.server.cache import in_thread, locked_file, remove_orphans
from pyodide_mirror.server.source import DeniedError
from pyodide_mirror.server.web import error_response

from .checks import check_content, check_digests, check_fields, names_the_same
from .form import MOST_BESIDES, FormReader, ReceivedFile, TooLargeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.requests import Request

    from pyodide_mirror.server.repository import Repository

_log = logging.getLogger("pyodide_mirror.server")
_UNFINISHED: Final = ".uploads"
"""The folder for what is being received; as it is hidden, nothing of it is served."""
_AT_ONCE: Final = 1024 * 1024
_BY_POST: Final = "files are uploaded to this address by POST, with twine, uv publish or Poetry"
STALLED: Final = 60.0
"""Seconds in which a client must send more."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class Uploads:
    """Receives files into a folder: whole, right and never in place of others, or not at all.

    ``max_bytes``: of one file. ``stalled``: seconds in which a client must send more.
    """

    def __init__(self, folder: Path, max_bytes: int, *, stalled: float = STALLED) -> None:
        """Raises ValueError when nothing can be written there."""
        self.folder = folder
        self.problem = ""
        """Why something could not be stored the last time, for people."""
        self._max_bytes = max_bytes
        self._stalled = stalled
        self._unfinished = folder / _UNFINISHED
        try:
            self._unfinished.mkdir(exist_ok=True)
            remove_orphans(self._unfinished, time.time)
            path, file = locked_file(self._unfinished)
            file.close()
            path.unlink()
        except OSError as error:
            raise ValueError(
                f"nothing can be uploaded into the folder {str(folder)!r}: {error.strerror}"
            ) from None

    async def receive(self, request: Request, repository: Repository) -> Response:
        """Answer an upload. Raises HTTPException, DeniedError and UnreadableError."""
        if request.method != "POST":
            raise HTTPException(405, _BY_POST, {"allow": "OPTIONS, POST"})
        try:
            return await self._receive(request, repository)
        except ClientDisconnect:
            _log.info("an upload was broken off by its client")
            return Response(status_code=400)  # which nobody gets
        except TooLargeError as error:
            raise HTTPException(413, str(error)) from None
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        except OSError as error:
            self.problem = f"an upload could not be stored ({error.strerror or error})"
            _log.error("%s", self.problem)
            full = error.errno in _FULL
            detail = "the disk of this server is full" if full else "its log says why"
            sentence = f"the upload could not be stored: {detail}"
            return error_response(507 if full else 503, sentence, {"retry-after": "60"})

    async def _receive(self, request: Request, repository: Repository) -> Response:
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_bytes + MOST_BESIDES:
            raise TooLargeError(f"a file may have {self._max_bytes:,} bytes here")
        # Not in a thread: if the request ended meanwhile, nobody would remove the file.
        with self._begin() as file:
            form = FormReader(request.headers.get("content-type", ""), file)
            async for content in self._pieces(request):
                await in_thread(form.feed, content)
            form.finish()
            name = form.filename
            project = check_fields(form.fields, name)
            if problem := repository.rules.now().against_file(project, name, from_upstream=False):
                raise DeniedError(problem)
            check_digests(form.fields, file.digests)
            await asyncio.to_thread(check_content, file.path, name)
            is_new = await self._store(file, project, name, repository)
        self.problem = ""
        if is_new:
            client = request.client.host if request.client else "somewhere"
            who = request.scope.get(WHO, "nobody")
            _log.info("uploaded: %s (%s bytes) by %s from %s", name, f"{file.size:,}", who, client)
        done = "is served now" if is_new else "was here already, with the same content"
        return PlainTextResponse(f"{name} {done}.\n", headers={"cache-control": "no-store"})

    def _begin(self) -> ReceivedFile:
        self._unfinished.mkdir(exist_ok=True)  # if somebody has removed it
        return ReceivedFile(self._unfinished, self._max_bytes)

    async def _pieces(self, request: Request) -> AsyncIterator[bytes]:
        """The body, in pieces that are worth a thread's turn."""
        stream, waiting = aiter(request.stream()), bytearray()
        while True:
            try:
                async with asyncio.timeout(self._stalled):
                    waiting += await anext(stream)
            except StopAsyncIteration:
                break
            except TimeoutError:
                raise HTTPException(408, f"nothing came for {self._stalled:g} seconds") from None
            if len(waiting) >= _AT_ONCE:
                yield bytes(waiting)
                waiting.clear()
        yield bytes(waiting)

    async def _store(
        self, file: ReceivedFile, project: str, name: str, repository: Repository
    ) -> bool:
        """Let the file be served; False where it is already. Raises HTTPException and OSError."""
        sha256 = file.digests["sha256_digest"]
        for other in await repository.local_files(project):
            if other.filename == name and other.sha256 == sha256:
                return False
            if names_the_same(other.filename, name):
                raise _conflict(other.filename)
        await in_thread(file.flush)
        target = self.folder / name
        try:
            await asyncio.to_thread(_publish, file.path, target)
        except FileExistsError:  # in the same moment; or it is one that cannot be served
            if await asyncio.to_thread(_digest, target) != sha256:
                raise _conflict(name) from None
            return False
        return True


def _conflict(name: str) -> HTTPException:
    return HTTPException(
        409,
        f"the file {name} already exists with other content, and none is replaced; take a new"
        " version, or a build number",
    )


def _publish(received: Path, target: Path) -> None:
    """Give a file its name; FileExistsError where another has it."""
    try:
        os.link(received, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        # First the name is taken, by an empty file, which is nobody else's.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            received.replace(target)
        except OSError:
            target.unlink()
            raise
    if sys.platform != "win32":  # where a folder cannot be opened
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _digest(path: Path) -> str:
    """The SHA-256 of a file; empty where it cannot be read."""
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return ""
