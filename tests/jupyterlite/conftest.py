"""The browser of the tests of sites."""

from collections.abc import Iterator

import pytest

from tests.jupyterlite.browser import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser of a module. Pages, workers and service workers ask this machine alone."""
    browser = Browser()
    with browser:
        yield browser
    browser.check_requests()
