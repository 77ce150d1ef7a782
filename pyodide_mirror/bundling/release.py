"""A release of Pyodide: its lock file, and which wheels are for its Python."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from packaging.tags import Tag, compatible_tags, cpython_tags

from pyodide_mirror.loader import LocalFolder
from pyodide_mirror.model import normalize

from .errors import BundlingError
from .pins import BundleFile, Pin

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from pyodide_mirror.loader import Source

ALWAYS: Final = ("micropip", "packaging", "tomli-w", "iniconfig")
"""What pages use to install, to write lock files, and to see that an index can be read."""
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_FILENAME: Final = re.compile("[A-Za-z0-9_][A-Za-z0-9._+!~%-]{0,254}")


class Release(NamedTuple):
    """A version of Pyodide, and what its lock file says: ``packages`` by normalized name."""

    version: str
    info: Mapping[str, str]
    packages: Mapping[str, Mapping[str, Any]]

    @property
    def python(self) -> str:
        """The version of its Python."""
        return self.info["python"]

    @property
    def environment(self) -> dict[str, str]:
        """Its environment, as markers see it (PyPA: dependency specifiers)."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.python,
            "os_name": "posix",
            "platform_machine": self.info["arch"],
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Emscripten",
            "platform_version": "",
            "python_full_version": self.python,
            "python_version": ".".join(map(str, self._python)),
            "sys_platform": "emscripten",
        }

    @property
    def tags(self) -> list[Tag]:
        """The tags of wheels that it can install, the best first (PEP 425, PEP 783)."""
        abi, arch = self.info["abi_version"], self.info["arch"]
        names = (f"pyemscripten_{abi}", f"pyodide_{abi}", self.info["platform"])
        platforms = [f"{name}_{arch}" for name in names]
        interpreter = "cp{}{}".format(*self._python)
        own = cpython_tags(self._python, [interpreter], platforms)
        return [*own, *compatible_tags(self._python, interpreter, platforms)]

    @property
    def _python(self) -> tuple[int, int]:
        major, minor, *_ = self.python.split(".")
        return int(major), int(minor)

    def is_own(self, name: str, sha256: str) -> bool:
        """Whether a file is that of its lock file."""
        return bool(sha256) and self.packages.get(name, {}).get("sha256") == sha256

    def pins(self, names: Collection[str], sources: Sequence[Source] = ()) -> list[Pin]:
        """These packages of the lock file, and all that they need.

        Raises BundlingError where the lock file lacks one.
        """
        found: dict[str, Pin] = {}
        waiting = sorted(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                entry = self.packages.get(name)
                if entry is None:
                    raise BundlingError(f"the lock file of Pyodide {self.version} has no {name}")
                found[name] = self._pin(name, entry, sources)
                waiting += [normalize(str(each)) for each in entry.get("depends", ())]
        return [found[name] for name in sorted(found)]

    def cut(self, pins: Collection[Pin]) -> bytes:
        """The lock file with these packages alone."""
        names = {pin.name: pin.file.filename for pin in pins}
        packages = {
            key: {**entry, "file_name": names[normalize(key)]}
            for key, entry in sorted(self.packages.items())
            if normalize(key) in names
        }
        return json.dumps({"info": dict(self.info), "packages": packages}, indent=1).encode()

    def _pin(self, name: str, entry: Mapping[str, Any], sources: Sequence[Source]) -> Pin:
        place, sha256 = str(entry["file_name"]), str(entry["sha256"])
        filename = _filename(place)
        places = [place] if "://" in place else [*_places(place, self.version, sources)]
        return Pin(
            name,
            str(entry["version"]),
            BundleFile(filename, sha256, None, tuple(places)),
            locked=True,
        )


def read_release(version: str, lock: Path) -> Release:
    """A release by its lock file. Raises BundlingError where it is none."""
    try:
        document = json.loads(lock.read_bytes())
        info = {key: str(value) for key, value in document["info"].items()}
        packages = {normalize(key): entry for key, entry in document["packages"].items()}
        for entry in packages.values():
            place, sha256 = entry["file_name"], entry["sha256"]
            plain = _FILENAME.fullmatch(_filename(place)) and ("://" in place or "/" not in place)
            if not (plain and _DIGEST.fullmatch(sha256) and isinstance(entry["version"], str)):
                raise ValueError(place)
            if not isinstance(entry.get("depends", []), list):
                raise TypeError(place)
        release = Release(version, info, packages)
        if not release.tags or not release.environment:
            raise ValueError(version)
    except OSError as error:
        raise BundlingError(f"{lock} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BundlingError(f"{lock} is no lock file of Pyodide") from None
    return release


def _filename(place: str) -> str:
    """The name of a file, which a lock file has as that, or as the end of a URL."""
    return place.partition("?")[0].rpartition("/")[2]


def _places(name: str, version: str, sources: Sequence[Source]) -> Iterator[Any]:
    for each in sources:
        yield each.path / name if isinstance(each, LocalFolder) else each.url(name, version)
