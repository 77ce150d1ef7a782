"""The names that this server answers to, against DNS rebinding.

A page of ``attacker.example`` may let that name point to this machine once it is loaded. To the
browser the server then is of the page's own origin, and CORS protects nothing. What tells the two
apart is the Host header, which no page can change: it still has the attacker's name.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from pyodide_mirror.model import HostKind, host_kind, split_http_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.datastructures import Headers

ANY_HOST: Final = "*"


class AllowedHosts:
    """The hosts that may be asked for: loopback names, IP addresses, and those that were named.

    Nobody can let an IP address or a loopback name point elsewhere: there is no name to resolve.
    ``names``: results of :func:`check_host`.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def refusal(self, asked: Headers, http_version: str) -> tuple[int, str] | None:
        """Status and sentence for a request that is not answered; None for one that is."""
        hosts = asked.getlist("host")
        if not hosts and http_version in {"0.9", "1.0"}:
            return None  # these versions demand none, and no browser speaks them
        if len(hosts) != 1:  # RFC 9112, section 3.2
            return 400, f"a request must have one Host header, not {len(hosts)}"
        try:
            parts = split_http_url(f"http://{hosts[0]}")
            if parts.netloc != hosts[0]:
                raise ValueError("it is more than a host and a port")
        except ValueError as error:
            return 400, f"the Host header cannot be used: {error}"
        host = _plain(parts.hostname or "")
        if host in self._names or ANY_HOST in self._names or _is_fixed(host):
            return None
        return 421, (  # RFC 9110, section 15.5.20
            f"this server was not told that {host} is a name of its own; if it is, start the"
            f" server with --allow-host {host} (create_app: allow_hosts)"
        )

    def is_named(self, asked: Headers) -> bool:
        """Whether a request is for a name that was given, and not for an address."""
        return self.has_named(asked.get("host", ""))

    def has_named(self, netloc: str) -> bool:
        """Whether a host, with a port perhaps, is a name that was given."""
        try:
            parts = split_http_url(f"http://{netloc}")
        except ValueError:
            return False
        host = _plain(parts.hostname or "")
        return parts.netloc == netloc and host in self._names and not _is_fixed(host)


def check_host(text: str) -> str:
    """A host as it is compared, in lower case, or ``*`` for all; ValueError says what is wrong."""
    if text == ANY_HOST:
        return text
    shown = text[:100]
    try:
        parts = split_http_url(f"http://{text}")
    except ValueError as error:
        raise ValueError(f"{shown!r} is not a host like packages.example: {error}") from None
    if parts.netloc != text or parts.port is not None or text.endswith(":"):
        raise ValueError(
            f"{shown!r} is not a host like packages.example: leave out scheme, port and path"
        )
    return _plain(parts.hostname or "")


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")


def _is_fixed(host: str) -> bool:
    """Whether a host names the same machine always and everywhere."""
    try:
        ip_address(host)
    except ValueError:
        return host_kind(f"http://{host}") is HostKind.LOOPBACK
    return True
