"""The hook in Pyodide's package manager, through which it asks us for its own packages.

It stands apart from what reads them because every install sets it, and few load such a package.

Pyodide fetches a package of its lock file with one request, without a time-out, from one place; of
a failure it only logs a line. Its package manager (``PackageManager`` in Pyodide's
``src/js/package-manager.ts``, since 0.28) makes that request in a method, which an attribute of the
object can stand in front of. Pyodide 0.27 and older have no such object.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Collection, Iterator
    from contextlib import AbstractContextManager

    from pyodide_mirror.model import CDN, CDNOutcome
    from pyodide_mirror.reporting import Event
    from pyodide_mirror.storage import Cache, Content

    class Reader(Protocol):
        """What reads the packages. ``outcomes``: what it has found of the CDNs."""

        outcomes: tuple[CDNOutcome, ...]

        async def read(self, name: str, request: PackageRequest) -> Content:
            """A package, by its normalized name; raises OSError with a sentence."""
            ...


class PackageSource(NamedTuple):
    """Where a package came from: its URL, "" for the browser's cache; its digest and bytes."""

    url: str
    sha256: str
    size: int


class PackageRequest:
    """How packages are loaded: for one install, or for whoever asks Pyodide itself.

    ``cdns``: in order; None for the place that Pyodide came from, and those of the environment or
    of the table. ``timeout``: seconds until the first byte, and then from each byte to the next.
    ``tell`` is called with each event. Of what was loaded there is, by normalized name, the source
    in ``sources`` or why not in ``faults``; ``outcomes`` has what is known of the CDNs.
    """

    def __init__(
        self,
        hook: PackageHook,
        cdns: tuple[CDN, ...] | None,
        timeout: float,
        cache: Cache,
        tell: Callable[[Event], None],
        *,
        remember: bool = True,
    ) -> None:
        self._hook = hook
        self.cdns = cdns
        self.timeout = timeout
        self.cache = cache
        self.tell = tell
        self.remember = remember
        self.sources: dict[str, PackageSource] = {}
        self.faults: dict[str, str] = {}
        self.outcomes: tuple[CDNOutcome, ...] = ()

    def loading(self, names: Collection[str]) -> AbstractContextManager[None]:
        """See PackageLoader."""
        return self._hook.loading(self, names)


class _Loading:
    """A call of ``loadPackage`` on behalf of an install, and the downloads that it waits for."""

    def __init__(self, request: PackageRequest, names: Collection[str]) -> None:
        self.request = request
        self.tasks: set[Future[Content]] = set()
        self._names = names
        self._wanted: set[str] = set()

    def wants(self, name: str) -> bool:
        """Whether a package, by its normalized name, is asked for, or needed for one that is."""
        if not self._wanted:
            from .lockfile import with_dependencies

            self._wanted = with_dependencies(self._names)
        return name in self._wanted


class PackageHook:
    """Stands in front of the ``downloadPackage`` of Pyodide's package manager.

    ``open_reader`` makes what reads the packages, when one is needed. ``default`` gives the request
    for who calls ``pyodide.loadPackage`` himself; without one Pyodide does that by itself, as it
    always does.
    """

    def __init__(self) -> None:
        self.open_reader: Callable[[], Reader]
        self.default: Callable[[], PackageRequest] | None = None
        self._reader: Reader | None = None
        self._loading: list[_Loading] = []
        self._plain: set[Future[Content]] = set()
        self._js_manager: Any = None
        self._js_own: Any = None
        self._js_proxy: Any = None
        self._replaced = False
        self._removing = False

    @staticmethod
    def is_possible() -> bool:
        """Whether this Pyodide has a place for it."""
        return package_manager() is not None

    def install(self) -> None:
        """Be asked from now on, where this Pyodide has a place for it."""
        self._removing = False
        js_manager = package_manager()
        if self._js_manager is not None or js_manager is None:
            return
        from pyodide.ffi import create_proxy

        self._replaced = js_manager.hasOwnProperty("downloadPackage")
        self._js_own = js_manager.downloadPackage
        self._js_manager = js_manager
        self._js_proxy = create_proxy(self._download)
        js_manager.downloadPackage = self._js_proxy

    def release(self) -> None:
        """Let Pyodide do it as before, unless there is a default."""
        if self.default is None:
            self._remove()

    def _remove(self) -> None:
        self._removing = bool(self._loading)  # then it is done when these have ended
        if self._js_manager is None or self._loading:
            return
        js_manager, self._js_manager = self._js_manager, None
        if js_manager.downloadPackage != self._js_proxy:
            return  # somebody has put theirs in front of ours, which passes everything on
        if self._replaced:
            js_manager.downloadPackage = self._js_own
        else:
            del js_manager.downloadPackage
        self._js_proxy.destroy()

    @contextmanager
    def loading(self, request: PackageRequest, names: Collection[str]) -> Iterator[None]:
        """Have these packages, and what they need, loaded for this request meanwhile."""
        entry = _Loading(request, names)
        self._loading.append(entry)
        try:
            yield
        finally:
            self._loading.remove(entry)
            for task in entry.tasks:  # who waited for them was cancelled
                task.cancel()
            if not self.is_possible():
                request.faults.update(_not_loaded(names))
            if self._removing:
                self.release()

    def forget(self) -> None:
        """Have no default, and know nothing of the CDNs any more."""
        self.default = None
        self._reader = None

    def known(self) -> tuple[CDNOutcome, ...]:
        """What is known of the CDNs, if any were needed yet."""
        return () if self._reader is None else self._reader.outcomes

    def _download(self, js_package: Any, check_integrity: bool = True) -> Any:  # noqa: FBT001, FBT002  # Pyodide's signature
        """A promise of the package's bytes, as Pyodide's own method returns one.

        Who asks for a package without a check of its digest gets what Pyodide's own method gives.
        """
        name = str(js_package.normalizedName)
        locked = js_package.channel == "default channel"
        found = self._request_for(name) if locked and check_integrity else None
        if found is None:
            return self._js_own(js_package, check_integrity)
        from pyodide_mirror.browser import promise_of

        request, tasks = found
        return promise_of(self._read(name, request), tasks)

    async def _read(self, name: str, request: PackageRequest) -> Content:
        if self._reader is None:
            self._reader = self.open_reader()
        return await self._reader.read(name, request)

    def _request_for(self, name: str) -> tuple[PackageRequest, set[Future[Content]]] | None:
        for loading in self._loading:
            if loading.wants(name):
                return loading.request, loading.tasks
        return None if self.default is None else (self.default(), self._plain)


def _not_loaded(names: Collection[str]) -> dict[str, str]:
    """What is to be said of the packages that a Pyodide without a place for the hook has not."""
    js_pyodide = import_module("pyodide_js")
    why = (
        f"Pyodide {js_pyodide.version} loads its own packages from one place only, and logs why not"
    )
    lost = [name for name in names if not hasattr(js_pyodide.loadedPackages, name)]
    return dict.fromkeys(lost, f"could not be loaded: {why}")


def package_manager() -> Any:
    """Pyodide's package manager, or None where there is none that can be changed."""
    try:
        js_api = import_module("pyodide_js")._api  # noqa: SLF001  # where micropip takes its own from
    except ImportError:
        return None  # not in Pyodide
    js_manager = getattr(js_api, "packageManager", None)
    known = hasattr(js_manager, "downloadPackage") and hasattr(js_manager, "installBaseUrl")
    return js_manager if known else None
