"""How fast warm pages and files are, ours and our peers', beside those of nginx.

    python -m tests.benchmarks.warm [--rounds 5] [--seconds 3] [--only TEXT] [--write]

All servers run at the same time, and are asked in turns: nginx, which has the same bytes as files,
then each of the others. A figure is the ratio to nginx's rate in the same round, and beside it what
a request costs the server's processes, in milliseconds of the processor. Rates depend on what else
the machine does; ratios of neighbours, and costs, less so. The client is `wrk` (of Debian).
"""

import argparse
import datetime as dt
import http.client
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from tests.conformance.base import Context
from tests.conformance.feature_stands import devpi, standing
from tests.conformance.peers import (
    OWN_SERVER,
    OWN_WORKER,
    PEERS,
    Mirror,
    Peer,
    machine,
    markdown,
    started,
    text,
)
from tests.support.own_server import serving
from tests.support.provision import ROOT
from tests.support.static_hosts import nginx
from tests.support.upstreams import BIG, Upstream, upstream
from tests.support.wheels import Wheel, make_wheel

JSON = "application/vnd.pypi.simple.v1+json"
COLUMNS: Mapping[str, int] = {"small page": 32, "page of 4,000": 8, "1 MB": 8, "20 MB": 8}
"""What is fetched, and by how many connections at once."""
DOCUMENT = ROOT / "docs" / "scaling.md"
BEGIN, END = "<!-- warm: begin -->\n", "<!-- warm: end -->\n"
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that runs: the URL of each column, and the process that leads it."""

    name: str
    urls: Mapping[str, str]
    process_id: int


# ---------------------------------------------------------------- the servers


def _warm(peer: Peer) -> Peer:
    """A peer that keeps pages, where the checks of conformance let it ask each time."""
    program = peer.program
    if program is None or "proxpi" not in peer.name:
        return peer
    given = program.environment
    return replace(
        peer,
        program=replace(
            program,
            environment=lambda index, folder: {**given(index, folder), "PROXPI_INDEX_TTL": "1800"},
        ),
    )


def _urls(mirror: Mirror, index: Upstream, wheels: Mapping[str, Wheel]) -> dict[str, str]:
    """Where each column's page or file is; all of it is fetched, so that it is warm."""
    context = Context(mirror.index_url, index)
    found = {"small page": f"{mirror.index_url}/{wheels['1 MB'].name}/"}
    found["page of 4,000"] = f"{mirror.index_url}/{BIG}/"
    for column, wheel in wheels.items():
        found[column] = f"{context.origin}{context.target_of(wheel)}"
    for url in found.values():
        for _ in range(3):
            _fetched(url)
    return found


