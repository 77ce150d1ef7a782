"""Lock files read, and what an install is to take of one."""

from __future__ import annotations

import hashlib
import platform
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

from pyodide_mirror._micropip import can_put_back, locked_entry
from pyodide_mirror.errors import MirrorError
from pyodide_mirror.index import FileCollector, digests, wheels_by_version
from pyodide_mirror.installing import (
    INSTALLERS,
    NOWHERE,
    InstallRequest,
    NoFileError,
    Plan,
    RankedMirror,
    ServedFile,
    installed,
)
from pyodide_mirror.model import (
    HostKind,
    Mirror,
    hide_user_info,
    host_kind,
    origin,
    printable,
    split_http_url,
)
from pyodide_mirror.probing import refuse_url
from pyodide_mirror.transport import Request, Response, send

from .writing import TOOL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyodide_mirror.installing import DeferredMirrors, Failover, MirrorOrder
    from pyodide_mirror.model import File
    from pyodide_mirror.reporting import EventLog
    from pyodide_mirror.storage import Cache
    from pyodide_mirror.transport import Transport

_MAX_BYTES: Final = 10_000_000
_STRONG: Final = hashlib.algorithms_guaranteed - {"md5", "sha1", "shake_128", "shake_256"}


class Pin(NamedTuple):
    """A package of a lock file, and the one file of it that is for this Python.

    ``index_url``: the index that it was published on, if that is known. ``private``: only a
    private index may be asked for it. ``locked``: it is the one of Pyodide's own lock file.
    ``data``: the file, where it lies beside the lock file.
    """

    name: str
    version: str
    file: File
    index_url: str = ""
    private: bool = False
    locked: bool = False
    data: bytes = b""

    @property
    def requirement(self) -> str:
        """As micropip takes it."""
        return f"{self.name}=={self.version}"


# --- the lock file itself -------------------------------------------------------------------------


async def read_lock(
    source: object, transport: Transport, timeout: float
) -> tuple[Mapping[str, Any], str]:
    """A lock file, and the URL or path that it was read from, if there is one.

    ``source``: its text, path, or URL, or what was read of it. Raises TypeError or ValueError for
    what is no lock file, OSError or MirrorError for one that cannot be read.
    """
    if isinstance(source, Mapping):
        return source, ""
    if isinstance(source, Path) or (isinstance(source, str) and "\n" not in source):
        place = str(source)
        if isinstance(source, str) and "://" in place:
            data, place = await fetch_file(place, transport, timeout)
        else:
            data = _start_of(Path(place))
    elif isinstance(source, str):
        data, place = source.encode(), ""
    else:
        raise TypeError(
            f"source must be a lock file's text, path, URL or content, not {type(source).__name__}"
        )
    if len(data) > _MAX_BYTES:
        raise ValueError(f"source: more than {_MAX_BYTES:,} bytes are no lock file")
    try:
        return tomllib.loads(data.decode()), place
    except (ValueError, RecursionError) as error:
        raise ValueError(f"source is no TOML: {printable(str(error))[:200]}") from None


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_BYTES + 1)


async def fetch_file(url: str, transport: Transport, timeout: float) -> tuple[bytes, str]:
    """A file of at most 10 MB, and its URL after redirects.

    Raises ValueError for what is no such URL, MirrorError when it cannot be read.
    """
    try:
        split_http_url(url)
    except ValueError as error:
        raise ValueError(f"source: {hide_user_info(url)!r}: {error}") from None
    refused = refuse_url(url, transport.page, named=True)
    answer = refused or await send(transport, Request(url, timeout, _MAX_BYTES))
    shown = url.partition("?")[0]
    if not isinstance(answer, Response):
        raise MirrorError(f"{shown} cannot be read: {answer.detail}")
    if not answer.ok:
        raise MirrorError(f"{shown} cannot be read: HTTP {answer.status}")
    return answer.body, answer.url


async def _pylock() -> Any:
    """The module of packaging that reads lock files."""
    if not _has_pylock():
        with suppress(ImportError):  # in CPython
            await import_module("pyodide_js").loadPackage("packaging")
            import_module("importlib").invalidate_caches()
    if not _has_pylock():
        raise MirrorError(
            "lock files are read by packaging 26 or newer, which is not here: take Pyodide 0.29.5,"
            " 314 or newer, or install it before anything else"
        )
    return import_module("packaging.pylock")


def _has_pylock() -> bool:
    with suppress(ImportError):
        return bool(import_module("packaging.pylock"))
    return False


