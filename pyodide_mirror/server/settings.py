"""The settings of a server, checked before it starts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypedDict, Unpack
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from pyodide_mirror.api import check_timeout
from pyodide_mirror.cdns import CDNS
from pyodide_mirror.loader import LOCK
from pyodide_mirror.mirrors import PYPI_URL
from pyodide_mirror.model import (
    CDN,
    check_cdn,
    check_index_url,
    check_origin,
    hide_user_info,
    origin,
    split_http_url,
)
from pyodide_mirror.server.access import Rules, make_rules
from pyodide_mirror.server.web import PAGE_TTL, check_host

UPSTREAMS_VARIABLE: Final = "PYODIDE_MIRROR_UPSTREAMS"
"""Index URLs, with spaces or commas between them; they may carry ``user:password@``."""
DEFAULT_CACHE_SIZE: Final = 2_000_000_000
"""Bytes."""
DEFAULT_TIMEOUT: Final = 15.0
"""Seconds."""
ACCESS_LOGS: Final = ("text", "json", "off")
"""Forms of the access log."""
METRICS: Final = ("local", "all", "off")
"""Who may read the metrics: this machine and who has a login, all who may read, or nobody."""
DEFAULT_UPLOAD_LIMIT: Final = 1_000_000_000
"""Bytes of one file."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked settings; see :func:`~pyodide_mirror.server.create_app` for what they mean."""

    folders: tuple[Path, ...]
    upstreams: tuple[str, ...]
    logins: dict[str, tuple[str, str]]
    cache: Path | None
    cache_size: int
    allow_origins: tuple[str, ...]
    allow_hosts: tuple[str, ...]
    public_url: str
    timeout: float
    cdns: tuple[CDN, ...]
    pyodide: tuple[Path, ...]
    auth: Path | None
    token_file: Path | None
    page_ttl: float
    rules: Rules
    rules_file: Path | None
    trusted_proxies: tuple[str, ...]
    access_log: str
    metrics: str
    upload: Path | None
    upload_limit: int


class Given(TypedDict, total=False):
    """The arguments of ``create_app`` besides the folder; what is left out has its default."""

    upstreams: Iterable[str] | None
    cache: str | os.PathLike[str] | None
    cache_size: int
    allow_origins: Iterable[str]
    allow_hosts: Iterable[str]
    public_url: str
    timeout: float
    cdns: Iterable[str | CDN] | None
    pyodide: Iterable[str | os.PathLike[str]]
    auth: str | os.PathLike[str] | None
    token_file: str | os.PathLike[str] | None
    page_ttl: float
    only_local: Iterable[str]
    allow: Iterable[str]
    deny: Iterable[str]
    rules: str | os.PathLike[str] | None
    trusted_proxies: Iterable[str]
    access_log: str
    metrics: str
    upload: str | os.PathLike[str] | None
    upload_limit: int


GivenFolders = str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None


def make(folder: GivenFolders = None, **given: Unpack[Given]) -> Settings:
    """Check the arguments of ``create_app``; TypeError or ValueError names what is wrong."""
    logins: dict[str, tuple[str, str]] = {}
    chosen = _checked_upstreams(given.get("upstreams"), logins)
    public_url = given.get("public_url")
    url = check_public_url(public_url) if public_url else ""
    hosts = [check_host(each) for each in _several(given.get("allow_hosts", ()), "allow_hosts")]
    origins = _several(given.get("allow_origins", ("*",)), "allow_origins")
    folders = _served_folders(folder)
    return Settings(
        folders=folders,
        upstreams=tuple(dict.fromkeys(chosen)),
        logins=logins,
        cache=_path(given.get("cache")),
        cache_size=_number_of_bytes("cache_size", given.get("cache_size", DEFAULT_CACHE_SIZE)),
        allow_origins=tuple(_check_allowed(each) for each in origins),
        allow_hosts=(*hosts, *_host_of(url)),
        public_url=url,
        timeout=check_timeout(given.get("timeout", DEFAULT_TIMEOUT)),
        cdns=_checked_cdns(given.get("cdns"), default=CDNS if chosen else ()),
        pyodide=_folders(given.get("pyodide", ())) or _bundled(folders),
        auth=_path(given.get("auth")),
        token_file=_path(given.get("token_file")),
        page_ttl=check_page_ttl(given.get("page_ttl", PAGE_TTL)),
        rules=_rules(given),
        rules_file=_path(given.get("rules")),
        trusted_proxies=tuple(_several(given.get("trusted_proxies", ()), "trusted_proxies")),
        access_log=_one_of(ACCESS_LOGS, given.get("access_log", "off"), "access_log"),
        metrics=_one_of(METRICS, given.get("metrics", "local"), "metrics"),
        upload=_path(given.get("upload")),
        upload_limit=_number_of_bytes(
            "upload_limit", given.get("upload_limit", DEFAULT_UPLOAD_LIMIT)
        ),
    )


