"""``pyodide-mirror bundle``: its arguments, and what it prints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror.bundling import (
    BundleSettings,
    BundlingError,
    check_bundle,
    read_lock_file,
    write_bundle,
)
from pyodide_mirror.mirrors import MIRRORS
from pyodide_mirror.runtime import default_cdns

from .lock import add_places, add_requirements, requested_of, tell
from .options import argument

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from pyodide_mirror.bundling import Requested, WrittenBundle
    from pyodide_mirror.server import Disk

_CACHE_SIZE: Final = 2_000_000_000


def add_parser(commands: Any) -> None:
    """Add ``bundle`` to what ``ArgumentParser.add_subparsers`` returned.

    Its exit code is 0 when the folder was written, or is right; 1 when it could not be, or is not;
    2 for bad usage.
    """
    bundle = commands.add_parser(
        "bundle",
        help="write a folder with Pyodide, packages and their index, which needs no server",
        description="Write a folder for any web space that serves files: Pyodide, packages, an"
        " index for micropip, pip and uv, and a page that starts Python. Run it again to add"
        " packages to a folder. Options come before the requirements or after FOLDER.",
        epilog="Requirements need Node: pip install 'pyodide-mirror[bundle]'. What was fetched is"
        " kept, by its digest, for the next time. Exit code: 0 when the folder was written, or is"
        " as it was written; 1 when not; 2 for bad usage.",
    )
    add_requirements(bundle)
    bundle.add_argument("folder", metavar="FOLDER", help="folder to write; it is made if need be")
    bundle.add_argument(
        "--pylock",
        action="append",
        default=[],
        metavar="FILE",
        help="lock file (PEP 751) with the packages; may be given several times",
    )
    bundle.add_argument(
        "--check",
        action="store_true",
        help="write nothing; see whether each file in the folder is as it was written",
    )
    told = "that of FOLDER, else that of the lock file, else the newest"
    add_places(bundle, None, told, "what was fetched is")
    _add_place(bundle)
    bundle.set_defaults(run=_bundle, error=bundle.error)


def _add_place(bundle: argparse.ArgumentParser) -> None:
    bundle.add_argument(
        "--public-url",
        type=argument(_public_url),
        metavar="URL",
        help="where the folder will be, for pages and a lock file with whole URLs",
    )
    bundle.add_argument(
        "--force", action="store_true", help="also write into a folder that holds other things"
    )


def _public_url(text: str) -> str:
    from pyodide_mirror.server import check_public_url

    return check_public_url(text)


def _bundle(given: argparse.Namespace) -> int:
    wanted = requested_of(given)
    if given.check and (given.pylock or wanted.requirements):
        given.error("argument --check: not allowed with packages")
    try:
        if given.check:
            return _check(given.folder)
        _tell(given, _write(given, wanted))
    except (BundlingError, OSError, ValueError) as error:
        print(f"pyodide-mirror bundle: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    return 0


def _write(given: argparse.Namespace, wanted: Requested) -> WrittenBundle:
    named = given.mirror or wanted.mirrors
    settings = BundleSettings(
        pyodide=given.pyodide or "",
        sources=given.cdn or default_cdns()[0],
        cache=_cache(given.cache),
        mirrors=named or MIRRORS,
        named=named,
        pyodide_lock=given.pyodide_lock,
        public_url=given.public_url or "",
        timeout=given.timeout,
        force=given.force,
        tell=tell,
    )
    locks = list(map(read_lock_file, given.pylock))
    return write_bundle(given.folder, locks, settings, wanted if wanted.requirements else None)


def _cache(folder: Path | None) -> Disk:
    """That of the server: what that has fetched need not be fetched again."""
    from pyodide_mirror.bundling import default_cache
    from pyodide_mirror.server import Disk

    return Disk(folder or default_cache().parent, _CACHE_SIZE)


def _tell(given: argparse.Namespace, written: WrittenBundle) -> None:
    print(
        f"{given.folder}: Pyodide {written.pyodide} and {len(written.packages)} packages,"
        f" {len(written.added)} of them new; {written.size / 1e6:,.1f} MB"
    )
    print(f"next: put it on any web space, or run `python -m http.server -d {given.folder}`")


def _check(folder: str) -> int:
    faults = check_bundle(folder)
    for path, fault in faults.items():
        print(f"{path}: {fault}")
    if not faults:
        print(f"{folder}: each file is as it was written")
    return 1 if faults else 0
