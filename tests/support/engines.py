"""The five engines, and Pyodide in them: pytest-pyodide's runners, each able to open new pages.

An engine is what pytest-pyodide calls ``selenium``: `run_in_pyodide` takes it, and so do ``run``,
``run_async`` and ``run_js``. Five are on the main thread of a page (or of Node), three in a web
worker; all have micropip, pytest and our wheel loaded.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from pytest_pyodide.runner import (
    JavascriptException,
    _BrowserBaseRunner,
    _BrowserWorkerRunnerMixin,
    _SeleniumBaseRunner,
)
from selenium.webdriver import Chrome, ChromeOptions, ChromeService, WebKitGTK, WebKitGTKOptions
from selenium.webdriver.common.service import Service
from selenium.webdriver.webkitgtk.service import Service as WebKitGTKService

from tests.support import browsers, provision
from tests.support.bidi import Firefox as FirefoxProcess
from tests.support.coverage_pages import Measurement
from tests.support.pages import PageServer, authority
from tests.support.processes import OWN_GROUP, end_group

LOOPBACK = "127.0.0.1"
LAN_ADDRESS = "192.0.2.7"
"""Where Chromium finds this machine, too, as others in a network would (RFC 5737: nobody's)."""
_WASM_FRAMES = re.compile(r"(?:^.*wasm-function\[.*\n?){2,}", re.MULTILINE)


class Engine(_BrowserBaseRunner):
    """One JavaScript engine, running, with a page in it that has Pyodide loaded.

    Constructing one starts the browser and loads the first page, the shared one; `quit` ends all.
    """

    name: ClassVar[str]
    """What the ``--engine`` option and the ``engines`` marker call it."""
    script_timeout: float = 60.0
    """Seconds one call into the page may take."""

    def __init__(self, pages: PageServer, *, flags: Sequence[str] = ()) -> None:
        """Start the engine with ``flags`` added to its command line, and load the first page."""
        self.pages = pages
        self.flags = tuple(flags)
        self._closing = ExitStack()
        self._coverage = Measurement(self, list(pages.wheels))
        try:
            super().__init__(server_port=pages.port, dist_dir=pages.dist)
        except BaseException:
            self.quit()
            raise

    def quit(self) -> None:
        """End all processes and remove what they wrote."""
        self._coverage.carry_out()
        self._closing.close()

    def open(
        self, *, headers: Mapping[str, str] | None = None, https: bool = False, host: str = LOOPBACK
    ) -> None:
        """Load a page anew in the current tab, and Pyodide in it.

        ``headers`` are added to the responses for the page and all it loads from its own server;
        ``host`` is `LOOPBACK`, ``localhost`` or, where the engine can map names to it, one of
        `pages.LOOPBACK_NAMES`.
        """
        self.base_url = self.pages.base_url(headers, https=https, host=host)
        self.prepare_driver()
        self.javascript_setup()
        self.load_pyodide()
        self.initialize_pyodide()

    @contextmanager
    def fresh_page(self, **page: Any) -> Iterator[None]:
        """Do everything in a new tab with a page as `open` makes it; then close the tab."""
        before = self.base_url
        with self._tab():
            try:
                self.open(**page)
                yield
            finally:
                self._coverage.carry_out()
                self.base_url = before

    @contextmanager
    def bare_tab(self) -> Iterator[None]:
        """Do everything in a new tab, for pages without Pyodide (`goto`); then close the tab."""
        with self._tab():
            yield

    @contextmanager
    def page_of(self, pages: PageServer, host: str = LOOPBACK) -> Iterator[None]:
        """Do everything in a new tab with a page of this server; Pyodide is not loaded yet."""
        before = self.pages, self.base_url
        self.pages, self.base_url = pages, pages.base_url(host=host)
        try:
            with self._tab():
                self.prepare_driver()
                self.javascript_setup()
                yield
        finally:
            self.pages, self.base_url = before

    @contextmanager
    def page_of_pyodide_alone(self) -> Iterator[None]:
        """Do everything in a new tab in which nothing is but Pyodide; then close the tab."""
        with self._tab():
            self.prepare_driver()
            self.javascript_setup()
            self.load_pyodide()
            yield

    def run_js(self, code: str, pyodide_checks: bool = True) -> Any:
        """Run JavaScript; the stack of an error has no frames of WebAssembly, which say nothing."""
        try:
            return super().run_js(code, pyodide_checks)
        except JavascriptException as error:
            error.stack = _WASM_FRAMES.sub("... WebAssembly\n", error.stack or "")
            raise

    def initialize_pyodide(self) -> None:
        """Load what every test wants, our wheel included.

        pytest and tblib too: pytest-pyodide would load them at its first call, when a test may
        already have cut the page off.
        """
        super().initialize_pyodide()
        wheels = [f"{self.base_url}/wheels/{name}" for name in self.pages.wheels]
        self.load_package([*provision.LOCK_ROOTS, *wheels])
        self._coverage.start()

    def set_offline(self, offline: bool) -> None:
        """Cut the page off from all networks, or end that."""
        message = f"{self.name} cannot be put offline"
        raise NotImplementedError(message)

    def set_permission(self, name: str, state: str) -> None:
        """Set a permission of the current page's origin: ``granted``, ``denied`` or ``prompt``."""
        message = f"{self.name} cannot set the permission {name} to {state}"
        raise NotImplementedError(message)

    def _tab(self) -> Any:
        """Return a context manager: a new tab, that is closed at its end."""
        raise NotImplementedError


def stop_driver(service: Service) -> None:
    """End a driver and its browser, whatever state they are in.

    ``driver.quit()`` instead would wait for minutes on a page that is in an endless loop.
    """
    # Unset when the driver could not be started; None when Selenium has stopped it itself.
    if process := getattr(service, "process", None):
        end_group(process)
        service.stop()


class _SeleniumEngine(Engine, _SeleniumBaseRunner):
    @contextmanager
    def _tab(self) -> Iterator[None]:
        shared = self.driver.current_window_handle
        # A window and not a tab: WebKitGTK hides a new tab, and slows down what is hidden.
        self.driver.switch_to.new_window("window")
        try:
            yield
        finally:
            self.driver.close()
            self.driver.switch_to.window(shared)


class Chromium(_SeleniumEngine):
    """Chromium by ChromeDriver."""

    name = "chromium"
    browser = "chrome"

    def get_driver(self, jspi: bool = False) -> Chrome:
        """Start ChromeDriver and, through it, Chromium."""
        options = ChromeOptions()
        options.binary_location = str(browsers.find(browsers.CHROMIUM))
        options.accept_insecure_certs = True
        profile = self._closing.enter_context(
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        )
        names = f"--host-resolver-rules=MAP *.test 127.0.0.1, MAP {LAN_ADDRESS} 127.0.0.1"
        profile_flag = f"--user-data-dir={profile}"
        for flag in [*browsers.chromium_flags(), names, profile_flag, *self.flags]:
            options.add_argument(flag)
        service = ChromeService(str(browsers.find(browsers.CHROMEDRIVER)), popen_kw={**OWN_GROUP})
        self._closing.callback(stop_driver, service)
        return Chrome(options=options, service=service)

    def set_offline(self, offline: bool) -> None:
        """Cut the current tab off from all networks, or end that."""
        conditions = {
            "offline": offline,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": -1,
        }
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)

    def set_permission(self, name: str, state: str) -> None:
        """Set a permission, for example ``local-network`` or ``loopback-network``."""
        permission = {"permission": {"name": name}, "setting": state}
        self.driver.execute_cdp_cmd("Browser.setPermission", permission)