# --- what is for this Python ----------------------------------------------------------------------


async def choose(document: Mapping[str, Any], base: str) -> list[Pin]:
    """What to install of a lock file.

    ``base``: the URL or path of the lock file. Raises ValueError for what is no lock file (PEP
    751), and MirrorError with all reasons why it cannot be installed here.
    """
    pylock = await _pylock()
    try:
        lock = pylock.Pylock.from_dict(document)
    except pylock.PylockValidationError as error:
        raise ValueError(f"source is no lock file: {printable(str(error))[:200]}") from None
    pins: dict[str, Pin] = {}
    faults = [*_of_environment(lock)]
    for package in _applicable(lock):
        name = str(package.name)
        try:
            if name in pins:
                raise ValueError("two entries of it are for this Python")
            pins[name] = _pin(package, base)
        except ValueError as error:
            faults.append(printable(f"{name}: {error}"))
    if faults:
        raise MirrorError(f"this lock file cannot be installed here: {'; '.join(faults)}")
    return list(pins.values())


def _of_environment(lock: Any) -> Iterator[str]:
    here = platform.python_version()
    if lock.requires_python and not lock.requires_python.contains(here, prereleases=True):
        yield f"it is for Python {lock.requires_python}, and this is {here}"
    if lock.environments and not any(each.evaluate() for each in lock.environments):
        yield f"it is for {printable(' or '.join(map(str, lock.environments)))[:300]} only"


def _applicable(lock: Any) -> Iterator[Any]:
    groups = frozenset(lock.default_groups or ())
    environment = {"extras": frozenset(), "dependency_groups": groups}
    for package in lock.packages:
        if package.marker is None or package.marker.evaluate(environment, context="lock_file"):
            yield package


def _pin(package: Any, base: str) -> Pin:
    """The best file of a package; ValueError says in a clause why there is none."""
    here = platform.python_version()
    if package.requires_python and not package.requires_python.contains(here, prereleases=True):
        raise ValueError(f"it is for Python {package.requires_python}, and this is {here}")
    wheels = package.wheels or ([package.archive] if _is_wheel(package.archive) else ())
    if not wheels:
        forms = ("vcs", "directory", "archive", "sdist")
        form = next(form for form in forms if getattr(package, form) is not None)
        raise ValueError(f"it is locked as {form}, and only wheels can be installed here")
    found = {name: (wheel, name) for wheel in wheels if (name := _filename(wheel))}
    own = locked_entry(package.name)
    for wheel, name in found.values():
        if own and wheel.hashes.get("sha256") == own.get("sha256"):
            file = _file(wheel, name, NOWHERE)
            return Pin(str(package.name), str(own["version"]), file, locked=True)
    tool = (package.tool or {}).get(TOOL) or {}
    if "pyodide" in tool:
        raise ValueError(f"it is the build of Pyodide {tool['pyodide']}, which is not here")
    files = {name: _file(wheel, name, NOWHERE) for wheel, name in found.values()}
    best = wheels_by_version(files.values())
    if not best:
        raise ValueError(f"it has no wheel for this Python, only {', '.join([*files][:3])}")
    version, file = best[0]
    if not _STRONG & file.hashes.keys():
        raise ValueError(f"{file.filename} has no digest that can be checked, as SHA-256")
    wheel = found[file.filename][0]
    url, data = _place(wheel, base)
    file = _file(wheel, file.filename, url)
    if data:
        _check(data, file)
        file = replace(file, hashes={"sha256": hashlib.sha256(data).hexdigest()})
    private = bool(tool.get("private"))
    return Pin(str(package.name), str(version), file, package.index or "", private, data=data)


def _is_wheel(archive: Any) -> bool:
    return archive is not None and _filename(archive).endswith(".whl") and not archive.subdirectory


def _filename(wheel: Any) -> str:
    path = wheel.path or urlsplit(wheel.url).path
    return getattr(wheel, "name", None) or unquote(path.replace("\\", "/").rpartition("/")[2])


def _file(wheel: Any, filename: str, url: str) -> File:
    files = FileCollector(NOWHERE)
    if not files.add(filename, url, hashes=digests(dict(wheel.hashes)), size=wheel.size):
        raise ValueError(files.unusable[0])
    return files.files[0]


