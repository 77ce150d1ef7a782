"""Other servers of package indexes beside ours, looked at with the one table of HTTP checks.

    python -m tests.conformance.peers [--write] [--failed] [--only TEXT]

Each runs in an environment of its own, in the best setting that its documentation names for
being read by clients, and over upstreams of this machine alone: none ever asks PyPI. All run the
same checks, those that every mirror should pass; what we promise beyond them is not counted.
`--write` puts the table into docs/peers.md.
"""

import argparse
import datetime as dt
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyodide_mirror
from tests.conformance.checks import CHECKS, Capabilities, Result, run
from tests.edge.workerd import MINIFLARE_VERSION, worker
from tests.support import provision
from tests.support.own_server import serving
from tests.support.processes import OWN_GROUP, end_group, run_quietly
from tests.support.static_hosts import free_port
from tests.support.upstreams import Kind, Upstream, upstream
from tests.zoo.server import LOOPBACK

PATIENCE = 8.0
"""Seconds that an answer may take while the upstream hangs."""
EXPECTED = Capabilities(watches_bodies=True, patience=PATIENCE)
"""What every mirror is expected to do."""
_STARTS_WITHIN = 120.0
_PROXY: tuple[Kind, ...] = ("json", "html", "failing", "refused", "hanging")
_GROUPED: Mapping[Kind, str] = {"failing": "down", "refused": "down", "hanging": "down"}


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror that runs: where its index is, and the process that leads it, if it has one."""

    index_url: str
    process: "subprocess.Popen[str] | subprocess.Popen[bytes] | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How another server is started."""

    module: str
    """What Python runs."""
    arguments: Callable[[Upstream, int], Sequence[str]]
    """Its arguments, for an upstream and a port."""
    environment: Callable[[Upstream, Path], Mapping[str, str]] = lambda _upstream, _folder: {}
    """Its environment variables, for an upstream and an empty folder."""
    index: str = "/simple"
    """The path of its index."""
    requirements: tuple[str, ...]
    """What is installed, pinned: the first is the server itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One line of comparison."""

    name: str
    version: str
    kinds: tuple[Kind, ...]
    program: Program | None = None
    note: str = ""

    def start(self, index: Upstream) -> "Iterator[Mirror]":
        """Start it over an upstream; for use as a context manager, see `started`."""
        if self.program is not None:
            yield from _program(self.program, index)
        elif self.name == OWN_WORKER:
            with worker(index.url, file_hosts=index.file_hosts, TIMEOUT_MS="3000") as running:
                yield Mirror(f"{running.url}/simple")
        else:
            folder = index.path if index.kind == "folder" else None
            urls = [] if folder else [index.url]
            with serving(folder, urls, options=["--timeout", "3"]) as server:
                yield Mirror(server.index_url, server.process)


started = contextmanager(Peer.start)
"""Start a peer over an upstream, and end it with the block."""

OWN_SERVER = "pyodide-mirror serve"
OWN_WORKER = "pyodide-mirror edge, in workerd"
_GUNICORN = "gunicorn==27.0.1"
_THREADS = ("--workers", "1", "--threads", "16", "--worker-class", "gthread")


def _where(index: Upstream) -> str:
    return str(index.path) if index.kind == "folder" else index.url


SIMPLE_REPOSITORY_SERVER = Program(
    module="simple_repository_server",
    arguments=lambda index, port: (
        *("--host", LOOPBACK, "--port", str(port)),
        *("--stream-http-resources", _where(index)),
    ),
    requirements=("simple-repository-server==0.10.0",),
)
PROXPI = Program(
    module="gunicorn",
    arguments=lambda _index, port: (*_THREADS, "--bind", f"{LOOPBACK}:{port}", "proxpi.server:app"),
    environment=lambda index, folder: {
        "PROXPI_INDEX_URL": f"{index.url}/",
        "PROXPI_EXTRA_INDEX_URLS": "",
        "PROXPI_CACHE_DIR": str(folder),
        "PROXPI_BINARY_FILE_MIME_TYPE": "1",
        "PROXPI_INDEX_TTL": "0",
        "PROXPI_CONNECT_TIMEOUT": "3",
        "PROXPI_READ_TIMEOUT": "3",
    },
    index="/index",
    requirements=("proxpi==1.3.1", _GUNICORN),
)


def _pypiserver(index: Upstream, port: int) -> Sequence[str]:
    setting = f"roots=[{str(index.path)!r}], disable_fallback=True"
    return (*_THREADS, "--bind", f"{LOOPBACK}:{port}", f"pypiserver:app({setting})")


PYPISERVER = Program(
    module="gunicorn",
    arguments=_pypiserver,
    requirements=("pypiserver==2.4.2", _GUNICORN),
)


def _version(program: Program) -> str:
    return program.requirements[0].partition("==")[2]


PEERS: tuple[Peer, ...] = (
    Peer(name=OWN_SERVER, version=pyodide_mirror.__version__, kinds=(*_PROXY, "folder")),
    Peer(
        name=OWN_WORKER,
        version=pyodide_mirror.__version__,
        kinds=_PROXY,
        note=f"miniflare {MINIFLARE_VERSION}",
    ),
    Peer(
        name="simple-repository-server",
        version=_version(SIMPLE_REPOSITORY_SERVER),
        kinds=_PROXY,
        program=SIMPLE_REPOSITORY_SERVER,
        note="with `--stream-http-resources`",
    ),
    Peer(
        name="proxpi",
        version=_version(PROXPI),
        kinds=_PROXY,
        program=PROXPI,
        note="with time-outs of 3 seconds, and pages not kept; in gunicorn",
    ),
    Peer(
        name="pypiserver",
        version=_version(PYPISERVER),
        kinds=("folder",),
        program=PYPISERVER,
        note="in gunicorn; no proxy, for it redirects to an upstream what its folder lacks",
    ),
)


