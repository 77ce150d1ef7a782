"""Pyodide's lock file: which packages a release has, each under its digest."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_LOCK_BYTES: Final = 8 * 1024 * 1024
"""Seventy times as large as that of Pyodide 314."""
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!~-]{0,254}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_SMALL: Final = ("iniconfig-", "six-", "cycler-", "pluggy-", "packaging-", "micropip-")
"""How files of some kilobytes begin, of which the lock file of each Pyodide has some."""


class Lock(NamedTuple):
    """A lock file.

    ``files``: the SHA-256 of each package, in hexadecimal, by its file name. Files elsewhere, which
    have a URL in place of a name, are not among them.
    """

    content: bytes
    sha256: str
    files: Mapping[str, str]

    @property
    def small_file(self) -> str | None:
        """The name of a small file, by which a copy of the release can be tested."""
        wheels = [name for name in self.files if name.endswith("-none-any.whl")]
        small = (name for begin in _SMALL for name in wheels if name.startswith(begin))
        return next(small, None)


def is_plain_name(name: str) -> bool:
    """Whether a release may have a file of that name."""
    return _PLAIN_NAME.fullmatch(name) is not None


def read_lock(content: bytes) -> Lock:
    """A lock file from its bytes; ValueError says in a clause what is wrong with it."""
    if len(content) > MAX_LOCK_BYTES:
        raise ValueError(f"has more than {MAX_LOCK_BYTES:,} bytes")
    try:
        packages = json.loads(content)["packages"].values()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("is no lock file of Pyodide") from None
    return Lock(content, hashlib.sha256(content).hexdigest(), dict(_files(packages)))


def _files(packages: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for entry in packages:
        if isinstance(entry, dict):
            name, digest = str(entry.get("file_name")), str(entry.get("sha256")).lower()
            if is_plain_name(name) and _DIGEST.fullmatch(digest):
                yield name, digest