def _place(wheel: Any, base: str) -> tuple[str, bytes]:
    """Where a file is: its URL, and its bytes if they are beside the lock file."""
    at_url = "://" in base
    if wheel.path and base and not at_url:
        path = Path(base).parent / wheel.path
        if path.is_file():
            return f"{NOWHERE}/{quote(_filename(wheel))}", path.read_bytes()
    with suppress(ValueError):
        if wheel.url:
            split_http_url(wheel.url.partition("#")[0])
            return wheel.url, b""
    if wheel.path and at_url:
        url = urljoin(base, quote(wheel.path))
        if origin(url) != origin(base):
            raise ValueError(f"the path of {_filename(wheel)} leads somewhere else")
        return url, b""
    return f"{NOWHERE}/{quote(_filename(wheel))}", b""


def _check(data: bytes, file: File) -> None:
    if file.size not in (None, len(data)):
        raise ValueError(f"{file.filename} has {len(data):,} bytes, and not {file.size:,}")
    for algorithm in _STRONG & file.hashes.keys():
        if hashlib.new(algorithm, data).hexdigest() != file.hashes[algorithm]:
            raise ValueError(f"{file.filename} does not have the {algorithm} of the lock file")


def _verify(data: bytes, file: File) -> None:
    try:
        _check(data, file)
    except ValueError as error:
        raise NoFileError(str(error)) from None


# --- the install ----------------------------------------------------------------------------------


class LockedRequest(InstallRequest):
    """An install of what a lock file has, and of nothing else.

    ``base``: the URL or path of the lock file. An installed package of the same file stays; any
    other one of that name is replaced, as pip replaces another version.
    """

    def __init__(self, pins: Sequence[Pin], base: str, events: EventLog, *, cache: bool) -> None:
        super().__init__([pin.requirement for pin in pins], {"deps": False}, events, cache=cache)
        self._base = base
        there = installed()
        self._pins = [pin for pin in pins if not _is_there(there, pin)]
        self._replaced = [pin.name for pin in self._pins if pin.name in there]
        self.downloads.files.update((pin.file.sha256, pin.data) for pin in pins if pin.data)
        if self._replaced and not can_put_back():
            raise MirrorError(
                "this version of micropip cannot put back what is replaced; uninstall first:"
                f" {', '.join(self._replaced)}"
            )

    def failover(self, mirrors: DeferredMirrors, cache: Cache) -> Failover:
        """See InstallRequest: what to take of these mirrors, if they are asked."""
        files = {}
        for pin in self._pins:
            if not pin.locked:
                ranked = self._ranked(pin, mirrors.provisional)
                url = pin.file.url if ranked else f"{NOWHERE}/{quote(pin.file.filename)}"
                ranked = ranked or RankedMirror(Mirror(NOWHERE, name="the lock file"))
                files[pin.name] = ServedFile(replace(pin.file, url=url), pin.name, ranked)
        wanted = [pin.requirement for pin in self._pins]
        self.plan = Plan(wanted, files, self._replaced, _verify)
        return super().failover(mirrors, cache)

    def _ranked(self, pin: Pin, order: MirrorOrder) -> RankedMirror | None:
        """In whose name a file's URL is asked; None if it is not to be asked.

        A lock file must not make the browser ask hosts of the user's own network, unless it comes
        from there, or the user has named them.
        """
        url, lies_near = pin.file.url, _is_near(self._base)
        if pin.private:
            own = [one for one in order.mirrors_for(pin.name) if one.mirror.is_exclusive]
            if not own and not pin.data:
                raise MirrorError(
                    f"{pin.name} is of a private index: name that, as in"
                    " mirrors=[Mirror(URL, private=True)]"
                )
            return own[0] if own else None
        if url.startswith(NOWHERE):
            return None
        for one in order.ranked:
            if one.mirror.index_url == pin.index_url or origin(one.mirror.index_url) == origin(url):
                return one
        if _is_near(url):
            return RankedMirror(Mirror(origin(url))) if lies_near else None
        with suppress(ValueError):
            if pin.index_url and (lies_near or not _is_near(pin.index_url)):
                return RankedMirror(Mirror(pin.index_url))
        return RankedMirror(Mirror(origin(url)))


def _is_near(url: str) -> bool:
    return "://" in url and host_kind(url) is not HostKind.PUBLIC


def _is_there(there: Mapping[str, Any], pin: Pin) -> bool:
    """Whether the very file is installed; what installs is never replaced."""
    item = there.get(pin.name)
    if item is None:
        return False
    digest = item.note("PYODIDE_SHA256")
    if item.note("PYODIDE_SOURCE") == "pyodide":
        digest = str(locked_entry(pin.name).get("sha256", ""))
    return pin.name in INSTALLERS or digest == (pin.file.sha256 or None)
