"""Which wheel of a page suits this Python; for the probe, the smallest."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.tags import Tag

    from .model import File, ProjectPage

_LARGEST = 1 << 62


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
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    python = _python_version()
    for file in wheels:
        try:
            tags = parse_wheel_filename(file.filename)[3]
            allowed = SpecifierSet(file.requires_python).contains(python, prereleases=True)
        except (InvalidWheelFilename, InvalidSpecifier):
            continue
        if allowed and not tags.isdisjoint(_supported_tags()):
            yield file


@functools.cache
def _supported_tags() -> frozenset[Tag]:
    from packaging.tags import sys_tags

    return frozenset(sys_tags())


def _python_version() -> str:
    import platform

    return platform.python_version()
