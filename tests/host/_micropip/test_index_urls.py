"""micropip's index URLs: what it is told, and what is a page of ours."""

from collections.abc import Iterator

import micropip
import pytest
from micropip import package_index

from pyodide_mirror._micropip import IndexUrls, has_default_index_urls

A, B = "https://a.example/simple", "https://b.example/simple"


@pytest.fixture
def index_urls() -> Iterator[IndexUrls]:
    """Index URLs of which micropip has been told A."""
    urls = IndexUrls()
    urls.use([A], "lockfile")
    yield urls
    urls.restore()


def current() -> list[str]:
    return list(micropip.set_index_urls.__self__.index_urls)


def test_restoring_puts_back_what_was_there_before_the_first_use() -> None:
    before, defaults = current(), list(package_index.DEFAULT_INDEX_URLS)
    urls = IndexUrls()
    urls.use([A], "lockfile")
    urls.use([B], "index")
    assert current() == [B]
    urls.restore()
    assert (current(), package_index.DEFAULT_INDEX_URLS) == (before, defaults)
    assert has_default_index_urls()


def test_the_lock_file_comes_first_while_ours_are_the_default_ones(index_urls: IndexUrls) -> None:
    assert has_default_index_urls()
    index_urls.use([A], "index")
    assert not has_default_index_urls()


def test_what_others_have_set_since_stays(index_urls: IndexUrls) -> None:
    micropip.set_index_urls([B])
    assert not index_urls.is_ours()
    index_urls.restore()
    assert current() == [B]
    micropip.set_index_urls(list(package_index.DEFAULT_INDEX_URLS))


def test_a_page_below_an_earlier_url_is_ours_to_an_install_that_was_running(
    index_urls: IndexUrls,
) -> None:
    index_urls.use([B], "lockfile")
    page = f"{A}/demo/"
    assert index_urls.project_of(page, earlier=True) == "demo"
    assert index_urls.project_of(page, earlier=False) is None


@pytest.mark.parametrize(
    ("url", "project"),
    [
        ("https://a.example/simple/demo/", "demo"),
        ("https://a.example/simple/Zope.Interface_X/", "zope-interface-x"),
        ("https://a.example/simple/demo", None),
        ("https://a.example/simple/", None),
        ("https://a.example/simple//", None),
        ("https://a.example/simple/demo//", None),
        ("https://a.example/simple/demo/extra/", None),
        ("https://a.example/simple/demo/?x=/", None),
        ("https://a.example/simple/demo/#/", None),
        ("https://a.example/simple/demo/../other/", None),
        ("https://a.example/simple/%2e%2e/", None),
        ("https://a.example/simple/de\nmo/", None),
        ("https://a.example/simpler/demo/", None),
        ("https://a.example/demo/", None),
        ("http://a.example/simple/demo/", None),
        ("https://a.example.org/simple/demo/", None),
        ("https://b.example/simple/demo/", None),
    ],
)
def test_a_page_of_ours_is_known_by_its_url(
    index_urls: IndexUrls, url: str, project: str | None
) -> None:
    assert index_urls.project_of(url, earlier=False) == project


@pytest.mark.parametrize("dots", [".", "..", "-", "_"])
def test_a_url_of_dots_is_no_page(index_urls: IndexUrls, dots: str) -> None:
    url = f"https://a.example/simple/{dots}/"
    assert index_urls.project_of(url, earlier=True) is None


@pytest.mark.parametrize(
    ("index_url", "page"),
    [
        ("https://a.example/{package_name}/json", "https://a.example/demo-1/json"),
        ("https://a.example/{package_name}", "https://a.example/demo-1"),
        ("https://a.example/a-{package_name}/", "https://a.example/a-demo-1/"),
        (
            "https://a.example/{package_name}/{package_name}.json",
            "https://a.example/demo-1/demo-1.json",
        ),
    ],
)
def test_the_project_stands_where_the_placeholder_is(
    index_urls: IndexUrls, index_url: str, page: str
) -> None:
    index_urls.use([index_url], "lockfile")
    assert index_url.format(package_name="demo-1") == page
    assert index_urls.project_of(page, earlier=False) == "demo-1"
    for other in (f"{page}x/", page.replace("a.example", "b.example"), "https://a.example/"):
        assert index_urls.project_of(other, earlier=False) is None
    assert index_urls.project_of(f"{A}/demo/", earlier=True) == "demo"
