"""The lock file (PEP 751) of a bundle: what it is made of, and the one that it has."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tomli_w
from packaging.pylock import (
    Package,
    PackageWheel,
    Pylock,
    PylockSelectError,
    PylockValidationError,
)
from packaging.utils import parse_wheel_filename

from pyodide_mirror.locking import INSTALLERS, TOOL
from pyodide_mirror.model import normalize, printable, split_http_url

from .errors import BundlingError
from .pins import BundleFile, Pin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .release import Release

PYLOCK: Final = "pylock.toml"


class LockFile:
    """A lock file, of whichever tool. ``path``: where it is, from where its own paths start."""

    def __init__(self, text: str, path: Path) -> None:
        """Raises BundlingError for what is no lock file."""
        self.path = path
        try:
            document = tomllib.loads(text)
            self._lock = Pylock.from_dict(document)
        except (ValueError, RecursionError, PylockValidationError) as error:
            why = printable(str(error))[:200]
            raise BundlingError(f"{path} is no lock file (PEP 751): {why}") from None
        tools = document.get("tool")
        told = tools.get(TOOL) if isinstance(tools, dict) else None
        self.told: Mapping[str, Any] = told if isinstance(told, dict) else {}

    @property
    def pyodide(self) -> str:
        """The version of Pyodide that it was made for, where it says so."""
        return str(self.told.get("pyodide", ""))

    @property
    def constraints(self) -> list[str]:
        """What else may be installed beside it (PEP 508)."""
        return [f"{each.name}=={each.version}" for each in self._lock.packages if each.version]

    def pins(self, release: Release) -> dict[str, Pin]:
        """What is for this Pyodide, by normalized name.

        Raises BundlingError with all reasons why something of it is not.
        """
        try:
            selected = list(self._lock.select(environment=release.environment, tags=release.tags))  # type: ignore[arg-type]
        except PylockSelectError as error:
            raise BundlingError(
                f"{self.path} cannot be used for Pyodide {release.version} (Python"
                f" {release.python}): {printable(str(error))[:300]}"
            ) from None
        pins, faults = {}, []
        for package, file in selected:
            try:
                pins[str(package.name)] = self._pin(package, file, release)
            except ValueError as error:
                faults.append(printable(f"{package.name}: {error}"))
        if faults:
            raise BundlingError(f"{self.path} cannot be bundled: {'; '.join(faults)}")
        return pins

    def _pin(self, package: Package, file: object, release: Release) -> Pin:
        if not isinstance(file, PackageWheel):
            kind = type(file).__name__.removeprefix("Package").lower()
            what = f"it is locked as {kind}, and only wheels can be installed in a page"
            raise ValueError(what)  # noqa: TRY004  # what is wrong is the lock file
        sha256 = file.hashes.get("sha256", "").lower()
        version = parse_wheel_filename(file.filename)[1]
        if len(sha256) != 64:
            raise ValueError(f"{file.filename} has no SHA-256")
        tool = (package.tool or {}).get(TOOL) or {}
        locked = release.is_own(str(package.name), sha256)
        if "pyodide" in tool and not locked:
            raise ValueError(
                f"it is the build of Pyodide {tool['pyodide']}, and this is {release.version};"
                f" add --pyodide {tool['pyodide']}"
            )
        wanted = BundleFile(
            filename=file.filename,
            sha256=sha256,
            size=file.size,
            places=tuple(self._places(file)),
            project=str(package.name),
            private=bool(tool.get("private")),
        )
        return Pin(str(package.name), str(version), wanted, locked)

    def _places(self, file: PackageWheel) -> Iterable[str | Path]:
        if file.path:
            yield self.path.parent / file.path
        if file.url:
            try:
                split_http_url(file.url.partition("#")[0])
            except ValueError as error:
                if not file.path:
                    raise ValueError(
                        f"the URL of {file.filename} cannot be used: {error}"
                    ) from None
            else:
                yield file.url.partition("#")[0]


def read_lock_file(path: str | Path) -> LockFile:
    """The lock file at a path; raises BundlingError and OSError."""
    try:
        return LockFile(Path(path).read_text("utf-8"), Path(path))
    except UnicodeDecodeError:
        raise BundlingError(f"{path} is no lock file (PEP 751): it is no text") from None


def written_lock(
    pins: Mapping[str, Pin], sizes: Mapping[str, int], release: Release, public_url: str
) -> bytes:
    """The lock file of a bundle: every file is in the bundle itself.

    ``pins``: by name. ``sizes``: of the files, by their paths there.
    """
    chosen = [pin for name, pin in sorted(pins.items()) if name not in INSTALLERS]
    python = release.environment["python_version"]
    told = {"bundle": 1, "python": release.python, "pyodide": release.version}
    document = {
        "lock-version": "1.0",
        # On a desktop as well: what is for Pyodide alone has a marker.
        "environments": [f"implementation_name == 'cpython' and python_version == '{python}'"],
        "requires-python": f"=={python}.*",
        "created-by": TOOL,
        "packages": [_entry(pin, sizes[pin.path], release, public_url) for pin in chosen],
        "tool": {TOOL: {**told, **({"public-url": public_url} if public_url else {})}},
    }
    return tomli_w.dumps(document).encode()


def _entry(pin: Pin, size: int, release: Release, public_url: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": normalize(pin.name), "version": pin.version}
    if not pin.file.filename.endswith("-any.whl"):
        entry["marker"] = "sys_platform == 'emscripten'"
        if pin.locked:  # it needs the shared libraries of this very Pyodide
            entry["tool"] = {TOOL: {"pyodide": release.version}}
    wheel: dict[str, Any] = {"name": pin.file.filename}
    wheel |= {"url": f"{public_url}/{pin.path}"} if public_url else {"path": pin.path}
    entry["wheels"] = [{**wheel, "size": size, "hashes": {"sha256": pin.file.sha256}}]
    return entry