# ---------------------------------------------------------------- running


def environment_of(program: Program) -> Path:
    """Return the Python of a virtual environment with the program; made at the first call."""
    key = "-".join(re.sub(r"[^\w.]+", "-", one) for one in program.requirements)

    def make(folder: Path) -> None:
        run_quietly([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        run_quietly([*pip, "install", "--quiet", *program.requirements])

    # Moved after it was made: its scripts are lost by that, its Python is not.
    return provision.made(provision.CACHE / "peers" / key, make) / "bin" / "python"


def _program(program: Program, index: Upstream) -> Iterator[Mirror]:
    python, port = environment_of(program), free_port()
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [str(python), "-m", program.module, *program.arguments(index, port)],
            env={**os.environ, "NO_PROXY": LOOPBACK, **program.environment(index, Path(scratch))},
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            **OWN_GROUP,
        )
        try:
            if not listens(process, port):
                log.seek(0)
                raise RuntimeError(f"it does not start:\n{log.read().decode()}")
            yield Mirror(f"http://{LOOPBACK}:{port}{program.index}", process)
        finally:
            end_group(process)


def listens(process: "subprocess.Popen[bytes]", port: int) -> bool:
    """Wait until somebody listens; False when the process has ended, or it takes too long."""
    until = time.monotonic() + _STARTS_WITHIN
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            time.sleep(0.05)  # nothing tells from outside when it listens
        else:
            return True
    return False


def judge(peer: Peer, kinds: Iterable[Kind], only: str = "") -> list[Result]:
    """Run the table on a peer, over each of its upstreams."""
    results: list[Result] = []
    for kind in kinds:
        with upstream(kind) as index, started(peer, index) as mirror:
            results += run(mirror.index_url, index, EXPECTED, only=only)
    return results


# ---------------------------------------------------------------- showing


@dataclass
class Line:
    """One peer over one sort of upstream: group → passed, all."""

    peer: Peer
    over: str
    groups: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))

    def cells(self, groups: Iterable[str]) -> list[str]:
        """Return the line's cells, the total first."""
        total = [sum(numbers) for numbers in zip(*self.groups.values(), strict=True)]
        counts = [total, *(self.groups.get(group, [0, 0]) for group in groups)]
        shown = [f"{passed}/{every}" if every else "" for passed, every in counts]
        return [f"{self.peer.name} {self.peer.version}", self.over, *shown]


def lines_of(peer: Peer, results: Iterable[Result]) -> list[Line]:
    """Count the results of a peer."""
    lines: dict[str, Line] = {}
    for result in results:
        over = _GROUPED.get(result.kind, result.kind)
        line = lines.setdefault(over, Line(peer, over))
        counts = line.groups[result.check.group]
        counts[0] += result.passed
        counts[1] += 1
    return list(lines.values())


GROUPS = tuple(dict.fromkeys(check.group for check in CHECKS))
HEAD = ["", "over", "all", *GROUPS]


def text(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out for a terminal."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    cells = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return "\n".join("  ".join(row).rstrip() for row in cells)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out for the documents."""
    head, *others = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *others])


DOCUMENT = provision.ROOT / "docs" / "peers.md"
BEGIN, END = "<!-- peers: begin -->\n", "<!-- peers: end -->\n"


def machine() -> str:
    """Say on what this was measured."""
    cores = len(os.sched_getaffinity(0))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{cores} cores, {platform.system()} on {platform.machine()}, {python}"


def write(rows: Sequence[Sequence[str]]) -> None:
    """Put the table between the marks of docs/peers.md."""
    today = dt.datetime.now(dt.UTC).date()
    notes = "".join(f"- {peer.name}: {peer.note}\n" for peer in PEERS if peer.note)
    found = f"Measured on {today} ({machine()}).\n\n{markdown(rows)}\n\n{notes}"
    before, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}{found}{END}{after}", "utf-8")


def main() -> None:
    """Run the table on all, and print what came of it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance.peers", description=main.__doc__
    )
    parser.add_argument("--write", action="store_true", help="put the table into docs/peers.md")
    parser.add_argument("--failed", action="store_true", help="say which checks failed, and how")
    parser.add_argument("--only", default="", metavar="TEXT", help="peers with TEXT in their name")
    given = parser.parse_args()
    if given.write and given.only:
        parser.error("--write wants all peers")
    rows: list[Sequence[str]] = [HEAD]
    for peer in PEERS:
        if given.only in peer.name:
            results = judge(peer, peer.kinds)
            rows += [line.cells(GROUPS) for line in lines_of(peer, results)]
            for result in results:
                if given.failed and not result.passed:
                    check = result.check
                    print(f"{peer.name} over {result.kind}: {check.group}: {check.name}")
                    print(f"    {result.detail}", flush=True)
    print(text(rows))
    if given.write:
        write(rows)


if __name__ == "__main__":
    main()
