"""Who really asks, and by which address, where proxies that are trusted stand before the server.

What a proxy says of its client is believed only if the connection comes from a trusted one: anybody
can send these headers. Of those that are named the right-most counts that is itself no trusted
proxy, because what stands left of it was sent by that client.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from starlette.types import Scope

    from .hosts import AllowedHosts

_MOST_HOPS: Final = 50
_SCHEMES: Final = frozenset({"http", "https"})
_PORT: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9A-Za-z._-]*)?")
_PAIR: Final = re.compile(r'\s*([A-Za-z]{1,20})=(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))\s*(;|,|$)')
"""A parameter of Forwarded and what ends it (RFC 7239, section 4)."""


class _Hop(NamedTuple):
    """What a proxy said of who had asked it."""

    address: str
    scheme: str = ""
    host: str = ""


class TrustedProxies:
    """The proxies whose headers are believed: addresses and networks; ValueError names a wrong one.

    ``hosts``: the names of this server. Where a proxy asks by another one, X-Forwarded-Host is
    believed as well, if it is a name that was given: many proxies pass on what a client sent.
    """

    def __init__(self, networks: Iterable[str], hosts: AllowedHosts) -> None:
        self._networks = [ip_network(each, strict=False) for each in networks]
        self._hosts = hosts

    def seen(self, scope: Scope) -> Scope:
        """The request (ASGI) as the first of the trusted proxies got it."""
        client = scope.get("client")
        if not (self._networks and client and self._trusts(_address(client[0]))):
            return scope
        asked = Headers(scope=scope)
        hop = self._first(_hops(asked))
        changed = dict(scope)
        if hop.address:
            changed["client"] = (hop.address, 0)
        if hop.scheme in _SCHEMES:
            changed["scheme"] = hop.scheme
        if hop.host and not self._hosts.is_named(asked) and self._hosts.has_named(hop.host):
            rest = [each for each in scope["headers"] if each[0] != b"host"]
            changed["headers"] = [*rest, (b"host", hop.host.encode("latin-1"))]
        return changed

    def _first(self, hops: Sequence[_Hop]) -> _Hop:
        """The right-most that is no trusted proxy, or else the one that is farthest away."""
        found = _Hop("")
        for hop in reversed(hops):
            address = _address(hop.address)
            if address is None:  # "unknown", or nonsense: what is left of it was not seen by anyone
                return found if found.address else hop._replace(address="")
            found = hop._replace(address=str(address))
            if not self._trusts(address):
                break
        return found

    def _trusts(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in each for each in self._networks)


def _hops(asked: Headers) -> list[_Hop]:
    """The hops that the headers name, the first one first.

    X-Forwarded-For goes before Forwarded: a proxy that sends the one passes on a client's other.
    """
    chain = _items(asked, "x-forwarded-for")
    if not chain and "forwarded" in asked:
        return list(_forwarded(", ".join(asked.getlist("forwarded"))))[-_MOST_HOPS:]
    addresses = chain or _items(asked, "x-real-ip")[-1:] or [""]
    schemes, hosts = asked.getlist("x-forwarded-proto"), _items(asked, "x-forwarded-host")
    # Two schemes are one of the proxy's and one of its client's, and nobody knows which is which.
    scheme = schemes[0].strip().lower() if len(schemes) == 1 else ""
    return [_Hop(each, scheme, hosts[-1] if hosts else "") for each in addresses[-_MOST_HOPS:]]


def _items(asked: Headers, name: str) -> list[str]:
    listed = ",".join(asked.getlist(name))
    return [each.strip() for each in listed.split(",")] if listed.strip() else []


def _forwarded(text: str) -> Iterator[_Hop]:
    """The elements of Forwarded (RFC 7239); one that cannot be read ends what is known."""
    pairs: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PAIR.match(text, at)
        if match is None:
            yield _Hop("")
            rest = text.find(",", at)
            if rest < 0:
                return
            at, pairs = rest + 1, {}
            continue
        at = match.end()
        value = match[3] if match[2] is None else re.sub(r"\\(.)", r"\1", match[2])
        pairs[match[1].lower()] = value
        if match[4] != ";":
            scheme = pairs.get("proto", "").lower()
            yield _Hop(pairs.get("for", ""), scheme, pairs.get("host", ""))
            pairs = {}


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An IP address, with a port perhaps, and an IPv4 one in IPv6 as the former."""
    match = _PORT.fullmatch(text)
    try:
        found = ip_address((match[1] or match[2]) if match else text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        if found.scope_id:
            return None
        return found.ipv4_mapped or found
    return found
