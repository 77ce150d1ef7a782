"""Builds the application from its settings."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from pyodide_mirror.server.access import (
    CurrentRules,
    LoginMiddleware,
    Logins,
    Users,
    WatchedFile,
    read_rules,
    read_tokens,
    read_users,
)
from pyodide_mirror.server.cache import Disk, Downloads
from pyodide_mirror.server.fetching import UpstreamClient
from pyodide_mirror.server.folders import local_folders
from pyodide_mirror.server.observing import FORGETS, Counts, Observed, access_log
from pyodide_mirror.server.releases import ReleaseFolder, Releases
from pyodide_mirror.server.uploads import Uploads
from pyodide_mirror.server.upstreams import CDNCopies, Upstream
from pyodide_mirror.server.web import PAGE_TTL, AllowedHosts, CORSMiddleware, TrustedProxies

from .app import App
from .own_wheel import OwnWheel, resolver_wheel
from .public import PublicParts
from .repository import Repository
from .settings import DEFAULT_CACHE_SIZE, DEFAULT_TIMEOUT, DEFAULT_UPLOAD_LIMIT, Settings, make

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from starlette.types import ASGIApp


def create_app(
    folder: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
    *,
    upstreams: Iterable[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    cache_size: int = DEFAULT_CACHE_SIZE,
    allow_origins: Iterable[str] = ("*",),
    allow_hosts: Iterable[str] = (),
    public_url: str = "",
    timeout: float = DEFAULT_TIMEOUT,
    cdns: Iterable[str] | None = None,
    pyodide: Iterable[str | os.PathLike[str]] = (),
    auth: str | os.PathLike[str] | None = None,
    token_file: str | os.PathLike[str] | None = None,
    page_ttl: float = PAGE_TTL,
    only_local: Iterable[str] = (),
    allow: Iterable[str] = (),
    deny: Iterable[str] = (),
    rules: str | os.PathLike[str] | None = None,
    trusted_proxies: Iterable[str] = (),
    access_log: str = "off",
    metrics: str = "local",
    upload: str | os.PathLike[str] | None = None,
    upload_limit: int = DEFAULT_UPLOAD_LIMIT,
) -> ASGIApp:
    """Make the ASGI application that serves a package index at ``/simple/``.

    It also serves Pyodide itself and its packages, at ``/pyodide/v{version}/full/``.

    ``folder``: wheels and sdists, or several such folders, the first of which go before the others;
    a project that is in one is served from them alone. ``upstreams``: index URLs that are asked in
    order for everything else; None takes those of the environment variable
    ``PYODIDE_MIRROR_UPSTREAMS``, or else PyPI; an empty list is offline. ``cache``: the folder for
    what was fetched; None is one that lasts as long as the application. ``cache_size``: bytes that
    it may hold. ``allow_origins``: the origins whose pages may read the answers (Fetch standard,
    CORS), or ``*``. ``allow_hosts``: host names of this server, or ``*`` for any; to others than
    these, IP addresses, loopback names and that of ``public_url`` the answer is 421, because a page
    may let its own name point here (DNS rebinding). ``public_url``: where clients see the server,
    if a proxy in front of it changes that. ``timeout``: seconds in which an upstream must answer.
    ``cdns``: base URLs of CDNs, in which ``{version}`` stands for Pyodide's version, that are asked
    for its files; None takes the known ones, or none where ``upstreams`` is empty. ``pyodide``:
    folders with unpacked releases of Pyodide, whose files are served before those of CDNs.
    ``auth``: a htpasswd file with bcrypt hashes; its users may read, and nobody else but who has a
    token. ``token_file``: a file with lines such as ``read TOKEN``, ``upload TOKEN`` or
    ``read,upload TOKEN``; as soon as one may read, reading needs a login. Both files are read again
    when they have changed. ``page_ttl``: seconds after which an upstream is asked again for a page,
    or earlier if its ``Cache-Control`` says so. ``only_local``: names of projects, with ``*`` for
    any part, that no upstream is asked for. ``allow``: names, with versions perhaps (``numpy>=2``),
    of what may be taken from the upstreams, if not all. ``deny``: the same for what is not served,
    wherever it is from. ``rules``: a file with lines such as ``deny numpy<2``, which are added to
    these, and are read again when they have changed. ``trusted_proxies``: addresses and networks of
    proxies whose X-Forwarded-For, -Proto and -Host, Forwarded or X-Real-IP are believed.
    ``access_log``: ``text`` or ``json`` writes a line for each request to the logger
    ``pyodide_mirror.access``. ``metrics``: who may read ``/metrics``; ``local`` is this machine and
    who has a login, ``all`` who may read anything, ``off`` nobody. ``upload``: a folder that takes
    uploads (the legacy API of PyPI, at ``/legacy/``) by tokens of the ``token_file`` that may
    ``upload``; it is served, too. ``upload_limit``: bytes that an uploaded file may have.

    Raises TypeError or ValueError, which say what is wrong with an argument, and OSError when the
    cache cannot be written.
    """
    return build_app(make(**locals()))  # what it takes has the same names


def build_app(settings: Settings) -> ASGIApp:
    """The application for checked settings."""
    cache = settings.cache or Path(tempfile.mkdtemp(prefix="pyodide-mirror-"))
    counts = FORGETS
    if settings.metrics != "off":
        from pyodide_mirror.server.status import Metrics  # with the client library

        counts = Metrics()
    disk = Disk(cache, settings.cache_size, counts=counts)
    downloads = Downloads(disk)
    own_wheel = OwnWheel()
    local = local_folders(_folders(settings), disk)
    logins = _make_logins(settings)
    uploads = _make_uploads(settings, logins)
    upstreams = [
        Upstream(
            UpstreamClient(
                url, login=settings.logins.get(url), timeout=settings.timeout, counts=counts
            ),
            downloads,
            page_ttl=settings.page_ttl,
        )
        for url in settings.upstreams
    ]
    folders = [ReleaseFolder(each, disk) for each in settings.pyodide]
    releases = Releases(folders, CDNCopies(settings.cdns, settings.timeout, counts), downloads)
    made = [own_wheel] if upstreams else [own_wheel, resolver_wheel()]
    repository = Repository([*local, *made], upstreams, _current_rules(settings))
    app = App(repository, own_wheel, settings, downloads, releases, uploads).build()
    if settings.cache is None:
        # Not at the shutdown event, which WSGI bridges do not have.
        weakref.finalize(app, shutil.rmtree, cache, ignore_errors=True)
    is_public = PublicParts(repository, own_wheel, releases)
    guarded = app if logins is None else LoginMiddleware(app, logins, is_public)
    return _layers(guarded, settings, counts)


def _layers(app: ASGIApp, settings: Settings, counts: Counts) -> ASGIApp:
    """What every request passes before the application."""
    hosts = AllowedHosts(settings.allow_hosts)
    app = CORSMiddleware(
        app,
        settings.allow_origins,
        hosts,
        has_logins=bool(settings.auth or settings.token_file),
        takes_uploads=settings.upload is not None,
    )
    proxies = TrustedProxies(settings.trusted_proxies, hosts)
    return Observed(app, proxies, counts, access_log(settings.access_log))


def _folders(settings: Settings) -> list[Path]:
    """The folders that are served, first that for uploads, with all that is in it."""
    upload, given = settings.upload, settings.folders
    if upload is None or any(_is_in(upload, other) for other in given):
        return list(given)
    return [upload, *(folder for folder in given if not _is_in(folder, upload))]


def _is_in(folder: Path, other: Path) -> bool:
    """Whether a folder is served with another one: it is the same, or one of its subfolders."""
    folder, other = folder.resolve(), other.resolve()
    if not folder.is_relative_to(other):
        return False
    return not any(part.startswith(".") for part in folder.relative_to(other).parts)


def _make_uploads(settings: Settings, logins: Logins | None) -> Uploads | None:
    """The uploads into the settings' folder; ValueError when nobody could, or nothing."""
    if settings.upload is None:
        return None
    if logins is None or not logins.may_be_uploaded():
        raise ValueError(
            "uploads need a token: name a file by --token-file that has a line `upload TOKEN`"
        )
    return Uploads(settings.upload, settings.upload_limit)


def _make_logins(settings: Settings) -> Logins | None:
    """The users and tokens of the settings' files; None without such files.

    Raises ValueError when a file cannot be used.
    """
    users = tokens = None
    if settings.auth is not None:
        users = Users(WatchedFile(settings.auth, "the file of users", read_users))
    if settings.token_file is not None:
        tokens = WatchedFile(settings.token_file, "the file of tokens", read_tokens)
    return Logins(users, tokens) if users or tokens else None


def _current_rules(settings: Settings) -> CurrentRules:
    file = settings.rules_file
    watched = None if file is None else WatchedFile(file, "the file of rules", read_rules)
    return CurrentRules(settings.rules, watched)
