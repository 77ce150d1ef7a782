"""Requests to one upstream and its file hosts, which lead nowhere else.

What a page or a redirect names is a stranger's wish. It is followed to public addresses; into a
private network only where the upstream itself is in one. Nothing of a client's request passes on.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import netrc
import os
import socket
import ssl
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from pyodide_mirror import __version__
from pyodide_mirror.model import HostKind, host_kind, origin, split_http_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MAX_HOPS: Final = 5
_CONNECTIONS: Final = 64
"""For pages, and as many for files."""
_AGENT: Final = f"pyodide-mirror/{__version__}"
_REACH: Final = {HostKind.PUBLIC: 0, HostKind.PRIVATE: 1, HostKind.LOOPBACK: 2}


class UpstreamError(Exception):
    """An upstream that gave no usable answer; ``detail`` says in a clause what was seen."""

    def __init__(self, detail: str, *, timed_out: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.timed_out = timed_out


class Refused(OSError):
    """A host that this upstream may not send us to."""


class UpstreamClient:
    """An HTTP client for one upstream.

    ``login``: user name and password, for the upstream's own origin only; other hosts get what
    the user's ``.netrc`` has for them. ``timeout``: seconds until an answer begins, and between
    two pieces.
    Proxies are taken from the environment, except for an upstream on this machine.
    """

    def __init__(self, index_url: str, *, login: tuple[str, str] | None, timeout: float) -> None:
        self.index_url = index_url
        self.timeout = timeout
        self._login = _basic(*login) if login else None
        self._reach = _Reach(index_url)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._turns = {raw: asyncio.Semaphore(_CONNECTIONS) for raw in (False, True)}

    @contextlib.asynccontextmanager
    async def get(
        self, url: str, headers: Mapping[str, str], *, raw: bool = False, known: bool = False
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask for a URL and follow redirects; any status but a redirect comes back.

        ``raw``: the bytes as they are, whatever their Content-Encoding. ``known``: the digest of
        what comes is known, so that it may come by plain http from an https upstream, too.
        Raises :class:`UpstreamError`; also from the block, when the body breaks off.
        """
        try:
            async with contextlib.AsyncExitStack() as stack:
                # To wait for one's turn takes as long as it takes; to get an answer does not.
                await stack.enter_async_context(self._turns[raw])
                for _ in range(_MAX_HOPS + 1):
                    self._check(url, known=known)
                    async with asyncio.timeout(self.timeout):  # a head may come in drops
                        answer = await stack.enter_async_context(self._ask(url, headers, raw=raw))
                    if answer.status not in REDIRECTS or "location" not in answer.headers:
                        yield answer
                        return
                    url = urljoin(url, answer.headers["location"])
                    answer.close()
                raise UpstreamError(f"more than {_MAX_HOPS} redirects")
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise _explained(error, url, self.timeout) from error

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
            yarl.URL(url, encoded=True),  # as it was written: a %2B stays one
            headers=sent,
            proxy=proxy,
            allow_redirects=False,
        )

    def _login_for(self, url: str) -> str | None:
        if self._login is not None and origin(url) == origin(self.index_url):
            return self._login
        if self.index_url.startswith("https:") and urlsplit(url).scheme != "https":
            return None  # a file may come in the clear; a password never goes so
        return _from_netrc(url)

    def _check(self, url: str, *, known: bool) -> None:
        parts = split_http_url(url)
        if parts.scheme == "http" and self.index_url.startswith("https:") and not known:
            raise UpstreamError(f"{parts.netloc}: plain http below an https index")
        self._reach.check_name(url)

    def _session(self, *, raw: bool) -> aiohttp.ClientSession:
        # Made at the first request, inside the loop that serves: WSGI bridges know no start-up.
        if raw not in self._sessions:
            self._sessions[raw] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=_CONNECTIONS, resolver=_Resolver(self._reach), use_dns_cache=False
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=not raw,
                # Not trust_env: that would send the default login of .netrc to any file host.
                trust_env=False,
                requote_redirect_url=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=None, sock_connect=self.timeout, sock_read=self.timeout
                ),
            )
        return self._sessions[raw]


class _Reach:
    """How far into private networks an upstream may send us: as far as it stands there itself."""

    def __init__(self, index_url: str) -> None:
        self._host = (urlsplit(index_url).hostname or "").rstrip(".")
        self._reach = _REACH[host_kind(index_url)]
        self._trusted = {self._host}

    def trust(self, host: str) -> None:
        """Let a proxy of the environment be asked, wherever it stands."""
        self._trusted.add(host)

    def check_name(self, url: str) -> None:
        """Raise :class:`Refused` for a host that is out of reach by its name."""
        host = (urlsplit(url).hostname or "").rstrip(".")
        if host != self._host and _REACH[host_kind(url)] > self._reach:
            raise Refused(f"{host}: a private host, named by a public upstream")

    def allowed(self, host: str, addresses: list[ResolveResult]) -> list[ResolveResult]:
        """The addresses of a host that may be asked; raises :class:`Refused` when there is none."""
        kinds = [_REACH[_kind(each["host"])] for each in addresses]
        if host.rstrip(".") == self._host:
            # The user named it: a company's index often has a public name and a private address.
            self._reach = max([self._reach, *kinds])
        if host.rstrip(".") in self._trusted:
            return addresses
        found = [each for each, kind in zip(addresses, kinds, strict=True) if kind <= self._reach]
        if not found:
            raise Refused(f"{host}: a private address, named by a public upstream")
        return found


class _Resolver(AbstractResolver):
    """The system's resolver, which tells only of addresses in reach (so nothing can rebind)."""

    def __init__(self, reach: _Reach) -> None:
        self._reach = reach
        self._system = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See aiohttp's AbstractResolver."""
        return self._reach.allowed(host, await self._system.resolve(host, port, family))

    async def close(self) -> None:
        """See aiohttp's AbstractResolver."""
        await self._system.close()


def _kind(address: str) -> HostKind:
    literal = address.partition("%")[0]  # without an IPv6 zone
    found = ip_address(literal)
    return host_kind(f"http://[{literal}]" if found.version == 6 else f"http://{literal}")


def _basic(user: str, password: str) -> str:
    """The Authorization header of a login (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _from_netrc(url: str) -> str | None:
    """What the user's ``.netrc`` (or the file that ``NETRC`` names) has for the URL's host."""
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
        if host != "default":  # it would hand a password to any file host
            logins[host] = _basic(user or "", password or "")
    return logins


def _proxy_for(url: str) -> str | None:
    """The environment's proxy for a URL, as urllib finds it; none for this machine itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host_kind(url) is HostKind.LOOPBACK or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


def _explained(error: BaseException, url: str, timeout: float) -> UpstreamError:
    """What was seen, without anything that a URL may hide."""
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
