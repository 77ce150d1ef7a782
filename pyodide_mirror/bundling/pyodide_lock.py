"""Files of a lock file of Pyodide's kind."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, NamedTuple

from pyodide_mirror.model import normalize

from .errors import LockError

if TYPE_CHECKING:
    from pathlib import Path


class LockedFile(NamedTuple):
    """A package's file: its name, and its SHA-256 in hexadecimal."""

    name: str
    sha256: str

    def fits(self, content: bytes) -> bool:
        """Whether this is its content."""
        return hashlib.sha256(content).hexdigest() == self.sha256

    def is_in(self, folder: Path) -> bool:
        """Whether it lies there."""
        try:
            return self.fits((folder / self.name).read_bytes())
        except OSError:
            return False


def locked_files(lock_file: Path, roots: tuple[str, ...]) -> list[LockedFile]:
    """The files of these packages, and of all that they depend on.

    Raises LockError for what is no lock file of Pyodide, and where one is missing.
    """
    try:
        entries = json.loads(lock_file.read_bytes())["packages"]
        packages = {normalize(name): entry for name, entry in entries.items()}
        found: dict[str, LockedFile] = {}
        waiting = list(roots)
        while waiting:
            name = normalize(waiting.pop())
            if name not in found:
                entry = packages[name]
                found[name] = _file(str(entry["file_name"]), str(entry["sha256"]))
                waiting += entry["depends"]
    except OSError as error:
        raise LockError(f"{lock_file} cannot be read: {error.strerror}") from None
    except KeyError as error:
        raise LockError(f"{lock_file} lacks {error}, which Pyodide has to load first") from None
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise LockError(f"{lock_file} is no lock file of Pyodide") from None
    return list(found.values())


def _file(place: str, digest: str) -> LockedFile:
    name = place.partition("?")[0].rpartition("/")[2]
    if not (
        re.fullmatch("[A-Za-z0-9._+!~-]{1,255}", name) and re.fullmatch("[0-9a-f]{64}", digest)
    ):
        raise ValueError(name)
    return LockedFile(name, digest)
