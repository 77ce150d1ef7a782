"""The choice of a wheel: the best for an install, the smallest for a probe."""

from __future__ import annotations

import functools
import platform
import re
import sys
from typing import TYPE_CHECKING, Final

from pyodide_mirror import _packaging

if TYPE_CHECKING:
    from packaging.tags import Tag

    from pyodide_mirror.model import File, ProjectPage

SMALL_WHEEL: Final = 262_144
"""Bytes up to which a wheel is fetched for its metadata."""
_UNKNOWN: Final = 1 << 62
_LATEST: Final = 40
"""Files at the end of a page among which the newest is looked for: indexes list in order."""


def best_wheel(page: ProjectPage, wants: str) -> File | None:
    """The wheel that micropip will probably choose, or None.

    The newest pure one for this Python that is no pre-release and not yanked, among the last of
    the page. ``wants``: a version specifier (PEP 440).
    """
    specifier = _packaging.specifiers.SpecifierSet(wants)
    best = None
    for file in page.files[-_LATEST:]:
        pure = file.filename.endswith(("-py3-none-any.whl", "-py2.py3-none-any.whl"))
        if file.yanked or not pure or not suits_this_python(file.requires_python):
            continue
        try:
            version = _packaging.utils.parse_wheel_filename(file.filename)[1]
        except _packaging.utils.InvalidWheelFilename:
            continue
        if version.is_prerelease and not specifier.prereleases:
            continue  # since packaging 26, `contains` takes what micropip leaves out
        if specifier.contains(version) and (best is None or version > best[0]):
            best = version, file
    return None if best is None else best[1]


def smallest_wheel(page: ProjectPage) -> File | None:
    """The smallest wheel on the page that this Python can install, or None.

    Without sizes (PEP 700 is optional) it is the last one listed, which usually is the newest.
    Yanked files are left out (PEP 592).
    """
    wheels = [file for file in page.files if file.filename.endswith(".whl") and not file.yanked]
    wheels.reverse()
    for file in sorted(wheels, key=lambda file: _UNKNOWN if file.size is None else file.size):
        try:
            tags = _packaging.utils.parse_wheel_filename(file.filename)[3]
        except _packaging.utils.InvalidWheelFilename:
            continue
        if suits_this_python(file.requires_python) and not tags.isdisjoint(_supported_tags()):
            return file
    return None


@functools.cache
def suits_this_python(requires_python: str) -> bool:
    """Whether this Python meets a page's ``requires-python``; what cannot be parsed excludes none.

    The common ``>=3.N`` needs no packaging.
    """
    at_least = re.fullmatch(r">= *3\.(\d{1,3})(\.0)?", requires_python)
    if at_least or not requires_python:
        return not at_least or sys.version_info >= (3, int(at_least[1]))
    try:
        return _packaging.specifiers.SpecifierSet(requires_python).contains(
            platform.python_version(), prereleases=True
        )
    except _packaging.specifiers.InvalidSpecifier:
        return True


@functools.cache
def _supported_tags() -> frozenset[Tag]:
    return frozenset(_packaging.tags.sys_tags())
