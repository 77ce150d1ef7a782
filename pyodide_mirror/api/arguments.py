"""Arguments of the public functions, checked before any request. Every error names its argument."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from pyodide_mirror.model import Mirror, is_project_name, normalize

if TYPE_CHECKING:
    from pyodide_mirror.storage import Choice

ENVIRONMENT_VARIABLE: Final = "PYODIDE_MIRROR_URLS"

MirrorsArgument = str | Mirror | Iterable[str | Mirror] | None
"""One index URL or :class:`Mirror`, or several, or None for the environment's or the table's."""


class Mirrors(NamedTuple):
    """The mirrors to use, in order. ``named``: the user or the environment named them."""

    mirrors: tuple[Mirror, ...]
    named: bool

    def racing(self) -> tuple[tuple[Mirror, ...], tuple[Mirror, ...]]:
        """Those that the canary judges, and those that only answer for projects of their own."""
        general = tuple(mirror for mirror in self.mirrors if not mirror.projects)
        special = tuple(mirror for mirror in self.mirrors if mirror.projects)
        return (general, special) if general else (special, ())

    def without(self, mirror: Mirror | None) -> tuple[Mirror, ...]:
        """All the others."""
        return tuple(each for each in self.mirrors if each != mirror)

    def with_first(self, choice: Choice | None) -> Mirrors:
        """The same mirrors with a remembered one in front. Remembering never adds a mirror."""
        if choice is None:
            return self
        first = [mirror for mirror in self.mirrors if mirror.index_url == choice.index_url]
        others = [mirror for mirror in self.mirrors if mirror.index_url != choice.index_url]
        return Mirrors((*first, *others), self.named)


def check_mirrors(mirrors: MirrorsArgument) -> Mirrors:
    """The mirrors that are meant; TypeError or ValueError names ``mirrors``."""
    if mirrors is None:
        urls = re.split(r"[\s,]+", os.environ.get(ENVIRONMENT_VARIABLE, ""))
        found = [Mirror.from_untrusted(url) for url in urls if url]
        if found:
            return Mirrors(_unique(found), named=True)
        from pyodide_mirror.mirrors import MIRRORS  # it needs micropip, for PyPI's address

        return Mirrors(MIRRORS, named=False)
    if isinstance(mirrors, (str, Mirror)):
        mirrors = [mirrors]
    elif isinstance(mirrors, (bytes, Mapping)) or not isinstance(mirrors, Iterable):
        raise TypeError(
            f"mirrors must be an index URL, a Mirror, or several; not {type(mirrors).__name__}"
        )
    found = [_check_mirror(mirror) for mirror in mirrors]
    if not found:
        raise ValueError(
            "mirrors is empty: give at least one index URL, or None for the known ones"
        )
    return Mirrors(_unique(found), named=True)


def _check_mirror(mirror: object) -> Mirror:
    if isinstance(mirror, Mirror):
        return mirror
    if not isinstance(mirror, str):
        raise TypeError(f"mirrors must hold index URLs and Mirrors, not {type(mirror).__name__}")
    try:
        return Mirror(mirror)
    except ValueError as error:
        raise ValueError(f"mirrors: {error}") from None


def _unique(mirrors: Iterable[Mirror]) -> tuple[Mirror, ...]:
    found: dict[str, Mirror] = {}
    for mirror in mirrors:
        found.setdefault(mirror.index_url, mirror)
    return tuple(found.values())


def check_canary(canary: object) -> str:
    """The normalized name of the project to look up; TypeError or ValueError names ``canary``."""
    if not isinstance(canary, str):
        raise TypeError(f"canary must be a project's name, not {type(canary).__name__}")
    if not is_project_name(canary):
        raise ValueError(f"canary: {canary!r} is not a project's name (PEP 508)")
    return normalize(canary)


def check_timeout(timeout: object) -> float:
    """Seconds; TypeError or ValueError names ``timeout``."""
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds, not {type(timeout).__name__}")
    if not (math.isfinite(timeout) and timeout > 0):
        raise ValueError(f"timeout must be a positive number of seconds, not {timeout}")
    return float(timeout)


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """ValueError that names the argument unless the value is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; not {value!r}")


def check_flag(name: str, value: object) -> None:
    """TypeError that names the argument unless the value is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {type(value).__name__}")


def check_callback(name: str, value: object) -> None:
    """TypeError that names the argument unless it is None or can be called."""
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be a function or None, not {type(value).__name__}")


def check_requirements(requirements: object) -> list[str]:
    """Requirements as a list of strings; TypeError names ``requirements``."""
    if isinstance(requirements, str):
        return [requirements]
    if isinstance(requirements, (bytes, Mapping)) or not isinstance(requirements, Iterable):
        raise TypeError(
            f"requirements must be a string or several, not {type(requirements).__name__}"
        )
    found = list(requirements)
    if not all(isinstance(requirement, str) for requirement in found):
        raise TypeError("requirements must hold strings")
    return found
