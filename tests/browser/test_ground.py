"""The ground itself: the engines are what they claim to be, and their pages obey their headers."""

from collections.abc import Callable

import pytest
from pytest_pyodide import run_in_pyodide

from tests.support.engines import PAGES, WORKERS, Engine
from tests.support.pages import PageServer

# What a page may do that is loaded with this policy: all, except to fetch from elsewhere.
ONLY_ITSELF = {"Content-Security-Policy": "connect-src 'self'"}
ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
# A probe of the network: a response, readable or not, is `reached`.
FETCH = """
    try {
        await fetch(%r, { mode: "no-cors", cache: "no-store" });
        return "reached";
    } catch (error) {
        return "blocked";
    }
"""


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


@pytest.mark.engines(*PAGES, "chromium-worker", ci=("chromium",))
def test_content_security_policy_blocks_a_fetch(
    page: Engine, open_page: Callable[..., Engine], page_server: PageServer
) -> None:
    elsewhere = f"{page_server.base_url(host='localhost')}/package.json"
    assert page.run_js(FETCH % elsewhere) == "reached"
    open_page(headers=ONLY_ITSELF)
    assert page.run_js(FETCH % elsewhere) == "blocked"
    assert page.run_js(FETCH % f"{page.base_url}/package.json") == "reached"


@pytest.mark.engines(*PAGES, "chromium-worker", ci=("chromium",))
def test_https_page_is_a_secure_context(open_page: Callable[..., Engine]) -> None:
    page = open_page(https=True)
    assert page.run_js("return [location.protocol, self.isSecureContext]") == ["https:", True]


@pytest.mark.engines("chromium", "chromium-worker", "firefox", "firefox-worker", ci=("chromium",))
def test_http_page_with_a_name_is_no_secure_context(open_page: Callable[..., Engine]) -> None:
    page = open_page(host="page.test")
    assert page.run_js("return [location.hostname, self.isSecureContext]") == ["page.test", False]


@pytest.mark.engines(*PAGES, "chromium-worker", ci=("chromium",))
def test_page_is_cross_origin_isolated(page: Engine, open_page: Callable[..., Engine]) -> None:
    assert page.run_js("return self.crossOriginIsolated") is False
    open_page(headers=ISOLATED)
    assert page.run_js("return self.crossOriginIsolated") is True
    assert page.run("1 + 1") == 2


@pytest.mark.engines(*PAGES, "chromium-worker", ci=("chromium",))
def test_the_shared_page_outlives_a_fresh_one(page: Engine) -> None:
    page.run("here = 'shared'")
    with page.fresh_page():
        assert page.run("'here' in globals()") is False
    assert page.run("here") == "shared"


@pytest.mark.engines("chromium", "firefox", ci=("chromium",))
def test_offline_page_reaches_nothing(open_page: Callable[..., Engine]) -> None:
    page = open_page()
    page.set_offline(True)
    try:
        assert page.run_js("return navigator.onLine") is False
        assert page.run_js(FETCH % f"{page.base_url}/package.json") == "blocked"
    finally:
        page.set_offline(False)
    assert page.run_js("return navigator.onLine") is True
    assert page.run_js(FETCH % f"{page.base_url}/package.json") == "reached"


@pytest.mark.engines("chromium")
def test_permission_is_what_was_set(page: Engine) -> None:
    query = "return (await navigator.permissions.query({ name: 'loopback-network' })).state"
    for state in ("granted", "denied", "prompt"):
        page.set_permission("loopback-network", state)
        assert page.run_js(query) == state


@pytest.mark.engines("chromium")
def test_flags_make_a_page_public(
    engine: str, page_server: PageServer, start_engine: Callable[..., Engine]
) -> None:
    flag = f"--ip-address-space-overrides=127.0.0.1:{page_server.https_port}=public"
    page = start_engine(engine, flag)
    page.open(https=True)
    page.set_permission("loopback-network", "denied")
    assert page.run_js(FETCH % f"{page_server.base_url()}/package.json") == "blocked"
    page.set_permission("loopback-network", "granted")
    assert page.run_js(FETCH % f"{page_server.base_url()}/package.json") == "reached"
