"""Everything that touches micropip: its index URLs, its fetch, what it has installed."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import micropip
from micropip import package_index

from .report import Installed
from .simple_api import normalize
from .urls import origin, split_http_url

if TYPE_CHECKING:
    from .model import Mirror, Response
    from .router import Router

_log = logging.getLogger(__name__)

Prefer = Literal["lockfile", "index"]
Fetch = Callable[..., Awaitable[Any]]
Files = Mapping[str, int]
"""Sizes in bytes of files by their URL."""

# Where micropip's fetch lives: since 0.7, and before.
_COMPAT_MODULES: Final = (
    "micropip._compat._compat_in_pyodide",
    "micropip._compat_in_pyodide",
)


def check_options(options: Mapping[str, object]) -> None:
    """TypeError for an option that this micropip's ``install`` does not know."""
    known = inspect.signature(micropip.install).parameters
    for name in options:
        if name not in known:
            raise TypeError(f"install() got an unexpected keyword argument {name!r}")


async def install(requirements: list[str], options: Mapping[str, Any]) -> None:
    """``micropip.install`` with the configured index URLs."""
    await micropip.install(requirements, **options)


# --- index URLs ---------------------------------------------------------------------------------


class IndexUrls:
    """micropip's index URLs, and the way back to what they were."""

    def __init__(self) -> None:
        self._before: tuple[list[str], list[str]] | None = None
        self._ours: tuple[list[str], list[str]] | None = None

    def use(self, mirror: Mirror, prefer: Prefer) -> None:
        """Let micropip look projects up at the mirror.

        micropip asks Pyodide's lock file first only when its index URLs are its default ones; so
        to keep that order the default has to be the same list.
        """
        if self._before is None:
            self._before = self._current()
        urls, defaults = [mirror.index_url], list(self._before[1])
        if prefer == "lockfile":
            defaults = list(urls)
        elif urls == defaults:
            # The mirror is micropip's default: named twice it is not *equal* to it any more.
            urls *= 2
        micropip.set_index_urls(urls)
        package_index.DEFAULT_INDEX_URLS[:] = defaults
        self._ours = (urls, defaults)

    def restore(self) -> None:
        """Put back what was there before the first :meth:`use`.

        What others have set since stays.
        """
        if self._before is None or self._ours is None:
            return
        urls, defaults = self._current()
        if urls == self._ours[0]:
            micropip.set_index_urls(self._before[0])
        if defaults == self._ours[1]:
            package_index.DEFAULT_INDEX_URLS[:] = self._before[1]
        self._before = self._ours = None

    @staticmethod
    def _current() -> tuple[list[str], list[str]]:
        manager: Any = micropip.set_index_urls.__self__  # type: ignore[attr-defined]
        return list(manager.index_urls), list(package_index.DEFAULT_INDEX_URLS)


class Watcher(Protocol):
    """Is told what micropip's requests came to."""

    def on_file(self, url: str, size: int) -> None:
        """A file of so many bytes was read."""
        ...

    def on_problem(self, url: str, text: str) -> None:
        """There is no usable page at this URL, and why."""
        ...


# --- the fetch seam -----------------------------------------------------------------------------


