"""Who asks behind proxies: what is believed, and of whom."""

from typing import Any

import pytest
from hypothesis import given, strategies

from pyodide_mirror.server.web.forwarded import TrustedProxies
from pyodide_mirror.server.web.hosts import AllowedHosts

HOSTS = AllowedHosts(["packages.example", "127.0.0.1", "*"])
NETWORKS = ["10.0.0.0/8", "192.0.2.1", "2001:db8:1::/48"]
PROXIES = TrustedProxies(NETWORKS, HOSTS)
Headers = list[tuple[str, str]]


def request(client: str | None, headers: Headers, host: str = "packages.example") -> dict[str, Any]:
    sent = [("host", host), *headers]
    return {
        "type": "http",
        "scheme": "http",
        "client": client and (client, 5000),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent],
    }


def seen(client: str | None, *headers: tuple[str, str], host: str = "packages.example") -> Any:
    found = PROXIES.seen(request(client, list(headers), host))
    hosts = [value.decode() for name, value in found["headers"] if name == b"host"]
    return (found["client"] and found["client"][0], found["scheme"], *hosts)


def client_of(*headers: tuple[str, str]) -> str:
    address: str = seen("10.0.0.1", *headers)[0]
    return address


def test_nothing_is_believed_of_who_is_no_trusted_proxy() -> None:
    said = (
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "packages.example"),
        ("X-Real-IP", "6.6.6.6"),
        ("Forwarded", "for=6.6.6.6;proto=https"),
    )
    for client in ("11.0.0.1", "192.0.2.2", "2001:db8:2::1", "not-an-address", None):
        assert seen(client, *said, host="127.0.0.1") == (client, "http", "127.0.0.1")
    nobody = TrustedProxies([], HOSTS)
    asked = request("127.0.0.1", list(said))
    assert nobody.seen(asked) is asked


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9, 10.1.2.3,192.0.2.1", "203.0.113.9"),
        ("10.5.5.5, 10.1.2.3", "10.5.5.5"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::7]:4711, 2001:db8:1::5", "2001:db8::7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, ::ffff:10.1.2.3", "6.6.6.6"),
        ("6.6.6.6, unknown, 10.1.2.3", "10.1.2.3"),
        ("6.6.6.6, unknown", "10.0.0.1"),
        ("", "10.0.0.1"),
        (" , ,", "10.0.0.1"),
        ("6.6.6.6, ", "10.0.0.1"),
        ("fe80::1%eth0\x1b[2J", "10.0.0.1"),
        ("203.0.113.9 OR 1=1", "10.0.0.1"),
    ],
)
def test_the_right_most_that_is_no_trusted_proxy_is_the_client(said: str, client: str) -> None:
    assert client_of(("X-Forwarded-For", said)) == client


def test_several_headers_are_one_list() -> None:
    said = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "203.0.113.9, 10.9.9.9")]
    assert client_of(*said) == "203.0.113.9"


def test_a_proxy_by_ipv6_that_has_an_ipv4_address_is_trusted() -> None:
    """A socket for both versions says ::ffff:10.0.0.1."""
    assert seen("::ffff:10.0.0.1", ("X-Forwarded-For", "203.0.113.9"))[0] == "203.0.113.9"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("for=203.0.113.9", ("203.0.113.9", "http")),
        ("for=6.6.6.6;proto=http, for=203.0.113.9;proto=https", ("203.0.113.9", "https")),
        ("for=203.0.113.9;proto=https, for=10.1.1.1;proto=http", ("203.0.113.9", "https")),
        ('For="[2001:db8::7]:4711" ; by=10.0.0.1 ; Proto=HTTPS', ("2001:db8::7", "https")),
        ("for=6.6.6.6, for=unknown;proto=https", ("10.0.0.1", "https")),
        ("for=6.6.6.6, for=_hidden, for=10.1.1.1", ("10.1.1.1", "http")),
        ('for=6.6.6.6, for="203.0.113.9', ("10.0.0.1", "http")),
        ("nonsense", ("10.0.0.1", "http")),
        ("nonsense, for=203.0.113.9;proto=https", ("203.0.113.9", "https")),
        ("for=203.0.113.9, nonsense, for=10.1.1.1", ("10.1.1.1", "http")),
        ("", ("10.0.0.1", "http")),
    ],
)
def test_forwarded_is_read_as_rfc_7239_has_it(said: str, expected: tuple[str, str]) -> None:
    assert seen("10.0.0.1", ("Forwarded", said))[:2] == expected


def test_a_client_cannot_add_another_kind_of_header_to_its_proxys() -> None:
    """Proxies that send X-Forwarded-For pass the others on as they came."""
    said = ("X-Forwarded-For", "203.0.113.9")
    assert client_of(said, ("Forwarded", "for=6.6.6.6"), ("X-Real-IP", "6.6.6.6")) == "203.0.113.9"
    assert client_of(("X-Real-IP", "203.0.113.9")) == "203.0.113.9"


def test_the_scheme_is_one_that_there_is_and_only_one() -> None:
    proxied = ("X-Forwarded-For", "203.0.113.9")
    for said, scheme in (("https", "https"), ("HTTPS", "https"), ("gopher", "http"), ("", "http")):
        assert seen("10.0.0.1", proxied, ("X-Forwarded-Proto", said))[1] == scheme
        assert seen("10.0.0.1", ("X-Forwarded-Proto", said))[1] == scheme
    twice = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")]
    assert seen("10.0.0.1", proxied, *twice)[1] == "http"


@pytest.mark.parametrize(
    ("asked", "said", "host"),
    [
        # Apache asks by its own name for us, and adds the client's last.
        ("127.0.0.1:8080", "packages.example", "packages.example"),
        ("127.0.0.1:8080", "attacker.example, packages.example:8443", "packages.example:8443"),
        ("127.0.0.1:8080", "packages.example, attacker.example", "127.0.0.1:8080"),
        ("127.0.0.1:8080", "6.6.6.6", "127.0.0.1:8080"),
        ("127.0.0.1:8080", "localhost:1", "127.0.0.1:8080"),
        ("127.0.0.1:8080", "user@packages.example", "127.0.0.1:8080"),
        # nginx passes on what a client sent of it, and asks by the client's Host.
        ("packages.example", "packages.example:6666", "packages.example"),
    ],
)
def test_another_host_is_believed_if_it_is_a_name_of_the_servers(
    asked: str, said: str, host: str
) -> None:
    proxied = ("X-Forwarded-For", "203.0.113.9")
    found = seen("10.0.0.1", proxied, ("X-Forwarded-Host", said), host=asked)
    assert found == ("203.0.113.9", "http", host)
    quoted = said.rpartition(", ")[2]
    found = seen("10.0.0.1", ("Forwarded", f'for=203.0.113.9;host="{quoted}"'), host=asked)
    assert found == ("203.0.113.9", "http", host)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="'nginx'"):
        TrustedProxies(["nginx"], HOSTS)


@given(
    strategies.sampled_from(["x-forwarded-for", "forwarded", "x-real-ip"]),
    strategies.text(strategies.characters(max_codepoint=255)),
)
def test_whatever_is_said_the_client_is_an_address(name: str, said: str) -> None:
    found = PROXIES.seen(request("10.0.0.1", [(name, said)]))
    assert set(found["client"][0]) <= set("0123456789abcdef.:")
