"""Requirements (PEP 508) as an install sees them."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from pyodide_mirror import _packaging
from pyodide_mirror.model import normalize

from .wheel_metadata import metadata_fields

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.requirements import Requirement


def applicable(text: str, extras: Iterable[str]) -> Requirement | None:
    """The requirement, if its marker applies here with any of these extras; "" stands for none.

    Who asks again gets the same one, which is not to be changed.
    """
    requirement = _parsed(text)
    if requirement is None or requirement.marker is None:
        return requirement
    return requirement if any(_applies(text, extra) for extra in extras) else None


@functools.lru_cache(4096)  # an install asks two or three times, and to parse it takes 1 ms there
def _parsed(text: str) -> Requirement | None:
    # What cannot be parsed cannot be installed either: micropip has refused it, or, in an older
    # distribution, has never looked at it.
    try:
        return _packaging.requirements.Requirement(text)
    except ValueError:
        return None


@functools.lru_cache(4096)
def _applies(text: str, extra: str) -> bool:
    marker = getattr(_parsed(text), "marker", None)
    try:
        return marker is not None and bool(marker.evaluate({"extra": extra}))
    except (KeyError, ValueError):  # unknown markers are a KeyError
        return False


def requirement_name(text: str) -> str:
    """Normalized name of a requirement; "" for one that has a URL, or is one."""
    match = re.fullmatch(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)[^@/]*", text)
    return normalize(match[1]) if match and not match[1].endswith(".whl") else ""


def requirements_of(metadata: bytes, extras: Iterable[str]) -> list[str]:
    """The requirements in core metadata that apply here with these extras, without markers."""
    found = []
    for name, value in metadata_fields(metadata):
        requirement = applicable(value, ("", *extras)) if name == "requires-dist" else None
        if requirement is not None and not requirement.url:
            # It applies, with an extra that the result does not name.
            found.append(str(requirement).partition(";")[0].rstrip())
    return found


def specifier_of(project: str, requirements: Iterable[str]) -> str:
    """The version specifier (PEP 440) of a project in these requirements, or ""."""
    for text in requirements:
        requirement = applicable(text, ("",)) if requirement_name(text) == project else None
        if requirement is not None:
            return str(requirement.specifier)
    return ""
