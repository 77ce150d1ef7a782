"""``pyodide-mirror check``: which mirrors a page could use, and why not the others."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror.api import ENVIRONMENT_VARIABLE, CPythonHost, Session
from pyodide_mirror.model import Mirror, Outcome, Support, check_origin, host_kind, printable
from pyodide_mirror.transport import PageFacts

from .options import add_probe_options, argument

if TYPE_CHECKING:
    import argparse

    from pyodide_mirror.reporting import Report

DEFAULT_ORIGIN: Final = "https://app.example"
"""Stands for any public https page (RFC 2606: no such host exists)."""


def add_parser(commands: Any) -> None:
    """Add ``check`` to what ``ArgumentParser.add_subparsers`` returned."""
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
        type=argument(check_origin),
        default=DEFAULT_ORIGIN,
        help="origin of the page that would ask, such as http://localhost:8888"
        " (default: %(default)s, like any public https page)",
    )
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    add_probe_options(check, timeout=5.0)
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
