"""Our own server as a program, the way people start it; and in this process, in a moment."""

import os
import queue
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.processes import OWN_GROUP, end_group

_STARTS_WITHIN = 120.0


@dataclass
class Served:
    """A server that runs. ``url`` is its origin."""

    url: str

    @property
    def index_url(self) -> str:
        """The index URL that micropip is told, without a slash at its end."""
        return f"{self.url}/simple"


@dataclass
class Serving(Served):
    """A server that runs as a program."""

    process: "subprocess.Popen[str]"
    log: list[str] = field(default_factory=list)

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return "".join(self.log)


def clean_environment(**added: str) -> dict[str, str]:
    """The environment without what would let pip or uv ask another index, and with ``added``."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not re.match(r"(PIP|UV)_|.*_proxy$|PYTHONPATH", name, re.IGNORECASE)
    }
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", "HOME": "/", **added}


@contextmanager
def serving(
    folder: Path | None = None,
    upstreams: Iterable[str] = (),
    *,
    cache: Path | None = None,
    options: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
    program: Iterable[str] = ("-m", "pyodide_mirror"),
) -> Iterator[Serving]:
    """Start ``pyodide-mirror serve`` on a free port, and end it.

    Without upstreams it is offline; without ``cache`` it has one of its own. ``program``: what
    Python is given to run, when something in it is to be other than usual.
    """
    with tempfile.TemporaryDirectory() as scratch:
        arguments = ["--port", "0", "--cache", str(cache or scratch), *options]
        arguments += [word for url in upstreams for word in ("--upstream", url)] or ["--offline"]
        arguments += [] if folder is None else [str(folder)]
        process = subprocess.Popen(
            [sys.executable, *program, "serve", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            **OWN_GROUP,
        )
        log: list[str] = []
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        reader = threading.Thread(target=_read, args=(process, log, lines))
        reader.start()
        try:
            yield Serving(_address(lines, log), process, log)
        finally:
            end_group(process)
            reader.join()
            if process.stdout is not None:
                process.stdout.close()


def _read(
    process: "subprocess.Popen[str]", log: list[str], lines: "queue.SimpleQueue[str]"
) -> None:
    for line in process.stdout or ():
        log.append(line)
        lines.put(line)
    lines.put("")


def _address(lines: "queue.SimpleQueue[str]", log: list[str]) -> str:
    while line := lines.get(timeout=_STARTS_WITHIN):
        if line.startswith("Serving "):
            return line.split()[1].removesuffix("/simple/")
    raise RuntimeError(f"the server did not start:\n{''.join(log)}")


@contextmanager
def serving_here(
    folder: Path | None = None, upstreams: Iterable[str] = (), **settings: Any
) -> Iterator[Served]:
    """The application on a free port, by a thread of this process; ``settings``: its own."""
    import uvicorn

    from pyodide_mirror.server import create_app
    from pyodide_mirror.server.running.run import server_config

    app = create_app(folder, upstreams=list(upstreams), **settings)
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        server = uvicorn.Server(server_config(app))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            # Connections wait in the socket's queue until the server takes them.
            yield Served(f"http://127.0.0.1:{listening.getsockname()[1]}")
        finally:
            server.should_exit = True
            thread.join()
