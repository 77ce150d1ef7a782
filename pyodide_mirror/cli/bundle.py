"""``pyodide-mirror bundle``: its arguments, and what it prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror.loader import core_files, source
from pyodide_mirror.mirrors import MIRRORS
from pyodide_mirror.model import Mirror
from pyodide_mirror.runtime import CDN_VARIABLE, default_cdns

from .options import argument, seconds

if TYPE_CHECKING:
    import argparse

    from pyodide_mirror.bundling import WrittenBundle

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
        " packages to a folder.",
        epilog="Files are kept in a cache by their digests, so that the next bundle is written"
        " quickly. Needs pyodide-mirror[bundle].",
    )
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
    _add_sources(bundle)
    bundle.add_argument(
        "--public-url",
        type=argument(_public_url),
        metavar="URL",
        help="where the folder will be, for pages and a lock file with whole URLs",
    )
    bundle.add_argument(
        "--force", action="store_true", help="also write into a folder that holds other things"
    )
    bundle.set_defaults(run=_bundle, error=bundle.error)


def _add_sources(bundle: argparse.ArgumentParser) -> None:
    bundle.add_argument(
        "--pyodide",
        type=argument(_known_version),
        metavar="VERSION",
        help="the version of Pyodide (default: that of the folder, else that of the lock file, else"
        " the newest)",
    )
    bundle.add_argument(
        "--cdn",
        action="append",
        type=argument(source),
        metavar="URL",
        help="base URL of a CDN with Pyodide, in which {version} stands for the version, or a"
        " folder with a release; may be given several times (default: those of"
        f" {CDN_VARIABLE}, else the known ones)",
    )
    bundle.add_argument(
        "--mirror",
        action="append",
        type=argument(Mirror),
        default=[],
        metavar="URL",
        help="index URL to ask for packages; may be given several times (default: the known ones)",
    )
    bundle.add_argument("--cache", metavar="DIR", help="where to keep what was fetched")
    bundle.add_argument(
        "--timeout",
        type=argument(seconds),
        default=15.0,
        metavar="SECONDS",
        help="until the first byte of an answer, and from each to the next (default: %(default)g)",
    )


def _known_version(text: str) -> str:
    core_files(text)
    return text


def _public_url(text: str) -> str:
    from pyodide_mirror.server import check_public_url

    return check_public_url(text)


def _bundle(given: argparse.Namespace) -> int:
    if given.check and given.pylock:
        given.error("argument --check: not allowed with packages")
    try:
        from pyodide_mirror.bundling import BundleError

        if given.check:
            return _check(given.folder)
        _tell(given, _write(given))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("pyodide_mirror"):
            raise
        print(
            f"pyodide-mirror bundle needs {error.name}: pip install 'pyodide-mirror[bundle]'",
            file=sys.stderr,
        )
        return 2
    except (BundleError, OSError, ValueError) as error:
        print(f"pyodide-mirror bundle: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    return 0


def _write(given: argparse.Namespace) -> WrittenBundle:
    from platformdirs import user_cache_path

    from pyodide_mirror.bundling import BundleSettings, read_lock_file, write_bundle
    from pyodide_mirror.server import Disk

    # The server's: what that has fetched need not be fetched again.
    cache = Path(given.cache or user_cache_path("pyodide-mirror", appauthor=False))
    settings = BundleSettings(
        pyodide=given.pyodide or "",
        sources=given.cdn or default_cdns()[0],
        cache=Disk(cache, _CACHE_SIZE),
        mirrors=given.mirror or MIRRORS,
        named=given.mirror,
        public_url=given.public_url or "",
        timeout=given.timeout,
        force=given.force,
        tell=lambda line: print(line, file=sys.stderr),
    )
    return write_bundle(given.folder, list(map(read_lock_file, given.pylock)), settings)


def _tell(given: argparse.Namespace, written: WrittenBundle) -> None:
    print(
        f"{given.folder}: Pyodide {written.pyodide} and {len(written.packages)} packages,"
        f" {len(written.added)} of them new; {written.size / 1e6:,.1f} MB"
    )
    print(f"next: put it on any web space, or run `python -m http.server -d {given.folder}`")


def _check(folder: str) -> int:
    from pyodide_mirror.bundling import check_bundle

    faults = check_bundle(folder)
    for path, fault in faults.items():
        print(f"{path}: {fault}")
    if not faults:
        print(f"{folder}: each file is as it was written")
    return 1 if faults else 0
