"""Pyodide's own micropip in CPython, in this process: only what is JavaScript's is replaced.

The fetch, the unpacking and the lock file behave as Pyodide's do.
"""

import asyncio
import importlib
import io
import shutil
import site
import sys
import tempfile
import zipfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import packaging.pylock  # nor this
import packaging.requirements  # noqa: F401  # which is not to be found later, see below
import resolvelib  # noqa: F401
import tomli_w  # noqa: F401

from pyodide_mirror._micropip import fetch, hook, index_urls, lockfile, unpack
from pyodide_mirror.transport import Request, Response, TransportError
from tests.support import provision
from tests.support.fake_web import Web
from tests.support.wheels import Wheel, make_wheel

VERSIONS = {"0.11.1": "314.0.7", "0.10.1": "0.28.3", "0.9.0": "0.27.8"}
"""The micropips that we support, and a Pyodide that has each."""


OWN_PLACE = "https://pyodide.example/full/"
"""Where Pyodide takes its packages from."""
LIBRARIES = frozenset({"zoo-blas"})
"""Packages of the lock file that are no distributions."""


class HttpStatusError(OSError):
    """As in ``pyodide.http``."""

    def __init__(self, status: int, status_text: str, url: str) -> None:
        self.status, self.status_text, self.url = status, status_text, url
        super().__init__(f"{status} {status_text}: {url}")


class JsError(Exception):
    """As ``JsException`` is for a Python error that went through JavaScript: all in its text."""


class Loaded:
    """Pyodide's list of loaded packages, with names as attributes."""

    def to_py(self) -> dict[str, str]:
        """Return it as Python's own."""
        return dict(vars(self))


DEPENDS: dict[str, list[str]] = {}
"""What packages of the lock file need."""
LOCKFILE = {name: make_wheel(name, "1.0") for name in ("zlocked", "zlost")}
"""The packages of the lock file; ``zlost`` cannot be loaded, which Pyodide only logs."""


class Proxy:
    """As ``pyodide.ffi.create_proxy`` makes one."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.destroyed = False

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        assert not self.destroyed
        return self.function(*arguments)

    def destroy(self) -> None:
        """Be of no use any more."""
        self.destroyed = True


class PackageManager:
    """Pyodide's package manager, since 0.28; its own place is :data:`OWN_PLACE`."""

    installBaseUrl = OWN_PLACE  # noqa: N815  # its own names

    def hasOwnProperty(self, name: str) -> bool:  # noqa: N802
        """As all objects of JavaScript have it."""
        return name in vars(self)

    async def downloadPackage(self, package: Any, _: bool = True) -> bytes:  # noqa: N802
        """Return the bytes of a package, as if its own place had it."""
        return LOCKFILE[package.normalizedName].data


class LockedPackages:
    """The packages of the lock file as JavaScript's object has them: as attributes.

    ``places``, ``digests``: what it says of some instead.
    """

    places: dict[str, str] = {}  # noqa: RUF012  # a test that changes it clears it
    digests: dict[str, str] = {}  # noqa: RUF012

    def __getattr__(self, name: str) -> SimpleNamespace:
        """Return an entry."""
        try:
            entry = _entry(LOCKFILE[name])
            entry["file_name"] = self.places.get(name, entry["file_name"])
            entry["sha256"] = self.digests.get(name, entry["sha256"])
            return SimpleNamespace(**entry)
        except KeyError:
            raise AttributeError(name) from None

    def to_py(self) -> dict[str, dict[str, Any]]:
        """Return it as Python's own."""
        return {name: _entry(wheel) for name, wheel in LOCKFILE.items()}


def _entry(wheel: Wheel) -> dict[str, Any]:
    return {
        "name": wheel.name,
        "version": wheel.version,
        "file_name": wheel.filename,
        "sha256": wheel.sha256,
        "depends": DEPENDS.get(wheel.name, []),
        "package_type": "shared_library" if wheel.name in LIBRARIES else "package",
    }


class JsPromise:
    """``Promise`` of JavaScript."""

    @staticmethod
    def new(start: Callable[..., None]) -> asyncio.Future[Any]:
        """Make one."""
        promise = asyncio.get_running_loop().create_future()
        start(promise.set_result, promise.set_exception)
        return promise


def with_dependencies(names: Sequence[str]) -> list[str]:
    """The names of packages, and of all that they need."""
    found: list[str] = []
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found.append(name)
            waiting += DEPENDS.get(name, [])
    return found


