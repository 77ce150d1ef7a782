"""The routes of the server, and its error answers."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pyodide_mirror.model import is_project_name, normalize
from pyodide_mirror.server.answers import (
    Packer,
    Rendered,
    Rendering,
    can_be_packed,
    file_answer,
    project_list,
)
from pyodide_mirror.server.fetching import UpstreamError
from pyodide_mirror.server.status import Status
from pyodide_mirror.server.web import (
    UPLOAD_PATHS,
    MediaType,
    error_response,
    is_unchanged,
    requested,
    wants_anew,
)

from .own_wheel import PROJECT, OwnWheel
from .source import DeniedError, Missing, UnreadableError, parse_filename

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from starlette.requests import Request

    from pyodide_mirror.model import File
    from pyodide_mirror.server.cache import Download, Downloads
    from pyodide_mirror.server.releases import Releases
    from pyodide_mirror.server.uploads import Uploads

    from .repository import Repository
    from .settings import Settings
    from .source import InMemory, Stored

_log = logging.getLogger("pyodide_mirror.server")
PREFIXES: Final = ("/simple", "/pypi/simple")
"""The second one is that of the well-known Cloudflare snippet."""
_BRIEFLY: Final = "public, max-age={}"
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_UNCACHED: Final = {"cache-control": "no-store"}


class _Found(NamedTuple):
    """A file, its content, and what of its headers depends on where it is from."""

    file: File
    blob: Stored | InMemory | Download
    caching: str
    coding: str | None = None


class App:
    """Answers requests from a repository."""

    def __init__(
        self,
        repository: Repository,
        own_wheel: OwnWheel,
        settings: Settings,
        downloads: Downloads,
        releases: Releases,
        uploads: Uploads | None = None,
    ) -> None:
        self.repository = repository
        self.uploads = uploads
        self.releases = releases
        self.downloads = downloads
        self.packer = Packer(downloads.disk)
        self.own_wheel = own_wheel
        self.settings = settings
        self.status = Status(repository, releases, downloads, settings, self._base, uploads)
        self._rendering = Rendering()
        self._briefly = _BRIEFLY.format(int(min(60, settings.page_ttl)))

    def build(self) -> Starlette:
        """The ASGI application, without CORS."""
        routes = [
            _route("/", self.status.landing),
            _route("/healthz", self.status.health),
            _route("/metrics", self.status.metrics),
            _route("/cache/{project}", self.forget, ["DELETE"]),
            _route("/files/{digest}/{project}/{filename}", self.file),
            _route("/pyodide/v{version}/full/", self.release),
            _route("/pyodide/v{version}/full/{filename}", self.release_file),
        ]
        for prefix in PREFIXES:
            routes += [
                _route(f"{prefix}/", self.projects),
                _route(f"{prefix}/{{project}}/", self.project),
                # micropip makes this of an index URL that ends in a slash.
                _route(f"{prefix}//{{project}}/", self.project),
                _route(prefix, self.with_slash),
                _route(f"{prefix}/{{project}}", self.with_slash),
            ]
        if self.uploads is not None:
            routes += [_route(path, self.upload, ["GET", "POST"]) for path in UPLOAD_PATHS]
        routes.append(_route("/{filename}", self.own_wheel_file))

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            yield
            await self.downloads.close()
            self.packer.close()
            await self.releases.close()
            await self.repository.close()

        app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=_ERRORS)
        app.router.redirect_slashes = False  # no other path has what this one has not
        return app

    # --- pages ----------------------------------------------------------------------------------

    async def projects(self, request: Request) -> Response:
        """The list of known projects."""
        media_type = _media_type(request)
        names = await self.repository.projects()
        rendered = await asyncio.to_thread(project_list, names, media_type)
        return _rendered(request, media_type, rendered, _ASK_AGAIN)

    async def project(self, request: Request) -> Response:
        """A project page."""
        name = _project(request)
        if normalize(name) != name:
            return self._moved(request, f"{_prefix(request)}/{normalize(name)}/")
        media_type = _media_type(request)
        found = await self.repository.find(name, anew=wants_anew(request.headers))
        rendered = await self._rendering.page(found.page, media_type, self._base(request))
        # What is put into the folder must be seen at once, also in place of an upstream's page.
        may_change = any(not source.immutable for source in self.repository.local)
        return _rendered(request, media_type, rendered, _ASK_AGAIN if may_change else self._briefly)

    async def forget(self, request: Request) -> Response:
        """Forget what upstreams said of a project, so that they are asked at the next request."""
        await self.repository.forget(normalize(_project(request)))
        return Response(status_code=204, headers=_UNCACHED)

    async def upload(self, request: Request) -> Response:
        """Take a file; `LoginMiddleware` has looked whose it is."""
        if self.uploads is None:  # then there is no route to here
            raise Missing("there are no uploads")
        return await self.uploads.receive(request, self.repository)

    async def with_slash(self, request: Request) -> Response:
        """A redirect, because URLs of pages end in a slash (PEP 503)."""
        name = f"{normalize(_project(request))}/" if request.path_params else ""
        return self._moved(request, f"{_prefix(request)}/{name}")

    # --- files ----------------------------------------------------------------------------------

    async def file(self, request: Request) -> Response:
        """A file of a page of this server, or its metadata (PEP 658)."""
        digest, filename = request.path_params["digest"], request.path_params["filename"]
        project = normalize(_project(request))
        wanted = filename.removesuffix(".metadata")
        found, file = await self.repository.file(project, wanted, digest)
        never_changes = found.source.immutable and bool(file.sha256)
        caching = _FOR_EVER if never_changes else _ASK_AGAIN
        if wanted == filename:

            async def find() -> _Found:
                return _Found(file, await self.repository.blob(project, found, file), caching)

            return await _file_answer(request, find)
        if not filename.endswith(".whl.metadata"):
            raise Missing("only wheels have metadata here")
        body = await found.source.metadata(project, file)
        return _metadata(request, body)

    async def release_file(self, request: Request) -> Response:
        """A file of a release of Pyodide."""
        version, filename = request.path_params["version"], request.path_params["filename"]
        self._check_package(filename)

        async def find() -> _Found:
            found = await self.releases.find(version, filename)
            caching = _FOR_EVER if found.never_changes else _ASK_AGAIN
            if not can_be_packed(filename):
                return _Found(found.file, found.blob, caching)
            packed = None
            if _takes_gzip(request) and "range" not in request.headers:
                packed = await self.packer.pack(found.file, found.blob)
            return _Found(found.file, packed or found.blob, caching, "gzip" if packed else "")

        return await _file_answer(request, find)

    async def release(self, request: Request) -> Response:
        """That there is no list of a release's files."""
        raise Missing(
            "here are the files of a release of Pyodide, by their names; pyodide-lock.json lists"
            " its packages"
        )

    async def own_wheel_file(self, request: Request) -> Response:
        """One of our own wheels, at the address that the page for people shows."""
        file = self.own_wheel.find(request.path_params["filename"])
        if file is None:
            raise Missing("no such file here")
        blob = await self.own_wheel.blob(PROJECT, file)
        return await file_answer(request, file, blob, caching=_ASK_AGAIN)

    def _check_package(self, filename: str) -> None:
        """Raise DeniedError for a package that is denied, though Pyodide's release has it."""
        parsed = parse_filename(filename)
        rules = self.repository.rules.now()
        problem = parsed and rules.against_file(parsed[0], filename, from_upstream=False)
        if problem:
            raise DeniedError(problem)

    # --- shared ---------------------------------------------------------------------------------

    def _base(self, request: Request) -> str:
        """The URL at which the client sees this server, without a slash at the end."""
        if self.settings.public_url:
            return self.settings.public_url
        # Starlette's own base_url lacks the path at which another application mounted this one.
        here, below = request.base_url, quote(request.scope.get("root_path", ""))
        return f"{here.scheme}://{here.netloc}{below}".rstrip("/")

    def _moved(self, request: Request, path: str) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        headers = {"cache-control": self._briefly}
        return RedirectResponse(f"{self._base(request)}{path}{query}", 301, headers)