def _fetched(url: str) -> bytes:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=120)
    connection.request("GET", parts.path, headers={"Accept": f"{JSON}, text/html;q=0.1"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{url}: {answer.status}")
    return body


@contextmanager
def _all_running(only: str, workers: int) -> Iterator[list[Contender]]:
    """Every server over upstreams with the same projects; the first is nginx."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found, own = [], None
        for kind in ("json", "folder"):
            index = stack.enter_context(upstream("json" if kind == "json" else "folder"))
            wheels = {
                "1 MB": index.fresh(padding=1_000_000),
                "20 MB": index.fresh(padding=20_000_000),
            }
            if kind == "folder":
                for number in range(4_200):
                    wheel = make_wheel(BIG, f"2.{number}")
                    index.path.joinpath(wheel.filename).write_bytes(wheel.data)
            for peer in PEERS:
                wanted = only in peer.name or peer.name == OWN_SERVER
                if kind not in peer.kinds or peer.name == OWN_WORKER or not wanted:
                    continue
                mirror = stack.enter_context(started(_warm(peer), index))
                urls = _urls(mirror, index, wheels)
                own = own or urls
                found.append(_contender(f"{peer.name}, {kind}", urls, mirror))
            if kind == "json" and workers > 1:
                options = ["--workers", str(workers)]
                running = stack.enter_context(serving(None, [index.url], options=options))
                mirror = Mirror(running.index_url, running.process)
                urls = _urls(mirror, index, wheels)
                found.append(_contender(f"{OWN_SERVER}, {workers} workers", urls, mirror))
            if kind == "json" and only in "devpi-server":
                found.append(stack.enter_context(_devpi(index, wheels)))
        files = stack.enter_context(_nginx(scratch, own or {}))
        yield [files, *found]


@contextmanager
def _devpi(index: Upstream, wheels: Mapping[str, Wheel]) -> Iterator[Contender]:
    """devpi-server, with a mirror of the upstream, and an index of a user over it."""
    before = set(_children(os.getpid()))
    with standing(devpi, "proxy", index.url) as running:
        (process_id,) = set(_children(os.getpid())) - before
        urls = _urls(Mirror(running.index_url), index, wheels)
        yield Contender("devpi-server, json", urls, process_id)


def _contender(name: str, urls: Mapping[str, str], mirror: Mirror) -> Contender:
    if mirror.process is None:
        raise ValueError(f"{name} has no process")
    return Contender(name, urls, mirror.process.pid)


@contextmanager
def _nginx(scratch: Path, urls: Mapping[str, str]) -> Iterator[Contender]:
    """Nginx with the bytes of our pages and files."""
    root = scratch / "root"
    (root / "hosting").mkdir(parents=True)
    (root / "hosting" / "nginx.conf").write_text("sendfile on; tcp_nopush on;\n")
    for number, url in enumerate(urls.values()):
        (root / f"{number}.bin").write_bytes(_fetched(url))
    before = set(_children(os.getpid()))
    with nginx(root, scratch / "nginx") as base:
        (process_id,) = set(_children(os.getpid())) - before
        placed = {column: f"{base}/{number}.bin" for number, column in enumerate(urls)}
        yield Contender("nginx, files", placed, process_id)


# ---------------------------------------------------------------- measuring


def _children(process_id: int) -> list[int]:
    found = []
    with suppress(FileNotFoundError):
        for thread in Path(f"/proc/{process_id}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


def _seconds(process_id: int) -> float:
    """The processor's time that a process and all it started have taken."""
    total = 0.0
    with suppress(FileNotFoundError):
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
        total = (int(fields[11]) + int(fields[12])) / _TICK
    return total + sum(map(_seconds, _children(process_id)))


@dataclass(frozen=True, slots=True)
class Figure:
    """Requests in a second, and what each cost in seconds of the processor."""

    rate: float
    cost: float


def _measure(one: Contender, column: str, seconds: float) -> Figure:
    before = _seconds(one.process_id)
    command = ["wrk", "-t1", f"-c{COLUMNS[column]}", f"-d{seconds:g}s", "--timeout", "30s"]
    command += ["-H", f"Accept: {JSON}, text/html;q=0.1", one.urls[column]]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    cost = _seconds(one.process_id) - before
    if wrong := re.search(r"Non-2xx.*|Socket errors.*[1-9].*", told):
        print(f"{one.name}, {column}: {wrong[0]}", file=sys.stderr)
    match = re.search(r"(\d+) requests in ([\d.]+)(m?)s", told)
    if match is None:
        raise RuntimeError(f"wrk says:\n{told}")
    count, took = int(match[1]), float(match[2]) / (1000 if match[3] else 1)
    return Figure(count / took, cost / max(1, count))


def _shown(figures: list[Figure], base: list[Figure]) -> str:
    ratios = [each.rate / max(1e-9, other.rate) for each, other in zip(figures, base, strict=True)]
    cost = statistics.median(each.cost for each in figures) * 1000
    spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
    return f"{statistics.median(ratios):.2f} {spread} / {float(f'{cost:.2g}'):g}"


def main() -> None:
    """Measure all in turns, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.warm", description=main.__doc__
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    parser.add_argument("--workers", type=int, default=2, help="of ours, once more")
    parser.add_argument("--only", default="", metavar="TEXT", help="peers with TEXT in the name")
    parser.add_argument("--write", action="store_true", help="put it into docs/scaling.md")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is missing: apt-get install wrk")
    found: dict[tuple[str, str], list[Figure]] = defaultdict(list)
    with _all_running(given.only, given.workers) as all_running:
        for number in range(given.rounds):
            turn = number % len(all_running)
            for column in COLUMNS:
                for one in (*all_running[turn:], *all_running[:turn]):
                    found[one.name, column].append(_measure(one, column, given.seconds))
        names = [one.name for one in all_running]
    rows = [["", *COLUMNS]]
    for name in names:
        base = [found[names[0], column] for column in COLUMNS]
        cells = [
            _shown(found[name, column], of_nginx)
            for column, of_nginx in zip(COLUMNS, base, strict=True)
        ]
        rows.append([name, *cells])
    print(f"{given.rounds} rounds; {machine()}")
    print("median ratio to nginx's rate (lowest to highest) / milliseconds of the processor")
    print(text(rows))
    if given.write:
        _write(rows, given.rounds)


def _write(rows: list[list[str]], rounds: int) -> None:
    """Put the table between the marks of its page."""
    measured = f"Measured on {dt.datetime.now(dt.UTC):%Y-%m-%d}, {rounds} rounds ({machine()})."
    before, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    table = f"{BEGIN}\n{measured}\n\n{markdown(rows)}\n\n{END}"
    DOCUMENT.write_text(before + table + after, "utf-8")


if __name__ == "__main__":
    main()