def _number_of_bytes(name: str, given: int) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise ValueError(f"{name} must be a number of bytes, not {given!r}")
    return given


def check_page_ttl(seconds: float) -> float:
    """The most seconds for which a page is fresh; ValueError says what is wrong."""
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds < float("inf"):
        raise ValueError(f"page_ttl must be a number of seconds, 0 or more, not {seconds!r}")
    return float(seconds)


def _rules(given: Given) -> Rules:
    return make_rules(
        {
            "only_local": given.get("only_local", ()),
            "allow": given.get("allow", ()),
            "deny": given.get("deny", ()),
        }
    )


def _path(given: str | os.PathLike[str] | None) -> Path | None:
    return None if given is None else Path(given)


_KINDS: Final = {
    "allow_origins": "origins",
    "allow_hosts": "hosts",
    "trusted_proxies": "addresses",
}


def _several(given: Iterable[str], name: str) -> Iterable[str]:
    if isinstance(given, str):
        raise TypeError(f"{name} must be several {_KINDS[name]}, not one string")
    return given


def _checked_upstreams(
    upstreams: Iterable[str] | None, logins: dict[str, tuple[str, str]]
) -> tuple[str, ...]:
    if upstreams is None:
        return tuple(_from_environment(logins)) or (PYPI_URL,)
    if isinstance(upstreams, str):
        raise TypeError("upstreams must be several index URLs, not one string")
    return tuple(check_upstream(url) for url in upstreams)


def _checked_cdns(cdns: Iterable[str | CDN] | None, default: tuple[CDN, ...]) -> tuple[CDN, ...]:
    if cdns is None:
        return default
    if isinstance(cdns, str):
        raise TypeError("cdns must be several base URLs, not one string")
    found = [each if isinstance(each, CDN) else check_cdn(each) for each in cdns]
    return tuple({cdn.base_url: cdn for cdn in found}.values())


def _folders(given: Iterable[str | os.PathLike[str]]) -> tuple[Path, ...]:
    if isinstance(given, str | os.PathLike):
        raise TypeError("pyodide must be several folders, not one")
    return tuple(dict.fromkeys(map(Path, given)))


def _bundled(folders: Iterable[Path]) -> tuple[Path, ...]:
    """The releases of Pyodide in what ``pyodide-mirror bundle`` has written."""
    written = (folder for folder in folders if (folder / "SHA256SUMS").is_file())
    places = (folder / "pyodide" for folder in written)
    return tuple(place for place in places if (place / LOCK).is_file())


def _served_folders(folder: GivenFolders) -> tuple[Path, ...]:
    if folder is None:
        return ()
    return tuple(map(Path, [folder] if isinstance(folder, str | os.PathLike) else folder))


def _one_of(known: Iterable[str], given: str, name: str) -> str:
    if given not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {given!r}")
    return given


def check_upstream(url: str) -> str:
    """An index URL; TypeError or ValueError says what is wrong, and where a password belongs."""
    if not isinstance(url, str):
        raise TypeError(f"an index URL must be a string, not {url!r}")
    try:
        return check_index_url(url)
    except ValueError as error:
        if "@" in url:
            raise ValueError(
                f"{error}. Put them into ~/.netrc, or the whole URL into the environment variable"
                f" {UPSTREAMS_VARIABLE}: a command line can be read by others"
            ) from None
        raise


def _check_allowed(text: str) -> str:
    """An origin such as ``https://lab.example``, or ``*``; ValueError says what is wrong."""
    return text if text == "*" else check_origin(text)


def check_public_url(text: str) -> str:
    """The URL at which clients see the server; ValueError says what is wrong."""
    parts = _split(text, "public URL")
    if "?" in text or "#" in text:
        raise ValueError(f"{text!r} is no public URL: it has a query or a fragment")
    return f"{origin(parts)}{parts.path}".rstrip("/").removesuffix("/simple")


def _host_of(url: str) -> list[str]:
    host = urlsplit(url).hostname
    return [check_host(host)] if host and ":" not in host else []


def _split(text: str, what: str) -> SplitResult:
    try:
        return split_http_url(text)
    except ValueError as error:
        raise ValueError(f"{hide_user_info(text)!r} is no {what}: {error}") from None


def _from_environment(logins: dict[str, tuple[str, str]]) -> list[str]:
    found = []
    for text in re.split(r"[\s,]+", os.environ.get(UPSTREAMS_VARIABLE, "").strip()):
        if not text:
            continue
        bare, login = _without_login(text)
        try:
            url = check_index_url(bare)
        except ValueError as error:
            raise ValueError(f"{UPSTREAMS_VARIABLE}: {error}") from None
        if login is not None:
            logins[url] = login
        found.append(url)
    return found


def _without_login(url: str) -> tuple[str, tuple[str, str] | None]:
    try:
        parts = urlsplit(url)
        login = (unquote(parts.username or ""), unquote(parts.password or ""))
    except ValueError:
        return url, None
    if "@" not in parts.netloc:
        return url, None
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host)), login
