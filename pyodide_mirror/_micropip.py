"""Everything that touches micropip: its index URLs, its fetch, what it has installed."""

from __future__ import annotations

import inspect
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal

import micropip
from micropip import package_index, wheelinfo

from .closure import dist_info_folders
from .report import Installed
from .simple_api import JSON_TYPE, normalize

if TYPE_CHECKING:
    from pathlib import Path

    from .delivery import Delivery, Source

_log = logging.getLogger(__name__)

Prefer = Literal["lockfile", "index"]
Fetch = Callable[..., Awaitable[Any]]

# Where micropip's fetch lives: since 0.7, and before.
_COMPAT_MODULES: Final = (
    "micropip._compat._compat_in_pyodide",
    "micropip._compat_in_pyodide",
)


_HASH: Final = "_generate_package_hash"
"""micropip's function that gives the SHA-256 of a wheel; it calls it twice for each."""


def check_options(options: Mapping[str, object]) -> None:
    """TypeError for an option that this micropip's ``install`` does not know."""
    known = inspect.signature(micropip.install).parameters
    for name in options:
        if name not in known:
            raise TypeError(f"install() got an unexpected keyword argument {name!r}")


# --- installing ---------------------------------------------------------------------------------


def uninstall(names: list[str]) -> None:
    """Remove distributions again, with their traces in Pyodide's list of loaded packages."""
    micropip.uninstall(names)


def _lockfile_packages() -> dict[str, Any]:
    manager: Any = micropip.set_index_urls.__self__  # type: ignore[attr-defined]
    compat = getattr(manager, "compat_layer", None)  # since 0.10; 0.9 has them in the manager
    found: dict[str, Any] = getattr(compat, "lockfile_packages", None) or getattr(
        manager, "repodata_packages", {}
    )
    return found


def without_distribution() -> set[str]:
    """Normalized names in Pyodide's lock file that install no distribution: libraries and tests."""
    return {
        normalize(name)
        for name, entry in _lockfile_packages().items()
        if name.endswith("-tests") or entry.get("package_type", "package") != "package"
    }


def elsewhere(*, lockfile: bool) -> Callable[[str], bool]:
    """Whether micropip takes a project, by its normalized name, from elsewhere than an index.

    From Pyodide's lock file, if that comes first, or from the wheels of a JupyterLite site, which
    piplite knows.
    """
    known = set(map(normalize, _lockfile_packages())) if lockfile else set()
    piplite = sys.modules.get("piplite.piplite")
    indices: Mapping[str, Mapping[str, Any]] = getattr(piplite, "_PIPLITE_INDICES", {})

    def has(name: str) -> bool:
        return name in known or any(name in index for index in indices.values())

    return has


@contextmanager
def hidden_from_lockfile(hide: Callable[[str], bool]) -> Iterator[None]:
    """Let micropip not see some packages of Pyodide's lock file, so that it asks the mirrors."""
    packages = _lockfile_packages()
    hidden = {name: packages.pop(name) for name in list(packages) if hide(normalize(name))}
    try:
        yield
    finally:
        packages.update(hidden)


# --- index URLs ---------------------------------------------------------------------------------


def has_default_index_urls() -> bool:
    """Whether nobody has told micropip where to look."""
    manager: Any = micropip.set_index_urls.__self__  # type: ignore[attr-defined]
    return list(manager.index_urls) == list(package_index.DEFAULT_INDEX_URLS)


class IndexUrls:
    """micropip's index URLs, and the way back to what they were."""

    def __init__(self) -> None:
        self._before: tuple[list[str], list[str]] | None = None
        self._ours: tuple[list[str], list[str]] | None = None

    def use(self, urls: list[str], prefer: Prefer) -> None:
        """Let micropip look projects up there.

        micropip asks Pyodide's lock file first only when its index URLs are its default ones; so
        to keep that order the default has to be the same list.
        """
        if self._before is None:
            self._before = self._current()
        defaults = list(self._before[1])
        if prefer == "lockfile":
            defaults = list(urls)
        elif urls == defaults:
            # They are micropip's default: named twice they are not *equal* to it any more.
            urls = urls * 2
        micropip.set_index_urls(urls)
        package_index.DEFAULT_INDEX_URLS[:] = defaults
        self._ours = (urls, defaults)

    def is_ours(self) -> bool:
        """Whether micropip still has what :meth:`use` gave it."""
        return self._ours is not None and self._current()[0] == self._ours[0]

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


# --- the fetch seam -----------------------------------------------------------------------------

CURRENT: ContextVar[Delivery | None] = ContextVar("CURRENT", default=None)
"""The delivery of the install that runs here; micropip's own tasks inherit it."""


