"""The patch of micropip's ``pyfetch``, through which an install reads what mirrors have."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import micropip
from micropip import wheelinfo

from pyodide_mirror.index import JSON_TYPE

from .metadata import strict_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .index_urls import IndexUrls

_log = logging.getLogger(__name__)

# Where micropip's fetch lives: since 0.7, and before.
_COMPAT_MODULES: Final = (
    "micropip._compat._compat_in_pyodide",
    "micropip._compat_in_pyodide",
)
_HASH: Final = "_generate_package_hash"
"""micropip's function that gives the SHA-256 of a wheel; it calls it twice for each."""
_METADATA: Final = "Metadata"
"""micropip's class that reads core metadata."""


class ServedPage(NamedTuple):
    """A project page as micropip gets it: exact PEP 691 as JSON types, or 404 without any."""

    url: str
    status: int
    document: dict[str, object] | None = None


class InstallSource(Protocol):
    """What one install reads, as the patch asks for it.

    Each method raises OSError on failure, and :meth:`read` another error of its own for what
    micropip must choose again.

    ``asking``: the tasks that wait for an answer. ``ended``: nothing may be asked any more.
    """

    asking: set[asyncio.Task[Any]]
    ended: bool

    async def page(self, project: str) -> ServedPage:
        """The page of a project, by its normalized name."""
        ...

    def knows(self, url: str) -> bool:
        """Whether the URL is one that :meth:`read` can read."""
        ...

    async def read(self, url: str) -> bytes:
        """A file, or its core metadata."""
        ...

    def sha256_of(self, data: bytes) -> str:
        """The SHA-256 of a file that :meth:`read` has verified, else an empty string."""
        ...

    def unknown_extra(self, distribution: str, extra: str) -> None:
        """Be told that a distribution (name and version) does not have an extra."""
        ...


CURRENT_INSTALL: ContextVar[InstallSource | None] = ContextVar("CURRENT_INSTALL", default=None)
"""What the install that runs here reads; the tasks that micropip starts inherit it."""


class FetchPatch:
    """Stands in the place of micropip's ``pyfetch``.

    Pages below our index URLs, and the files listed on them, come from the current install's
    source; all other URLs pass through untouched.
    """

    def __init__(self, index_urls: IndexUrls) -> None:
        self._index_urls = index_urls
        self._default: InstallSource | None = None
        self._undo: Callable[[], None] | None = None
        self._undo_reading: list[Callable[[], None]] = []
        self._running = 0

    @staticmethod
    def is_possible() -> bool:
        """Whether this micropip can be served."""
        return compat_module() is not None

    def install(self, default: InstallSource) -> bool:
        """Serve from now on, and say whether this micropip can be served.

        ``default`` is for calls that come past ``micropip.install``.
        """
        self._default = default
        if self._undo is None:
            module = compat_module()
            if module is None:
                _log.warning(
                    "this version of micropip (%s) is not supported: it only gets the index URLs; "
                    "pages are not repaired, files not verified, and no other mirror is asked",
                    getattr(micropip, "__version__", "?"),
                )
                return False
            self._undo = self._replace_fetch(module)
        if not self._undo_reading:
            self._undo_reading = self._replace_reading()
        return True

    def remove(self) -> None:
        """Put micropip's own functions back, unless someone else has replaced ours since.

        Not before the last of the installs that go on has ended; nobody else is served meanwhile.
        """
        self._default = None
        if self._running:
            return
        if self._undo is not None:
            self._undo()
        for undo in self._undo_reading:
            undo()
        self._undo_reading = []

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve the install that goes on meanwhile to its end."""
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            if self._default is None:
                self.remove()

    def _replace_fetch(self, module: Any) -> Callable[[], None]:
        """Put our fetch in the place of micropip's; the result puts that back."""
        own_fetch = module.pyfetch

        async def pyfetch(url: str, **options: Any) -> Any:
            served = await self._serve(url, getattr(module, "HttpStatusError", None))
            return served or await own_fetch(url, **options)

        module.pyfetch = pyfetch

        def undo() -> None:
            if module.pyfetch is pyfetch:  # else ours is still called, and passes everything on
                module.pyfetch = own_fetch
                self._undo = None

        return undo

    def _replace_reading(self) -> list[Callable[[], None]]:
        """Replace what micropip does with files and metadata; the results put back its own."""
        own_hash: Any = getattr(wheelinfo, _HASH, None)

        def generate_package_hash(data: bytes) -> str:
            current = CURRENT_INSTALL.get()
            return (current and current.sha256_of(data)) or str(own_hash(data))

        def unknown_extra(distribution: str, extra: str) -> None:
            source = CURRENT_INSTALL.get() or self._default
            if source is not None:
                source.unknown_extra(distribution, extra)

        metadata = strict_metadata(wheelinfo.Metadata, unknown_extra)
        ours = {_METADATA: metadata, _HASH: generate_package_hash}
        return [_replace(name, value) for name, value in ours.items() if hasattr(wheelinfo, name)]

    async def _serve(self, url: str, http_error: Any) -> PatchedResponse | None:
        """What the current install has at a URL; None for what is nothing of ours."""
        current = CURRENT_INSTALL.get()
        source = current or self._default
        if source is None:
            return None
        if source.ended:
            # micropip lets its other tasks go on when one has failed.
            raise OSError(f"{url} is not asked for: its install has ended")
        task: Any = asyncio.current_task()
        source.asking.add(task)
        try:
            return await self._answer(source, url, http_error, of_install=current is not None)
        finally:
            source.asking.discard(task)

    async def _answer(
        self, source: InstallSource, url: str, http_error: Any, *, of_install: bool
    ) -> PatchedResponse | None:
        project = self._index_urls.project_of(url, earlier=of_install)
        if project is not None:
            return await _serve_page(source, url, project, http_error)
        if source.knows(url):
            return PatchedResponse(url, 200, await _read(source, url))
        return None


async def _read(source: InstallSource, url: str) -> bytes:
    try:
        return await source.read(url)
    except Exception:
        # micropip leaves its downloads alone when something else has failed: asyncio is not to log
        # what nobody waits for any more.
        task = asyncio.current_task()
        if task is not None:
            task.add_done_callback(lambda task: task.cancelled() or task.exception())
        raise


async def _serve_page(
    source: InstallSource, url: str, project: str, http_error: Any
) -> PatchedResponse:
    # Since 0.10 micropip goes on after any error; 0.9 only after its own error with a 404.
    try:
        page = await source.page(project)
        response = PatchedResponse(page.url, page.status, page.document)
    except OSError:
        if http_error is None:
            raise
        response = PatchedResponse(url, 404)  # what was seen is told by an event
    if not response.ok and http_error is not None:
        raise http_error(response.status, "", response.url)
    return response


class PatchedResponse:
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


def _replace(name: str, ours: Any) -> Callable[[], None]:
    """Replace what wheelinfo has under a name; the result puts it back, if ours is still there."""
    own = getattr(wheelinfo, name)
    setattr(wheelinfo, name, ours)

    def undo() -> None:
        if getattr(wheelinfo, name) is ours:
            setattr(wheelinfo, name, own)

    return undo


def compat_module() -> Any:
    """The module of micropip that has what it takes from Pyodide; None where that is not known."""
    for name in _COMPAT_MODULES:
        try:
            module = import_module(name)
        except ImportError:
            continue  # another version of micropip, or not in Pyodide
        if hasattr(module, "pyfetch"):
            return module
    return None
