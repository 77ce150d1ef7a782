"""The command ``pyodide-mirror``, for CPython.

Exit codes of ``check``: 0 when all mirrors are usable, 1 when some are not, 2 for bad usage. All
commands: 130 when it was interrupted, 141 when nobody reads what it prints.
"""

from __future__ import annotations

import argparse
import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, Final

from pyodide_mirror import __version__

from . import bundle, check, edge, loader, lock, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERRUPTED: Final = 130
"""What shells make of a program that SIGINT has ended: 128 + 2."""
_UNREAD: Final = 141
"""The same for SIGPIPE, which Python ignores: 128 + 13."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with ``sys.argv`` or the given arguments, and return its exit code.

    Bad usage raises SystemExit(2), as argparse has it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a mirror says may not suit this terminal
    try:
        try:
            given = _parser().parse_args(arguments)
            return int(given.run(given))
        finally:
            sys.stdout.flush()  # otherwise Python does it when nobody can catch its error
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # `pyodide-mirror … | head`
        _discard_output()
        return _UNREAD


def _discard_output() -> None:
    """Let Python's last flush succeed, as its documentation of SIGPIPE advises."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pyodide-mirror",
        description="Find package indexes that work from the browser, inside Pyodide.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (check, serve, edge, loader, lock, bundle):
        command.add_parser(commands)
    return parser
