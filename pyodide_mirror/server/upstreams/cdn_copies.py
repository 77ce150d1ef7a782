"""The CDNs, and which of them to ask for a file of a release of Pyodide.

One that has delivered is asked first, whatever its place in the list: the others may hang. Before
one of the others is asked, they race for a small file.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from pyodide_mirror.model import CDN, CDNOutcome, Reason
from pyodide_mirror.probing import run_race
from pyodide_mirror.server.cache import Place, StatusError, WrongBytesError
from pyodide_mirror.server.fetching import UpstreamClient, UpstreamError, receive, unpacked
from pyodide_mirror.server.observing import FORGETS, Counts
from pyodide_mirror.transport import OnceMap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from pyodide_mirror.transport import Progress

_log = logging.getLogger("pyodide_mirror.server")
_MAX_BYTES: Final = 4 * 1024 * 1024
"""The most that is received of a small file."""


class KnownFile(NamedTuple):
    """A file of a version of Pyodide, and its SHA-256 in hexadecimal."""

    version: str
    name: str
    sha256: str


class _Raced(NamedTuple):
    """The verdicts until the first CDN had delivered, or all of them; and the file."""

    outcomes: tuple[CDNOutcome, ...]
    content: bytes | None


class CDNCopies:
    """Copies of Pyodide's releases at CDNs. ``timeout``: seconds until an answer begins."""

    def __init__(self, cdns: Sequence[CDN], timeout: float, counts: Counts = FORGETS) -> None:
        self.cdns = tuple(cdns)
        self._errors: dict[CDN, UpstreamError] = {}
        """What was wrong with each the last time."""
        self._clients = {
            cdn: UpstreamClient(cdn.url("", "0"), login=None, timeout=timeout, counts=counts)
            for cdn in self.cdns
        }
        self._good: dict[KnownFile, list[CDN]] = {}
        """By canary those that have delivered, the last one first.

        Who has Pyodide's core may not have its packages.
        """
        self._wrong: dict[KnownFile, list[CDN]] = {}
        """Those that had wrong bytes, which are asked last: a body half sent cannot be fixed."""
        self._races: OnceMap[tuple[KnownFile, tuple[CDN, ...]], _Raced] = OnceMap()

    @property
    def problems(self) -> dict[CDN, str]:
        """What was wrong with each the last time, for people."""
        return {cdn: self._errors[cdn].detail if cdn in self._errors else "" for cdn in self.cdns}

    async def read(self, file: KnownFile) -> bytes:
        """A small file from the first CDN that has it; raises UpstreamError."""
        _, content = await self._race(file, self.cdns)
        if content is None:
            raise self._failure(file)
        return content

    async def places(self, file: KnownFile, canary: KnownFile) -> AsyncIterator[Place]:
        """Where a file may be, the best place first; what does not work is left behind.

        ``canary``: a small file, which tells whether a CDN may have it. Raises UpstreamError when
        there is no place left.
        """
        wrong = self._wrong.get(file, [])
        left = [cdn for cdn in self.cdns if cdn not in wrong]
        while left:
            cdn = await self._best(left, canary)
            if cdn is None:
                break
            left.remove(cdn)
            seen: list[UpstreamError | None] = []
            place = self._place(file, canary, cdn, seen.append)
            yield place
            error = seen[-1]
            if not isinstance(error, StatusError) and not (error and error.timed_out):
                yield place  # it was cut off; the second try resumes there
        for cdn in wrong:  # it may have been corrected
            yield self._place(file, canary, cdn)
        raise self._failure(file)

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(*self._races.stop(), return_exceptions=True)
        await asyncio.gather(*(client.close() for client in self._clients.values()))

    async def _best(self, cdns: Sequence[CDN], canary: KnownFile) -> CDN | None:
        """The one to ask next; None where none of them is of any use."""
        good = next((cdn for cdn in self._good.get(canary, ()) if cdn in cdns), None)
        if good is not None or len(cdns) == 1:
            return good or cdns[0]
        outcomes, _ = await self._race(canary, tuple(cdns))
        ranked = sorted(outcomes, key=lambda each: each.reason is not Reason.OK)
        # One that lacks the small file may have the other one.
        usable = {Reason.OK, Reason.HTTP_STATUS}
        return next((each.cdn for each in ranked if each.reason in usable), None)

    def _place(
        self,
        file: KnownFile,
        canary: KnownFile,
        cdn: CDN,
        watch: Callable[[UpstreamError | None], None] = lambda _: None,
    ) -> Place:
        def note(error: UpstreamError | None) -> None:
            watch(error)
            self._note(canary, cdn, error)
            wrong = [each for each in self._wrong.pop(file, ()) if each != cdn]
            if isinstance(error, WrongBytesError):
                wrong.append(cdn)
            if wrong:
                self._wrong[file] = wrong

        return Place(cdn.url(file.name, file.version), self._clients[cdn], note)

    def _note(self, canary: KnownFile, cdn: CDN, error: UpstreamError | None) -> None:
        if error is None:
            self._errors.pop(cdn, None)
        else:
            self._errors[cdn] = error
        good = [each for each in self._good.get(canary, ()) if each != cdn]
        self._good[canary] = good if error else [cdn, *good]

    def _failure(self, file: KnownFile) -> UpstreamError:
        """That no CDN has delivered a file, and why."""
        errors = [(cdn.name, self._errors[cdn]) for cdn in self.cdns if cdn in self._errors]
        detail = "; ".join(f"{name}: {error.detail}" for name, error in errors)
        late = all(error.timed_out for _, error in errors)
        return UpstreamError(f"{file.name}: {detail}", timed_out=late)

    async def _race(self, file: KnownFile, cdns: tuple[CDN, ...]) -> _Raced:
        async def run() -> _Raced:
            contents: dict[CDN, bytes] = {}
            result = await run_race(cdns, functools.partial(self._check, file, contents))
            if result.winner is None:
                return _Raced(result.outcomes, None)
            self._note(file, result.winner.cdn, None)
            return _Raced(result.outcomes, contents[result.winner.cdn])

        return await self._races.get((file, cdns), run)

    async def _check(
        self, file: KnownFile, contents: dict[CDN, bytes], cdn: CDN, progress: Progress
    ) -> CDNOutcome:
        try:
            contents[cdn] = await self._fetch(file, cdn, progress)
        except UpstreamError as error:
            _log.warning("%s: %s: %s", cdn.name, file.name, error.detail)
            self._note(file, cdn, error)
            reason = Reason.TIMEOUT if error.timed_out else Reason.UNREACHABLE
            if isinstance(error, StatusError):
                reason = Reason.HTTP_STATUS
            return CDNOutcome(cdn=cdn, reason=reason, detail=error.detail)
        self._note(file, cdn, None)
        return CDNOutcome(cdn=cdn, reason=Reason.OK)

    async def _fetch(self, file: KnownFile, cdn: CDN, progress: Progress) -> bytes:
        client, url = self._clients[cdn], cdn.url(file.name, file.version)
        try:
            async with (
                asyncio.timeout(client.timeout),
                client.get(url, {}, raw=True, known=True) as answer,
            ):
                progress.headers(answer.status, None)
                if answer.status != 200:
                    raise StatusError(f"it answers {answer.status}")
                body = await receive(answer, _MAX_BYTES)
                content = await unpacked(answer, body, _MAX_BYTES)
        except TimeoutError:
            late = f"no answer within {client.timeout:g} s"
            raise UpstreamError(late, timed_out=True) from None
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise UpstreamError(f"its {file.name} is not Pyodide's (SHA-256 differs)")
        return content
