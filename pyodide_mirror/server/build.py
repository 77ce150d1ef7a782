"""Builds the application from its settings."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from .app import App
from .cdn_copies import CDNCopies
from .cors import CORSMiddleware
from .disk import Disk
from .download import Downloads
from .folder import Folder
from .freshness import PAGE_TTL
from .hosts import AllowedHosts
from .login import LoginMiddleware, Logins
from .own_wheel import OwnWheel, resolver_wheel
from .public import PublicParts
from .release_folder import ReleaseFolder
from .releases import Releases
from .repository import Repository
from .rules import CurrentRules, read_rules
from .settings import DEFAULT_CACHE_SIZE, DEFAULT_TIMEOUT, Settings, make
from .tokens import read_tokens
from .upstream import Upstream
from .upstream_client import UpstreamClient
from .users import Users, read_users
from .watched import WatchedFile

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from starlette.types import ASGIApp

    from .source import LocalSource


def create_app(
    folder: str | os.PathLike[str] | None = None,
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
) -> ASGIApp:
    """Make the ASGI application that serves a package index at ``/simple/``.

    It also serves Pyodide itself and its packages, at ``/pyodide/v{version}/full/``.

    ``folder``: wheels and sdists; a project that is in it is served from it alone. ``upstreams``:
    index URLs that are asked in order for everything else; None takes those of the environment
    variable ``PYODIDE_MIRROR_UPSTREAMS``, or else PyPI; an empty list is offline. ``cache``: the
    folder for what was fetched; None is one that lasts as long as the application. ``cache_size``:
    bytes that it may hold. ``allow_origins``: the origins whose pages may read the answers (Fetch
    standard, CORS), or ``*``. ``allow_hosts``: host names of this server, or ``*`` for any; to
    others than these, IP addresses, loopback names and that of ``public_url`` the answer is 421,
    because a page may let its own name point here (DNS rebinding). ``public_url``: where clients
    see the server, if a proxy in front of it changes that. ``timeout``: seconds in which an
    upstream must answer. ``cdns``: base URLs of CDNs, in which ``{version}`` stands for Pyodide's
    version, that are asked for its files; None takes the known ones, or none where ``upstreams`` is
    empty. ``pyodide``: folders with unpacked releases of Pyodide, whose files are served before
    those of CDNs. ``auth``: a htpasswd file with bcrypt hashes; its users may read, and nobody else
    but who has a token. ``token_file``: a file with lines such as ``read TOKEN``, ``upload TOKEN``
    or ``read,upload TOKEN``; as soon as one may read, reading needs a login. Both files are read
    again when they have changed. ``page_ttl``: seconds after which an upstream is asked again for a
    page, or earlier if its ``Cache-Control`` says so. ``only_local``: names of projects, with ``*``
    for any part, that no upstream is asked for. ``allow``: names, with versions perhaps
    (``numpy>=2``), of what may be taken from the upstreams, if not all. ``deny``: the same for what
    is not served, wherever it is from. ``rules``: a file with lines such as ``deny numpy<2``, which
    are added to these, and are read again when they have changed.

    Raises TypeError or ValueError, which say what is wrong with an argument, and OSError when the
    cache cannot be written.
    """
    return build_app(make(**locals()))  # what it takes has the same names


def build_app(settings: Settings) -> ASGIApp:
    """The application for checked settings."""
    cache = settings.cache or Path(tempfile.mkdtemp(prefix="pyodide-mirror-"))
    disk = Disk(cache, settings.cache_size)
    downloads = Downloads(disk)
    own_wheel = OwnWheel()
    local: list[LocalSource] = [] if settings.folder is None else [Folder(settings.folder, disk)]
    upstreams = [
        Upstream(
            UpstreamClient(url, login=settings.logins.get(url), timeout=settings.timeout),
            downloads,
            page_ttl=settings.page_ttl,
        )
        for url in settings.upstreams
    ]
    folders = [ReleaseFolder(each, disk) for each in settings.pyodide]
    releases = Releases(folders, CDNCopies(settings.cdns, settings.timeout), downloads)
    made = [own_wheel] if upstreams else [own_wheel, resolver_wheel()]
    repository = Repository([*local, *made], upstreams, _current_rules(settings))
    app = App(repository, own_wheel, settings, downloads, releases).build()
    if settings.cache is None:
        # Not at the shutdown event, which WSGI bridges do not have.
        weakref.finalize(app, shutil.rmtree, cache, ignore_errors=True)
    hosts = AllowedHosts(settings.allow_hosts)
    logins = _make_logins(settings)
    if logins is None:
        return CORSMiddleware(app, settings.allow_origins, hosts)
    is_public = PublicParts(repository, own_wheel, releases)
    guarded = LoginMiddleware(app, logins, is_public)
    return CORSMiddleware(guarded, settings.allow_origins, hosts, has_logins=True)


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
