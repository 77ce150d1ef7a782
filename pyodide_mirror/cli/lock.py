"""``pyodide-mirror lock``: its arguments, and what it writes."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyodide_mirror.api import ENVIRONMENT_VARIABLE
from pyodide_mirror.bundling import (
    BundlingError,
    lock_requirements,
    read_requirements,
    write_whole,
)
from pyodide_mirror.loader import core_files, source
from pyodide_mirror.model import Mirror
from pyodide_mirror.runtime import CDN_VARIABLE, NEWEST_PYODIDE

from .options import argument, seconds

if TYPE_CHECKING:
    import argparse

    from pyodide_mirror.bundling import Requested


def add_parser(commands: Any) -> None:
    """Add ``lock`` to what ``ArgumentParser.add_subparsers`` returned.

    Its exit code is 0 when the lock file was written, 1 when it could not be, 2 for bad usage.
    """
    lock = commands.add_parser(
        "lock",
        help="write a lock file of what requirements install in Pyodide",
        description="Install requirements in Pyodide, which Node runs here, and write a lock file"
        " (PEP 751) of that, for pyodide_mirror.install_pylock, pip and uv.",
        epilog="It needs Node: pip install 'pyodide-mirror[bundle]'. Pyodide comes from npm, and is"
        " kept. Exit code: 0 when the lock file was written, 1 when it could not be, 2 for bad"
        " usage.",
    )
    add_requirements(lock)
    lock.add_argument(
        "-o",
        "--output",
        type=argument(_pylock_name),
        metavar="FILE",
        help="pylock.toml or pylock.NAME.toml, which is replaced when all has worked; by default"
        " the lock file is printed",
    )
    add_places(lock)
    lock.set_defaults(run=_lock, error=lock.error)


def add_requirements(command: argparse.ArgumentParser) -> None:
    """Add what says which packages are wanted; :func:`requested_of` reads it."""
    command.add_argument("requirements", nargs="*", metavar="REQUIREMENT", help="as in textual>=1")
    command.add_argument(
        "-r",
        "--requirement",
        action="append",
        default=[],
        metavar="FILE",
        help="file of requirements, in pip's format; may be given several times",
    )
    command.add_argument(
        "-c",
        "--constraint",
        action="append",
        default=[],
        metavar="FILE",
        help="file of constraints, in pip's format; may be given several times",
    )


def add_places(
    command: argparse.ArgumentParser,
    pyodide: str | None = NEWEST_PYODIDE,
    told: str = "%(default)s",
    kept: str = "Pyodide is",
) -> None:
    """Add which Pyodide is meant, by default that version, and where all comes from.

    ``told``: what is said of the default. ``kept``: what a cache is for.
    """
    _add_pyodide(command, pyodide, told, kept)
    command.add_argument(
        "--mirror",
        action="append",
        type=argument(Mirror),
        default=[],
        metavar="URL",
        help="index URL to install through; may be given several times (default: those of"
        f" {ENVIRONMENT_VARIABLE}, else the known ones)",
    )
    command.add_argument(
        "--cdn",
        action="append",
        type=argument(source),
        default=[],
        metavar="URL",
        help="base URL of a CDN of Pyodide's packages, in which {version} stands for its version,"
        " or a folder with an unpacked release; may be given several times (default: those of"
        f" {CDN_VARIABLE}, else the known ones)",
    )
    command.add_argument(
        "--timeout",
        type=argument(seconds),
        default=10.0,
        metavar="SECONDS",
        help="until the first byte of an answer, and from each byte to the next"
        " (default: %(default)g)",
    )


def _add_pyodide(
    command: argparse.ArgumentParser, pyodide: str | None, told: str, kept: str
) -> None:
    command.add_argument(
        "--pyodide",
        type=argument(_known_version),
        default=pyodide,
        metavar="VERSION",
        help=f"the version of Pyodide (default: {told})",
    )
    command.add_argument(
        "--pyodide-lock",
        type=Path,
        metavar="FILE",
        help="a pyodide-lock.json of your own in place of the release's",
    )
    command.add_argument(
        "--cache", type=Path, metavar="FOLDER", help=f"folder in which {kept} kept"
    )


def requested_of(given: argparse.Namespace) -> Requested:
    """The packages that are wanted; bad usage ends the program."""
    try:
        wanted = read_requirements(given.requirements, given.requirement, given.constraint)
        if wanted.mirrors and given.mirror:
            raise ValueError("argument --mirror: a file of requirements names an --index-url")
    except ValueError as error:
        given.error(str(error))
    return wanted


def _known_version(text: str) -> str:
    core_files(text)
    return text


def _pylock_name(text: str) -> Path:
    from packaging.pylock import is_valid_pylock_path

    path = Path(text)
    if not is_valid_pylock_path(path):
        raise ValueError(f"{path.name!r} is neither pylock.toml nor pylock.NAME.toml (PEP 751)")
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent} is no folder")
    return path


def _lock(given: argparse.Namespace) -> int:
    wanted = requested_of(given)
    if not wanted.requirements:
        given.error("nothing is asked for: give a requirement, or -r FILE")
    work = lock_requirements(
        wanted.requirements,
        constraints=wanted.constraints,
        pyodide=given.pyodide,
        mirrors=given.mirror or wanted.mirrors,
        cdns=given.cdn,
        cache=given.cache,
        tell=tell,
        hashes=wanted.hashes,
        pre=wanted.pre,
        timeout=given.timeout,
        pyodide_lock=given.pyodide_lock,
    )
    try:
        text = asyncio.run(work)
        if given.output:
            write_whole(given.output, text.encode())
    except (BundlingError, OSError, ValueError) as error:
        print(f"pyodide-mirror lock: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    if given.output:
        tell(f"{given.output} is written")
    else:
        print(text, end="")
    return 0


def tell(text: str) -> None:
    """Show what goes on."""
    print(text, file=sys.stderr, flush=True)
