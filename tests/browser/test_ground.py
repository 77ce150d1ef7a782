"""The ground itself: the engines are what they claim to be, and their pages obey their headers."""

import pytest
from pytest_pyodide import run_in_pyodide

from tests.support.engines import PAGES, WORKERS, Engine


def test_imports_the_package(page: Engine) -> None:
    @run_in_pyodide
    async def version(selenium: Engine, major: int) -> tuple[str, bool]:
        import sys

        import pyodide_mirror

        return pyodide_mirror.__version__, sys.version_info[0] == major

    found, right = version(page, 3)
    assert found
    assert right


def test_an_exception_comes_back_as_itself(page: Engine) -> None:
    @run_in_pyodide
    def fail(selenium: Engine) -> None:
        raise LookupError("inside")

    with pytest.raises(LookupError, match="inside"):
        fail(page)


def test_a_failed_assertion_says_what_was_compared(page: Engine) -> None:
    @run_in_pyodide
    def fail(selenium: Engine) -> None:
        assert 1 + 1 == 3

    with pytest.raises(AssertionError, match=r"\(1 \+ 1\) == 3"):
        fail(page)


def test_has_micropip_and_no_other_package_of_pyodide(page: Engine) -> None:
    @run_in_pyodide
    def packages(selenium: Engine) -> tuple[bool, bool]:
        from micropip._vendored.packaging.src.packaging import utils  # noqa: F401
        from pyodide_js import lockfile

        names = lockfile.packages.to_py().keys()
        return "micropip" in names, "numpy" in names

    assert packages(page) == (True, False)


@pytest.mark.engines("node")
def test_node_has_no_document(page: Engine) -> None:
    assert page.run_js("return [typeof document, typeof process.versions.node]") == [
        "undefined",
        "string",
    ]


@pytest.mark.engines(*PAGES, ci=("chromium",))
def test_a_page_has_a_document(page: Engine) -> None:
    assert page.run_js("return document.visibilityState") == "visible"


@pytest.mark.engines(*WORKERS)
def test_a_worker_has_no_document(page: Engine) -> None:
    assert page.run_js("return [typeof document, self instanceof WorkerGlobalScope]") == [
        "undefined",
        True,
    ]


@pytest.mark.engines("chromium", "firefox", "webkit", ci=("chromium",))
def test_the_browser_is_the_one_named(page: Engine, engine: str) -> None:
    token = {"chromium": "Chrome/", "firefox": "Firefox/", "webkit": "Version/"}[engine]
    assert token in page.run_js("return navigator.userAgent")


@pytest.mark.engines("chromium")
def test_permission_is_what_was_set(page: Engine) -> None:
    query = "return (await navigator.permissions.query({ name: 'loopback-network' })).state"
    for state in ("granted", "denied", "prompt"):
        page.set_permission("loopback-network", state)
        assert page.run_js(query) == state
