"""A world for whole installs in CPython: a fake web, a session, and Pyodide's own micropip."""

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyodide_mirror import InstallReport, Mirror
from pyodide_mirror._micropip.lockfile import _lockfile_packages
from pyodide_mirror.api import Session
from pyodide_mirror.storage import Cache, MemoryBackend
from tests.support.fake_host import FakeHost
from tests.support.fake_web import TIMEOUT, Web
from tests.support.pyodide_micropip import LOCKFILE, PlainFetch, pyodide_micropip
from tests.support.wheels import Wheel


class World:
    """A session, the web that it asks, and the folder into which micropip installs."""

    def __init__(self, micropip: Any, folder: Path, web: Any) -> None:
        self.micropip = micropip
        self.folder = folder
        self.web = web
        self.host: Any = FakeHost(
            web, cache=Cache(MemoryBackend()), cold=True, locked=_lockfile_packages
        )
        self.session = Session(self.host)
        self.locked: list[str] = []

    async def install(self, *requirements: str, mirrors: Any, **options: Any) -> InstallReport:
        """Install as a user does; without what earlier installs have kept, unless asked to."""
        options = {"cache": False, "remember": False, "timeout": TIMEOUT} | options
        return await self.session.install(list(requirements), mirrors=mirrors, **options)

    async def plain(self, *requirements: str, mirror: Mirror, **options: Any) -> None:
        """Install by micropip alone."""
        await self.micropip.install(list(requirements), index_urls=[mirror.index_url], **options)

    def lock(self, wheel: Wheel) -> None:
        """Let Pyodide's lock file have a package, until the end of the world."""
        assert wheel.name not in LOCKFILE
        self.locked.append(wheel.name)
        LOCKFILE[wheel.name] = wheel
        _lockfile_packages()[wheel.name] = {
            "name": wheel.name,
            "version": wheel.version,
            "file_name": wheel.filename,
            "depends": [],
            "package_type": "package",
        }

    def end(self) -> None:
        """Leave nothing behind."""
        self.session.release()
        for name in self.locked:
            del LOCKFILE[name], _lockfile_packages()[name]

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


@contextmanager
def world_in(folder: Path, version: str = "0.11.1", *, web: Any = None) -> Iterator[World]:
    """A world with this version of micropip, and a site-packages of its own.

    ``web`` is a transport to use in place of a fake web.
    """
    web = web or Web()
    with pyodide_micropip(version, folder, PlainFetch(web)) as (_, micropip):
        world = World(micropip, folder, web)
        try:
            yield world
        finally:
            world.end()
