"""``pyodide-mirror check``: which mirrors and CDNs a page could use, and why not the others."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror.api import ENVIRONMENT_VARIABLE, CPythonHost, Session, check_mirrors
from pyodide_mirror.model import (
    CDN,
    CDNOutcome,
    Mirror,
    Outcome,
    Support,
    check_origin,
    host_kind,
    printable,
)
from pyodide_mirror.reporting import Report
from pyodide_mirror.runtime import CDN_VARIABLE, NEWEST_PYODIDE, default_cdns, probe_cdns
from pyodide_mirror.transport import PageFacts

from .options import add_probe_options, argument, version

if TYPE_CHECKING:
    import argparse

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
        "--cdns",
        nargs="*",
        metavar="URL",
        type=argument(CDN),
        help="look at CDNs of Pyodide's own packages, and at mirrors only where some are named;"
        f" by default those of {CDN_VARIABLE}, else the known ones",
    )
    check.add_argument(
        "--pyodide",
        type=argument(version),
        metavar="VERSION",
        help=f"the version of Pyodide that CDNs must have (default: {NEWEST_PYODIDE})",
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
    check.set_defaults(run=_check, error=check.error)


def _check(given: argparse.Namespace) -> int:
    if given.pyodide and given.cdns is None:
        given.error("argument --pyodide: it is for --cdns")
    report = asyncio.run(_report(given))
    if given.json:
        found = {"origin": given.origin, "canary": given.canary, **report.to_dict()}
        print(json.dumps(found, indent=2))  # a command prints
    else:
        print(report)
    outcomes: list[Outcome | CDNOutcome] = [*report.outcomes, *report.cdns]
    return int(any(outcome.support is Support.NONE for outcome in outcomes))


async def _report(given: argparse.Namespace) -> Report:
    host = CPythonHost(PageFacts(origin=given.origin, host_kind=host_kind(given.origin)))
    watched = sys.stderr.isatty() and not given.json
    report = Report(None, ())
    if given.mirrors or given.cdns is None:
        watch = _tell if watched else None
        report = await Session(host).probe(
            given.mirrors or check_mirrors(None).mirrors,
            canary=given.canary,
            timeout=given.timeout,
            on_outcome=watch,
        )
    if given.cdns is None:
        return report
    cdns, named = (given.cdns, True) if given.cdns else default_cdns()
    found = await probe_cdns(
        cdns,
        await host.transport(),
        timeout=given.timeout,
        named=named,
        version=given.pyodide or NEWEST_PYODIDE,
        watch=_tell_of_cdn if watched else None,
    )
    return replace(report, cdns=found)


def _tell(outcome: Outcome) -> None:
    """Show a verdict as it arrives."""
    line = f"{outcome.mirror.name}: {outcome.verdict} ({outcome.elapsed_ms:.0f} ms)"
    print(printable(line), file=sys.stderr, flush=True)


def _tell_of_cdn(outcome: CDNOutcome) -> None:
    line = f"{outcome.cdn.name}: {outcome.verdict} ({outcome.elapsed_ms:.0f} ms)"
    print(printable(line), file=sys.stderr, flush=True)
