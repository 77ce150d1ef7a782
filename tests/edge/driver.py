"""A Node process that is told what to do in lines of JSON, and answers in lines of JSON."""

import itertools
import json
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

from tests.support import provision
from tests.support.processes import OWN_GROUP, end_group

_PATIENCE = 120.0


class DriverError(RuntimeError):
    """The driver could not do what it was told; the text is its own."""


class Driver:
    """Node with a script, whose arguments are a socket's file descriptor and those given."""

    def __init__(self, script: Path, *arguments: str) -> None:
        """Start it."""
        ours, its = socket.socketpair()
        with its:
            self._process = subprocess.Popen(
                [str(provision.node()), str(script), str(its.fileno()), *arguments],
                stdin=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
                **OWN_GROUP,
            )
        ours.settimeout(_PATIENCE)
        self._socket = ours
        self._lines = ours.makefile("r", encoding="utf-8")
        self._ids = itertools.count()
        self._lock = threading.Lock()

    def call(self, **message: Any) -> dict[str, Any]:
        """Send one message, and return its answer. Raises `DriverError`."""
        with self._lock:
            sent = {"id": next(self._ids), **message}
            self._socket.sendall(f"{json.dumps(sent)}\n".encode())
            line = self._lines.readline()
        if not line:
            raise DriverError(f"the driver has ended with status {self._process.poll()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise DriverError(answer["error"])
        return answer

    def close(self) -> None:
        """End Node, and all that it has started."""
        self._lines.close()
        self._socket.close()
        end_group(self._process)
