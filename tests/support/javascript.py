"""The linter and formatter for this project's JavaScript: ``python -m tests.support.javascript``.

Biome, from npm, with the rules in ``biome.jsonc``. It says nothing unless it finds something; then
the exit code is 1. ``--fix`` formats the files, and fixes what can be fixed safely.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from tests.support import provision

VERSION = "2.6.8"


def biome() -> Path:
    """Return the path of Biome, which is installed when it is not there yet.

    Raises `ProvisionError`.
    """

    def install(folder: Path) -> None:
        provision.npm_install([f"@biomejs/biome@{VERSION}"], folder)

    folder = provision.made(provision.CACHE / "biome" / VERSION, install)
    # The package for this machine, beside the one that was asked for, has the program itself.
    (program,) = folder.glob("node_modules/@biomejs/cli-*/biome*")
    return program


def main() -> int:
    """Check, or with ``--fix`` format, all JavaScript of the project."""
    parser = argparse.ArgumentParser(description="Check all JavaScript of this project.")
    parser.add_argument("--fix", action="store_true", help="format, and fix what is safe to fix")
    arguments = parser.parse_args()
    options = ["--error-on-warnings", "--diagnostic-level=info", "--max-diagnostics=none"]
    mode = ["--write"] if arguments.fix else []
    done = subprocess.run(
        [str(biome()), "check", *options, *mode, "--colors=off"],
        cwd=provision.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
    return int(done.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
