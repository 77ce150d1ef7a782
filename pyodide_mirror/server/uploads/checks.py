"""What must be right with an uploaded file: its name, its digests, and what is in it."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from packaging.metadata import InvalidMetadata, Metadata, parse_email
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from pyodide_mirror.server.distributions import read_metadata, read_pkg_info
from pyodide_mirror.server.folders import project_of

from .form import DIGESTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SUFFIXES: Final = {"bdist_wheel": ".whl", "sdist": ".tar.gz"}
_WHEEL_FILES: Final = ("METADATA", "WHEEL", "RECORD")
"""What a wheel has in its ``.dist-info`` folder (PyPA: binary distribution format)."""


def check_fields(fields: Mapping[str, str], filename: str) -> str:
    """The normalized project of an upload with these fields; ValueError says what is wrong.

    They are those of PyPI's legacy upload API, and of them these have to be there: ``:action``,
    ``filetype``, ``name`` and ``version``.
    """
    if fields.get(":action") != "file_upload":
        raise ValueError(":action must be file_upload; projects need no registration here")
    if fields.get("protocol_version", "1") != "1":
        raise ValueError("protocol_version must be 1")
    suffix = _SUFFIXES.get(fields.get("filetype", ""))
    if suffix is None:
        raise ValueError("filetype must be bdist_wheel or sdist")
    project = project_of(filename)
    if not project or not filename.endswith(suffix):
        form = "NAME-VERSION-PYTHON-ABI-PLATFORM.whl" if suffix == ".whl" else "NAME-VERSION.tar.gz"
        raise ValueError(
            f"the file {filename[:200]!r} is not named like a {fields['filetype']} ({form})"
        )
    _check_said(filename, fields.get("name", ""), fields.get("version", ""), "the form")
    return project


def check_digests(fields: Mapping[str, str], digests: Mapping[str, str]) -> None:
    """Raise ValueError where a digest of the form is not that of the file."""
    for name in DIGESTS:
        said = fields.get(name, "")
        if said and said.lower() != digests[name]:
            raise ValueError(
                f"{name} is not that of the file, which was damaged on its way, or changed"
            )


def check_content(file: Path, filename: str) -> None:
    """Raise ValueError where what is in a file is not what its name says; and OSError."""
    if filename.endswith(".whl"):
        try:
            content = read_metadata(file, filename)
        except ValueError as error:
            raise ValueError(f"the file {filename} {error}") from None
        _check_wheel(file)
    else:
        content = read_pkg_info(file)
    metadata = Metadata.from_raw(parse_email(content)[0], validate=False)
    try:
        _check_said(filename, metadata.name, str(metadata.version), "its metadata")
        # What installers read. Old builders write fields that their version of metadata has not.
        _ = metadata.requires_python, metadata.requires_dist
    except InvalidMetadata as error:
        raise ValueError(f"the file {filename} has wrong metadata: {error}") from None


def names_the_same(filename: str, other: str) -> bool:
    """Whether two file names are of one distribution, in different spellings perhaps."""
    return _parsed(filename) == _parsed(other)


def _parsed(filename: str) -> object:
    if filename.endswith(".whl"):
        return parse_wheel_filename(filename)
    return parse_sdist_filename(filename)


def _check_said(filename: str, name: str, version: str, where: str) -> None:
    """Raise ValueError where the file's name has another project or version than said."""
    found: object = None
    with suppress(InvalidVersion):
        found = canonicalize_name(name), Version(version)
    project, number = _name_and_version(filename)
    if found != (project, number):
        raise ValueError(
            f"the file {filename} is not of {name[:100]!r} {version[:100]!r}, as {where} says, but"
            f" of {project} {number} by its name"
        )


def _name_and_version(filename: str) -> tuple[str, Version]:
    if filename.endswith(".whl"):
        return parse_wheel_filename(filename)[:2]
    return parse_sdist_filename(filename)


def _check_wheel(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    tops = (name.partition("/")[0] for name in names)
    folder = next(top for top in tops if top.endswith(".dist-info"))
    for each in _WHEEL_FILES:
        if f"{folder}/{each}" not in names:
            raise ValueError(f"the wheel has no {each} in its .dist-info folder")
