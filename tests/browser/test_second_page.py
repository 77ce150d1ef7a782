"""What a page has kept is there in a second one, which has just loaded Pyodide and the package."""

from collections.abc import Iterator

import pytest
from pytest_pyodide import run_in_pyodide

from pyodide_mirror.probing.race import MAX_AT_ONCE
from tests.browser import figures
from tests.browser.test_cache import clean_up, find_all, keep_all, prepare, prepare_without_deleting
from tests.browser.test_install import chosen_by, clean, reset
from tests.browser.test_verdicts import FETCH, probe
from tests.support.engines import Engine
from tests.zoo.zoo import Zoo


@pytest.fixture(autouse=True)
def _clean(page: Engine) -> Iterator[None]:
    prepare(page)
    clean(page)
    yield
    clean_up(page)
    clean(page)


@run_in_pyodide
async def seconds_of_import(selenium: Engine) -> tuple[float, float]:
    """Import the package, after what it builds on, and use it: the seconds of each."""
    import time

    import micropip  # noqa: F401

    started = time.perf_counter()
    import pyodide_mirror

    imported = time.perf_counter()
    assert callable(pyodide_mirror.install)  # most of it is loaded now
    return imported - started, time.perf_counter() - imported


def importing_makes_no_request(page: Engine, engine: str) -> None:
    """How long it takes is printed."""
    if engine != "node":
        page.run_js("performance.clearResourceTimings()")
    importing, using = seconds_of_import(page)
    figures.SECONDS[engine]["import after micropip"] = importing
    figures.SECONDS[engine]["the first use"] = using
    if engine != "node":
        names = page.run_js("return performance.getEntriesByType('resource').map((e) => e.name)")
        assert names == []


def the_choice_is_a_reordering(page: Engine, good: str, other: str, hanging: list[str]) -> None:
    # As many as race at once, and never answer: who stands behind them is not asked.
    # Remembered, it goes to the front.
    assert chosen_by(page, [*hanging, good], True) == good
    # It is never added: who does not list it does not get it.
    assert chosen_by(page, [other], False) == other
    assert reset(page) == (good, True)


def an_offline_browser_says_so_of_hosts_that_are_elsewhere(page: Engine, here: str) -> None:
    elsewhere, own = "http://mirror.test:9/simple", f"{page.base_url}/package.json"
    assert probe(page, [elsewhere]) == {elsewhere: "unreachable"}
    page.set_offline(True)
    try:
        assert page.run_js("return navigator.onLine") is False
        assert page.run_js(FETCH % own) == "blocked"
        assert probe(page, [elsewhere, here]) == {elsewhere: "offline", here: "unreachable"}
    finally:
        page.set_offline(False)
    assert page.run_js("return navigator.onLine") is True
    assert page.run_js(FETCH % own) == "reached"


@pytest.mark.engines(ci=("firefox", "webkit"))
def test_what_is_kept_outlives_the_page(page: Engine, engine: str, zoo: Zoo) -> None:
    good, other = zoo.start("healthy").url, zoo.start("healthy").url
    hanging = [zoo.start("hangs").url for _ in range(MAX_AT_ONCE)]
    page.run("here = 'shared'")
    if engine != "node":
        before = keep_all(page)
        assert (before["files"], before["pages"], before["where"]) == (2, 1, "indexeddb")
        assert before["bytes"] > 2_001_000
        assert before["max_bytes"] == 200_000_000
        assert chosen_by(page, [good], True) == good
    with page.fresh_page():
        assert page.run("'here' in globals()") is False
        importing_makes_no_request(page, engine)
        if engine != "node":
            prepare_without_deleting(page)
            assert find_all(page) == before
            the_choice_is_a_reordering(page, good, other, hanging)
        if engine in {"chromium", "firefox"}:
            an_offline_browser_says_so_of_hosts_that_are_elsewhere(page, zoo.url("closed-port"))
    assert page.run("here") == "shared"
