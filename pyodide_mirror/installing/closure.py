"""The closure check: what installed distributions require, and nothing installed meets."""

from __future__ import annotations

import functools
import importlib
import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from typing import TYPE_CHECKING, NamedTuple

from pyodide_mirror import _packaging
from pyodide_mirror.index import applicable, metadata_fields, suits_this_python
from pyodide_mirror.model import normalize

from .site_packages import dist_info_folders

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from packaging.requirements import Requirement

# What the Pythons from 3.11 on raise for a dist-info folder without a readable METADATA.
_NO_METADATA = (AttributeError, KeyError, OSError, TypeError, ValueError)


class Gap(NamedTuple):
    """A requirement that nothing installed meets."""

    requirement: str
    """As to be given to an installer: all that is wanted of this name, without markers."""
    name: str
    """Normalized (PEP 503)."""
    wanted_by: str
    """Normalized name of the distribution that requires it, "" when the user asked for it."""
    lenient: bool
    """Wanted only by packages of Pyodide's lock file, whose requirements are best effort."""


class Found:
    """An installed distribution, or one that is going to be: the fields of its core metadata.

    ``lenient``: Pyodide trims the requirements of its own builds; their metadata still have them
    all.
    """

    def __init__(self, fields: Sequence[tuple[str, str]], *, lenient: bool = False) -> None:
        self._fields = fields
        self.lenient = lenient

    @classmethod
    def of(cls, distribution: Distribution) -> Found:
        """What is installed; nothing is known of one without readable metadata."""
        lenient = (distribution.read_text("PYODIDE_SOURCE") or "").strip() == "pyodide"
        with suppress(*_NO_METADATA):
            text = distribution.read_text("METADATA")  # `requires` would import `email`
            return cls(metadata_fields((text or "").encode()), lenient=lenient)
        return cls((), lenient=lenient)

    def values(self, name: str) -> list[str]:
        """The values of a field, by its name in lower case."""
        return [value for field, value in self._fields if field == name]

    def value(self, name: str) -> str:
        """The first value of a field, or an empty string."""
        return next(iter(self.values(name)), "")


Finder = Callable[[str], Found | None]
"""Finds a distribution by its normalized name."""


class Closure(NamedTuple):
    """What is wanted and what is there, by normalized name: the nearest to the requirements first.

    ``wants``: the requirements of each name. ``found``: what meets them, if it is there.
    """

    wants: Mapping[str, list[Want]]
    found: Mapping[str, Found | None]

    def gaps(self, present: Container[str] = ()) -> tuple[Gap, ...]:
        """The names that nothing installed has, each once.

        ``present``: normalized names that are there without a distribution, as shared libraries of
        Pyodide's lock file are.
        """
        return tuple(
            _gap(name, wants)
            for name, wants in self.wants.items()
            if self.found[name] is None and name not in present
        )

    def misfits(self, new: Container[str]) -> list[str]:
        """The names of which a version is there that some requirement does not take.

        ``new``: normalized names; of what was there before and requires what was there before,
        nothing is said.
        """
        return [
            name
            for name, found in self.found.items()
            if found is not None
            and any(
                not want.takes(found.value("version"))
                for want in self.wants[name]
                if name in new or want.by[0] in new or not want.by[0]
            )
        ]

    def unfit(self, new: Container[str]) -> list[str]:
        """The new names that are not for this Python, whatever their pages say."""
        return [
            name
            for name, found in self.found.items()
            if name in new
            and found is not None
            and not found.lenient
            and not suits_this_python(found.value("requires-python"))
        ]


def closure(
    requirements: Iterable[str], *, deps: bool = True, find: Finder | None = None
) -> Closure:
    """These requirements and, with ``deps``, all that they require.

    ``requirements``: as an installer takes them: PEP 508, or URLs or paths of wheels; one whose
    marker does not apply here wants nothing. ``find``: finds what meets them; by default what is
    installed.
    """
    find = find or installed_finder()
    queue = deque(want for text in requirements if (want := root_want(text)))
    walked: dict[str, set[str]] = {}
    wants: dict[str, list[Want]] = {}
    everything: dict[str, Found | None] = {}
    while queue:
        want = queue.popleft()
        name = normalize(want.requirement.name)
        found = everything[name] = find(name)
        if want not in (known := wants.setdefault(name, [])):
            known.append(want)
        if found is not None and deps:
            # Reached again, a distribution is walked again for extras that are new only.
            done = walked.setdefault(name, set())
            extras = {"", *want.requirement.extras} - done
            done |= extras
            if extras:
                queue.extend(_wants(name, found, extras))
    return Closure(wants, everything)


