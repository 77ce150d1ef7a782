"""The closure check: what installed distributions require, and nothing installed meets."""

from __future__ import annotations

import functools
import importlib
import re
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from typing import TYPE_CHECKING

from pyodide_mirror.index import applicable
from pyodide_mirror.model import normalize

from .site_packages import dist_info_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

    from packaging.requirements import Requirement

# What the Pythons from 3.11 on raise for a dist-info folder without a readable METADATA.
_NO_METADATA = (AttributeError, KeyError, OSError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Gap:
    """A requirement that nothing installed meets."""

    requirement: str
    """As to be given to an installer: all that is wanted of this name, without markers."""
    name: str
    """Normalized (PEP 503)."""
    wanted_by: str
    """Normalized name of the distribution that requires it, "" when the user asked for it."""
    lenient: bool
    """Wanted only by packages of Pyodide's lock file, whose requirements are best effort."""


def gaps(
    requirements: Iterable[str], *, deps: bool = True, present: Container[str] = ()
) -> tuple[Gap, ...]:
    """What is missing of these requirements and, with ``deps``, of all that they require.

    ``requirements``: as an installer takes them: PEP 508, or URLs or paths of wheels; one whose
    marker does not apply here wants nothing. ``present``: normalized names that are there without
    a distribution, as shared libraries of Pyodide's lock file are.

    Only names count: a version that does not fit is the installer's to complain about. First come
    gaps among the requirements themselves, then those nearest to them; each name once.
    """
    importlib.invalidate_caches()
    find = _finder()
    queue = deque(want for text in requirements if (want := _root(text)))
    walked: dict[str, set[str]] = {}
    missing: dict[str, list[_Want]] = {}
    while queue:
        want = queue.popleft()
        name = normalize(want.requirement.name)
        found = find(name)
        if found is not None and deps:
            # Reached again, a distribution is walked again for extras that are new only.
            done = walked.setdefault(name, set())
            extras = {"", *want.requirement.extras} - done
            done |= extras
            if extras:
                queue.extend(_wants(name, found, extras))
        elif found is None and name not in present:
            missing.setdefault(name, []).append(want)
    return tuple(_gap(name, wants) for name, wants in missing.items())


def reached(requirements: Iterable[str], *, deps: bool = True) -> set[str]:
    """The normalized names of what these requirements are met with, and what that requires."""
    find = _finder()
    queue = deque(want for text in requirements if (want := _root(text)))
    walked: set[tuple[str, str]] = set()
    while queue:
        want = queue.popleft()
        name = normalize(want.requirement.name)
        found = find(name)
        extras = {extra for extra in ("", *want.requirement.extras) if (name, extra) not in walked}
        walked.update((name, extra) for extra in extras)
        if found is not None and deps and extras:
            queue.extend(_wants(name, found, extras))
    return {name for name, _ in walked}


@dataclass(frozen=True, slots=True)
class _Want:
    requirement: Requirement
    wheel: str = ""  # its URL or path, if that is all the user gave
    by: str = ""
    lenient: bool = False


def _root(text: str) -> _Want | None:
    """What the user wants by this; None if it does not apply here, or cannot be read."""
    requirement = applicable(text, {""})
    # PEP 508 would let a wheel's file name alone pass for a project's name.
    if requirement is not None and not requirement.name.endswith(".whl"):
        return _Want(requirement)
    filename = re.split("[/:]", re.split("[?#]", text)[0])[-1]
    # The first part of a wheel's file name is the distribution's name (PyPA: binary format).
    name, dash, _ = filename.partition("-")
    requirement = applicable(name, {""}) if dash and filename.endswith(".whl") else None
    return None if requirement is None else _Want(requirement, wheel=text)


def _wants(name: str, found: Distribution, extras: set[str]) -> Iterator[_Want]:
    """What this distribution requires for these extras; "" stands for none."""
    # Pyodide trims the requirements of its own builds; their metadata still have them all.
    lenient = (found.read_text("PYODIDE_SOURCE") or "").strip() == "pyodide"
    lines: list[str] = []
    with suppress(*_NO_METADATA):
        lines = found.requires or []
    for line in lines:
        requirement = applicable(line, extras)
        if requirement is not None:
            yield _Want(requirement, by=name, lenient=lenient)


def _finder() -> Callable[[str], Distribution | None]:
    """A function that finds a distribution by its normalized name; asked again, it remembers."""

    @functools.cache
    def by_name() -> dict[str, Distribution]:
        names: dict[str, Distribution] = {}
        for found in distributions():
            with suppress(*_NO_METADATA):
                for name in found.metadata.get_all("Name") or ():
                    names.setdefault(normalize(name), found)
        return names

    folders = dist_info_folders()

    @functools.cache
    def find(name: str) -> Distribution | None:
        # importlib would walk through the archive of the standard library, too.
        if name in folders:
            return Distribution.at(folders[name])
        try:
            return distribution(name)
        except PackageNotFoundError:
            # importlib takes a folder's name to end at the first dash, and micropip's mock
            # packages in memory answer to exactly the name they were made with.
            return by_name().get(name)

    return find


def _gap(name: str, wants: list[_Want]) -> Gap:
    """One gap for all that is wanted of a name; if something is wanted strictly, only that."""
    wants = [want for want in wants if not want.lenient] or wants
    wheel = next((want.wheel for want in wants if want.wheel), "")
    text = wheel or _joined(name, [want.requirement for want in wants])
    return Gap(text, name, wants[0].by, wants[0].lenient)


def _joined(name: str, requirements: list[Requirement]) -> str:
    """One requirement that asks for what these ask for; a URL takes the place of versions."""
    extras = ",".join(sorted({normalize(extra) for each in requirements for extra in each.extras}))
    versions = ",".join(sorted({str(part) for each in requirements for part in each.specifier}))
    url = next((each.url for each in requirements if each.url), "")
    return name + (f"[{extras}]" if extras else "") + (f" @ {url}" if url else versions)
