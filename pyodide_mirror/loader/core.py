"""The core files of Pyodide by version, each under its digest.

They are those that npm's package and the distribution on CDNs both have: Pyodide itself, without
the packages. The table is made by ``nox -s core_digests`` from npm's packages.
"""

from __future__ import annotations

import functools
import hashlib
import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

TABLE: Final[Traversable] = files(__package__).joinpath("core_digests.json")
"""The file that the table is in."""

LOCK: Final = "pyodide-lock.json"
"""The name of a release's lock file."""
CORE_FILES: Final = (
    "pyodide.mjs",
    "pyodide.js",
    "pyodide.asm.mjs",  # since 314
    "pyodide.asm.js",  # before
    "pyodide.asm.wasm",
    "python_stdlib.zip",
    LOCK,
)
"""What there may be of a version."""


class CoreFile(NamedTuple):
    """A core file of one version: its name, its SHA-256 in hexadecimal, and its bytes."""

    name: str
    sha256: str
    size: int

    def fits(self, content: bytes) -> bool:
        """Whether this is its content."""
        return len(content) == self.size and hashlib.sha256(content).hexdigest() == self.sha256


def core_files(version: str) -> Mapping[str, CoreFile]:
    """The core files of a version of Pyodide, by name; ValueError says which are known."""
    found = _table().get(version)
    if found is None:
        raise ValueError(
            f"Pyodide {version} is not known; those that are: {', '.join(known_versions())}"
        )
    return {name: CoreFile(name, str(digest), int(size)) for name, (digest, size) in found.items()}


def known_versions() -> tuple[str, ...]:
    """The versions whose core files are known, oldest first."""
    return tuple(_table())


@functools.cache
def _table() -> dict[str, dict[str, list[Any]]]:
    found: dict[str, dict[str, list[Any]]] = json.loads(TABLE.read_text("utf-8"))
    return found