def reached(requirements: Iterable[str], *, deps: bool = True) -> set[str]:
    """The normalized names of what these requirements are met with, and what that requires.

    What Pyodide's build has left out is not required.
    """
    found = closure(requirements, deps=deps)
    return found.found.keys() - {gap.name for gap in found.gaps() if gap.lenient}


class Want(NamedTuple):
    """A requirement, and who has it.

    ``wheel``: a URL or path, if that is all the user gave. ``by``: normalized name and version of
    the distribution that requires it, empty when the user asked for it. ``lenient``: see Found.
    """

    requirement: Requirement
    wheel: str = ""
    by: tuple[str, str] = ("", "")
    lenient: bool = False

    def takes(self, version: str) -> bool:
        """Whether this version will do; what cannot be parsed is not judged."""
        specifier = self.requirement.specifier
        with suppress(ValueError):  # of older packagings, for what is no version
            if not (self.lenient or not specifier or specifier.contains(version, prereleases=True)):
                _packaging.version.Version(version)
                return False
        return True


def root_want(text: str) -> Want | None:
    """What the user wants by this; None if it does not apply here, or cannot be read."""
    requirement = applicable(text, {""})
    # PEP 508 would let a wheel's file name alone pass for a project's name.
    if requirement is not None and not requirement.name.endswith(".whl"):
        return Want(requirement)
    filename = re.split("[/:]", re.split("[?#]", text)[0])[-1]
    # The first part of a wheel's file name is the distribution's name (PyPA: binary format).
    name, dash, _ = filename.partition("-")
    requirement = applicable(name, {""}) if dash and filename.endswith(".whl") else None
    return None if requirement is None else Want(requirement, wheel=text)


def _wants(name: str, found: Found, extras: set[str]) -> Iterator[Want]:
    """What this distribution requires for these extras; "" stands for none."""
    for line in found.values("requires-dist"):
        requirement = applicable(line, extras)
        if requirement is not None:
            by = name, found.value("version")
            yield Want(requirement, by=by, lenient=found.lenient)


def installed_finder() -> Finder:
    """A function that finds a distribution by its normalized name; asked again, it remembers."""

    @functools.cache
    def by_name() -> dict[str, Distribution]:
        names: dict[str, Distribution] = {}
        for found in distributions():
            with suppress(*_NO_METADATA):
                for name in found.metadata.get_all("Name") or ():
                    names.setdefault(normalize(name), found)
        return names

    importlib.invalidate_caches()
    folders = dist_info_folders()

    def distribution_of(name: str) -> Distribution | None:
        # importlib would walk through the archive of the standard library, too.
        if name in folders:
            return Distribution.at(folders[name])
        try:
            return distribution(name)
        except PackageNotFoundError:
            # importlib takes a folder's name to end at the first dash, and micropip's mock
            # packages in memory answer to exactly the name they were made with.
            return by_name().get(name)

    @functools.cache
    def find(name: str) -> Found | None:
        found = distribution_of(name)
        return None if found is None else Found.of(found)

    return find


def _gap(name: str, wants: list[Want]) -> Gap:
    """One gap for all that is wanted of a name; if something is wanted strictly, only that."""
    wants = [want for want in wants if not want.lenient] or wants
    wheel = next((want.wheel for want in wants if want.wheel), "")
    text = wheel or _joined(name, [want.requirement for want in wants])
    return Gap(text, name, wants[0].by[0], wants[0].lenient)


def _joined(name: str, requirements: list[Requirement]) -> str:
    """One requirement that asks for what these ask for; a URL takes the place of versions."""
    extras = ",".join(sorted({normalize(extra) for each in requirements for extra in each.extras}))
    versions = ",".join(sorted({str(part) for each in requirements for part in each.specifier}))
    url = next((each.url for each in requirements if each.url), "")
    return name + (f"[{extras}]" if extras else "") + (f" @ {url}" if url else versions)
