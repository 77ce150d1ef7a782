"""Rules about URLs: what may be an index or a file URL, and what kind of host it names.

They are stricter than the URL Standard where its parser and Python's disagree (backslashes, user
info, percent-encoded or non-ASCII hosts), so that what is checked here is what a browser fetches.
"""

from __future__ import annotations

import functools
import re
from contextlib import suppress
from enum import StrEnum
from socket import inet_aton
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

_DEFAULT_PORTS = {"http": 80, "https": 443}
# Anything a browser strips, folds or reads differently from Python is not let through.
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\x9f\\<>\"`{}|^\ud800-\udfff]")
_NETLOC = re.compile(
    r"([a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?|\[[0-9a-f:.]+\])(:[0-9]*)?", re.ASCII | re.IGNORECASE
)
_PRIVATE_SUFFIXES = (".local", ".lan", ".internal", ".home.arpa")
_LONGEST = 16_384  # signed URLs carry tokens of some thousand characters
PLACEHOLDER = "{package_name}"
"""Stands for the project's name in index URLs, as micropip documents it."""
_MARK = "-package-name-"


class HostKind(StrEnum):
    """Where a host is, by its name alone (Local Network Access: address space)."""

    LOOPBACK = "loopback"
    PRIVATE = "private"
    PUBLIC = "public"


def split_http_url(url: str) -> SplitResult:
    """Split an absolute http(s) URL; ValueError says in a clause what is wrong with it."""
    if len(url) > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST:,} characters")
    if match := _UNSAFE.search(url):
        raise ValueError(f"it contains the character {match.group()!r}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        # What Python says of it may quote a password.
        raise ValueError("it cannot be parsed") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("it does not start with https:// or http://")
    if not host:
        raise ValueError("it names no host")
    if port == 0:
        raise ValueError("its port is 0")
    if "@" in parts.netloc:
        raise ValueError("it contains a user name or password")
    if not _NETLOC.fullmatch(parts.netloc):
        raise ValueError("its host name is not plain ASCII (write it in punycode)")
    return parts


def check_index_url(index_url: str) -> str:
    """A usable index URL without trailing slashes (PEP 503's base URL), or ValueError.

    micropip appends ``/project/`` to it, so a query or fragment cannot work; braces would be
    taken for a placeholder.
    """
    try:
        # Shown without what follows an @: a password must not be in an error.
        parts = split_http_url(index_url)
        if "?" in index_url or "#" in index_url:
            raise ValueError("it has a query or a fragment")
    except ValueError as error:
        raise ValueError(
            f"not a usable index URL: {hide_user_info(index_url)!r}: {error}"
        ) from None
    return f"{origin(parts)}{parts.path}".rstrip("/")


def check_index_template(text: str) -> str:
    """A usable index URL as micropip takes them: it may have ``{package_name}`` in its path.

    The page of a project is at that URL with the project's name in it; the base URL of PEP 503 is
    what is left of one that ends in ``/{package_name}/``. ValueError as :func:`check_index_url`.
    """
    before, placeholder, after = text.partition(PLACEHOLDER)
    if not placeholder:
        return check_index_url(text)
    if "/" not in before.partition("://")[2]:
        shown = hide_user_info(text)
        raise ValueError(f"not a usable index URL: {shown!r}: {PLACEHOLDER} is not in its path")
    try:
        checked = check_index_url(text.replace(PLACEHOLDER, _MARK))
    except ValueError as error:
        raise ValueError(str(error).replace(_MARK, PLACEHOLDER)) from None
    if after == "/" and before.endswith("/"):
        return checked.removesuffix(_MARK).rstrip("/")
    return checked.replace(_MARK, PLACEHOLDER) + text[len(text.rstrip("/")) :]


def project_url(index_url: str, project: str) -> str:
    """URL of a project's page (PEP 503: normalized name, ends in a slash)."""
    if PLACEHOLDER in index_url:
        return index_url.replace(PLACEHOLDER, project)
    return f"{index_url}/{project}/"


def hide_user_info(url: str) -> str:
    """The URL, cut to a line, with ``***`` for what stands before an @ in it."""
    return re.sub(r"(?s)^(\s*[A-Za-z][A-Za-z0-9+.-]*:[/\\]+)?.*@", r"\1***@", url)[:200]


def origin(url: str | SplitResult) -> str:
    """Serialized origin of an http(s) URL (RFC 6454, section 6.2): default ports are left out."""
    parts = urlsplit(url) if isinstance(url, str) else url
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    plain = parts.port in (None, _DEFAULT_PORTS.get(parts.scheme))
    return f"{parts.scheme}://{host}" + ("" if plain else f":{parts.port}")


def host_kind(url: str) -> HostKind:
    """What kind of host a URL names.

    IPv4 addresses are read in all spellings the URL Standard knows (``127.1``, ``0x7f000001``).
    """
    return _kind_of((urlsplit(url).hostname or "").rstrip("."))


@functools.lru_cache(maxsize=64)  # the files of an install are on few hosts
def _kind_of(host: str) -> HostKind:
    if host == "localhost" or host.endswith(".localhost") or _ipv4(host)[:1] == b"\x7f":
        return HostKind.LOOPBACK
    address = address_of(host)
    if address is None:
        # A name without a dot is resolved by the local network only.
        named_privately = "." not in host or host.endswith(_PRIVATE_SUFFIXES)
        return HostKind.PRIVATE if named_privately else HostKind.PUBLIC
    if address.is_loopback or address.is_unspecified:
        return HostKind.LOOPBACK
    return HostKind.PUBLIC if address.is_global and not _is_local(address) else HostKind.PRIVATE


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a URL's host is, or the IPv4 address that it embeds; None for a name."""
    packed = _ipv4(host)
    if not packed and ":" not in host:
        return None
    from ipaddress import IPv4Address, IPv6Address  # 80 kB of code, and most hosts are names

    if packed:
        return IPv4Address(packed)
    with suppress(ValueError):
        address = IPv6Address(host)
        return _embedded(address) or address
    return None


def _ipv4(host: str) -> bytes:
    """The IPv4 address that a host is, in any spelling; nothing for another host."""
    try:
        return inet_aton(host)
    except (OSError, ValueError):
        return b""


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Where packets to an IPv6 address go in the end, if a translator or tunnel forwards them."""
    bits = int(address)
    # Compatible and mapped (RFC 4291), translated (RFC 7915), NAT64 (RFC 6052).
    if bits > 1 and bits >> 32 in {0, 0xFFFF, 0xFFFF << 16, 0x64FF9B << 64}:
        from ipaddress import IPv4Address

        return IPv4Address(bits & 0xFFFFFFFF)
    return address.sixtofour or (address.teredo or (None, None))[1]


def _is_local(address: IPv4Address | IPv6Address) -> bool:
    """Whether Python, depending on its version, takes a local address for a global one.

    Site-local ones (RFC 3879), and those of a local NAT64 (RFC 8215), which may embed anything.
    """
    return address.version == 6 and (address.is_site_local or int(address) >> 80 == 0x64FF9B0001)
