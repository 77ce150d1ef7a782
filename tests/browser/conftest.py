"""Fixtures for tests in real engines: a page with Pyodide, by engine."""

import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pytest_pyodide.hook import pytest_wrapper
from selenium.common.exceptions import TimeoutException, WebDriverException
from urllib3.exceptions import HTTPError

from tests.browser import figures
from tests.support import coverage_pages, provision
from tests.support.compiled import compiled_dist
from tests.support.engines import ENGINES, Engine
from tests.support.pages import PageServer

CI_ENGINES = ("chromium", "chromium-worker", "firefox", "webkit", "node")
"""The engines in which each change is tested: three windows, one worker, and Node."""
_FAILURE = pytest.StashKey[BaseException]()
_TIMEOUTS = (TimeoutError, TimeoutException, HTTPError)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Provision Pyodide before tests are collected, and after pytest-pyodide looked for its own.

    `run_in_pyodide` asks at import time whether Pyodide has pytest, and remembers the answer.
    """
    # Whoever stops the tests (CI, `timeout`) gets what Ctrl-C gets: all browsers end first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        pytest_wrapper.pyodide_dist_dir = compiled_dist()
    except provision.ProvisionError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that wants a page once in each chosen engine."""
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", _chosen(metafunc.config), indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests whose ``engines`` marker does not name their engine."""
    kept, dropped = [], []
    for item in items:
        wanted = _wanted(item, config)
        engine = getattr(item, "callspec", None) and item.callspec.params.get("engine")
        (dropped if engine and engine not in wanted else kept).append(item)
        if unknown := wanted - ENGINES.keys():
            message = f"{item.nodeid}: no engine is called {', '.join(sorted(unknown))}"
            raise pytest.UsageError(message)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def _wanted(item: pytest.Item, config: pytest.Config) -> set[str]:
    """The engines that a test is for: those that its marker names, or all."""
    marker = item.get_closest_marker("engines")
    if marker is None:
        return set(ENGINES)
    wanted = set(marker.args or ENGINES)
    ci = "ci" in config.getoption("--engine")
    return wanted & set(marker.kwargs.get("ci", ENGINES)) if ci else wanted


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember why a test failed, for its fixtures."""
    report = yield
    if report.failed and call.excinfo:
        item.stash[_FAILURE] = call.excinfo.value
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the figures of a process of pytest-xdist to the one that shows them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = figures.to_json()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the figures of a process of pytest-xdist that has ended."""
    figures.add_json(getattr(node, "workeroutput", {}).get("figures", "{}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures."""
    for line in figures.lines():
        terminalreporter.write_line(line)


def _chosen(config: pytest.Config) -> list[str]:
    names = [name.strip() for option in config.getoption("--engine") for name in option.split(",")]
    if "all" in names:
        return list(ENGINES)
    if "ci" in names:
        return list(CI_ENGINES)
    if unknown := set(names) - ENGINES.keys():
        message = f"--engine: {', '.join(sorted(unknown))} is none of {', '.join(ENGINES)}, ci, all"
        raise pytest.UsageError(message)
    return names or ["chromium"]


class _SharedPage:
    """The page the tests of one engine share; a new one when a test may have broken it."""

    def __init__(self, start: Callable[[], Engine]) -> None:
        self._start = start
        self.engine = self._started()

    def renew(self) -> None:
        self.engine.quit()
        self.engine = self._started()

    def _started(self) -> Engine:
        """Start; once more where the driver has lost the first answer of its browser.

        WebKitWebDriver did that once in hundreds of starts ("Could not parse script result"), and
        pytest would fail all tests of the engine for it. No test has begun then.
        """
        try:
            return self._start()
        except WebDriverException as error:
            print(f"started again after {error!r}", file=sys.stderr)
            return self._start()


@pytest.fixture(scope="session")
def dist() -> Path:
    """The folder of the Pyodide distribution in all pages."""
    return compiled_dist()


@pytest.fixture(scope="session")
def page_server(dist: Path) -> Iterator[PageServer]:
    """The server of the pages, Pyodide and our wheel."""
    with PageServer(dist, provision.browser_wheel(), *coverage_pages.wheels()) as server:
        yield server


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """The name of the engine the test runs in."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def _shared_page(engine: str, page_server: PageServer) -> Iterator[_SharedPage]:
    shared = _SharedPage(lambda: ENGINES[engine](page_server))
    yield shared
    shared.engine.quit()


@pytest.fixture
def page(request: pytest.FixtureRequest, _shared_page: _SharedPage) -> Iterator[Engine]:
    """A page with Pyodide, our wheel and pytest loaded: the first argument of `run_in_pyodide`.

    The tests of an engine share it, until one fails. ``@pytest.mark.driver_timeout(SECONDS)``
    changes how long one call into it may take.
    """
    engine = _shared_page.engine
    engine.clean_logs()
    usual = engine.script_timeout
    if marker := request.node.get_closest_marker("driver_timeout"):
        engine.set_script_timeout(marker.args[0])
    yield engine
    failure = request.node.stash.get(_FAILURE, None)
    if failure is None:
        engine.set_script_timeout(usual)
        return
    try:
        # After a time-out the page may be in an endless loop, and would not answer this either.
        if not isinstance(failure, _TIMEOUTS):
            print(engine.logs)
    finally:
        _shared_page.renew()


@pytest.fixture(scope="session")
def version(request: pytest.FixtureRequest) -> str:
    """The version of Pyodide in `engine_without_us`: a test parametrizes it."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def engine_without_us(engine: str, version: str) -> Iterator[Engine]:
    """An engine whose page has this version of Pyodide, and not our wheel; it can be loaded."""
    # With JavaScript's exceptions, as before 0.28, the first compiler alone is twice as slow.
    flags = ("--js-flags=--no-liftoff-only",) if version == "0.27.8" else ()
    with PageServer(compiled_dist(version)) as pages:
        started = ENGINES[engine](pages, flags=flags)
        try:
            wheel = provision.browser_wheel()
            pages.wheels[wheel.name] = wheel
            yield started
        finally:
            started.quit()


@pytest.fixture
def open_page(page: Engine) -> Iterator[Callable[..., Engine]]:
    """A function that makes ``page`` a new one, as `Engine.open` does, in a tab of its own.

    Its result is ``page``. The shared page waits in its tab until the test has ended.
    """
    with ExitStack() as stack:

        def opener(**options: object) -> Engine:
            stack.enter_context(page.fresh_page(**options))
            return page

        yield opener


@pytest.fixture
def start_engine(page_server: PageServer) -> Iterator[Callable[..., Engine]]:
    """A function that starts an engine of one's own: ``start_engine("chromium", *flags)``."""
    with ExitStack() as stack:

        def start(name: str, *flags: str) -> Engine:
            started = ENGINES[name](page_server, flags=flags)
            stack.callback(started.quit)
            return started

        yield start
