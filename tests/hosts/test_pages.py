"""Plain pages and PyScript, on the main thread and in a worker."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from demo.mirrors import PROMISES
from tests.hosts.pyscript import pyscript
from tests.hosts.stage import (
    ISOLATED,
    USABLE,
    Site,
    assert_installed,
    browsing,
    mirrors,
    prepare,
    result,
)
from tests.jupyterlite.browser import Browser
from tests.support.compiled import compiled_dist

# A worker's resources are not among those of its page.
ON_PAGE = """
    const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
    return loaded.some((name) => name.endsWith("/pyodide.asm.wasm"));
"""


@pytest.fixture(scope="module")
def urls() -> Iterator[Mapping[str, str]]:
    with mirrors() as urls:
        yield urls


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.mark.parametrize("example", ["html", "worker"])
def test_a_page_installs_from_a_mirror_that_works(
    example: str, tmp_path: Path, urls: Mapping[str, str], browser: Browser
) -> None:
    folder = prepare(example, tmp_path, urls)
    site = Site(folder, pyodide=compiled_dist())
    with site, browser.open(f"{site.base_url()}/index.html") as page:
        report, width = result(page)
        on_page = page.run_js(ON_PAGE)
    assert_installed(report, *(urls[name] for name in USABLE))
    assert width > 0
    assert on_page == (example == "html")


def test_a_page_says_why_no_mirror_works(
    tmp_path: Path, urls: Mapping[str, str], browser: Browser
) -> None:
    bad = {name: urls[name] for name in ("No CORS", "Closed port")}
    site = Site(prepare("html", tmp_path, bad), pyodide=compiled_dist())
    with (
        site,
        browser.open(f"{site.base_url()}/index.html") as page,
        pytest.raises(RuntimeError, match="NoUsableMirror") as failed,
    ):
        result(page)
    lines = str(failed.value).splitlines()
    for promise in PROMISES:
        if promise.name in bad:
            host = urlsplit(bad[promise.name]).netloc
            assert any(host in line and f" {promise.reason} " in line for line in lines)


@pytest.mark.nightly
@pytest.mark.parametrize("where", ["main thread", "worker"])
def test_pyscript_installs_and_on_the_second_visit_again(
    where: str, tmp_path: Path, urls: Mapping[str, str], browser: Browser
) -> None:
    index = prepare("pyscript", tmp_path, urls) / "index.html"
    headers = {}
    if where == "worker":
        index.write_text(
            index.read_text().replace('<script type="py">', '<script type="py" worker>')
        )
        headers = ISOLATED
    site = Site(tmp_path, pyodide=compiled_dist(), pyscript=pyscript())
    with site:
        for also in ((), ("cache",)):
            with browser.open(f"{site.base_url(headers)}/index.html") as page:
                report, width = result(page)
                on_page = page.run_js(ON_PAGE)
            assert_installed(report, *(urls[usable] for usable in USABLE), *also)
            assert width > 0
            assert on_page == (where == "main thread")