class FetchSeam:
    """Stands between micropip and its ``pyfetch`` for the URLs of one mirror.

    Pages come from the router; files get the mirror's headers and credentials, and their sizes
    are told. All other URLs pass through untouched. ``as_fetched`` makes a response into what
    micropip's fetch returns.
    """

    def __init__(self, as_fetched: Callable[[Response], Any]) -> None:
        self.watchers: list[Watcher] = []
        self._as_fetched = as_fetched
        self._router: Router | None = None
        self._module: Any = None
        self._original: Fetch | None = None

    def install(self, router: Router) -> None:
        """Serve this router's mirror from now on; again and again if need be."""
        self._router = router
        if self._module is not None:
            return
        module = _compat_module()
        if module is None:
            _log.warning(
                "this micropip (%s) is not known: pages are not repaired, and headers and "
                "credentials of mirrors are not sent",
                getattr(micropip, "__version__", "?"),
            )
            return
        self._module, self._original = module, module.pyfetch
        module.pyfetch = self._fetch

    def remove(self) -> None:
        """Put micropip's own fetch back, unless someone else has replaced ours since."""
        self._router = None
        if self._module is not None and self._module.pyfetch == self._fetch:
            self._module.pyfetch = self._original
            self._module = self._original = None

    async def _fetch(self, url: str, **options: Any) -> Any:
        assert self._original is not None  # noqa: S101  # set whenever this is reachable
        router = self._router
        if router is None or not _is_http(url):
            return await self._original(url, **options)
        project = router.project_of(url)
        if project is not None:
            return self._as_fetched(await self._page(router, url, project, options))
        options = _with_identity(options, router.mirror, url)
        return _Watched(await self._original(url, **options), url, self._tell)

    async def _page(
        self, router: Router, url: str, project: str, options: Mapping[str, Any]
    ) -> Response:
        try:
            response = await router.page(url, project, options)
        except OSError as error:
            self._complain(url, str(error))
            raise
        if not response.ok:
            what = f"{router.mirror.name}: HTTP {response.status} for project {project!r}"
            self._complain(url, what)
        return response

    def _complain(self, url: str, text: str) -> None:
        for watcher in self.watchers:
            watcher.on_problem(url, text)

    def _tell(self, url: str, size: int) -> None:
        for watcher in self.watchers:
            watcher.on_file(url, size)


def _compat_module() -> Any:
    for name in _COMPAT_MODULES:
        try:
            module = import_module(name)
        except ImportError:
            continue  # another version of micropip, or not in Pyodide
        if hasattr(module, "pyfetch"):
            return module
    return None


def _is_http(url: str) -> bool:
    try:
        split_http_url(url)
    except ValueError:
        return False
    return True


def _with_identity(options: Mapping[str, Any], mirror: Mirror, url: str) -> dict[str, Any]:
    """The options with the mirror's headers and credentials, if the URL is of its origin.

    What the caller of micropip gave itself wins.
    """
    if origin(url) != origin(mirror.index_url):
        return dict(options)
    added = {**options, "headers": {**mirror.headers_for(url), **options.get("headers", {})}}
    if mirror.credentials != "omit":
        added.setdefault("credentials", mirror.credentials)
    return added


class _Watched:
    """A response whose ``bytes`` are counted."""

    def __init__(self, response: Any, url: str, tell: Callable[[str, int], None]) -> None:
        self._response = response
        self._url = url
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    async def bytes(self) -> bytes:
        data: bytes = await self._response.bytes()
        self._tell(self._url, len(data))
        return data


# --- what is installed --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed distribution, by its ``.dist-info`` folder (PyPA: recording installs)."""

    name: str
    version: str
    folder: Path

    def note(self, name: str) -> str:
        """What Pyodide or micropip noted beside the metadata, or an empty string."""
        path = self.folder / name
        return path.read_text("utf-8").strip() if path.is_file() else ""


def installed() -> dict[str, Distribution]:
    """All installed distributions by normalized name; of two the first on the path counts."""
    found: dict[str, Distribution] = {}
    for entry in sys.path:
        for folder in Path(entry).glob("*.dist-info") if entry else ():
            name, _, version = folder.stem.partition("-")
            found.setdefault(normalize(name), Distribution(normalize(name), version, folder))
    return found


def newly_installed(
    before: Mapping[str, Distribution], requirements: Sequence[str], mirror: Mirror, files: Files
) -> tuple[Installed, ...]:
    """What has been added or changed since ``before``, and where it came from."""
    return tuple(
        _describe(item, requirements, mirror, files)
        for name, item in sorted(installed().items())
        if before.get(name) != item
    )


def _describe(
    item: Distribution, requirements: Sequence[str], mirror: Mirror, files: Files
) -> Installed:
    if item.note("PYODIDE_SOURCE") == "pyodide":
        return Installed(name=item.name, version=item.version, source="lockfile")
    url = item.note("PYODIDE_URL")
    asked_for = any(url in requirement for requirement in requirements)
    return Installed(
        name=item.name,
        version=item.version,
        source="url" if asked_for else "mirror",
        mirror="" if asked_for else mirror.index_url,
        url=url,
        sha256=item.note("PYODIDE_SHA256"),
        size=files.get(url),
    )