class FetchSeam:
    """Stands between micropip and its ``pyfetch``.

    Pages of our mirrors, and files listed on them, come from the current delivery; all other URLs
    pass through untouched. What the delivery has verified is not hashed again.
    """

    def __init__(self) -> None:
        self._default: Delivery | None = None
        self._module: Any = None
        self._original: Fetch | None = None
        self._hash: Callable[[bytes], str] | None = None

    def install(self, default: Delivery) -> bool:
        """Serve from now on, and say whether this micropip can be served.

        ``default`` is for calls that come past ``micropip.install``.
        """
        self._default = default
        if self._module is not None:
            return True
        module = _compat_module()
        if module is None:
            _log.warning(
                "this micropip (%s) is not known: it gets plain index URLs; nothing is repaired, "
                "verified or fetched elsewhere",
                getattr(micropip, "__version__", "?"),
            )
            return False
        self._module, self._original = module, module.pyfetch
        module.pyfetch = self._fetch
        self._hash = getattr(wheelinfo, _HASH, None)
        if self._hash is not None:
            setattr(wheelinfo, _HASH, self._digest)
        return True

    def remove(self) -> None:
        """Put micropip's own fetch back, unless someone else has replaced ours since."""
        self._default = None
        if self._module is not None and self._module.pyfetch == self._fetch:
            self._module.pyfetch = self._original
            self._module = self._original = None
        if self._hash is not None and getattr(wheelinfo, _HASH, None) == self._digest:
            setattr(wheelinfo, _HASH, self._hash)
            self._hash = None

    def _digest(self, data: bytes) -> str:
        delivery = CURRENT.get()
        known = delivery.digest_of(data) if delivery is not None else ""
        assert self._hash is not None  # noqa: S101  # set whenever this is reachable
        return known or self._hash(data)

    async def _fetch(self, url: str, **options: Any) -> Any:
        assert self._original is not None  # noqa: S101  # set whenever this is reachable
        delivery = CURRENT.get() or self._default
        if delivery is not None:
            project = delivery.project_of(url)
            if project is not None:
                return await self._page(delivery, url, project)
            if delivery.knows(url):
                return Fetched(url, 200, await delivery.read(url))
        return await self._original(url, **options)

    async def _page(self, delivery: Delivery, url: str, project: str) -> Fetched:
        # Since 0.10 micropip goes on after any error; 0.9 only after its own error with a 404.
        http_error = getattr(self._module, "HttpStatusError", None)
        try:
            page = await delivery.page(project)
            fetched = Fetched(page.url, page.status, page.document)
        except OSError:
            if http_error is None:
                raise
            fetched = Fetched(url, 404)  # what was seen is told by an event
        if not fetched.ok and http_error is not None:
            raise http_error(fetched.status, "", fetched.url)
        return fetched


class Fetched:
    """What micropip uses of a ``pyodide.http.FetchResponse``."""

    def __init__(
        self, url: str, status: int, body: bytes | dict[str, object] | None = None
    ) -> None:
        self.url = url
        self.status = status
        self.ok = status == 200
        self.headers = {"content-type": JSON_TYPE} if isinstance(body, dict) else {}
        self._body = body

    def raise_for_status(self) -> None:
        """OSError for an HTTP error."""
        if not self.ok:
            raise OSError(f"HTTP {self.status}: {self.url}")

    async def bytes(self) -> bytes:
        """The body."""
        return self._body if isinstance(self._body, bytes) else json.dumps(self._body).encode()

    async def string(self) -> str | dict[str, object]:
        """The body as text; a page as JSON types, which micropip takes as well, and need not read.

        ``ProjectInfo.from_simple_json_api`` says so, in 0.9 to 0.11.
        """
        return self._body if isinstance(self._body, dict) else (self._body or b"").decode()

    text = string


def _compat_module() -> Any:
    for name in _COMPAT_MODULES:
        try:
            module = import_module(name)
        except ImportError:
            continue  # another version of micropip, or not in Pyodide
        if hasattr(module, "pyfetch"):
            return module
    return None


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
    return {
        name: Distribution(name, folder.stem.partition("-")[2], folder)
        for name, folder in dist_info_folders().items()
    }


def newly_installed(
    before: Mapping[str, Distribution], sources: Mapping[str, Source]
) -> tuple[Installed, ...]:
    """What has been added or changed since ``before``, and where it came from."""
    return tuple(
        _describe(item, sources)
        for name, item in sorted(installed().items())
        if before.get(name) != item
    )


def _describe(item: Distribution, sources: Mapping[str, Source]) -> Installed:
    if item.note("PYODIDE_SOURCE") == "pyodide":
        return Installed(name=item.name, version=item.version, source="lockfile")
    url = item.note("PYODIDE_URL")
    source = sources.get(url)
    return Installed(
        name=item.name,
        version=item.version,
        source="url" if source is None else source.place,
        mirror="" if source is None else source.mirror,
        url=url if source is None else source.url,
        sha256=item.note("PYODIDE_SHA256"),
        size=None if source is None else source.size,
    )