class Firefox(Engine):
    """Firefox by WebDriver BiDi."""

    name = "firefox"
    browser = "firefox"
    runner = "bidi"
    driver: FirefoxProcess

    def get_driver(self, jspi: bool = False) -> FirefoxProcess:
        """Start Firefox."""
        driver = FirefoxProcess(browsers.find(browsers.FIREFOX), self.flags)
        self._closing.callback(driver.close)
        (first,) = driver.command("browsingContext.getTree", {}, self.script_timeout)["contexts"]
        self._context: str = first["context"]
        return driver

    def set_script_timeout(self, timeout: float) -> None:
        """Set the seconds one call into the page may take."""
        self.script_timeout = timeout

    def goto(self, page: str) -> None:
        """Navigate the current tab and wait for the page's load event."""
        self._command("browsingContext.navigate", context=self._context, url=page, wait="complete")

    def refresh(self) -> None:
        """Reload the page."""
        self._command("browsingContext.reload", context=self._context, wait="complete")
        self.javascript_setup()

    def run_js_inner(self, code: str, check_code: str) -> Any:
        """Run the body of an async function in the page and return what it returns."""
        # The result goes through JSON, as BiDi's own serialisation would want undoing.
        expression = f"""(async () => {{
            try {{
                const result = await (async () => {{ {code} }})();
                {check_code}
                return JSON.stringify([0, result]);
            }} catch (e) {{
                return JSON.stringify([1, String(e), e?.stack ?? ""]);
            }}
        }})()"""
        answer = self._command(
            "script.evaluate",
            expression=expression,
            target={"context": self._context},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise JavascriptException(answer["exceptionDetails"]["text"], "")
        status, *rest = json.loads(answer["result"]["value"])
        if status:
            raise JavascriptException(*rest)
        return rest[0]

    def set_offline(self, offline: bool) -> None:
        """Cut the current tab off from all networks, or end that."""
        conditions = {"type": "offline"} if offline else None
        self._command(
            "emulation.setNetworkConditions",
            networkConditions=conditions,
            contexts=[self._context],
        )

    @contextmanager
    def _tab(self) -> Iterator[None]:
        shared = self._context
        self._context = self._command("browsingContext.create", type="tab")["context"]
        try:
            yield
        finally:
            self._command("browsingContext.close", context=self._context)
            self._context = shared

    def _command(self, method: str, **params: Any) -> dict[str, Any]:
        return self.driver.command(method, params, self.script_timeout)


class WebKit(_SeleniumEngine):
    """WebKitGTK's MiniBrowser by WebKitWebDriver, on a display of its own.

    It cannot map host names: its pages are on `LOOPBACK` or ``localhost``.
    """

    name = "webkit"
    browser = "safari"

    def get_driver(self, jspi: bool = False) -> WebKitGTK:
        """Start Xvfb, WebKitWebDriver and, through it, MiniBrowser."""
        options = WebKitGTKOptions()
        options.binary_location = str(browsers.find(browsers.MINI_BROWSER))
        options.accept_insecure_certs = True
        for flag in ["--automation", *self.flags]:
            options.add_argument(flag)
        home = self._closing.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        display = self._start_xvfb()
        service = WebKitGTKService(
            str(browsers.find(browsers.WEBKIT_DRIVER)),
            popen_kw={**OWN_GROUP},
            env={
                **os.environ,
                "DISPLAY": display,
                "GDK_BACKEND": "x11",
                "HOME": home,
                "JSC_useOMGJIT": "0" if browsers.is_short_lived() else "1",
            },
        )
        self._closing.callback(stop_driver, service)
        return WebKitGTK(options=options, service=service)

    def load_pyodide(self) -> None:
        """Load Pyodide; once more where it fails.

        Seen in one of thousands of pages: WebAssembly throws while Pyodide itself starts, when
        nothing of ours is there yet.
        """
        try:
            super().load_pyodide()
        except JavascriptException as error:
            print(f"Pyodide is loaded again, after {error}", file=sys.stderr)
            self.prepare_driver()
            self.javascript_setup()
            super().load_pyodide()

    def _start_xvfb(self) -> str:
        """Start an X server on a display that is free, and return the display's name."""
        reader, writer = os.pipe()
        with os.fdopen(reader) as answer:
            with os.fdopen(writer):
                process = subprocess.Popen(
                    [str(browsers.find(browsers.XVFB)), "-displayfd", str(writer)],
                    pass_fds=[writer],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    **OWN_GROUP,
                )
            self._closing.callback(end_group, process)
            # It writes the number once it accepts connections, and nothing when it fails.
            number = answer.readline().strip()
        if not number:
            message = "Xvfb ended before it offered a display"
            raise RuntimeError(message)
        return f":{number}"


class Node(Engine):
    """Node: the engine without a page, an origin or CORS."""

    name = "node"
    browser = "node"
    runner = "node"

    def get_driver(self, jspi: bool = False) -> None:
        """Start Node; there is no driver besides."""
        self._peer = self._closing.enter_context(self._process())

    @contextmanager
    def _process(self) -> Iterator[socket.socket]:
        """Run `node_driver.mjs` in a process, and yield the socket to talk to it."""
        ours, theirs = socket.socketpair()
        with ExitStack() as stack:
            stack.enter_context(ours)
            ca = stack.enter_context(authority().cert_pem.tempfile())
            with theirs:
                process = subprocess.Popen(
                    [
                        str(provision.node()),
                        *self.flags,
                        str(Path(__file__).with_name("node_driver.mjs")),
                        str(theirs.fileno()),
                        str(self.pages.dist),
                    ],
                    pass_fds=[theirs.fileno()],
                    env=os.environ | {"NODE_EXTRA_CA_CERTS": ca},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    **OWN_GROUP,
                )
            stack.callback(end_group, process)
            yield ours

    @contextmanager
    def _tab(self) -> Iterator[None]:
        shared = self._peer
        with self._process() as peer:
            self._peer = peer
            try:
                yield
            finally:
                self._peer = shared

    def prepare_driver(self) -> None:
        """Do nothing: there is no page to go to."""

    def open(
        self, *, headers: Mapping[str, str] | None = None, https: bool = False, host: str = LOOPBACK
    ) -> None:
        """Load Pyodide; only a process that has none yet can."""
        if headers or https or host != LOOPBACK:
            message = "Node has no page that could have headers, https: or a host"
            raise NotImplementedError(message)
        super().open()

    def set_script_timeout(self, timeout: float) -> None:
        """Set the seconds one call into Node may take."""
        self.script_timeout = timeout

    def run_js_inner(self, code: str, check_code: str) -> Any:
        """Run the body of an async function in Node and return what it returns."""
        body = f"const result = await (async () => {{ {code} }})(); {check_code}; return result;"
        self._peer.settimeout(self.script_timeout)
        self._peer.sendall(json.dumps({"id": 0, "code": body}).encode() + b"\n")
        line = bytearray()
        while not line.endswith(b"\n"):
            part = self._peer.recv(1 << 16)
            if not part:
                message = "Node ended"
                raise ConnectionError(message)
            line += part
        answer = json.loads(line)
        if not answer["ok"]:
            raise JavascriptException(answer["message"], answer["stack"])
        return answer.get("result")


class _Worker(_BrowserWorkerRunnerMixin, Engine):
    def set_offline(self, offline: bool) -> None:
        # Chromium's emulation lets a worker's requests through; Firefox's stops them, but leaves
        # the worker's navigator.onLine true. Either would test something that does not exist.
        message = f"{self.name}: offline emulation does not reach workers"
        raise NotImplementedError(message)


class ChromiumWorker(_Worker, Chromium):
    """Chromium, with Pyodide in a web worker."""

    name = "chromium-worker"


class FirefoxWorker(_Worker, Firefox):
    """Firefox, with Pyodide in a web worker."""

    name = "firefox-worker"


class WebKitWorker(_Worker, WebKit):
    """WebKitGTK, with Pyodide in a web worker."""

    name = "webkit-worker"


ENGINES: dict[str, type[Engine]] = {
    engine.name: engine
    for engine in (Chromium, ChromiumWorker, Firefox, FirefoxWorker, WebKit, WebKitWorker, Node)
}
PAGES = ("chromium", "firefox", "webkit")
"""Engines with Pyodide on a page's main thread."""
WORKERS = ("chromium-worker", "firefox-worker", "webkit-worker")
"""Engines with Pyodide in a web worker."""
BROWSERS = PAGES + WORKERS
"""Engines that apply a browser's rules: all but Node."""
