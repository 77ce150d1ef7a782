"""The choice of a wheel: the best for an install, the smallest for a probe."""

from __future__ import annotations

import functools
import platform
import re
import sys
import sysconfig
from typing import TYPE_CHECKING, Final

from pyodide_mirror import _packaging

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.tags import Tag
    from packaging.utils import BuildTag
    from packaging.version import Version

    from pyodide_mirror.model import File, ProjectPage

SMALL_WHEEL: Final = 262_144
"""Bytes up to which a wheel is fetched for its metadata."""
_UNKNOWN: Final = 1 << 62
_LATEST: Final = 40
"""Files at the end of a page among which the newest is looked for: indexes list in order."""
_PURE: Final = ("-py3-none-any.whl", "-py2.py3-none-any.whl")
_MAYBE: Final = (*_PURE, "_wasm32.whl")
"""What the names of wheels end with that this Python may take."""


def best_wheel(page: ProjectPage, wants: str) -> File | None:
    """The wheel that micropip will probably choose, or None.

    The newest one for this Python that is no pre-release and not yanked, among the last of the
    page; of one version rather that for this platform than the pure one. ``wants``: a version
    specifier (PEP 440).
    """
    specifier = _packaging.specifiers.SpecifierSet(wants)
    best = None
    for file in [file for file in page.files if file.filename.endswith(_MAYBE)][-_LATEST:]:
        if file.yanked or not suits_this_python(file.requires_python):
            continue
        parsed = _parsed(file.filename)
        if parsed is None:
            continue
        version, _, is_pure = parsed
        if version.is_prerelease and not specifier.prereleases:
            continue  # since packaging 26, `contains` takes what micropip leaves out
        rank = version, not is_pure
        if specifier.contains(version) and (best is None or rank > best[0]):
            best = rank, file
    return None if best is None else best[1]


def _parsed(filename: str) -> tuple[Version, BuildTag, bool] | None:
    """Version, build tag, and whether it is pure; None for what this Python cannot install."""
    try:
        _, version, build, tags = _packaging.utils.parse_wheel_filename(filename)
    except _packaging.utils.InvalidWheelFilename:
        return None
    is_pure = filename.endswith(_PURE)
    suits = is_pure or not tags.isdisjoint(_supported_tags())
    return (version, build, is_pure) if suits else None


def wheels_by_version(files: Iterable[File]) -> list[tuple[Version, File]]:
    """The wheels that this Python can install: of each version the best, the newest first.

    The best is rather for this platform than pure, and has the highest build tag. What a page says
    of Python is not looked at.
    """
    found: dict[Version, tuple[tuple[bool, BuildTag], File]] = {}
    for file in files:
        if not file.filename.endswith(("-none-any.whl", "_wasm32.whl")):
            continue  # to read a file's name takes long, and some pages have thousands
        parsed = _parsed(file.filename)
        if parsed is None:
            continue
        version, build, _ = parsed
        rank = (not file.filename.endswith("-any.whl"), build)
        if version not in found or rank > found[version][0]:
            found[version] = rank, file
    return [(version, found[version][1]) for version in sorted(found, reverse=True)]


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
    """The tags that micropip takes: packaging's, and Pyodide's own platforms (PEP 783)."""
    found = set(_packaging.tags.sys_tags())
    names = ("PYEMSCRIPTEN_PLATFORM_VERSION", "PYODIDE_ABI_VERSION")  # since 0.11.1, and before
    versions = [version for name in names if (version := sysconfig.get_config_var(name))]
    for tag in [tag for tag in found if versions and "emscripten" in tag.platform]:
        for platform_name in (
            f"pyemscripten_{versions[0]}_wasm32",
            f"pyodide_{versions[0]}_wasm32",
        ):
            found.add(_packaging.tags.Tag(tag.interpreter, tag.abi, platform_name))
    return frozenset(found)
