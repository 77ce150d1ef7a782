"""What a wheel unpacks to, read from the directory of its archive and from nothing else."""

from __future__ import annotations

import io
import zipfile

from pyodide_mirror.errors import MirrorError
from pyodide_mirror.model import printable


def members_of(wheel: bytes) -> list[str]:
    """The names of the files in a wheel; ValueError says in a clause why it cannot be unpacked.

    Nothing is unpacked for that, so a damaged member is not found: to check all of them takes a
    third as long as to unpack them.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise ValueError(f"it is no zip archive ({error})") from error
    names = []
    for member in members:
        name = member.filename
        # Python's zipfile would put it somewhere else without a word, or leave it out.
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"it has the unsafe file name {name[:200]!r}")
        if member.flag_bits & 1:
            raise ValueError(f"{name[:200]!r} in it is encrypted")
        if not name.endswith("/"):
            names.append(name)
    if not any(name.partition("/")[0].endswith(".dist-info") for name in names):
        raise ValueError("it has no .dist-info folder")
    return names


def cannot_unpack(filename: str, place: str, reason: str) -> MirrorError:
    """The error for a file that is what its page says, and is of no use."""
    what = f"{printable(filename)} from {printable(place)} cannot be unpacked: {printable(reason)}"
    return MirrorError(
        f"{what}. No mirror can repair that: ask for another version, and tell the publisher"
    )


def archive_fault(filename: str, place: str, wheel: bytes) -> MirrorError | None:
    """The error for a wheel that can be seen not to unpack."""
    try:
        members_of(wheel)
    except ValueError as error:
        return cannot_unpack(filename, place, str(error))
    return None
