"""``pyodide-mirror edge``: its arguments, and what it prints."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyodide_mirror.edge import (
    DEFAULT_NAME,
    EdgeError,
    has_releases,
    learn_file_hosts,
    write_folder,
)
from pyodide_mirror.mirrors import PYPI_URL
from pyodide_mirror.model import check_cdn, check_index_url, check_origin

from .options import add_probe_options, argument

if TYPE_CHECKING:
    import argparse


def add_parser(commands: Any) -> None:
    """Add ``edge`` to what ``ArgumentParser.add_subparsers`` returned.

    Its exit code is 0 when the folder was written, 1 when it could not be, 2 for bad usage.
    """
    edge = commands.add_parser(
        "edge",
        help="write a folder that deploys a mirror at the edge of a CDN",
        description="Write worker.js, its configuration for Cloudflare Workers, the same as a"
        " Snippet, and a README that says how to deploy and try them.",
        epilog="Without --file-host the canary's page tells, once, where the index has its files.",
    )
    edge.add_argument("folder", metavar="FOLDER", help="folder to write; it is made if need be")
    _add_index_options(edge)
    edge.add_argument(
        "--allow-origin",
        action="append",
        type=argument(_check_allowed),
        metavar="ORIGIN",
        help="origin whose pages may read the answers; may be given several times (default: all)",
    )
    edge.add_argument(
        "--cdn",
        type=argument(check_cdn),
        metavar="URL",
        help="base URL of a CDN with Pyodide's files, {version} standing for its version, which are"
        " passed on as well (default: none)",
    )
    edge.add_argument(
        "--name", default=DEFAULT_NAME, help="name of the Worker (default: %(default)s)"
    )
    edge.add_argument(
        "--force", action="store_true", help="also write into a folder that holds other things"
    )
    edge.set_defaults(run=_edge)


def _add_index_options(edge: argparse.ArgumentParser) -> None:
    edge.add_argument(
        "--upstream",
        type=argument(check_index_url),
        metavar="URL",
        help="index URL of the index to mirror (default: PyPI)",
    )
    edge.add_argument(
        "--file-host",
        action="append",
        type=argument(check_origin),
        metavar="ORIGIN",
        help="another origin that its files come from; may be given several times",
    )
    edge.add_argument(
        "--files",
        choices=("proxy", "direct"),
        default="proxy",
        help="files come through the mirror, or from where they are (default: %(default)s)",
    )
    add_probe_options(edge, timeout=10.0)


def _edge(given: argparse.Namespace) -> int:
    try:
        upstream = given.upstream or PYPI_URL
        hosts = given.file_host or asyncio.run(_learn(upstream, given))
        write_folder(
            given.folder,
            upstream,
            file_hosts=hosts,
            files=given.files,
            allow_origins=given.allow_origin or ("*",),
            cdn=given.cdn.base_url if given.cdn else "",
            name=given.name,
            force=given.force,
        )
    except ValueError as error:
        return _failed(error, 2)
    except (EdgeError, OSError) as error:
        return _failed(error, 1)
    print(
        f"{given.folder}: a mirror of {upstream}\n"
        f"file hosts: {', '.join(hosts) or 'its own'}\n"
        f"{_about_pyodide(given)}"
        f"next: cd {given.folder} && npx wrangler dev    (to try it; README.md says how to deploy)"
    )
    return 0


def _about_pyodide(given: argparse.Namespace) -> str:
    if not given.cdn:
        return ""
    script = Path(given.folder, "snippet.js").read_text("utf-8")
    left_out = "" if has_releases(script) else " (not in snippet.js, which would be too large)"
    return f"Pyodide's files: {given.cdn.base_url}{left_out}\n"


async def _learn(upstream: str, given: argparse.Namespace) -> tuple[str, ...]:
    direct = given.files == "direct"
    return await learn_file_hosts(upstream, given.canary, timeout=given.timeout, direct=direct)


def _failed(error: Exception, code: int) -> int:
    print(f"pyodide-mirror edge: {error}", file=sys.stderr)
    return code


def _check_allowed(text: str) -> str:
    return text if text == "*" else check_origin(text)
