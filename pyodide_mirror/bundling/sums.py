"""The digests of all that is in a bundle, and the check of one."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .errors import BundlingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SUMS: Final = "SHA256SUMS"
"""The file with the digests, in the form that ``sha256sum -c`` takes."""
_LINE: Final = re.compile(r"([0-9a-f]{64})  ([^\n\\]+)\n")
_LAST: Final = re.compile(r"# ([0-9a-f]{64})\n")


def written_sums(digests: Mapping[str, str]) -> bytes:
    """The file, of SHA-256 by path; its last line has the digest of those above it."""
    lines = "".join(f"{digests[path]}  {path}\n" for path in sorted(digests)).encode()
    return lines + f"# {hashlib.sha256(lines).hexdigest()}\n".encode()


def read_sums(folder: Path) -> dict[str, str]:
    """SHA-256 by path; BundlingError says that there is no such file, or that it has changed."""
    try:
        *lines, last = (folder / SUMS).read_bytes().decode().splitlines(keepends=True)
    except FileNotFoundError:
        raise BundlingError(f"{folder} is no bundle: it has no {SUMS}") from None
    except ValueError:  # it is empty, or no text
        raise BundlingError(f"{SUMS} is not as it was written") from None
    end = _LAST.fullmatch(last)
    found = [_LINE.fullmatch(line) for line in lines]
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    if end is None or end[1] != digest or None in found:
        raise BundlingError(f"{SUMS} is not as it was written")
    return {each[2]: each[1] for each in found if each is not None}


def check_bundle(folder: str | Path) -> dict[str, str]:
    """What is wrong in a bundle, by path: all of its digests are computed again.

    Raises :class:`BundlingError` where the folder is no bundle, and OSError.
    """
    top = Path(folder)
    if not (top / SUMS).is_file():
        raise BundlingError(f"{top} is no bundle: it has no {SUMS}")
    try:
        expected = read_sums(top)
    except BundlingError:
        return {SUMS: "it is not as it was written, so nothing says what the others must be"}
    there = dict.fromkeys(_files_in(top))
    there.pop(SUMS, None)
    faults = dict.fromkeys(expected.keys() - there.keys(), "it is missing")
    faults |= dict.fromkeys(there.keys() - expected.keys(), "it is not of this bundle")
    for path in expected.keys() & there.keys():
        if not (top / path).is_file() or digest_of(top / path) != expected[path]:
            faults[path] = "it has other bytes than it must have"
    return dict(sorted(faults.items()))


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files_in(top: Path) -> Iterator[str]:
    """The paths of all files; a link to a folder counts as one."""
    for folder, folders, files in os.walk(top):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in [*files, *links]:
            yield Path(folder, name).relative_to(top).as_posix()
