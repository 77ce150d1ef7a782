"""What a probe costs a mirror: requests, and bytes that it sends, counted at the mirror."""

import json
import socket
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.engines import Engine
from tests.zoo.server import Server
from tests.zoo.zoo import ANIMALS, Running

AT_ONCE = 24
LARGE = frozenset({"crowded", "gzip-bomb", "oversized"})
"""Left out: they send megabytes to whoever asks, until a limit of ours ends it."""
SMALL = tuple(name for name in ANIMALS if name not in LARGE)
TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What one probe came to."""

    animal: str
    verdict: str
    requests: int
    sent: int
    """Bytes that the mirror sent, headers included."""


class _Counted:
    """A socket that counts what is sent through it, for its server."""

    def __init__(self, connection: socket.socket, server: "_CountingServer") -> None:
        self._connection = connection
        self._server = server

    def sendall(self, data: bytes) -> None:
        self._connection.sendall(data)
        self._server.sent += len(data)  # one connection may disturb another here, by a few bytes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class _CountingServer(Server):
    sent = 0

    def _serve(self, connection: socket.socket) -> None:
        try:
            super()._serve(_Counted(connection, self))  # type: ignore[arg-type]
        finally:
            with self._lock:
                self._open.discard(connection)


class _CountedAnimal(Running):
    def _open_port(self, *, greet: bool = True) -> int:
        server = _CountingServer(self._answer, latency=self._latency, greet=greet)
        self._servers.append(server)
        return server.port

    @property
    def sent(self) -> int:
        """Bytes sent so far."""
        return sum(server.sent for server in self._servers if isinstance(server, _CountingServer))


_PROBE = """
import json, pyodide_mirror
report = await pyodide_mirror.probe({urls!r}, canary="zoo-canary", timeout={timeout})
json.dumps({{one.mirror.index_url: str(one.reason) for one in report.outcomes}})
"""


def measure(page: Engine, names: Sequence[str] = SMALL) -> list[Cost]:
    """Probe each of these animals once."""
    found = []
    for start in range(0, len(names), AT_ONCE):
        with _started(names[start : start + AT_ONCE]) as animals:
            urls = [one.url for one in animals]
            verdicts = json.loads(page.run_async(_PROBE.format(urls=urls, timeout=TIMEOUT)))
            found += [
                Cost(one.animal.name, verdicts[one.url], len(one.requests), one.sent)
                for one in animals
            ]
    return found


@contextmanager
def _started(names: Sequence[str]) -> Iterator[list[_CountedAnimal]]:
    with ExitStack() as stack:
        yield [stack.enter_context(_CountedAnimal(ANIMALS[name])) for name in names]


def rows(costs: Sequence[Cost]) -> list[list[str]]:
    """Lay the costs out by verdict: how many kinds, and what they cost."""
    by_verdict: defaultdict[str, list[Cost]] = defaultdict(list)
    for cost in costs:
        by_verdict[cost.verdict].append(cost)
    lines = [["verdict", "kinds", "requests: median", "at most", "bytes: median", "at most"]]
    for verdict, each in by_verdict.items():
        busiest = max(each, key=lambda cost: cost.requests)
        dearest = max(each, key=lambda cost: cost.sent)
        lines.append(
            [
                *(verdict, str(len(each))),
                f"{statistics.median_high(cost.requests for cost in each)}",
                f"{busiest.requests} ({busiest.animal})",
                f"{statistics.median_high(cost.sent for cost in each):,}",
                f"{dearest.sent:,} ({dearest.animal})",
            ]
        )
    return lines
