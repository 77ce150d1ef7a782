"""Pyodide's lock file, and the place that Pyodide itself came from."""

from __future__ import annotations

import re
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin

from pyodide_mirror.model import CDN, normalize

from .check import SMALL, LockedFile, some_file

if TYPE_CHECKING:
    from collections.abc import Collection


class NotLockedError(Exception):
    """A package that cannot be loaded under the lock file's digest."""


class OwnPlace(NamedTuple):
    """The place that Pyodide itself came from.

    ``base``: a URL, or in Node a folder. ``cdn``: the same as a CDN, if we can ask that URL.
    """

    base: str
    cdn: CDN | None

    def url(self, file_name: str) -> str:
        """Where a file is; its name may be a whole URL or path."""
        if self.cdn is not None:
            return urljoin(self.cdn.base_url, file_name)
        absolute = "://" in file_name or file_name.startswith("/")
        return file_name if absolute else f"{self.base.rstrip('/')}/{file_name}"


def _js_api() -> Any:
    return import_module("pyodide_js")._api  # noqa: SLF001  # where micropip takes its own from


def pyodide_version() -> str:
    """The version of this Pyodide."""
    return str(import_module("pyodide_js").version)


def own_place() -> OwnPlace:
    """The place that Pyodide takes its packages from by itself."""
    base = str(_js_api().packageManager.installBaseUrl or "")
    cdn = None
    if base.startswith(("http:", "https:")):
        with suppress(ValueError):  # Pyodide can ask it, for all we know
            cdn = CDN(base.partition("?")[0], name="this page's own Pyodide")
    return OwnPlace(base, cdn)


def locked_file(name: str) -> LockedFile:
    """The file of a package, by its normalized name; raises NotLockedError."""
    js_entry = getattr(_js_api().lockfile_packages, name, None)
    if js_entry is None:
        raise NotLockedError("Pyodide's lock file does not have it")
    digest = str(getattr(js_entry, "sha256", "") or "").lower()
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise NotLockedError("Pyodide's lock file has no SHA-256 of it")
    return LockedFile(str(js_entry.file_name), digest)


def canary() -> LockedFile | None:
    """A small file of the lock file, by which a CDN is tested."""
    js_packages = _js_api().lockfile_packages
    for name in SMALL:
        with suppress(NotLockedError):
            return locked_file(name)
    return some_file(js_packages.to_py())


def with_dependencies(names: Collection[str]) -> set[str]:
    """Normalized names of packages, and of all that they need."""
    js_packages = _js_api().lockfile_packages
    found: set[str] = set()
    waiting = [normalize(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            js_entry = getattr(js_packages, name, None)
            waiting += [normalize(str(each)) for each in getattr(js_entry, "depends", ())]
    return found
