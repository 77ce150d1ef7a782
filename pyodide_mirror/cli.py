"""The command ``pyodide-mirror``, for CPython.

Exit codes of ``check``: 0 when all mirrors are usable, 1 when some are not, 2 for bad usage, 130
when it was interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, Final

from . import __version__, edge
from .arguments import ENVIRONMENT_VARIABLE, check_canary
from .errors import Support
from .hosts import CPythonHost
from .model import Mirror, Outcome, PageFacts
from .options import (
    DEFAULT_CACHE_SIZE,
    DEFAULT_TIMEOUT,
    UPSTREAMS_VARIABLE,
    argument,
    port,
    seconds,
    size,
)
from .printing import printable
from .probing import DEFAULT_CANARY
from .session import Session
from .urls import hide_user_info, host_kind, origin, split_http_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .report import Report

DEFAULT_ORIGIN: Final = "https://app.example"
"""Stands for any public https page (RFC 2606: no such host exists)."""

_INTERRUPTED: Final = 130
"""What shells make of a program that SIGINT has ended: 128 + 2."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with ``sys.argv`` or the given arguments, and return its exit code.

    Bad usage raises SystemExit(2), as argparse has it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a mirror says may not suit this terminal
    given = _parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except KeyboardInterrupt:
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pyodide-mirror",
        description="Find package indexes that work from the browser, inside Pyodide.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_check(commands)
    _add_serve(commands)
    edge.add_parser(commands)
    return parser


# --- check --------------------------------------------------------------------------------------


def _add_check(commands: Any) -> None:
    check = commands.add_parser(
        "check",
        help="say which mirrors a page could use, and why not the others",
        description="Give the verdicts that a page of some origin would reach, by applying the"
        " browser's CORS rules to the answers, redirects hop by hop.",
        epilog="Exit code: 0 when all mirrors are usable, 1 when some are not, 2 for bad usage.",
    )
    check.add_argument(
        "mirrors",
        nargs="*",
        metavar="URL",
        type=argument(Mirror),
        help=f"index URLs; by default those of {ENVIRONMENT_VARIABLE}, else the known mirrors",
    )
    check.add_argument(
        "--origin",
        type=argument(_check_origin),
        default=DEFAULT_ORIGIN,
        help="origin of the page that would ask, such as http://localhost:8888"
        " (default: %(default)s, like any public https page)",
    )
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    check.add_argument(
        "--timeout",
        type=argument(seconds),
        default=5.0,
        metavar="SECONDS",
        help="for each request, body included (default: %(default)g)",
    )
    check.add_argument(
        "--canary",
        type=argument(check_canary),
        default=DEFAULT_CANARY,
        metavar="PROJECT",
        help="the project to look up (default: %(default)s)",
    )
    check.set_defaults(run=_check)


def _check(given: argparse.Namespace) -> int:
    page = PageFacts(origin=given.origin, host_kind=host_kind(given.origin))
    watch = _tell if sys.stderr.isatty() and not given.json else None
    report: Report = asyncio.run(
        Session(CPythonHost(page)).probe(
            given.mirrors or None, canary=given.canary, timeout=given.timeout, on_outcome=watch
        )
    )
    if given.json:
        found = {"origin": given.origin, "canary": given.canary, **report.to_dict()}
        print(json.dumps(found, indent=2))  # a command prints
    else:
        print(report)
    return int(any(outcome.support is Support.NONE for outcome in report.outcomes))


def _tell(outcome: Outcome) -> None:
    """Show a verdict as it arrives."""
    line = f"{outcome.mirror.name}: {outcome.verdict} ({outcome.elapsed_ms:.0f} ms)"
    print(printable(line), file=sys.stderr, flush=True)


# --- serve --------------------------------------------------------------------------------------


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser(
        "serve",
        help="serve an index for browsers, over a folder of wheels and other indexes",
        description="Serve http://HOST:PORT/simple/ for micropip, pip and uv. A project in FOLDER"
        " is answered from it alone; any other goes to the upstreams in order.",
        epilog=f"Upstreams that need a password: ~/.netrc, or {UPSTREAMS_VARIABLE} in the"
        " environment, which may hold URLs with user:password@. Needs pyodide-mirror[serve].",
    )
    serve.add_argument("folder", nargs="?", metavar="FOLDER", help="folder of wheels and sdists")
    serve.add_argument(
        "--upstream",
        action="append",
        metavar="URL",
        help=f"index URL, may be repeated (default: {UPSTREAMS_VARIABLE}, else PyPI)",
    )
    serve.add_argument("--offline", action="store_true", help="ask no upstream at all")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    serve.add_argument("--port", type=argument(port), default=8080, help="port (%(default)s)")
    serve.add_argument("--cache", metavar="DIR", help="where to keep what was fetched")
    serve.add_argument(
        "--cache-size",
        type=argument(size),
        default=DEFAULT_CACHE_SIZE,
        metavar="SIZE",
        help="bound of the cache, like 500M (default: 2G)",
    )
    serve.add_argument(
        "--allow-origin",
        action="append",
        metavar="ORIGIN",
        help="let only pages of this origin read, may be repeated (default: all)",
    )
    serve.add_argument(
        "--public-url", metavar="URL", help="where clients see the server, behind a proxy"
    )
    serve.add_argument(
        "--timeout",
        type=argument(seconds),
        default=DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help="in which an upstream must answer (default: %(default)g)",
    )
    serve.set_defaults(run=_serve)


def _serve(given: argparse.Namespace) -> int:
    try:
        from .server import command
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("pyodide_mirror"):
            raise
        print(
            f"pyodide-mirror serve needs {error.name}: pip install 'pyodide-mirror[serve]'",
            file=sys.stderr,
        )
        return 2
    return command.run(given)


def _check_origin(text: str) -> str:
    try:
        parts = split_http_url(text)
        if parts.path or "?" in text or "#" in text:
            raise ValueError("it has more than scheme, host and port")
    except ValueError as error:
        shown = hide_user_info(text)
        raise ValueError(f"{shown!r} is no origin like https://app.example: {error}") from None
    return origin(parts)
