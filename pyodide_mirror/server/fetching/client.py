"""The HTTP client for one upstream and its file hosts.

URLs in pages and redirects are not trusted. They are followed to public addresses, and into a
private network only if the upstream itself is in one (no server-side request forgery). Nothing of a
client's request is passed on.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import netrc
import os
import socket
import ssl
import time
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from pyodide_mirror import __version__
from pyodide_mirror.model import HostKind, address_of, host_kind, origin, split_http_url
from pyodide_mirror.server.observing import FORGETS, Counts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MAX_HOPS: Final = 5
_CONNECTIONS: Final = 64
"""For pages; as many again for files."""
_LONGEST_HEADER: Final = 32 * 1024
"""Location may have a signed URL of 16 KB."""
_AGENT: Final = f"pyodide-mirror/{__version__}"
_DISTANCE: Final = {HostKind.PUBLIC: 0, HostKind.PRIVATE: 1, HostKind.LOOPBACK: 2}
_Address = IPv4Address | IPv6Address


class UpstreamError(Exception):
    """An upstream that gave no usable answer; ``detail`` says in a clause what was seen.

    ``refused``: it answered 403 (Forbidden).
    """

    def __init__(self, detail: str, *, timed_out: bool = False, refused: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.timed_out = timed_out
        self.refused = refused

    def of(self, name: str) -> UpstreamError:
        """The same error with the upstream's name."""
        detail = f"{name}: {self.detail}"
        return UpstreamError(detail, timed_out=self.timed_out, refused=self.refused)


class Refused(OSError):
    """A host to which this upstream may not send us."""


