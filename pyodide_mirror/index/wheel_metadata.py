"""The core metadata in a wheel."""

from __future__ import annotations

import io
import zipfile
import zlib
from codecs import BOM_UTF8
from typing import TYPE_CHECKING

from pyodide_mirror.model import normalize

if TYPE_CHECKING:
    from pathlib import Path

MAX_METADATA_BYTES = 4 * 1024 * 1024


def metadata_of(wheel: bytes | Path | io.BytesIO, filename: str) -> bytes:
    """The core metadata of a wheel with this file name (PyPA: binary distribution format).

    It is the METADATA in the one ``.dist-info`` folder at the archive's root; what lies deeper,
    such as what setuptools vendors, is payload. The folder is named after the project, as pip and
    uv demand, in any spelling: old builders left dashes in it. ValueError says in a clause why
    there is none.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(wheel) if isinstance(wheel, bytes) else wheel) as archive:
            member = _member(archive.namelist(), filename)
            # Other methods need libraries that Pyodide may lack, and unfold without bound.
            if archive.getinfo(member).compress_type not in {
                zipfile.ZIP_STORED,
                zipfile.ZIP_DEFLATED,
            }:
                raise ValueError("has its METADATA packed in an unusual way")
            with archive.open(member) as file:  # what the archive says of its size may be a lie
                metadata = file.read(MAX_METADATA_BYTES + 1)
            if len(metadata) > MAX_METADATA_BYTES:
                raise ValueError(f"has a METADATA of more than {MAX_METADATA_BYTES:,} bytes")
            return metadata
    except (
        *(EOFError, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error),
    ) as error:
        raise ValueError(f"is no readable wheel ({error})") from error


def _member(names: list[str], filename: str) -> str:
    """The name of METADATA among those in the archive of a wheel."""
    folders = {name.partition("/")[0] for name in names}
    folders = {folder for folder in folders if folder.endswith(".dist-info")}
    if len(folders) != 1:
        raise ValueError(f"has {len(folders)} .dist-info folders at its root")
    [folder] = folders
    project = normalize(filename.partition("-")[0])
    if not normalize(folder).startswith(f"{project}-"):
        raise ValueError(f"has {folder[:100]!r}, which is not the .dist-info folder of {project!r}")
    member = f"{folder}/METADATA"
    if names.count(member) != 1:
        raise ValueError(f"has {names.count(member)} METADATA files")
    return member


def metadata_fields(metadata: bytes) -> list[tuple[str, str]]:
    """The fields of core metadata: names in lower case, values on one line, in their order.

    They are headers as in e-mails (PyPA: core metadata), so they end at the first line that is
    neither a field nor the continuation of one, and the description may hold anything; pip and uv
    read them like this. The package ``email`` costs a page 20 ms, and micropip takes the
    description's lines for fields.
    """
    text = metadata.removeprefix(BOM_UTF8).decode("utf-8", "replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    fields: list[list[str]] = []  # a name, and what belongs to it line by line
    for line in text.lstrip("\n").partition("\n\n")[0].split("\n"):
        name, colon, value = line.partition(":")
        if line.startswith((" ", "\t")) and fields:
            fields[-1].append(line)
        elif colon and name.isascii() and name.isprintable() and " " not in name:
            fields.append([name.lower(), value])
        else:
            break
    return [(name, " ".join(" ".join(lines).split())) for name, *lines in fields]