def _route(
    path: str,
    endpoint: Callable[[Request], Awaitable[Response]],
    methods: Sequence[str] = ("GET", "HEAD"),
) -> Route:
    route = Route(path, endpoint, methods=methods)
    # Starlette's ends in `$`, which lets a line feed follow.
    route.path_regex = re.compile(route.path_regex.pattern.removesuffix("$") + r"\Z")
    return route


def _prefix(request: Request) -> str:
    return PREFIXES[request.scope["path"].removeprefix(request.scope["root_path"])[:6] == "/pypi/"]


def _project(request: Request) -> str:
    name: str = request.path_params["project"]
    if not is_project_name(name):
        raise Missing("that is not a project's name (PEP 508)")
    return name


def _media_type(request: Request) -> MediaType:
    media_type = requested(
        ", ".join(request.headers.getlist("accept")), request.query_params.get("format")
    )
    if media_type is None:
        known = ", ".join(each.value for each in MediaType)
        raise HTTPException(406, f"pages are served as {known}", {"vary": "Accept"})
    return media_type


def _rendered(
    request: Request, media_type: MediaType, rendered: Rendered, caching: str
) -> Response:
    packed = bool(rendered.packed) and _takes_gzip(request)
    etag = f'"{rendered.etag}{"-gzip" if packed else ""}"'
    headers = {"etag": etag, "vary": "Accept, Accept-Encoding", "cache-control": caching}
    if is_unchanged(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    if packed:
        headers["content-encoding"] = "gzip"
    headers["content-type"] = media_type.content_type
    return Response(rendered.packed if packed else rendered.body, headers=headers)


def _takes_gzip(request: Request) -> bool:
    """RFC 9110, section 12.5.3, as far as it concerns gzip."""
    codings = request.headers.get("accept-encoding", "").lower().split(",")
    return any(
        re.fullmatch(r"gzip(\s*;\s*q=(?!0(\.0*)?$).*)?", coding.strip()) for coding in codings
    )


async def _file_answer(request: Request, find: Callable[[], Awaitable[_Found]]) -> Response:
    """The answer with the file that is found."""
    for _ in range(2):
        found = await find()
        # Another process, or a person, may just have removed it.
        with suppress(FileNotFoundError):
            return await file_answer(
                request, found.file, found.blob, caching=found.caching, coding=found.coding
            )
    raise Missing(f"{found.file.filename} has just been removed")


def _metadata(request: Request, body: bytes) -> Response:
    etag = f'"{hashlib.sha256(body).hexdigest()}"'
    headers = {"etag": etag, "cache-control": _ASK_AGAIN}
    if is_unchanged(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="text/plain; charset=utf-8")


async def _missing(_: Request, error: Exception) -> Response:
    return error_response(404, str(error))


async def _denied(_: Request, error: Exception) -> Response:
    _log.warning("%s", error)
    return error_response(403, str(error))


async def _broken(_: Request, error: Exception) -> Response:
    late = isinstance(error, UpstreamError) and error.timed_out
    return error_response(504 if late else 502, f"no usable answer from upstream: {error}")


async def _unreadable(_: Request, error: Exception) -> Response:
    return error_response(503, str(error), {"retry-after": "10"})


async def _http_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # it is registered for nothing else
        raise error
    detail = "there is nothing at this address" if error.status_code == 404 else error.detail
    return error_response(error.status_code, detail, error.headers)


async def _failed(_: Request, __: Exception) -> Response:
    return error_response(500, "this server failed; its log says why")


_ERRORS: Final = {
    HTTPException: _http_error,
    Missing: _missing,
    DeniedError: _denied,
    UpstreamError: _broken,
    UnreadableError: _unreadable,
    Exception: _failed,
}