class UpstreamClient:
    """An HTTP client for one upstream.

    ``login``: user name and password, for the upstream's own origin only; other hosts get those of
    the user's ``.netrc``. ``timeout``: seconds until an answer begins, and between two pieces of
    it. Proxies are taken from the environment, except for an upstream on this machine.
    """

    def __init__(
        self,
        index_url: str,
        *,
        login: tuple[str, str] | None,
        timeout: float,
        counts: Counts = FORGETS,
    ) -> None:
        self.index_url = index_url
        self._counts = counts
        self._name = urlsplit(index_url).netloc
        self.timeout = timeout
        self._login = _basic(*login) if login else None
        self._reach = Reach(index_url)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._turns = {raw: asyncio.Semaphore(_CONNECTIONS) for raw in (False, True)}

    @contextlib.asynccontextmanager
    async def get(
        self, url: str, headers: Mapping[str, str], *, raw: bool = False, known: bool = False
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask for a URL and follow redirects; any status but a redirect comes back.

        ``raw``: it should come without a Content-Encoding. ``known``: the digest of
        the answer is known, so that even an https upstream may send it by plain http.
        Raises :class:`UpstreamError`; in the block as well, when the body breaks off.
        """
        # Who waits for it may give up first, which is a time-out, too.
        begun, result = time.perf_counter(), "timeout"
        try:
            async with contextlib.AsyncExitStack() as stack:
                # Waiting for a turn may take any time; waiting for an answer may not.
                await stack.enter_async_context(self._turns[raw])
                for _ in range(_MAX_HOPS + 1):
                    self._check(url, known=known)
                    async with asyncio.timeout(
                        self.timeout
                    ):  # for the whole head, however slowly its bytes come
                        answer = await stack.enter_async_context(self._ask(url, headers, raw=raw))
                    if answer.status not in REDIRECTS or "location" not in answer.headers:
                        result = f"{answer.status // 100}xx"
                        yield answer
                        return
                    url = urljoin(url, answer.headers["location"])
                    answer.close()
                raise UpstreamError(f"more than {_MAX_HOPS} redirects")
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            found = explained(error, url, self.timeout)
            result = "timeout" if found.timed_out else "error"
            raise found from error
        finally:
            kind = "file" if raw else "page"
            self._counts.asked_upstream(self._name, kind, result, time.perf_counter() - begun)

    async def close(self) -> None:
        """Close the connections."""
        for session in self._sessions.values():
            await session.close()

    def _ask(self, url: str, headers: Mapping[str, str], *, raw: bool) -> Any:
        coding = "identity" if raw else "gzip, deflate"
        proxy = _proxy_for(url)
        if proxy is not None:
            self._reach.trust(urlsplit(proxy).hostname or "")
        sent = {"user-agent": _AGENT, "accept-encoding": coding, **headers}
        if login := self._login_for(url):
            sent["authorization"] = login
        return self._session(raw=raw).get(
            yarl.URL(url, encoded=True),  # as it was written: %2B stays %2B
            headers=sent,
            proxy=proxy,
            allow_redirects=False,
        )

    def _login_for(self, url: str) -> str | None:
        if self._login is not None and origin(url) == origin(self.index_url):
            return self._login
        if self.index_url.startswith("https:") and urlsplit(url).scheme != "https":
            return None  # a file may come unencrypted, but no password is sent so
        return _from_netrc(url)

    def _check(self, url: str, *, known: bool) -> None:
        parts = split_http_url(url)
        if parts.scheme == "http" and self.index_url.startswith("https:") and not known:
            raise UpstreamError(f"{parts.netloc}: plain http below an https index")
        self._reach.check_name(url)

    def _session(self, *, raw: bool) -> aiohttp.ClientSession:
        # Made at the first request, in the loop that serves: WSGI bridges have no start-up event.
        if raw not in self._sessions:
            self._sessions[raw] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=_CONNECTIONS, resolver=ReachResolver(self._reach), use_dns_cache=False
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # see body.py
                # trust_env would send the default login of .netrc to any file host.
                trust_env=False,
                requote_redirect_url=False,
                max_field_size=_LONGEST_HEADER,
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=None, sock_connect=self.timeout, sock_read=self.timeout
                ),
            )
        return self._sessions[raw]


class Reach:
    """How far into private networks an upstream may send us.

    What a user names is trusted, and what an upstream names is not: its pages and redirects, and
    the addresses of its own name, which it can change at any time. An upstream that is named by a
    private address, or by a name that only the local network resolves, may name private hosts. One
    with a public name reaches the private addresses of this name, if it has no others, and no other
    private ones. Loopback is reached only from an upstream that is named as such, and link-local
    addresses, where clouds keep their secrets, from none.
    """

    def __init__(self, index_url: str) -> None:
        self._host = _host(index_url)
        self._named = host_kind(index_url)
        self._own: frozenset[_Address] = frozenset()
        """The private addresses of its public name, when that was last resolved."""
        self._proxies: set[str] = set()

    def trust(self, host: str) -> None:
        """Allow a proxy of the environment, whatever its address."""
        self._proxies.add(host)

    def check_name(self, url: str) -> None:
        """Raise :class:`Refused` for a host whose name is out of reach."""
        host = _host(url)
        if host == self._host:
            return
        kind, address = host_kind(url), address_of(host)
        # A name of the local network is then held to its addresses.
        resolved = address is None and kind is HostKind.PRIVATE and bool(self._own)
        if not resolved and not self._covers(kind, address):
            raise Refused(f"{host}: a private host, named by a public upstream")

    def allowed(self, host: str, addresses: list[ResolveResult]) -> list[ResolveResult]:
        """The addresses of a host that are in reach; raises :class:`Refused` when there is none."""
        name = host.rstrip(".")
        if name in self._proxies:
            return addresses
        if name == self._host:
            return self._of_upstream(addresses)
        found = [each for each in addresses if self._covers(*_kind_and_address(each))]
        if not found:
            raise Refused(f"{host}: a private address, named by a public upstream")
        return found

    def _of_upstream(self, addresses: list[ResolveResult]) -> list[ResolveResult]:
        if self._named is not HostKind.PUBLIC:
            return addresses  # nobody outside decides what they are
        known = [(*_kind_and_address(each), each) for each in addresses]
        public = [each for kind, _, each in known if kind is HostKind.PUBLIC]
        # A company's index often has a public name and a private address.
        inside = [
            (address, each)
            for kind, address, each in known
            if kind is HostKind.PRIVATE and not address.is_link_local
        ]
        alone = len(inside) == len(known)
        self._own = frozenset(address for address, _ in inside) if alone else frozenset()
        found = public or [each for _, each in inside]
        if not found:
            where = ", ".join(str(address) for _, address, _ in known)
            raise Refused(
                f"{self._host}: its public name leads to {where}; if that is right, give the"
                " address itself as the upstream"
            )
        return found

    def _covers(self, kind: HostKind, address: _Address | None) -> bool:
        if kind is HostKind.PUBLIC or address in self._own:
            return True
        if address is not None and address.is_link_local:
            return False
        return _DISTANCE[kind] <= _DISTANCE[self._named]


class ReachResolver(AbstractResolver):
    """The system's resolver, limited to addresses in reach (so DNS rebinding has no effect)."""

    def __init__(self, reach: Reach, system: AbstractResolver | None = None) -> None:
        self._reach = reach
        self._system = system or aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See aiohttp's AbstractResolver."""
        return self._reach.allowed(host, await self._system.resolve(host, port, family))

    async def close(self) -> None:
        """See aiohttp's AbstractResolver."""
        await self._system.close()


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").rstrip(".")


def _kind_and_address(resolved: ResolveResult) -> tuple[HostKind, _Address]:
    literal = resolved["host"].partition("%")[0]  # without an IPv6 zone
    found = address_of(literal)
    if found is None:
        raise Refused(f"{resolved['hostname']}: an address that cannot be read")
    return host_kind(f"http://[{literal}]" if ":" in literal else f"http://{literal}"), found


def _basic(user: str, password: str) -> str:
    """The Authorization header of a login (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _from_netrc(url: str) -> str | None:
    """The login that the user's ``.netrc`` (or the file in ``NETRC``) has for the URL's host."""
    return _netrc_logins().get(urlsplit(url).hostname or "")


def _netrc_logins() -> dict[str, str]:
    try:
        found = netrc.netrc(os.environ.get("NETRC") or None)
    except FileNotFoundError:
        return {}
    except (OSError, netrc.NetrcParseError) as error:
        raise UpstreamError(f"the .netrc cannot be read ({type(error).__name__})") from error
    logins = {}
    for host, (user, _, password) in found.hosts.items():
        if host != "default":  # it would send a password to any file host
            logins[host] = _basic(user or "", password or "")
    return logins


def _proxy_for(url: str) -> str | None:
    """The environment's proxy for a URL, as urllib finds it; none for this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host_kind(url) is HostKind.LOOPBACK or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


def explained(error: BaseException, url: str, timeout: float) -> UpstreamError:
    """What happened, without any secret that a URL may contain."""
    host = "the upstream" if "@" in url else urlsplit(url).hostname or "the upstream"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorDNSError) else error
    match cause:
        case TimeoutError():
            return UpstreamError(f"{host}: no answer within {timeout:g} s", timed_out=True)
        case Refused():
            return UpstreamError(str(cause))
        case ValueError() if not isinstance(cause, ssl.SSLError) and "@" not in str(cause):
            return UpstreamError(f"{host}: a URL that cannot be used ({cause})")
    return UpstreamError(f"{host}: {_seen(error)}")


def _seen(error: BaseException) -> str:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "its name has no address"
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not valid"
        case aiohttp.ClientSSLError():
            return "TLS failed"
        case aiohttp.ClientConnectorError():
            return f"no connection ({error.os_error.strerror or 'refused'})"
        case aiohttp.ClientPayloadError():
            return "the answer was cut off"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | ConnectionError():
            return "the connection was closed without an answer"
        case aiohttp.ClientResponseError():
            return f"what answers does not speak HTTP properly ({type(error).__name__})"
    return type(error).__name__
