import pytest

from pyodide_mirror import CDN, CDNS
from pyodide_mirror.api.arguments import check_cdns


def test_the_version_stands_in_the_url():
    cdn = CDN("https://CDN.example:443/pyodide/v{version}/full")
    assert cdn.base_url == "https://cdn.example/pyodide/v{version}/full/"
    assert cdn.name == "cdn.example"
    assert cdn.url("a.whl", "1.2") == "https://cdn.example/pyodide/v1.2/full/a.whl"
    assert CDN("http://127.0.0.1/x").url("a.whl", "1.2") == "http://127.0.0.1/x/a.whl"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://cdn.example/", "does not start with https:// or http://"),
        ("cdn.example", "does not start with"),
        ("https://{version}.example/", "is not in its path"),
        ("https://cdn.example/{other}/", "contains the character '{'"),
        ("https://cdn.example/?v={version}", "has a query or a fragment"),
        ("https://cdn.example/#x", "has a query or a fragment"),
        ("https://me:secret@cdn.example/", "contains a user name or password"),
    ],
)
def test_what_is_no_base_url_is_refused(url, why):
    with pytest.raises(ValueError, match="not a usable base URL of a CDN") as raised:
        CDN(url)
    assert why in str(raised.value)
    assert "secret" not in str(raised.value)
    bad = CDN.from_untrusted(url)
    assert why in bad.problem
    assert "secret" not in repr(bad)


def test_only_strings_make_a_cdn():
    with pytest.raises(TypeError, match="base_url must be a string, not int"):
        CDN(1)
    with pytest.raises(TypeError, match="note must be a string"):
        CDN("https://cdn.example/", note=None)


def test_the_table_is_of_whole_distributions_each_once():
    urls = [cdn.base_url for cdn in CDNS]
    assert len(set(urls)) == len(urls) > 3
    assert all(url.endswith("/pyodide/v{version}/full/") for url in urls)
    assert all(cdn.name and cdn.region and cdn.note for cdn in CDNS)


# --- the argument -------------------------------------------------------------------------------


def test_cdns_are_urls_or_values_each_once():
    one = CDN("https://cdn.example/", name="one")
    assert check_cdns(None) is None
    assert check_cdns("https://cdn.example") == (CDN("https://cdn.example/"),)
    assert check_cdns(one) == (one,)
    assert check_cdns([one, "https://cdn.example", "https://b.example"]) == (
        one,
        CDN("https://b.example"),
    )


@pytest.mark.parametrize(
    ("cdns", "error", "why"),
    [
        (1, TypeError, "cdns must be a base URL, a CDN, or several; not int"),
        (b"x", TypeError, "not bytes"),
        ({}, TypeError, "not dict"),
        ([1], TypeError, "cdns must hold base URLs and CDNs, not int"),
        ([], ValueError, "cdns is empty"),
        ("nonsense", ValueError, "cdns: not a usable base URL"),
    ],
)
def test_what_is_no_cdn_is_refused(cdns, error, why):
    with pytest.raises(error) as raised:
        check_cdns(cdns)
    assert why in str(raised.value)
