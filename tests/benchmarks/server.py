"""How our server and its peers stand two hundred clients at once, in turns.

    python -m tests.benchmarks.server [--clients 200] [--rounds 3] [--only TEXT]

Each client fetches a few small wheels, and every tenth a large one, first when no server has any
of them (cold), then again (warm). The clients are a process of their own, so are the servers; all
of them, and the upstream, share one machine: what counts is the ratio of neighbours in one run.
"""

import argparse
import asyncio
import hashlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from tests.conformance.base import Context
from tests.conformance.peers import OWN_WORKER, PEERS, Mirror, Peer, machine, started, text
from tests.support.upstreams import Kind, upstream
from tests.support.wheels import Wheel

SMALL, SMALL_BYTES = 40, 20_000
LARGE_BYTES = 16_000_000
EACH = 4
"""Small wheels that each client fetches."""
EVERY = 10
"""Every so many clients one fetches the large wheel."""
_PATIENCE = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came of one load: how much, how fast, and what went wrong."""

    seconds: float
    requests: int
    received: int
    """Bytes of bodies that were right."""
    errors: int
    """Answers that were wrong, or none."""
    elsewhere: int
    """Files that came from another origin than the mirror's, by a redirect."""
    example: str
    """One of the errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one server did in one round; the memory is the peak of all its processes, in bytes."""

    cold: Load
    warm: Load
    memory: int


# ---------------------------------------------------------------- the clients


class _Clients:
    """All clients of one load, in one process."""

    def __init__(self, wanted: Sequence[tuple[str, str]]) -> None:
        self._wanted = wanted
        self._received = self._errors = self._elsewhere = 0
        self._example = ""

    async def run(self, count: int) -> Load:
        """Let `count` clients fetch at once: the last of what is wanted is the large wheel."""
        *small, large = self._wanted
        lists = []
        for number in range(count):
            own = list(islice(cycle(small), number * EACH, number * EACH + EACH))
            lists.append([*own, large] if number % EVERY == 0 else own)
        started_at = time.monotonic()
        await asyncio.gather(*(self._client(own) for own in lists))
        return Load(
            seconds=time.monotonic() - started_at,
            requests=sum(map(len, lists)),
            received=self._received,
            errors=self._errors,
            elsewhere=self._elsewhere,
            example=self._example,
        )

    async def _client(self, wanted: Iterable[tuple[str, str]]) -> None:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for url, digest in wanted:
                await self._fetch(session, url, digest)

    async def _fetch(self, session: aiohttp.ClientSession, url: str, digest: str) -> None:
        found, size = hashlib.sha256(), 0
        try:
            async with session.get(url) as answer:
                async for piece in answer.content.iter_chunked(1 << 18):
                    found.update(piece)
                    size += len(piece)
                moved = answer.url.authority != urlsplit(url).netloc
                problem = "" if answer.status == 200 else f"status {answer.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            self._wrong(repr(error))
            return
        if problem or found.hexdigest() != digest:
            self._wrong(problem or f"another digest, after {size} bytes")
            return
        self._received += size
        self._elsewhere += moved

    def _wrong(self, problem: str) -> None:
        self._errors += 1
        self._example = self._example or problem


def _be_clients() -> None:
    """Be the process of the clients: the task comes on stdin, the figures go to stdout."""
    task = json.load(sys.stdin)
    load = asyncio.run(_Clients(task["wanted"]).run(task["clients"]))
    print(json.dumps(asdict(load)))


def _load(wanted: Sequence[tuple[str, str]], clients: int) -> Load:
    task = json.dumps({"wanted": wanted, "clients": clients})
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.server", "--be-clients"],
        input=task,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Load(**json.loads(done.stdout))


# ---------------------------------------------------------------- the servers


def _family(leader: int) -> Iterator[int]:
    """Return a process and all that it started, and these in turn."""
    yield leader
    with suppress(FileNotFoundError):
        for thread in Path(f"/proc/{leader}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _family(int(child))


def _peak(leader: int) -> int:
    """Return the greatest memory that a process and its children had, in bytes (`VmHWM`)."""
    total = 0
    for process in _family(leader):
        with suppress(FileNotFoundError):
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
            peaks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
            total += sum(int(peak) * 1024 for peak in peaks)
    return total


def _kind(peer: Peer) -> Kind:
    return "json" if "json" in peer.kinds else "folder"


def measure(peer: Peer, clients: int) -> Figures:
    """Start a server afresh, and put both loads on it."""
    with upstream(_kind(peer)) as index:
        wheels = [index.fresh(padding=SMALL_BYTES) for _ in range(SMALL)]
        wheels.append(index.fresh(padding=LARGE_BYTES))
        with started(peer, index) as mirror:
            wanted = _where(mirror, Context(mirror.index_url, index), wheels)
            cold, warm = _load(wanted, clients), _load(wanted, clients)
            if mirror.process is None:
                raise ValueError(f"{peer.name} has no process whose memory could be told")
            return Figures(cold=cold, warm=warm, memory=_peak(mirror.process.pid))


def _where(mirror: Mirror, context: Context, wheels: Iterable[Wheel]) -> list[tuple[str, str]]:
    """Find each wheel on its page: URL and digest."""
    return [(f"{context.origin}{context.target_of(wheel)}", wheel.sha256) for wheel in wheels]


# ---------------------------------------------------------------- showing

HEAD = [
    *("server", "over", "cold MB/s", "cold req/s", "warm MB/s", "warm req/s"),
    *("errors", "elsewhere", "peak MB"),
]


def row(peer: Peer, rounds: Sequence[Figures]) -> list[str]:
    """Show the medians of the rounds, and the sums of what went wrong."""

    def speeds(loads: Iterable[Load]) -> list[str]:
        pairs = [(one.received / one.seconds / 1e6, one.requests / one.seconds) for one in loads]
        return [f"{statistics.median(column):.0f}" for column in zip(*pairs, strict=True)]

    loads = [load for one in rounds for load in (one.cold, one.warm)]
    return [
        *(f"{peer.name} {peer.version}", _kind(peer)),
        *speeds(one.cold for one in rounds),
        *speeds(one.warm for one in rounds),
        str(sum(load.errors for load in loads)),
        str(sum(load.elsewhere for load in loads)),
        f"{max(one.memory for one in rounds) / 1e6:.0f}",
    ]


def main() -> None:
    """Measure all in turns, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.server", description=main.__doc__
    )
    parser.add_argument("--clients", type=int, default=200, choices=range(1, 1001), metavar="N")
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 101), metavar="N")
    parser.add_argument("--only", default="", metavar="TEXT", help="servers with TEXT in the name")
    parser.add_argument("--be-clients", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.be_clients:
        _be_clients()
        return
    peers = [one for one in PEERS if given.only in one.name and one.name != OWN_WORKER]
    found: dict[str, list[Figures]] = {peer.name: [] for peer in peers}
    for number in range(given.rounds):
        # Each begins a round once, as far as there are rounds: being first is no privilege.
        turn = number % len(peers)
        for peer in (*peers[turn:], *peers[:turn]):
            found[peer.name].append(measure(peer, given.clients))
    print(f"{given.clients} clients, {given.rounds} rounds; {machine()}")
    print(f"each {EACH} of {SMALL} wheels of 20 kB, every tenth one of 16 MB")
    print(text([HEAD, *(row(peer, found[peer.name]) for peer in peers)]))
    for peer in peers:
        for load in (load for one in found[peer.name] for load in (one.cold, one.warm)):
            if load.example:
                print(f"{peer.name}: {load.example}")
                break


if __name__ == "__main__":
    main()
