"""Our own server as a program, the way people start it."""

import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.processes import OWN_GROUP, end_group

_STARTS_WITHIN = 30.0


@dataclass
class Serving:
    """A server that runs. ``url`` is its origin; ``index_url`` what micropip is told."""

    process: "subprocess.Popen[str]"
    url: str
    log: list[str] = field(default_factory=list)

    @property
    def index_url(self) -> str:
        """The index URL, without a slash at its end."""
        return f"{self.url}/simple"

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return "".join(self.log)


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
        command = [sys.executable, *program, "serve", "--port", "0"]
        command += ["--cache", str(cache or scratch), *options]
        for url in upstreams:
            command += ["--upstream", url]
        if not list(upstreams):
            command.append("--offline")
        if folder is not None:
            command.append(str(folder))
        process = subprocess.Popen(
            command,
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
            yield Serving(process, _address(lines, log), log)
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
