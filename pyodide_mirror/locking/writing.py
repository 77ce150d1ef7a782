"""Lock files of what is installed."""

from __future__ import annotations

import platform
import sys
import sysconfig
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from pyodide_mirror import _packaging, cdns, runtime
from pyodide_mirror._micropip import correct_loaded, locked_entry, uninstall, without_distribution
from pyodide_mirror.errors import MirrorError
from pyodide_mirror.installing import INSTALLERS, NOWHERE, installed
from pyodide_mirror.model import PLACEHOLDER, normalize, origin, printable, split_http_url
from pyodide_mirror.reporting import Installed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pyodide_mirror.installing import InstalledDistribution

TOOL: Final = "pyodide-mirror"


class _UnknownError(Exception):
    """Why a distribution cannot be locked."""


def lock_of(
    certain: Mapping[str, Installed],
    known: Mapping[str, Installed],
    private: Collection[str] = (),
    *,
    names: Collection[str] | None = None,
    exclude: Iterable[str] = (),
) -> str:
    """A lock file of these distributions, by their normalized names; by default all.

    ``certain``: what is known of some, whatever is installed now. ``known``: what installs have
    told. ``private``: the index URLs of private mirrors.
    Raises MirrorError, with the names of those whose files are not known.
    """
    if isinstance(exclude, str):
        raise TypeError("exclude must hold names, as in exclude=['demo']")
    there = installed()
    names = there.keys() if names is None else names
    left_out = INSTALLERS | set(map(normalize, exclude))
    packages, faults = [], []
    for name in sorted(set(names) - left_out - without_distribution()):
        try:
            each = certain.get(name) or _facts(name, known.get(name), there.get(name))
            packages.append(_package(each, private))
        except _UnknownError as error:
            faults.append(f"{name}: {error}")
    if faults:
        raise MirrorError(
            "cannot be locked: " + "; ".join(faults) + ". Install them from an index or a URL,"
            f" or leave them out: exclude={sorted(fault.partition(':')[0] for fault in faults)}"
        )
    return _toml_writer().dumps(_document(packages))  # type: ignore[no-any-return]


def _document(packages: list[Any]) -> dict[str, Any]:
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    about = {"python": platform.python_version()}
    for name in ("PYODIDE_ABI_VERSION", "PYEMSCRIPTEN_PLATFORM_VERSION"):
        if abi := sysconfig.get_config_var(name):
            about["abi"] = str(abi)
    with suppress(ImportError):  # in CPython
        about["pyodide"] = runtime.pyodide_version()
    return {
        "lock-version": "1.0",
        # On a desktop as well: what is for Pyodide alone has a marker.
        "environments": [f"implementation_name == 'cpython' and python_version == '{python}'"],
        "requires-python": f"=={python}.*",
        "created-by": TOOL,
        "packages": packages,
        "tool": {TOOL: about},
    }


def _facts(name: str, known: Installed | None, item: InstalledDistribution | None) -> Installed:
    """What is known of a distribution; what an install has told is believed of the same file."""
    if item is None:
        raise _UnknownError("it is not installed")
    url, digest = item.note("PYODIDE_URL"), item.note("PYODIDE_SHA256")
    if known is not None and (known.version, known.sha256 or digest) == (
        item.version,
        digest or known.sha256,
    ):
        return known
    locked = item.note("PYODIDE_SOURCE") == "pyodide"
    source: Any = "lockfile" if locked else "url"
    return Installed(name=name, version=item.version, source=source, url=url, sha256=digest)


def _package(each: Installed, private: Collection[str]) -> dict[str, Any]:
    """An entry of ``packages``."""
    url, digest = each.url, each.sha256
    if each.source == "lockfile":
        url, digest = _locked(each)
    url = url.partition("#")[0].partition("?")[0]
    filename = unquote(url.rpartition("/")[2])
    if not digest:
        raise _UnknownError("nothing says which file it came from, and what its SHA-256 is")
    if not _is_of(filename, each.name):
        raise _UnknownError(f"it came from {printable(filename)!r}, which is no wheel's name")
    hidden = each.mirror in private or _origin(url) in {origin(one) for one in private}
    entry: dict[str, Any] = {"name": each.name, "version": each.version}
    if not filename.endswith("-any.whl"):
        entry["marker"] = "sys_platform == 'emscripten'"
        if each.source == "lockfile":  # it needs the shared libraries of this very Pyodide
            entry["tool"] = {TOOL: {"pyodide": runtime.pyodide_version()}}
    if each.mirror and not hidden and each.source != "lockfile" and PLACEHOLDER not in each.mirror:
        entry["index"] = each.mirror
    wheel: dict[str, Any] = {"name": filename}
    wheel |= {"path": filename} if hidden or not _origin(url) else {"url": url}
    wheel |= {} if each.size is None else {"size": each.size}
    entry["wheels"] = [{**wheel, "hashes": {"sha256": digest}}]
    if hidden:
        entry["tool"] = {TOOL: {"private": True}}
    return entry


def _locked(each: Installed) -> tuple[str, str]:
    """URL and SHA-256 of a package of Pyodide's lock file."""
    found = locked_entry(each.name)
    if str(found.get("version", "")) != each.version:
        raise _UnknownError("Pyodide's lock file has another version of it")
    place = str(found["file_name"])
    if "://" not in place:
        place = cdns.CDNS[0].url(place.rpartition("/")[2], runtime.pyodide_version())
    return place, str(found["sha256"])


def _is_of(filename: str, name: str) -> bool:
    try:
        return normalize(_packaging.utils.parse_wheel_filename(filename)[0]) == name
    except ValueError:
        return False


def _origin(url: str) -> str:
    """The origin of a URL that others may ask; else nothing."""
    with suppress(ValueError):
        return "" if url.startswith(NOWHERE) else origin(split_http_url(urlsplit(url).geturl()))
    return ""


def _toml_writer() -> Any:
    """tomli-w, which Pyodide's lock file has; taken away again, so that it is in no lock file."""
    with suppress(ImportError):
        return import_module("tomli_w")
    with suppress(ImportError):
        from pyodide.ffi import can_run_sync, run_sync

        if can_run_sync():
            run_sync(import_module("pyodide_js").loadPackage("tomli-w"))
            import_module("importlib").invalidate_caches()
            found = import_module("tomli_w")
            uninstall(["tomli-w"])
            correct_loaded({"tomli-w": False}, {})
            return found
    raise MirrorError(
        "lock files are written by tomli-w, which is not here and cannot be waited for:"
        ' run `await pyodide_mirror.install("tomli-w")` first'
    )
