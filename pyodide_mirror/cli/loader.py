"""``pyodide-mirror loader``: its arguments, and what it prints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pyodide_mirror.loader import LoaderError, core_files, source, write_loader
from pyodide_mirror.model import Mirror
from pyodide_mirror.runtime import CDN_VARIABLE, NEWEST_PYODIDE, default_cdns

from .options import argument, seconds

if TYPE_CHECKING:
    import argparse

    from pyodide_mirror.loader import Written


def add_parser(commands: Any) -> None:
    """Add ``loader`` to what ``ArgumentParser.add_subparsers`` returned.

    Its exit code is 0 when the folder was written, 1 when it could not be, 2 for bad usage.
    """
    loader = commands.add_parser(
        "loader",
        help="write a folder from which a page loads Pyodide, whichever CDN can be read",
        description="Write pyodide.mjs, which a page imports in place of Pyodide's own, and the"
        " small files that belong to it. The large ones come from a race of CDNs at page time.",
        epilog="A CDN may also be a folder: an unpacked release of Pyodide, or npm's package."
        " Where all are, pages ask no CDN, and all that they need is copied from there.",
    )
    loader.add_argument("folder", metavar="FOLDER", help="folder to write; it is made if need be")
    loader.add_argument(
        "--pyodide",
        type=argument(_known_version),
        default=NEWEST_PYODIDE,
        metavar="VERSION",
        help="the version of Pyodide (default: %(default)s)",
    )
    _add_sources(loader)
    loader.add_argument(
        "--timeout",
        type=argument(seconds),
        default=5.0,
        metavar="SECONDS",
        help="until a CDN's first byte, and from each byte to the next (default: %(default)g)",
    )
    loader.add_argument(
        "--force", action="store_true", help="also write into a folder that holds other things"
    )
    loader.set_defaults(run=_loader)


def _add_sources(loader: argparse.ArgumentParser) -> None:
    loader.add_argument(
        "--cdn",
        action="append",
        type=argument(source),
        metavar="URL",
        help="base URL of a CDN, in which {version} stands for the version; may be given several"
        f" times (default: those of {CDN_VARIABLE}, else the known ones)",
    )
    loader.add_argument(
        "--mirror",
        action="append",
        type=argument(Mirror),
        default=[],
        metavar="URL",
        help="index URL that the page's Python installs through; may be given several times"
        " (default: the known ones)",
    )
    loader.add_argument(
        "--lock", metavar="FILE", help="a lock file of your own in place of the release's"
    )


def _known_version(text: str) -> str:
    core_files(text)
    return text


def _loader(given: argparse.Namespace) -> int:
    try:
        written = write_loader(
            given.folder,
            given.pyodide,
            given.cdn or default_cdns()[0],
            mirrors=given.mirror,
            lock=given.lock,
            timeout=given.timeout,
            force=given.force,
        )
    except (LoaderError, OSError, ValueError) as error:
        print(f"pyodide-mirror loader: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    _tell(given, written)
    return 0


def _tell(given: argparse.Namespace, written: Written) -> None:
    print(f"{given.folder}: loads Pyodide {given.pyodide}")
    if written.cdns:
        print(f"pages ask these CDNs: {', '.join(each.name for each in written.cdns)}")
    else:
        here = written.packages - len(written.missing)
        print(f"pages ask no CDN; of {written.packages} packages of the lock file {here} are here")
    print("next: import { loadPyodide } from its pyodide.mjs, in place of Pyodide's own")
