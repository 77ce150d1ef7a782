"""Requirements (PEP 508) as an install sees them."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from pyodide_mirror import _packaging
from pyodide_mirror.model import normalize

from .wheel_metadata import metadata_fields

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.requirements import Requirement


def applicable(text: str, extras: Iterable[str]) -> Requirement | None:
    """The requirement, if its marker applies here with any of these extras; "" stands for none."""
    # What cannot be parsed cannot be installed either: micropip has refused it, or, in an older
    # distribution, has never looked at it. Unknown markers are a KeyError.
    with suppress(KeyError, ValueError):
        requirement = _packaging.requirements.Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
            return requirement
    return None


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
            requirement.marker = None  # it applies, with an extra that the result does not name
            found.append(str(requirement))
    return found


def specifier_of(project: str, requirements: Iterable[str]) -> str:
    """The version specifier (PEP 440) of a project in these requirements, or ""."""
    for text in requirements:
        requirement = applicable(text, ("",)) if requirement_name(text) == project else None
        if requirement is not None:
            return str(requirement.specifier)
    return ""
