"""What is to be said of requirements that are not met, and whether other versions may meet them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pyodide_mirror import _packaging
from pyodide_mirror.errors import ResolutionError
from pyodide_mirror.index import suits_this_python, wheels_by_version
from pyodide_mirror.model import normalize
from pyodide_mirror.resolving import chain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pyodide_mirror.model import File, ProjectPage

    from .closure import Closure, Want
    from .conflicts import Conflicts


def excludes_installed(conflicts: Conflicts) -> bool:
    """Whether the user wants another version than the installed one, which is not replaced."""
    known = conflicts.known
    return any(
        name in known and not want.takes(known[name].version)
        for want in conflicts.roots()
        for name in [normalize(want.requirement.name)]
    )


def may_be_resolved(conflicts: Conflicts, projects: Iterable[str]) -> bool:
    """Whether projects of which nothing fits may do with other versions of what wants them.

    Or with pre-releases, which micropip leaves out where a version is asked for.
    """
    found, pages = conflicts.closure(), conflicts.choices.pages
    waiting = [*projects]
    for name in waiting:
        wants = found.wants.get(name, ())
        versions = _versions(pages[name]) if name in pages else []
        if any(all(want.takes(version) for want in wants) for version in versions):
            return True
    for name in waiting:
        for above in {want.by[0] for want in found.wants.get(name, ())} - {"", *waiting}:
            if above in pages and len(_versions(pages[above])) > 1:
                return True
            waiting.append(above)
    return False


def refused(conflicts: Conflicts, projects: Collection[str]) -> ResolutionError:
    """The error for projects whose requirements are not all met by what was chosen."""
    return refused_in(conflicts.closure(), projects, conflicts.choices.pages)


def refused_in(
    found: Closure, projects: Collection[str], pages: dict[str, ProjectPage]
) -> ResolutionError:
    """The same for what is there already."""
    chains = []
    for project in sorted(found.wants.keys() & set(projects)):
        wants = [_said(found, want) for want in found.wants[project]]
        page = pages.get(project)
        there = _versions(page) if page else []
        item = found.found.get(project)
        if item is not None and item.value("version") not in there:
            there.append(item.value("version"))
        out = left_out(page, set(there)) if page else []
        chains.append(chain(project, wants, there, out))
    return ResolutionError(chains, projects)


def is_known(conflicts: Conflicts, projects: Iterable[str]) -> bool:
    """Whether there is more to say of a missing project than that it is missing."""
    wants = conflicts.closure().wants
    return any(
        name in conflicts.choices.pages or any(want.by[0] for want in wants.get(name, ()))
        for name in projects
    )


def left_out(page: ProjectPage, usable: Collection[str]) -> list[str]:
    """Why versions on a page cannot be installed here, the newest first; but for those usable."""
    found: dict[str, str] = {}
    for file in page.files:
        version = _version(file)
        if not version or version in usable:
            continue
        if file.filename.endswith(".whl") and not suits_this_python(file.requires_python):
            found[version] = f"{version} requires Python {file.requires_python}"
        else:
            found.setdefault(version, f"{version} has no wheel for Pyodide")
    newest = sorted(found, key=_packaging.version.Version, reverse=True)
    return [found[version] for version in newest]


def _version(file: File) -> str:
    is_wheel = file.filename.endswith(".whl")
    parse = "parse_wheel_filename" if is_wheel else "parse_sdist_filename"
    with suppress(ValueError):  # what is no file of a Python project, or has no version
        return str(getattr(_packaging.utils, parse)(file.filename)[1])
    return ""


def _versions(page: ProjectPage) -> list[str]:
    """The versions that can be installed here, by what the page says; the newest first."""
    files = [file for file in page.files if suits_this_python(file.requires_python)]
    return [str(version) for version, _ in wheels_by_version(files)]


def _said(found: Closure, want: Want) -> str:
    requirement = want.requirement
    shown = want.wheel or requirement.url or f"{requirement.name}{requirement.specifier}"
    steps: list[str] = []
    while want.by[0] and len(steps) < 6:
        steps.append(f"required by {want.by[0]} {want.by[1]}")
        want = next(iter(found.wants[want.by[0]]))
    return f"{shown} ({', '.join(steps) or 'requested'})"
