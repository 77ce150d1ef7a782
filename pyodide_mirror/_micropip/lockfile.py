"""The packages of Pyodide's lock file, as micropip has them."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from inspect import signature
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin

import micropip
from micropip import package_index, wheelinfo

from pyodide_mirror.model import File, normalize

from .fetch import compat_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def uninstall(names: list[str]) -> None:
    """Remove distributions again, with their traces in Pyodide's list of loaded packages."""
    micropip.uninstall(names)


def _lockfile_packages() -> dict[str, Any]:
    manager: Any = micropip.set_index_urls.__self__  # type: ignore[attr-defined]
    compat = getattr(manager, "compat_layer", None)  # since 0.10; 0.9 has them in the manager
    found: dict[str, Any] = getattr(compat, "lockfile_packages", None) or getattr(
        manager, "repodata_packages", {}
    )
    return found


class LockedPackage(NamedTuple):
    """A package of Pyodide's lock file; ``depends``: normalized names of what it needs."""

    version: str
    depends: tuple[str, ...]


def locked_entry(project: str) -> Mapping[str, Any]:
    """What Pyodide's lock file has of a package, by its normalized name; nothing if it has none."""
    entry: Mapping[str, Any] = _lockfile_packages().get(project) or {}
    return entry


def locked_version(project: str) -> str:
    """The version in Pyodide's lock file of a project, by its normalized name, or ""."""
    return str(locked_entry(project).get("version", ""))


def locked_packages() -> dict[str, LockedPackage]:
    """The distributions in Pyodide's lock file, by normalized name."""
    libraries = without_distribution()
    return {
        project: LockedPackage(
            str(entry["version"]),
            tuple(sorted({*map(normalize, entry.get("depends", ()))} - libraries)),
        )
        for name, entry in _lockfile_packages().items()
        if (project := normalize(name)) not in libraries
    }


def site_files(project: str, *, used: bool = True) -> list[File]:
    """The wheels of a project that a JupyterLite site has itself, as piplite lists them.

    ``used``: none where micropip does not ask piplite now. These wheels come before all others.
    """
    piplite = sys.modules.get("piplite.piplite")
    if used and not _asks_piplite():
        return []
    for url, index in getattr(piplite, "_PIPLITE_INDICES", {}).items():
        releases = index.get(project, {}).get("releases", {}).values()
        if releases:
            return [_site_file(url, each) for release in releases for each in release]
    return []


def site_is_alone() -> bool:
    """Whether micropip asks piplite now, and the owner of the site wants nobody else asked."""
    piplite = sys.modules.get("piplite.piplite")
    return _asks_piplite() and bool(getattr(piplite, "_PIPLITE_DISABLE_PYPI", False))


def _asks_piplite() -> bool:
    query: Any = package_index.query_package
    return bool(query.__module__ == "piplite.piplite")


def _site_file(index_url: str, entry: Mapping[str, Any]) -> File:
    return File(
        filename=entry["filename"],
        url=urljoin(index_url, entry["url"]),
        hashes=entry["digests"],
        requires_python=entry.get("requires_python") or "",
    )


def default_constraints() -> list[str]:
    """What ``micropip.set_constraints`` has been given."""
    manager: Any = micropip.set_index_urls.__self__  # type: ignore[attr-defined]
    return list(getattr(manager, "constraints", ()))


async def read_wheel(url: str, credentials: str | None) -> bytes:
    """A wheel of no index, by its URL or path, as micropip reads it. Raises what that raises."""
    wheel: Any = wheelinfo.WheelInfo.from_url(url)
    fetch = wheel._fetch_bytes  # noqa: SLF001  # what else it has for that reads metadata, too
    layer = [compat_module().CompatibilityInPyodide][: len(signature(fetch).parameters) - 2]
    data: bytes = await fetch(url, {"credentials": credentials} if credentials else {}, *layer)
    return data


def without_distribution() -> set[str]:
    """Normalized names in Pyodide's lock file that install no distribution: libraries and tests."""
    return {
        normalize(name)
        for name, entry in _lockfile_packages().items()
        if name.endswith("-tests") or entry.get("package_type", "package") != "package"
    }


def provided_elsewhere(*, lockfile: bool) -> Callable[[str], bool]:
    """Whether micropip takes a project, by its normalized name, from elsewhere than an index.

    From Pyodide's lock file, if that comes first, or from the wheels of a JupyterLite site, which
    piplite knows.
    """
    known = set(map(normalize, _lockfile_packages())) if lockfile else set()
    piplite = sys.modules.get("piplite.piplite")
    indices: Mapping[str, Mapping[str, Any]] = getattr(piplite, "_PIPLITE_INDICES", {})

    def has(name: str) -> bool:
        return name in known or any(name in index for index in indices.values())

    return has


_HIDDEN: dict[str, list[Any]] = {}
"""The entries that installs hide now, and how many hide each."""


@contextmanager
def hidden_from_lockfile(hide: Callable[[str], bool]) -> Iterator[None]:
    """Let micropip not see some packages of Pyodide's lock file, so that it asks the mirrors.

    What two installs hide at the same time is hidden until the second one ends.
    """
    packages = _lockfile_packages()
    hidden = [name for name in {*packages, *_HIDDEN} if hide(normalize(name))]
    for name in hidden:
        if name in packages:
            _HIDDEN[name] = [packages.pop(name), 0]
        _HIDDEN[name][1] += 1
    try:
        yield
    finally:
        for name in hidden:
            _HIDDEN[name][1] -= 1
            if not _HIDDEN[name][1]:
                packages[name] = _HIDDEN.pop(name)[0]