class FakePyodide:
    """What micropip takes from Pyodide.

    ``folder``: site-packages. ``fetch``: answers micropip's own requests. ``dynlibs``: is awaited
    after each unpacking, as libraries are loaded then.
    """

    def __init__(self) -> None:
        self.api = SimpleNamespace()
        self.logged: list[str] = []
        self.loaded = Loaded()
        self.folder = Path()
        self.fetch: Callable[..., Awaitable[Any]]
        self.dynlibs: Callable[[], Awaitable[None]]
        self._lock: asyncio.Lock

    def restart(self, folder: Path, fetch: Callable[..., Awaitable[Any]]) -> None:
        """Have nothing installed."""
        vars(self.loaded).clear()
        vars(self.api).pop("packageManager", None)
        self.logged.clear()
        self.folder, self.fetch = folder, fetch
        self.dynlibs = lambda: asyncio.sleep(0)
        self._lock = asyncio.Lock()

    async def pyfetch(self, url: str, **options: object) -> Any:
        """``pyodide.http.pyfetch``."""
        return await self.fetch(url, **options)

    async def install(
        self, data: bytes, filename: str, folder: str, notes: dict[str, str] | None = None
    ) -> None:
        """``API.install`` of Pyodide from 0.28 on."""
        try:
            _unpack(data, filename, Path(folder), notes or {})
        except Exception as error:
            text = f"Traceback (most recent call last):\n  …\n{type(error).__name__}: {error}\n"
            raise JsError(text) from None
        await self.dynlibs()

    async def load_dynlibs(self, *_: object) -> None:
        """``API.loadDynlibsFromPackage`` of Pyodide before."""
        await self.dynlibs()

    async def load_package(self, names: str | Sequence[str], **_: object) -> list[Any]:
        """``pyodide.loadPackage``: loads what is not loaded yet, and says what it has loaded."""
        async with self._lock:
            await asyncio.sleep(0.1)
            wanted = with_dependencies([names] if isinstance(names, str) else names)
            new = [name for name in wanted if not hasattr(self.loaded, name)]
            contents = await asyncio.gather(*map(self._download, new), return_exceptions=True)
            for name, content in zip(new, contents, strict=True):
                if isinstance(content, BaseException):
                    self.logged.append(str(content))
                    continue
                notes = {"PYODIDE_SOURCE": "pyodide", "INSTALLER": "pyodide.loadPackage"}
                _unpack(content, LOCKFILE[name].filename, self.folder, notes)
                setattr(self.loaded, name, "default channel")
            importlib.invalidate_caches()
            return [SimpleNamespace(name=name) for name in new if hasattr(self.loaded, name)]

    def manage_packages(self) -> PackageManager:
        """Have a package manager that can be changed, until the restart."""
        manager = self.api.packageManager = PackageManager()
        return manager

    async def _download(self, name: str) -> bytes:
        manager = getattr(self.api, "packageManager", None)
        if manager is not None:
            package = {"name": name, "normalizedName": name, "channel": "default channel"}
            content: bytes = await manager.downloadPackage(SimpleNamespace(**package), True)
            return content
        if name == "zlost":
            raise JsError("it is lost")
        return LOCKFILE[name].data

    def modules(self) -> dict[str, ModuleType]:
        """The modules that micropip imports."""
        packages = LockedPackages()
        info = SimpleNamespace(to_py=dict)
        api = {
            "install": self.install,
            "loadBinaryFile": None,
            "loadDynlibsFromPackage": self.load_dynlibs,
            "lockfile_packages": packages,
            "repodata_packages": packages,  # until 0.27
            "lockfile_info": info,
            "repodata_info": info,
        }
        contents: dict[str, dict[str, Any]] = {
            "_pyodide_core": {},
            "pyodide": {},
            "pyodide._package_loader": {"get_dynlibs": lambda *_: []},
            "pyodide.ffi": {
                "to_js": lambda value, **_: value,
                "create_proxy": Proxy,
                "create_once_callable": lambda function: function,
                "IN_BROWSER": True,
            },
            "js": {"Promise": JsPromise, "Error": SimpleNamespace(new=JsError)},
            "pyodide.http": {"pyfetch": self.pyfetch, "HttpStatusError": HttpStatusError},
            "pyodide_js": {
                "loadPackage": self.load_package,
                "loadedPackages": self.loaded,
                "lockfileBaseUrl": "https://pyodide.example/",
                "version": "314.0.7",
                "_api": self.api,
            },
            "pyodide_js._api": api,
        }
        vars(self.api).update(api)
        modules = {name: ModuleType(name) for name in contents}
        for name, content in contents.items():
            vars(modules[name]).update(content)
        return modules


