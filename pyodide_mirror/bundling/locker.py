"""A lock file of requirements, as they are installed in Pyodide."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyodide_mirror.api import ENVIRONMENT_VARIABLE
from pyodide_mirror.loader import LOCK, LoaderError, LocalFolder, fetch_files
from pyodide_mirror.model import CDN, printable
from pyodide_mirror.own_wheels import NOT_INSTALLED, page_wheel
from pyodide_mirror.rebuilt import rebuilt_wheel
from pyodide_mirror.runtime import CDN_VARIABLE, NEWEST_PYODIDE, default_cdns

from .errors import LockError
from .node import default_cache, npm_pyodide, run_driver, write_whole
from .release import read_release
from .requirement_files import check_requirement

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from pyodide_mirror.loader import Source
    from pyodide_mirror.model import Mirror

_PROGRAM: Final = Path(__file__).with_name("inside.py")
_LOADED: Final = ("micropip",)
"""What Pyodide loads before our package."""
_SILENT: Final = frozenset({"progress", "page", "unpacked"})
"""Events that are too many to be told."""


async def lock_requirements(  # noqa: PLR0913  # each is a setting of its own
    requirements: Sequence[str],
    *,
    constraints: Sequence[str] = (),
    pyodide: str = NEWEST_PYODIDE,
    mirrors: Sequence[Mirror] = (),
    cdns: Sequence[Source] = (),
    cache: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
    hashes: Mapping[str, Collection[str]] | None = None,
    pre: bool = False,
    timeout: float = 10.0,
    pyodide_lock: Path | None = None,
) -> str:
    """The text of a lock file (PEP 751) of what these requirements install in that Pyodide.

    ``mirrors``, ``cdns``: where from, in order; by default those of the environment, else those
    that are known. ``cache``: the folder in which Pyodide is kept. ``tell`` is called with a
    sentence for each step. ``hashes``: by normalized name, the digests that files may have, as in
    ``sha256:…``; if there are some, there must be some for all that is installed. ``pre``: versions
    before a release will do. ``timeout``: seconds until the first byte of an answer, and from each
    byte to the next. ``pyodide_lock``: a lock file of Pyodide's kind in place of the release's.

    Raises ValueError for what is no requirement and for an unknown version, BundlingError with what
    is in the way, OSError where the cache cannot be written.
    """
    for each in (*requirements, *constraints):
        check_requirement(each)
    core = await npm_pyodide(pyodide, cache or default_cache(), cdns, timeout, tell)
    here = await _pyodide(pyodide, core, cdns, pyodide_lock, timeout)
    task = _task(requirements, constraints, mirrors, cdns, by_hash=bool(hashes))
    with tempfile.TemporaryDirectory(prefix="pyodide-mirror-") as scratch:
        job = {**here, **_prepared(Path(scratch)), "task": {**task, "pre": pre, "timeout": timeout}}
        text = _lock_in(await run_driver(job, _Teller(tell)))
    _check_hashes(text, hashes or {})
    return text


class _Teller:
    """Tells of events, but of those that are too many."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def __call__(self, kind: str, text: str) -> None:
        if kind not in _SILENT:
            self._tell(printable(text))


class _Wanted(NamedTuple):
    """A file to fetch: its name, and its SHA-256 in hexadecimal."""

    name: str
    sha256: str

    def fits(self, content: bytes) -> bool:
        """Whether this is its content."""
        return hashlib.sha256(content).hexdigest() == self.sha256

    def is_in(self, folder: Path) -> bool:
        """Whether it lies there."""
        path = folder / self.name
        return path.is_file() and self.fits(path.read_bytes())


