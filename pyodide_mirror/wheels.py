"""Which wheel of a page suits this Python; for the probe, the smallest."""

from __future__ import annotations

import functools
import io
import platform
import re
import sys
import zipfile
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from packaging.tags import Tag

    from .model import File, ProjectPage

_LARGEST = 1 << 62
_MAX_METADATA_BYTES = 4 * 1024 * 1024


def smallest_suitable_wheel(page: ProjectPage) -> File | None:
    """The smallest wheel on the page that this Python can install, or None.

    Where the page gives no sizes (PEP 700 is optional) the last one listed is taken, which on the
    indexes of the field is the newest. Yanked files are left alone (PEP 592).
    """
    wheels = [file for file in page.files if file.filename.endswith(".whl") and not file.yanked]
    wheels.reverse()
    wheels.sort(key=lambda file: _LARGEST if file.size is None else file.size)
    return next(_suitable(wheels), None)


def _suitable(wheels: list[File]) -> Iterator[File]:
    # packaging is needed here only, and costs some 20 ms to import in a browser.
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    for file in wheels:
        try:
            tags = parse_wheel_filename(file.filename)[3]
        except InvalidWheelFilename:
            continue
        if suits_this_python(file.requires_python) and not tags.isdisjoint(_supported_tags()):
            yield file


@functools.cache
def _supported_tags() -> frozenset[Tag]:
    from packaging.tags import sys_tags

    return frozenset(sys_tags())


def is_pure(filename: str) -> bool:
    """Whether a wheel is for any Python 3 on any platform, by its name alone."""
    return filename.endswith(("-py3-none-any.whl", "-py2.py3-none-any.whl"))


@functools.cache
def suits_this_python(requires_python: str) -> bool:
    """Whether this Python meets a page's ``requires-python``; what cannot be read excludes nothing.

    The common ``>=3.N`` needs no packaging, whose import takes some 20 ms in a browser.
    """
    at_least = re.fullmatch(r">= *3\.(\d{1,3})(\.0)?", requires_python)
    if at_least or not requires_python:
        return not at_least or sys.version_info >= (3, int(at_least[1]))
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(requires_python).contains(platform.python_version(), prereleases=True)
    except InvalidSpecifier:
        return True


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
                metadata = file.read(_MAX_METADATA_BYTES + 1)
            if len(metadata) > _MAX_METADATA_BYTES:
                raise ValueError("its METADATA is too large")
            return metadata
    except (
        *(EOFError, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error),
    ) as error:
        raise ValueError(f"is no readable wheel ({error})") from error