_LOADED: dict[str, tuple[FakePyodide, dict[str, ModuleType]]] = {}
"""Each version that was used, and its modules: to import them takes time."""


@contextmanager
def pyodide_micropip(
    version: str, folder: Path, fetch: Callable[..., Awaitable[Any]]
) -> Iterator[tuple[FakePyodide, Any]]:
    """Put this version of micropip in the place of the one that is installed.

    It installs into ``folder``, which is on the path. The result is the Pyodide that it is in, and
    micropip itself.
    """
    pyodide, modules = _LOADED.setdefault(version, (FakePyodide(), {}))
    pyodide.restart(folder, fetch)
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_replaced(name)}
    own_site, own_path = site.getsitepackages, list(sys.path)
    site.getsitepackages = lambda *_: [str(folder)]
    # What is installed for the tests is not installed in Pyodide, and takes long to search.
    others = [path for path in sys.path if Path(path).name != "site-packages"]
    sys.path[:] = [str(folder), str(provision.micropip_of(VERSIONS[version])), *others]
    sys.modules.update(modules or pyodide.modules())
    try:
        import micropip

        with _known_to_us(micropip):
            yield pyodide, micropip
    finally:
        site.getsitepackages = own_site
        sys.path[:] = own_path
        for name in [name for name in sys.modules if _is_replaced(name)]:
            modules[name] = sys.modules.pop(name)
        sys.modules.update(before)
        importlib.invalidate_caches()


def _is_replaced(name: str) -> bool:
    return name.partition(".")[0] in {"_pyodide_core", "js", "micropip", "pyodide", "pyodide_js"}


@contextmanager
def _known_to_us(micropip: ModuleType) -> Iterator[None]:
    """Only `pyodide_mirror._micropip` knows micropip's modules."""
    known: dict[str, Any] = {
        "micropip": micropip,
        "wheelinfo": importlib.import_module("micropip.wheelinfo"),
        "package_index": importlib.import_module("micropip.package_index"),
    }
    before = []
    for module in (fetch, hook, index_urls, lockfile, unpack):
        for name in known.keys() & vars(module).keys():
            before.append((module, name, getattr(module, name)))
            setattr(module, name, known[name])
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def _unpack(data: bytes, filename: str, folder: Path, notes: Mapping[str, str]) -> None:
    """``pyodide._package_loader.unpack_buffer``."""
    with tempfile.NamedTemporaryFile(suffix=filename) as file:
        file.write(data)
        file.flush()
        shutil.unpack_archive(file.name, folder, "zip")
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    infos = {root for name in names if (root := name.split("/")[0]).endswith(".dist-info")}
    if not infos:
        raise ValueError(f".dist-info directory not found in wheel {filename!r}")
    info = folder / min(infos)
    for name, text in notes.items():
        (info / name).write_text(text)
    for name in names:
        root, found, rest = name.partition(".data/data/")
        if found and "/" not in root and rest:
            target = Path(sys.prefix, rest)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / name, target)


class PlainFetch:
    """``pyodide.http.pyfetch`` over the answers of a fake web, for what nobody serves."""

    def __init__(self, web: Web) -> None:
        self._web = web

    async def __call__(self, url: str, **_: object) -> "PlainResponse":
        """Fetch."""
        try:
            answer = await self._web.fetch(Request(url=url, timeout=30.0, max_bytes=2**30))
        except TransportError as error:
            raise OSError(str(error)) from error
        return PlainResponse(answer)


class PlainResponse:
    """What micropip uses of ``pyodide.http.FetchResponse``."""

    def __init__(self, answer: Response) -> None:
        self.url, self.status, self.headers = answer.url, answer.status, dict(answer.headers)
        self._body = answer.body

    def raise_for_status(self) -> None:
        """HttpStatusError for an HTTP error."""
        if self.status >= 400:
            raise HttpStatusError(self.status, "", self.url)

    async def bytes(self) -> bytes:
        """Return the body."""
        return self._body

    async def string(self) -> str:
        """Return the body as text."""
        return self._body.decode()

    text = string
