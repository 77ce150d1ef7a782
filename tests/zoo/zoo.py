"""The zoo: mirrors that misbehave, each in its own way and on a port of its own.

    with Zoo() as zoo:
        zoo.url("no-cors")                       # starts it at the first call
        with zoo.start("drips", latency=0.03) as running:
            ...                                  # running.url, running.requests

By hand: `python -m tests.zoo.zoo` lists the animals, `python -m tests.zoo.zoo serve [NAME...]`
starts them and prints their index URLs.
"""

import argparse
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Self

from tests.zoo.files import FILES
from tests.zoo.healthy import HEALTHY
from tests.zoo.parts import Animal, Verdict, Visit
from tests.zoo.repairable import HTML, REPAIRED
from tests.zoo.server import LOOPBACK, ClosedPort, Manner, Request, Response, Server
from tests.zoo.turning import TURNING
from tests.zoo.unfit import API_VERSION, MALFORMED, NOT_AN_INDEX
from tests.zoo.unreadable import CONNECTION, CORS, STATUS

__all__ = [
    "ANIMALS",
    "Animal",
    "Manner",
    "Request",
    "Response",
    "Running",
    "Verdict",
    "Zoo",
]

_ALL = (
    *(*HEALTHY, *TURNING, *HTML, *REPAIRED),
    *(*CONNECTION, *CORS, *STATUS, *NOT_AN_INDEX, *MALFORMED, *API_VERSION, *FILES),
)
ANIMALS: Mapping[str, Animal] = MappingProxyType({animal.name: animal for animal in _ALL})
"""Every animal by its name."""


class Running:
    """One animal that answers, until `close()`."""

    def __init__(self, animal: Animal, *, latency: float = 0.0) -> None:
        """Start it; `latency` delays each of its responses by so many seconds."""
        self.animal = animal
        self._latency = latency
        self._lock = threading.RLock()
        self._seen: Counter[tuple[str, str]] = Counter()
        self._servers: list[Server] = []
        self._closed_ports: list[ClosedPort] = []
        if animal.port == "closed":
            self._port = self._close_port()
        else:
            self._port = self._open_port(greet=animal.port == "open")

    @property
    def url(self) -> str:
        """The index URL, without a slash at its end."""
        return f"{self.here}/simple"

    @property
    def here(self) -> str:
        """The origin of the index."""
        return f"{self.animal.scheme}://{LOOPBACK}:{self._port}"

    @property
    def there(self) -> str:
        """Another origin with the same answers, opened when first asked for."""
        with self._lock:
            port = self._servers[1].port if self._servers[1:] else self._open_port()
        return f"http://{self.animal.second_host}:{port}"

    @property
    def closed(self) -> str:
        """An origin where nobody listens, reserved when first asked for."""
        with self._lock:
            port = self._closed_ports[0].port if self._closed_ports else self._close_port()
        return f"http://{LOOPBACK}:{port}"

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request so far; those to the second origin come last."""
        return tuple(request for server in self._servers for request in server.requests)

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        return sum(server.connections for server in self._servers)

    @property
    def peak_connections(self) -> int:
        """How many connections one port had at once, at most."""
        return max((server.peak_connections for server in self._servers), default=0)

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return sum(server.open_connections for server in self._servers)

    def forget(self) -> None:
        """Empty the log, so that what follows can be counted."""
        with self._lock:
            self._seen.clear()
            for server in self._servers:
                server.forget()

    def close(self) -> None:
        """End its connections and threads, and free its ports."""
        for server in self._servers:
            server.close()
        for port in self._closed_ports:
            port.close()

    def __enter__(self) -> Self:
        """Return the animal itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _open_port(self, *, greet: bool = True) -> int:
        server = Server(self._answer, latency=self._latency, greet=greet)
        self._servers.append(server)
        return server.port

    def _close_port(self) -> int:
        reserved = ClosedPort()
        self._closed_ports.append(reserved)
        return reserved.port

    def _answer(self, request: Request) -> Response:
        with self._lock:
            key = (request.method, request.target)
            earlier = self._seen[key]
            self._seen[key] += 1
        return self.animal.answer(Visit(request, self, earlier))


class Zoo:
    """Starts animals when they are first wanted, and closes all of them at its end."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._stack = ExitStack()
        self._shared: dict[str, Running] = {}

    def __enter__(self) -> Self:
        """Return the zoo itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every animal."""
        self.close()

    def __getitem__(self, name: str) -> Running:
        """Return the animal of that name that all users of this zoo share."""
        if name not in self._shared:
            self.share(name)
        return self._shared[name]

    def share(self, name: str, *, latency: float = 0.0) -> None:
        """Start the animal of that name that all users of this zoo share."""
        self._shared[name] = self.start(name, latency=latency)

    def url(self, name: str) -> str:
        """Return the index URL of the shared animal of that name."""
        return self[name].url

    def start(self, name: str, *, latency: float = 0.0) -> Running:
        """Start an animal for the caller alone, on a new port and with an empty log."""
        return self._stack.enter_context(Running(ANIMALS[name], latency=latency))

    def close(self) -> None:
        """Close every animal."""
        self._stack.close()
        self._shared.clear()


def table(animals: Iterable[Animal]) -> str:
    """Show animals as lines: name, verdict, whether an install alone completes, what it is."""
    rows = [("animal", "verdict", "alone", "what it is")]
    rows += [(one.name, _verdict(one), "yes" if one.alone else "no", one.says) for one in animals]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]))
        for row in rows
    )


def _verdict(animal: Animal) -> str:
    others = "; ".join(f"{engine}: {words}" for engine, words in animal.engines.items())
    return animal.verdict + (f" ({others})" if others else "") + ("?" if animal.doubt else "")


def _serve(names: Iterable[str]) -> None:
    with Zoo() as zoo:
        for name in names:
            print(f"{name:32} {zoo.url(name)}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("closing")


def main() -> None:
    """List the animals, or serve them until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m tests.zoo.zoo", description=main.__doc__)
    parser.add_argument("command", nargs="?", choices=("list", "serve"), default="list")
    parser.add_argument("names", nargs="*", choices=[*ANIMALS, []], metavar="NAME", default=[])
    given = parser.parse_args()
    if given.command == "serve":
        _serve(given.names or ANIMALS)
    else:
        print(table(ANIMALS.values()))
        print(f"\n{len(ANIMALS)} animals; ? marks a verdict that is a matter of opinion")


if __name__ == "__main__":
    main()
