"""Chromium with JupyterLite sites in it, and a record of every request that they cause."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode, urlsplit

from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService

from tests.support import browsers
from tests.support.engines import stop_driver
from tests.support.processes import OWN_GROUP

Point = tuple[int, int]

PATIENCE: Final = 120.0
"""Seconds that a kernel may take to start, or a cell to end."""
_LOOPBACK: Final = "127.0.0.1"


class Browser:
    """One Chromium, for which there is nothing but this machine; a context manager.

    Afterwards `requests` has what was asked for by pages, by their workers and service workers.
    Pages of one origin share what they store: a page that shall find nothing has a new origin.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self.requests: list[str] = []
        self.expected: list[str] = []
        """What tests had it ask for elsewhere than on this machine."""
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        """Start it."""
        with ExitStack() as stack:
            profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            self._log = Path(profile, "requests.json")
            self.driver = self._start(stack, profile)
            self._closing = stack.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it; what it has logged is complete when it ends by itself."""
        with self._closing:
            self.driver.quit()
            self.requests = _requests(self._log.read_text())

    def check_requests(self) -> None:
        """See, once it has ended, that it asked this machine alone, but for what was expected."""
        hosts = {urlsplit(url).hostname for url in self.requests}
        assert _LOOPBACK in hosts, "nothing was asked for"
        off_site = [url for url in self.requests if urlsplit(url).hostname not in {_LOOPBACK, None}]
        assert off_site == self.expected

    def _start(self, stack: ExitStack, profile: str) -> Chrome:
        options = ChromeOptions()
        options.binary_location = str(browsers.find(browsers.CHROMIUM))
        for flag in [
            *browsers.chromium_flags(),
            f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {_LOOPBACK}",
            f"--log-net-log={self._log}",
            f"--user-data-dir={profile}",
        ]:
            options.add_argument(flag)
        service = ChromeService(str(browsers.find(browsers.CHROMEDRIVER)), popen_kw={**OWN_GROUP})
        stack.callback(stop_driver, service)
        driver = Chrome(options=options, service=service)
        driver.set_script_timeout(PATIENCE)
        driver.set_page_load_timeout(PATIENCE)
        return driver

    @contextmanager
    def open(self, url: str) -> Iterator["Page"]:
        """Open a page of a site in a tab of its own, and close it afterwards."""
        before = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        try:
            self.driver.get(url)
            yield Page(self.driver)
        finally:
            self.driver.close()
            self.driver.switch_to.window(before)


class Page:
    """A page of a site. The site must have ``exposeAppInBrowser``."""

    def __init__(self, driver: Chrome) -> None:
        """Take the driver, whose current tab is the page's."""
        self.driver = driver
        self.first_output_at = 0.0
        """Seconds from the navigation to the first output of `repl_output`."""

    def run_js(self, body: str, *arguments: Any) -> Any:
        """Run the body of an async function in the page and return what it returns."""
        script = f"""
            const done = arguments[arguments.length - 1];
            (async (...args) => {{ {body} }})(...[...arguments].slice(0, -1)).then(
                (result) => done({{ result }}),
                (error) => done({{ error: String(error?.stack ?? error) }}),
            );
        """
        answer = self.driver.execute_async_script(script, *arguments)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer.get("result")

    def press(self, *keys: str) -> None:
        """Press and release keys, one after the other, wherever the focus is."""
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def take_focus(self) -> None:
        """Have the page behave as one in front, to which keys and clicks go."""
        self.driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})

    def resize(self, width: int, height: int) -> None:
        """Give the window another size, in pixels."""
        self.driver.set_window_size(width, height)

    def drag(self, start: Point, end: Point) -> None:
        """Move the mouse from one point of the page to another with its button down."""
        chain = ActionChains(self.driver, duration=100)
        pointer = chain.w3c_actions.pointer_action
        pointer.move_to_location(*start).pointer_down()
        pointer.move_to_location((start[0] + end[0]) // 2, (start[1] + end[1]) // 2)
        pointer.move_to_location(*end).move_to_location(end[0] + 1, end[1] + 1).release()
        chain.perform()

    def run_notebook(
        self, path: str, *, restart: bool = False, one_by_one: bool = False
    ) -> list[str]:
        """Run all cells of the notebook that Lab or Notebook shows, and return what each shows.

        With ``restart`` its kernel is restarted before. The first time nothing is waited for but
        that there is a kernel to run them, not even that it is ready. Without ``one_by_one``, a
        cell that fails is the last one.
        """
        cells = self.run_js(
            f"""{UNTIL}
            const [path, restart, oneByOne] = args;
            const app = await until(() => window.jupyterapp);
            await app.restored;
            const panel = await until(() =>
                [...app.shell.widgets("main")].find((each) => each.context?.path === path));
            await panel.context.ready;
            app.shell.activateById(panel.id);
            const kernel = await until(() => panel.sessionContext.session?.kernel);
            if (restart) await kernel.restart();
            if (!oneByOne) await app.commands.execute("notebook:run-all-cells");
            for (let place = 0; oneByOne && place < panel.content.widgets.length; place++) {{
                panel.content.activeCellIndex = place;
                await app.commands.execute("notebook:run-cell");
            }}
            return panel.content.model.toJSON().cells.map((cell) => cell.outputs);""",
            path,
            restart,
            one_by_one,
        )
        return [_text(outputs) for outputs in cells]

    def notebook_html(self, path: str) -> list[str]:
        """Return what each cell of a notebook that has run shows as HTML."""
        cells = self.run_js(
            """const panel = [...window.jupyterapp.shell.widgets("main")]
                .find((each) => each.context?.path === args[0]);
            return panel.content.model.toJSON().cells.map((cell) => cell.outputs);""",
            path,
        )
        html = [[each.get("data", {}).get("text/html", "") for each in cell] for cell in cells]
        return ["".join("".join(part) for part in cell) for cell in html]

    def run_in_repl(self, code: str, *, restart: bool = False) -> str:
        """Run a cell in the REPL, if asked after a restart, and return what it shows."""
        outputs = self.run_js(
            f"""{UNTIL}
            const [code, restart] = args;
            const {{ console }} = window.jupyterapp.shell.currentWidget;
            if (restart) await console.sessionContext.session.kernel.restart();
            const before = console.cells.length;
            await console.inject(code);
            return console.cells.get(before).model.toJSON().outputs;""",
            code,
            restart,
        )
        return _text(outputs)

    def repl_output(self) -> str:
        """Return what the REPL's first cell shows, once it has ended with `END` or an error."""
        outputs, self.first_output_at = self.run_js(
            f"""{UNTIL}
            const end = args[0];
            const app = await until(() => window.jupyterapp);
            await app.restored;
            const panel = await until(() => app.shell.currentWidget?.console?.cells.length
                && app.shell.currentWidget);
            const outputs = () => panel.console.cells.get(0).model.toJSON().outputs ?? [];
            await until(() => outputs().length);
            const seconds = performance.now() / 1000;
            await until(() => outputs().some((each) =>
                each.output_type === "error" || String(each.text ?? "").includes(end)));
            return [outputs(), seconds];""",
            END,
        )
        return _text(outputs)


END: Final = "That was it."
"""What the code of a REPL prints at its end."""

UNTIL: Final = """
    const until = async (find) => {
        for (;;) {
            const found = find();
            if (found) return found;
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
    };"""


def _text(outputs: list[dict[str, Any]]) -> str:
    """Return what a cell shows, as text: streams, results, and the last line of an error."""
    parts = []
    for output in outputs:
        text = output.get("text") or output.get("data", {}).get("text/plain") or ""
        parts.append("".join(text))
        if output["output_type"] == "error":
            parts.append(f"{output['ename']}: {output['evalue']}\n")
    return "".join(parts)


def address(base: str, app: str, **query: str) -> str:
    """Return the address of an app of the site at ``base``."""
    return f"{base}/{app}/index.html?{urlencode(query)}"


def _requests(log: str) -> list[str]:
    """Return the URLs in Chromium's log that a site on this machine is the initiator of.

    Chromium's own requests (for updates, a start page, the time) have none.
    """
    events = json.loads(log)
    begins = events["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    return [
        event["params"]["url"]
        for event in events["events"]
        if event["type"] == begins
        and urlsplit(event.get("params", {}).get("initiator", "")).hostname == _LOOPBACK
    ]