async def _pyodide(
    version: str, core: Path, cdns: Sequence[Source], lock_file: Path | None, timeout: float
) -> dict[str, Any]:
    """Pyodide, as a job has it, with what it loads before there is a package of ours to do that.

    ``core``: the folder that its core files are in.
    """
    packages = core.with_name(f"{version}-packages")
    packages.mkdir(parents=True, exist_ok=True)
    lock_file = lock_file or core / LOCK
    pins = read_release(version, lock_file).pins(_LOADED)
    wanted = [_Wanted(pin.file.filename, pin.file.sha256) for pin in pins]
    missing = [each for each in wanted if not each.is_in(packages)]
    try:
        contents = await fetch_files(missing, cdns or default_cdns()[0], version, timeout)
    except LoaderError as error:
        raise LockError(str(error)) from None
    for name, content in contents.items():
        write_whole(packages / name, content)
    return {**_paths(core, packages, lock_file, cdns), "load": _LOADED}


def _paths(
    core: Path, packages: Path, lock_file: Path, cdns: Sequence[Source]
) -> dict[str, str | list[str]]:
    folders = [each.path if isinstance(each, LocalFolder) else core for each in cdns]
    return {
        "core": str(core.resolve()),
        "packages": str(packages.resolve()),
        "lockFile": str(lock_file.resolve()),
        "folders": [str(each.resolve()) for each in folders],
    }


def _task(
    requirements: Sequence[str],
    constraints: Sequence[str],
    mirrors: Sequence[Mirror],
    cdns: Sequence[Source],
    *,
    by_hash: bool,
) -> dict[str, Any]:
    """The arguments of the install in Pyodide, as JSON types."""
    return {
        "requirements": list(requirements),
        "mirrors": [_mirror(each) for each in mirrors],
        "cdns": [_cdn(number, each) for number, each in enumerate(cdns)],
        # Digests that somebody has written down are those of an index.
        "prefer": "index" if by_hash else "lockfile",
        **({"constraints": list(constraints)} if constraints else {}),
    }


def _mirror(mirror: Mirror) -> dict[str, Any]:
    names = ("index_url", "name", "region", "private", "projects", "credentials")
    found = {name: getattr(mirror, name) for name in names}
    return {**found, "headers": dict(mirror.headers) if mirror.headers else None}


def _cdn(number: int, place: Source) -> dict[str, str]:
    if isinstance(place, CDN):
        return {"base_url": place.base_url, "name": place.name}
    return {"base_url": f"https://folder-{number}.invalid/", "name": place.name}


def _prepared(scratch: Path) -> dict[str, Any]:
    """What Python gets of what is here: our wheel, a writer of TOML, a resolver, a program."""
    tools = scratch / "tools"
    spec = find_spec("tomli_w")
    if spec is None or spec.origin is None:
        raise LockError("tomli-w is not installed: pip install tomli-w")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(spec.origin).parent, tools / "tomli_w", ignore=ignored)
    try:
        name, content = page_wheel()
        (scratch / name).write_bytes(content)
        (tools / "resolver.whl").write_bytes(rebuilt_wheel("resolvelib")[1])
    except PackageNotFoundError:
        raise LockError(NOT_INSTALLED) from None
    except ValueError as error:
        raise LockError(f"resolvelib: {error}") from None
    names = (ENVIRONMENT_VARIABLE, CDN_VARIABLE)
    return {
        "wheel": str(scratch / name),
        "tools": str(tools),
        "program": str(_PROGRAM),
        "env": {name: os.environ[name] for name in names if os.environ.get(name)},
    }


def _lock_in(answer: str) -> str:
    """The lock file in an answer of the program; raises LockError with its error."""
    found = json.loads(answer)
    if "lock" in found:
        return str(found["lock"])
    raise LockError("\n".join(map(printable, str(found["error"]).splitlines())))


def _check_hashes(text: str, hashes: Mapping[str, Collection[str]]) -> None:
    """Each file must have a digest that is among those for its package, if there are any."""
    if not hashes:
        return
    faults = []
    for package in tomllib.loads(text)["packages"]:
        [wheel] = package["wheels"]
        digest = f"sha256:{wheel['hashes']['sha256']}"
        if package["name"] not in hashes:
            faults.append(f"{package['name']}=={package['version']} has none: --hash={digest}")
        elif digest not in hashes[package["name"]]:
            faults.append(f"{wheel['name']} has {digest}, which is none of its own")
    if faults:
        raise LockError(f"where one has a --hash, all must have the right one: {'; '.join(faults)}")
