"""The micropip of the Pyodide under test, in CPython: it installs through a fake web."""

import functools
import importlib
import importlib.metadata
import site
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pyodide_mirror import InstallReport, Mirror
from pyodide_mirror._micropip import fetch, hook, index_urls, lockfile
from pyodide_mirror.api import Session
from pyodide_mirror.storage import Cache, MemoryBackend, MemoryStore
from pyodide_mirror.transport import Request, TransportError
from tests.support import provision
from tests.support.fake_web import TIMEOUT, Web
from tests.support.wheels import Wheel

_COMPAT = "micropip._compat._compat_in_pyodide"


@functools.cache
def _micropip_modules() -> dict[str, ModuleType]:
    """The modules of the micropip in Pyodide's distribution; another one may be imported here."""
    wheel = next(provision.pyodide_dist().glob("micropip-*.whl"))
    ours = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_micropip(name)}
    with tempfile.TemporaryDirectory() as folder:  # a part of it cannot be imported from an archive
        return _imported_from(wheel, folder, ours)


def _imported_from(
    wheel: Path, folder: str, ours: Mapping[str, ModuleType]
) -> dict[str, ModuleType]:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    sys.path.insert(0, folder)
    try:
        for name in ("micropip", "micropip.metadata"):
            importlib.import_module(name)
        return {name: module for name, module in sys.modules.items() if _is_micropip(name)}
    finally:
        sys.path.remove(folder)
        for name in [name for name in sys.modules if _is_micropip(name)]:
            del sys.modules[name]
        sys.modules.update(ours)


def _is_micropip(name: str) -> bool:
    return name.partition(".")[0] == "micropip"


class World:
    """A session, the web that it asks, and the folder into which micropip installs."""

    def __init__(self, micropip: Any, folder: Path) -> None:
        self.micropip = micropip
        self.folder = folder
        self.web = Web()
        self.host = SimpleNamespace(
            store=MemoryStore(), cache=Cache(MemoryBackend()), transport=self._transport
        )
        self.session = Session(self.host)
        self.lockfile: dict[str, Wheel] = {}

    async def _transport(self) -> Web:
        return self.web

    async def install(self, *requirements: str, mirrors: Any, **options: Any) -> InstallReport:
        """Install as a user does; without what earlier installs have kept, unless asked to."""
        options = {"cache": False, "remember": False, "timeout": TIMEOUT} | options
        return await self.session.install(list(requirements), mirrors=mirrors, **options)

    async def plain(self, *requirements: str, mirror: Mirror, **options: Any) -> None:
        """Install by micropip alone."""
        await self.micropip.install(list(requirements), index_urls=[mirror.index_url], **options)

    def lock(self, wheel: Wheel, **entry: Any) -> None:
        """Let Pyodide's lock file have a package."""
        self.lockfile[wheel.name] = wheel
        entry = {"version": wheel.version, "depends": [], "package_type": "package", **entry}
        self.micropip.compat.lockfile_packages[wheel.name] = {"name": wheel.name, **entry}

    @property
    def installed(self) -> dict[str, str]:
        """The versions by name, of what is in the folder; of two versions there is no telling."""
        return dict(sorted(self._found()))

    @property
    def folders(self) -> list[str]:
        """Name and version of each distribution, as the names of their folders have them."""
        return sorted(path.name.removesuffix(".dist-info") for path in self.folder.glob("*-info"))

    @property
    def modules(self) -> dict[str, str]:
        """The version that each module in the folder says that it has."""
        found = {}
        for path in sorted(self.folder.glob("*.py")):
            names: dict[str, str] = {}
            exec(path.read_text(), names)  # noqa: S102  # a module that the test has made
            found[path.stem] = names.get("__version__", "")
        return found

    def _found(self) -> Iterator[tuple[str, str]]:
        for dist in importlib.metadata.distributions(path=[str(self.folder)]):
            yield dist.name, dist.version

    async def fetch(self, url: str, **options: Any) -> Any:
        """Pyodide's ``pyfetch``."""
        try:
            answer = await self.web.fetch(Request(url, TIMEOUT, 2**31))
        except TransportError as error:
            raise OSError(str(error)) from None
        return _Response(answer)

    async def load_package(self, names: list[str]) -> None:
        """``pyodide.loadPackage`` of what is in the lock file."""
        for name in names:
            wheel = self.lockfile[name]
            source = {"PYODIDE_SOURCE": "pyodide", "INSTALLER": "pyodide.loadPackage"}
            await self.micropip.compat.install(wheel.data, wheel.filename, str(self.folder), source)


class _Response:
    """A ``pyodide.http.FetchResponse``."""

    def __init__(self, answer: Any) -> None:
        self.headers: Mapping[str, str] = answer.headers
        self._answer = answer

    def raise_for_status(self) -> None:
        if not self._answer.ok:
            raise OSError(f"HTTP {self._answer.status}")

    async def bytes(self) -> bytes:
        body: bytes = self._answer.body
        return body

    async def string(self) -> str:
        return (await self.bytes()).decode()


def _compat(modules: Mapping[str, ModuleType], seam: SimpleNamespace) -> Any:
    """Micropip's view of Pyodide: it fetches by ``seam.pyfetch``, as in Pyodide."""
    outside = modules["micropip._compat"].compatibility_layer

    class Compat(outside):  # type: ignore[misc, valid-type]
        lockfile_packages: dict[str, Any] = {}  # noqa: RUF012  # as in micropip

        class loadedPackages(outside.loadedPackages):  # type: ignore[misc, name-defined]  # noqa: N801
            pass

        @staticmethod
        async def fetch_bytes(url: str, options: Mapping[str, Any]) -> bytes:
            response = await seam.pyfetch(url, **options)
            response.raise_for_status()
            return await response.bytes()  # type: ignore[no-any-return]

        @staticmethod
        async def fetch_string_and_headers(url: str, options: Mapping[str, Any]) -> Any:
            response = await seam.pyfetch(url, **options)
            response.raise_for_status()
            return await response.string(), response.headers

        @staticmethod
        async def loadPackage(names: list[str]) -> None:  # noqa: N802
            await seam.load_package(names)

        @staticmethod
        def to_js(value: Any, **_: Any) -> Any:
            return value

    return Compat


@contextmanager
def world_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world of its own, which ends with the test."""
    modules = _micropip_modules()
    for name in [name for name in sys.modules if _is_micropip(name)]:
        monkeypatch.delitem(sys.modules, name)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    micropip: Any = modules["micropip"]
    seam = SimpleNamespace()
    monkeypatch.setitem(sys.modules, _COMPAT, seam)
    compat = _compat(modules, seam)
    manager = modules["micropip.package_manager"].PackageManager(compat)
    for name in ("install", "set_index_urls", "uninstall"):
        monkeypatch.setattr(micropip, name, getattr(manager, name))
    monkeypatch.setattr(micropip, "compat", compat, raising=False)
    for ours in (fetch, hook, index_urls, lockfile):
        monkeypatch.setattr(ours, "micropip", micropip)
    monkeypatch.setattr(index_urls, "package_index", modules["micropip.package_index"])
    monkeypatch.setattr(fetch, "wheelinfo", modules["micropip.wheelinfo"])
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(folder)])
    monkeypatch.syspath_prepend(folder)
    world = World(micropip, folder)
    seam.pyfetch, seam.load_package = world.fetch, world.load_package
    yield world
    world.session.release()
