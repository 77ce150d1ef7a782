"""Metrics that several processes count together, as Prometheus' client library does it.

It decides how to count when it is imported, so this must be said before.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with the folder in which the processes count."""


def counted_together(processes: int) -> AbstractContextManager[None]:
    """Let so many processes, which are forked in the block, count together.

    A folder that the environment names already is taken.
    """
    return nullcontext() if processes == 1 or VARIABLE in os.environ else _in_a_folder()


@contextmanager
def _in_a_folder() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="pyodide-mirror-") as folder:
        os.environ[VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[VARIABLE]


def forget_process(pid: int) -> None:
    """Leave out what was true of a process while it ran; what it has counted stays."""
    if VARIABLE in os.environ:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(pid)  # type: ignore[no-untyped-call]
