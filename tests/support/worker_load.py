"""Many clients of several workers, of which one is killed again and again."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from os import kill
from pathlib import Path

import aiohttp

from tests.support.server_wire import sha256

_TRIES = 8
_PER_STEP = 5
"""Files that nobody has asked for before each kill."""


def children(process_id: int) -> list[int]:
    """The processes that a process has started, and that live."""
    listed = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    return [int(each) for each in listed.split()]


@dataclass
class Load:
    """What came of it. ``cured``: what went wrong and was right at another try, by its kind."""

    files: int = 0
    kills: int = 0
    cured: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """What no other try has cured, and complete answers that were not the file."""


class Clients:
    """Clients that fetch one file after another.

    ``wanted``: URLs and digests. They choose among the first of these, and more with each step.
    """

    def __init__(self, wanted: Iterable[tuple[str, str]], seed: int = 5) -> None:
        self._wanted = list(wanted)
        self._choice = random.Random(seed)  # noqa: S311  # the same in every run
        self._shown = _PER_STEP
        self._ended = False
        self.load = Load()

    async def run(self, count: int, server: int, kills: int, every: float) -> Load:
        """Let so many clients fetch while workers of a server (its process) are killed."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            clients = [asyncio.ensure_future(self._client(session)) for _ in range(count)]
            for _ in range(kills):
                await asyncio.sleep(every)
                with suppress(ProcessLookupError):
                    kill(self._choice.choice(children(server)), signal.SIGKILL)
                self.load.kills += 1
                self._shown += _PER_STEP
            await asyncio.sleep(every)
            self._ended = True
            await asyncio.gather(*clients)
            # All of them, at last: what was cut off has been cured.
            await asyncio.gather(*(self._fetch(session, *each) for each in self._wanted))
        return self.load

    async def _client(self, session: aiohttp.ClientSession) -> None:
        while not self._ended:
            await self._fetch(session, *self._choice.choice(self._wanted[: self._shown]))

    async def _fetch(self, session: aiohttp.ClientSession, url: str, digest: str) -> None:
        problems: list[str] = []
        for tried in range(_TRIES):
            try:
                async with session.get(url) as answer:
                    body = await answer.read()
                    if answer.status == 200 and sha256(body) == digest:
                        self.load.files += 1
                        self.load.cured.update(problems)
                        return
                    if answer.status == 200:
                        self.load.wrong.append(f"{url}: {len(body)} other bytes")
                    problems.append(f"{answer.status} {body[:200]!r}")
            except aiohttp.ClientError as error:
                problems.append(type(error).__name__)
            await asyncio.sleep(0.1 * tried)  # as clients do
        self.load.wrong.append(f"{url}: {problems}")
