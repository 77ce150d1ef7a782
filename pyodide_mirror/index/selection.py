"""Which wheel of a page suits this Python: the best for an install, the smallest for a probe."""

from __future__ import annotations

import functools
import platform
import re
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.tags import Tag

    from pyodide_mirror.model import File, ProjectPage

_LARGEST = 1 << 62


def smallest_wheel(page: ProjectPage) -> File | None:
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


SMALL_WHEEL: Final = 262_144
"""Bytes up to which a wheel is fetched for its metadata."""

_LATEST: Final = 40
"""Files at the end of a page among which the newest is looked for: indexes list in order."""


def best_wheel(page: ProjectPage, wants: str) -> File | None:
    """The wheel that micropip will choose, as far as that can be told for little.

    The newest pure one for this Python that is no pre-release and not yanked, among the last of
    the page. ``wants``: a version specifier (PEP 440).
    """
    from packaging.specifiers import SpecifierSet
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    specifier = SpecifierSet(wants)
    best = None
    for file in page.files[-_LATEST:]:
        if file.yanked or not is_pure(file.filename):
            continue
        if not suits_this_python(file.requires_python):
            continue
        try:
            version = parse_wheel_filename(file.filename)[1]
        except InvalidWheelFilename:
            continue
        if version.is_prerelease and not specifier.prereleases:
            continue  # since packaging 26, `contains` takes what micropip leaves out
        if specifier.contains(version) and (best is None or version > best[0]):
            best = version, file
    return None if best is None else best[1]
