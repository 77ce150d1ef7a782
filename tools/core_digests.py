"""Add the newest versions of Pyodide to the table of its core files, from npm's packages.

    python -m tools.core_digests [--table FILE] [--all]

What npm has under a version never changes, so a version that is in the table is only read again
with ``--all``. Of pre-releases only the newest is taken, and only of a line without a release.
"""

import argparse
import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from packaging.version import Version

from pyodide_mirror.loader import CORE_FILES, TABLE
from tests.support import provision

_OLDEST: Final = Version("0.28")

Table = dict[str, dict[str, list[Any]]]
"""By version and file: the SHA-256 in hexadecimal, and the number of bytes."""


def wanted(published: Iterable[str]) -> list[str]:
    """The versions on npm that belong into the table, oldest first."""
    versions = {Version(each): each for each in published}
    known = sorted(each for each in versions if each.release >= _OLDEST.release)
    released = {each.release[0] for each in known if not each.is_prerelease}
    newest = {each.release[0]: each for each in known if each.is_prerelease}
    return [
        versions[each]
        for each in known
        if not each.is_prerelease
        or (each.release[0] not in released and each == newest[each.release[0]])
    ]


def measured(folder: Path, version: str) -> dict[str, list[Any]]:
    """The core files of an unpacked distribution; ValueError if it is of another version."""
    if f'="{version}"' not in (folder / "pyodide.mjs").read_text("utf-8"):
        raise ValueError(f"the pyodide.mjs of {version} does not say that it is of this version")
    found = {}
    for name in CORE_FILES:
        if (folder / name).is_file():
            content = (folder / name).read_bytes()
            found[name] = [hashlib.sha256(content).hexdigest(), len(content)]
    return found


def written(table: Table) -> str:
    """The table as text: a file in a line."""
    text = json.dumps(dict(sorted(table.items(), key=lambda each: Version(each[0]))), indent=1)
    return re.sub(r"\[\s+(\S+)\s+(\S+)\s+\]", r"[\1 \2]", text) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Bring the table up to date, and print which versions are new or have changed."""
    parser = argparse.ArgumentParser(prog="python -m tools.core_digests", description=main.__doc__)
    parser.add_argument("--table", type=Path, default=Path(str(TABLE)), metavar="FILE")
    parser.add_argument("--all", action="store_true", help="read the known versions again, too")
    given = parser.parse_args(arguments)
    table: Table = json.loads(given.table.read_bytes())
    for published in wanted(provision.npm_versions("pyodide")):
        version = str(Version(published))  # as Pyodide itself writes it: not 1.0-alpha.1 but 1.0a1
        if version in table and not given.all:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            modules = provision.npm_install([f"pyodide@{published}"], Path(scratch))
            files = measured(modules / "pyodide", version)
        if table.get(version) != files:
            print(version)
        table[version] = files
    given.table.write_text(written(table), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
