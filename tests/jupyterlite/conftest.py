"""What the tests of sites share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jupyterlite.browser import Browser
from tests.jupyterlite.firefox import Firefox
from tests.support.pages import PageServer


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser of a module. Pages, workers and service workers ask this machine alone."""
    browser = Browser()
    with browser:
        yield browser
    browser.check_requests()


@pytest.fixture(scope="module", params=[Browser, pytest.param(Firefox, marks=pytest.mark.nightly)])
def each_browser(request: pytest.FixtureRequest) -> Iterator[Browser | Firefox]:
    """Chromium, and each night Firefox, too."""
    browser: Browser | Firefox = request.param()
    with browser:
        yield browser
    browser.check_requests()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all sites in it."""
    return tmp_path_factory.mktemp("sites")


@pytest.fixture
def server(root: Path) -> Iterator[PageServer]:
    """A server of all sites, on an origin for which the browser has stored nothing."""
    with PageServer(root) as server:
        yield server
