"""The core metadata in a wheel."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_METADATA_BYTES = 4 * 1024 * 1024


def metadata_of(wheel: bytes | Path) -> bytes:
    """The METADATA of a wheel (PyPA: binary distribution format); ValueError if it has none."""
    try:
        with zipfile.ZipFile(io.BytesIO(wheel) if isinstance(wheel, bytes) else wheel) as archive:
            names = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            if len(names) != 1:
                raise ValueError(f"has {len(names)} METADATA files")
            # Other methods need libraries that Pyodide may lack, and unfold without bound.
            if archive.getinfo(names[0]).compress_type not in {
                zipfile.ZIP_STORED,
                zipfile.ZIP_DEFLATED,
            }:
                raise ValueError("has its METADATA packed in an unusual way")
            with archive.open(names[0]) as file:  # what the archive says of its size may be a lie
                metadata = file.read(MAX_METADATA_BYTES + 1)
            if len(metadata) > MAX_METADATA_BYTES:
                raise ValueError("its METADATA is too large")
            return metadata
    except (
        *(EOFError, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error),
    ) as error:
        raise ValueError(f"is no readable wheel ({error})") from error
