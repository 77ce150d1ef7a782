"""The core metadata of a wheel, read so that a hostile archive costs little."""

from __future__ import annotations

import os
import struct
from contextlib import nullcontext
from io import BytesIO
from typing import IO, TYPE_CHECKING, Final

from pyodide_mirror.index import metadata_of

if TYPE_CHECKING:
    from pathlib import Path

_MAX_ENTRIES: Final = 60_000
_MAX_DIRECTORY_BYTES: Final = 16 * 1024 * 1024
# APPNOTE.TXT, 4.3.14 to 4.3.16: the end of the central directory, in ZIP64 and without.
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_END: Final = struct.Struct("<4s4H2LH")


def read_metadata(wheel: Path | BytesIO, filename: str) -> bytes:
    """The METADATA of a wheel with this file name (PyPA: binary distribution format).

    Raises OSError, and ValueError with a clause that says why there is none.
    """
    # zipfile reads the whole directory of an archive, however large it is.
    with nullcontext(wheel) if isinstance(wheel, BytesIO) else wheel.open("rb") as file:
        entries, directory = _directory(file)
    if entries > _MAX_ENTRIES or directory > _MAX_DIRECTORY_BYTES:
        raise ValueError(f"has a directory of {entries:,} entries and {directory:,} bytes")
    return metadata_of(wheel, filename)


def _directory(file: IO[bytes]) -> tuple[int, int]:
    """Number of entries and bytes of the directory, from the record that zipfile uses."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END64.size - _LOCATOR.size - _END.size - 0xFFFF))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise ValueError("is not a complete wheel (its directory has no end)")
    _, _, _, _, entries, directory, _, _ = _END.unpack_from(tail, at)
    before = at - _LOCATOR.size - _END64.size
    if before >= 0 and tail.startswith(b"PK\x06\x07", at - _LOCATOR.size):
        _, _, _, _, _, _, _, entries, directory, _ = _END64.unpack_from(tail, before)
    return entries, directory
