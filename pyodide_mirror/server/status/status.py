"""What the server tells of itself: the page for people, its health, and its metrics."""

from __future__ import annotations

import hashlib
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from starlette.responses import HTMLResponse, JSONResponse, Response

from pyodide_mirror import __version__
from pyodide_mirror.server.access import HAS_LOGIN
from pyodide_mirror.server.web import error_response, is_unchanged

from .landing import POLICY, Landing
from .lookup import look_up
from .state import state_of
from .words import best_language

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from pyodide_mirror.server.cache import Downloads
    from pyodide_mirror.server.releases import Releases
    from pyodide_mirror.server.repository import Repository
    from pyodide_mirror.server.settings import Settings
    from pyodide_mirror.server.uploads import Uploads

_UNCACHED: Final = {"cache-control": "no-store"}
_BEHIND: Final = ("x-forwarded-for", "forwarded", "x-real-ip", "via")
"""What proxies add: who asks is then not on this machine, though the proxy may be."""
_NOT_LOCAL: Final = (
    "metrics are for this machine and for who has a login; --metrics all gives them to everybody"
    " who may read (create_app: metrics)"
)


class Status:
    """Answers requests for what there is. ``base``: the URL at which a client sees the server."""

    def __init__(
        self,
        repository: Repository,
        releases: Releases,
        downloads: Downloads,
        settings: Settings,
        base: Callable[[Request], str],
        uploads: Uploads | None = None,
    ) -> None:
        self._repository = repository
        self._releases = releases
        self._downloads = downloads
        self._settings = settings
        self._base = base
        self._uploads = uploads
        self._landing = Landing()

    async def landing(self, request: Request) -> Response:
        """The page for people: what there is, a box to look up, and lines to copy."""
        asked = request.query_params
        language = best_language(request.headers.get("accept-language", ""), asked.get("lang"))
        project = asked.get("project", "").strip()
        found = await look_up(self._repository, project) if project else None
        state = await state_of(self._repository, self._releases, self._downloads)
        body = self._landing.page(self._base(request), state, language, found).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {
            "etag": etag,
            "vary": "Accept-Language",
            "cache-control": "no-cache",
            "content-language": language,
            "content-security-policy": POLICY,
            "referrer-policy": "no-referrer",
        }
        if is_unchanged(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=headers)
        return HTMLResponse(body, headers=headers)

    async def health(self, request: Request) -> Response:
        """That the server works, and what was last wrong with each upstream.

        Who needs a login, and has none, learns the first only.
        """
        if not request.scope.get(HAS_LOGIN, True):
            return JSONResponse({"status": "ok"}, headers=_UNCACHED)
        upstreams = [
            {"index_url": each.name, "problem": each.problem} for each in self._repository.upstreams
        ]
        cdns = [
            {"base_url": cdn.base_url, "problem": problem}
            for cdn, problem in self._releases.cdns.problems.items()
        ]
        document: dict[str, object] = {
            "status": "ok",
            "version": __version__,
            "upstreams": upstreams,
            "cdns": cdns,
            "cache": {"problem": self._downloads.disk.problem},
        }
        if self._uploads is not None:
            document["upload"] = {"problem": self._uploads.problem}
        return JSONResponse(document, headers=_UNCACHED)

    async def metrics(self, request: Request) -> Response:
        """What Prometheus counts, for who may read it."""
        if self._settings.metrics == "off":
            return error_response(404, "metrics are off here (--metrics off)")
        if "origin" in request.headers:
            return error_response(403, "web pages get no metrics")
        may_read = request.scope.get(HAS_LOGIN, False) or _is_from_here(request)
        if self._settings.metrics != "all" and not may_read:
            return error_response(403, _NOT_LOCAL)
        from .metrics import CONTENT_TYPE, Metrics

        counts = self._downloads.disk.counts
        if not isinstance(counts, Metrics):  # which the settings have decided
            raise TypeError(type(counts))
        state = await state_of(self._repository, self._releases, self._downloads)
        headers = {**_UNCACHED, "content-type": CONTENT_TYPE}
        return Response(await counts.text(state), headers=headers)


def _is_from_here(request: Request) -> bool:
    """Whether a program of this machine asks, and no proxy for others."""
    client = request.client
    if client is None or any(name in request.headers for name in _BEHIND):
        return False
    try:
        return ip_address(client.host).is_loopback
    except ValueError:
        return False
