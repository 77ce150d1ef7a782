"""The patch of what micropip does to site-packages: it tells the install on whose behalf."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import micropip
from micropip import wheelinfo

from pyodide_mirror.model import normalize

from .fetch import compat_module

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from contextlib import AbstractContextManager


class UnpackedWheel(NamedTuple):
    """A wheel that micropip unpacks; ``folder`` is site-packages."""

    filename: str
    url: str
    data: bytes
    folder: Path


class UnpackObserver(Protocol):
    """What is told of the changes to site-packages."""

    def unpacking(self, wheel: UnpackedWheel) -> AbstractContextManager[str]:
        """Surrounds the unpacking; gives the URL that is to be noted with the distribution."""
        ...

    def removing(self, name: str, files: Collection[Path]) -> None:
        """These files of a distribution are to be removed, because another version comes."""
        ...

    def loaded(self, names: list[str]) -> None:
        """Pyodide has unpacked these packages of its lock file, by their names there."""
        ...


class PackageLoader(Protocol):
    """What loads packages of Pyodide's lock file for an install."""

    @property
    def faults(self) -> Mapping[str, str]:
        """Why some could not be loaded, by normalized name."""
        ...

    def loading(self, names: Collection[str]) -> AbstractContextManager[None]:
        """Surrounds Pyodide's loading of these packages."""
        ...


class OthersObserver(UnpackObserver, Protocol):
    """What is told of the installs that are not ours."""

    def relied_on(self, requirement: str) -> None:
        """Somebody takes what is installed for this requirement, and installs nothing."""
        ...


UNPACK_OBSERVER: ContextVar[UnpackObserver | None] = ContextVar("UNPACK_OBSERVER", default=None)
"""The install that runs here; the tasks that micropip starts inherit it."""


PACKAGE_LOADER: ContextVar[PackageLoader | None] = ContextVar("PACKAGE_LOADER", default=None)
"""What loads packages for it."""


class UnpackPatch:
    """Stands in the place of the functions through which micropip changes site-packages.

    These are, in 0.9 to 0.11: ``WheelInfo.install``, the ``loadPackage`` that it has from Pyodide,
    and ``PackageManager._uninstall_distributions``, which 0.9 has not because it reinstalls
    nothing; and ``Transaction.check_version_satisfied``, for who relies on what is there.
    ``others`` is told of what no install of ours does.
    """

    def __init__(self, others: OthersObserver) -> None:
        self._others = others
        self._undo: dict[tuple[int, str], Callable[[], bool]] = {}

    def install(self) -> bool:
        """Observe from now on, and say whether this micropip can be observed."""
        wheels = getattr(wheelinfo, "WheelInfo", None)
        self._replace(wheels, "install", self._unpacking)
        for owner in (
            getattr(compat_module(), "CompatibilityInPyodide", None),
            sys.modules.get("micropip.install"),  # 0.9 has its install in a module of this name
        ):
            self._replace(owner, "loadPackage", self._loading)
        transaction = sys.modules.get("micropip.transaction")
        owner = getattr(transaction, "Transaction", None)
        self._replace(owner, "check_version_satisfied", self._relying)
        manager = type(micropip.set_index_urls.__self__)  # type: ignore[attr-defined]
        self._replace(manager, "_uninstall_distributions", _removing)
        return (id(wheels), "install") in self._undo

    def remove(self) -> None:
        """Put micropip's own functions back, unless someone else has replaced ours since."""
        # Those of ours that others still call must not be put around themselves later.
        self._undo = {key: undo for key, undo in self._undo.items() if not undo()}

    def _replace(self, owner: Any, name: str, wrapped: Callable[[Any], Any]) -> None:
        own = getattr(owner, name, None)
        if own is None or (id(owner), name) in self._undo:
            return  # another version of micropip, or done already
        ours = wrapped(own)
        setattr(owner, name, ours)

        def undo() -> bool:
            is_ours = getattr(owner, name, None) is ours
            if is_ours:
                setattr(owner, name, own)
            return is_ours

        self._undo[id(owner), name] = undo

    def _unpacking(self, own: Callable[..., Any]) -> Callable[..., Any]:
        async def install(wheel: Any, target: Any, *arguments: Any, **options: Any) -> None:
            observer = UNPACK_OBSERVER.get() or self._others
            data = wheel._data or b""  # noqa: SLF001  # micropip has no other name for it
            unpacked = UnpackedWheel(wheel.filename, wheel.url, data, Path(target))
            with observer.unpacking(unpacked) as url:
                wheel.url = url  # which micropip notes as PYODIDE_URL
                await own(wheel, target, *arguments, **options)

        return install

    def _loading(self, own: Callable[..., Any]) -> Callable[..., Any]:
        async def load_package(names: Any, *arguments: Any, **options: Any) -> Any:
            wanted = [names] if isinstance(names, str) else list(names)
            loader = PACKAGE_LOADER.get()
            with nullcontext() if loader is None else loader.loading(wanted):
                loaded = await own(names, *arguments, **options)
            observer = UNPACK_OBSERVER.get()
            if observer is not None:
                observer.loaded([package.name for package in loaded or ()])
            else:
                for name in wanted:
                    self._others.relied_on(name)
            return loaded

        return load_package

    def _relying(self, own: Callable[..., Any]) -> Callable[..., Any]:
        def check_version_satisfied(
            transaction: Any, requirement: Any, *arguments: Any, **options: Any
        ) -> Any:
            satisfied = own(transaction, requirement, *arguments, **options)
            if satisfied[0] and UNPACK_OBSERVER.get() is None:
                self._others.relied_on(str(requirement))
            return satisfied

        return check_version_satisfied


def can_put_back() -> bool:
    """Whether it can be seen what micropip removes, so that it can be put back (since 0.10)."""
    manager = type(micropip.set_index_urls.__self__)  # type: ignore[attr-defined]
    return hasattr(manager, "_uninstall_distributions")


def _removing(own: Callable[..., Any]) -> Callable[..., Any]:
    def uninstall(manager: Any, distributions: Iterable[Any], *arguments: Any) -> None:
        found = list(distributions)
        observer = UNPACK_OBSERVER.get()
        if observer is not None:
            from micropip._utils import get_files_in_distribution  # what it will remove

            for distribution in found:
                observer.removing(distribution.name, get_files_in_distribution(distribution))
        own(manager, found, *arguments)

    return uninstall


def loaded_packages() -> dict[str, str]:
    """Pyodide's list of loaded packages, which it does not load again: names and channels."""
    loaded = getattr(compat_module(), "loadedPackages", None)
    return {} if loaded is None else dict(loaded.to_py())


def correct_loaded(is_there: Mapping[str, bool], before: Mapping[str, str]) -> None:
    """Let Pyodide's list have the projects that are there, and not have those that are not.

    ``is_there``: by normalized name. ``before``: what the list had of those that are there again.
    """
    listed = {normalize(name): name for name in loaded_packages()}
    loaded = getattr(compat_module(), "loadedPackages", None)
    for project, there in is_there.items():
        if not there and project in listed:
            delattr(loaded, listed[project])
    for name, channel in before.items():
        if is_there.get(normalize(name)) and normalize(name) not in listed:
            setattr(loaded, name, channel)
