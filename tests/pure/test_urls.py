"""Which URLs may be used, and where their hosts are."""

import re

import pytest

from pyodide_mirror.model import (
    HostKind,
    Mirror,
    check_index_url,
    hide_user_info,
    host_kind,
    origin,
    split_http_url,
)


def test_index_urls_are_kept_in_one_spelling():
    for given, kept in (
        ("https://mirror.example/simple", "https://mirror.example/simple"),
        ("https://mirror.example/simple///", "https://mirror.example/simple"),
        ("HTTPS://Mirror.Example:443/simple", "https://mirror.example/simple"),
        ("http://127.0.0.1:8000/simple/", "http://127.0.0.1:8000/simple"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://xn--fiqs8s.example/simple", "https://xn--fiqs8s.example/simple"),
    ):
        assert check_index_url(given) == kept, given


def test_unusable_index_urls_say_why():
    for given, why in (
        ("", "does not start"),
        ("mirror.example/simple", "does not start"),
        ("ftp://mirror.example/simple", "does not start"),
        ("file:///simple", "does not start"),
        ("https://", "names no host"),
        ("https:///simple", "names no host"),
        ("https://user:secret@mirror.example/simple", "user name or password"),
        ("https://mirror.example/simple?x=1", "query"),
        ("https://mirror.example/simple#x", "fragment"),
        ("https://mirror.example/{package_name}/json", "'{'"),
        ("https://mirror.example/a b", "' '"),
        ("https://mirror.example\\@evil.example/", "'\\\\'"),
        ("https://mirror.example:99999/", "cannot be parsed"),
        ("https://mirror.example:0/", "port is 0"),
        ("https://[::1/simple", "cannot be parsed"),
        ("https://m\u00fcller.example/simple", "punycode"),
        ("https://mirror%2eexample/simple", "punycode"),
        ("https://mirror.example/" + "x" * 16_362, "longer"),
    ):
        with pytest.raises(ValueError, match="not a usable index URL") as caught:
            check_index_url(given)
        assert why in str(caught.value), given
        assert "secret" not in str(caught.value)


def test_signed_urls_are_not_too_long():
    url = "https://mirror.example/x?X-Amz-Security-Token="
    assert split_http_url(url + "x" * (16_384 - len(url))).path == "/x"


def test_where_hosts_are():
    for host, kind in (
        ("localhost", HostKind.LOOPBACK),
        ("app.localhost.", HostKind.LOOPBACK),
        ("127.0.0.1", HostKind.LOOPBACK),
        ("127.1", HostKind.LOOPBACK),
        ("0x7f000001", HostKind.LOOPBACK),
        ("2130706433", HostKind.LOOPBACK),
        ("0", HostKind.LOOPBACK),
        ("[::1]", HostKind.LOOPBACK),
        ("[::ffff:127.0.0.1]", HostKind.LOOPBACK),
        ("10.1.2.3", HostKind.PRIVATE),
        ("192.168.0.10", HostKind.PRIVATE),
        ("172.16.0.1", HostKind.PRIVATE),
        ("169.254.169.254", HostKind.PRIVATE),
        ("100.64.0.1", HostKind.PRIVATE),
        ("[fd00::1]", HostKind.PRIVATE),
        ("[fe80::1]", HostKind.PRIVATE),
        ("[::ffff:10.0.0.1]", HostKind.PRIVATE),
        ("printer.local", HostKind.PRIVATE),
        ("pypi", HostKind.PRIVATE),
        ("[64:ff9b::127.0.0.1]", HostKind.LOOPBACK),
        ("[64:ff9b::a9fe:a9fe]", HostKind.PRIVATE),
        ("[64:ff9b::8.8.8.8]", HostKind.PUBLIC),
        ("[64:ff9b:1::8.8.8.8]", HostKind.PRIVATE),
        ("[2002:7f00:1::]", HostKind.LOOPBACK),
        ("[2002:a00:1::1]", HostKind.PRIVATE),
        ("[2002:808:808::1]", HostKind.PUBLIC),
        ("[2001:0:808:808::80ff:fffe]", HostKind.LOOPBACK),
        ("[::127.0.0.1]", HostKind.LOOPBACK),
        ("[::10.0.0.1]", HostKind.PRIVATE),
        ("[::ffff:0:127.0.0.1]", HostKind.LOOPBACK),
        ("[::]", HostKind.LOOPBACK),
        ("[fec0::1]", HostKind.PRIVATE),
        ("mirror.example", HostKind.PUBLIC),
        ("8.8.8.8", HostKind.PUBLIC),
        ("[2606:4700::1111]", HostKind.PUBLIC),
    ):
        assert host_kind(f"http://{host}/simple") is kind, host


def test_origins_leave_out_default_ports():
    assert origin("https://Mirror.Example:443/x") == "https://mirror.example"
    assert origin("http://mirror.example:443/x") == "http://mirror.example:443"
    assert origin("http://[::1]:80/x") == "http://[::1]"


def test_what_stands_before_an_at_sign_is_hidden():
    assert hide_user_info("https://a:b@c.example/") == "https://***@c.example/"
    assert hide_user_info("https://a:b/c@d.example/") == "https://***@d.example/"


TEMPLATES = {
    "https://M.example:443/simple/{package_name}/": (
        "https://m.example/simple",
        "https://m.example/simple/demo/",
    ),
    "https://m.example/{package_name}/": ("https://m.example", "https://m.example/demo/"),
    "https://m.example/a/{package_name}": (
        "https://m.example/a/{package_name}",
        "https://m.example/a/demo",
    ),
    "https://m.example/a/{package_name}/json": (
        "https://m.example/a/{package_name}/json",
        "https://m.example/a/demo/json",
    ),
    "https://m.example/a-{package_name}/": (
        "https://m.example/a-{package_name}/",
        "https://m.example/a-demo/",
    ),
    "https://m.example/{package_name}/{package_name}.json": (
        "https://m.example/{package_name}/{package_name}.json",
        "https://m.example/demo/demo.json",
    ),
}


def test_a_placeholder_stands_for_the_project_as_in_micropip():
    for given, (index_url, page) in TEMPLATES.items():
        mirror = Mirror(given)
        assert (mirror.index_url, mirror.name) == (index_url, "m.example"), given
        assert mirror.project_url("demo") == page, given
        assert given.format(package_name="demo").lower().replace(":443", "") == page
        assert Mirror(mirror.index_url) == mirror


def test_other_placeholders_are_refused():
    for given, why in (
        ("https://{package_name}.example/simple", "{package_name} is not in its path"),
        ("https://m.example/{project}/", "it contains the character '{'"),
        ("https://m.example/{package_name}/{x}", "it contains the character '{'"),
        ("https://m.example/?name={package_name}", "it has a query or a fragment"),
        ("https://u:secret@m.example/{package_name}/", "it contains a user name or password"),
    ):
        with pytest.raises(ValueError, match=re.escape(why)) as caught:
            Mirror(given)
        assert "secret" not in str(caught.value)
        assert "-package-name-" not in str(caught.value)
