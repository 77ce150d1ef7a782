"""Checks in a headless Chromium whether the page keeps its promises."""

import base64
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from demo.cdns import CDN_PROMISES, GOOD
from demo.mirrors import CHOSEN, PROMISES, Promise
from demo.server import LOOPBACK
from demo.stage import LOCKED
from tests.support import browsers

_SECONDS = 90
"""How long the page may take for all that it does by itself, and for one more install."""
_DESKTOP = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
_PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
_NETWORK = {"http", "https", "ws", "wss"}
_HAVE_CORE = {"Core only", GOOD}
_BIG_FILES = {"pyodide.asm.wasm", "python_stdlib.zip"}

# The names of a package and of all that it needs, as JSON; an error when one is not installed.
_TREE = """
import json
from importlib import import_module
from importlib.metadata import requires
from pyodide_mirror import _packaging

Requirement = _packaging.requirements.Requirement
canonicalize_name = _packaging.utils.canonicalize_name

def tree(wanted, seen):
    node = (canonicalize_name(wanted.name), frozenset(wanted.extras))
    if node not in seen:
        seen.add(node)
        for need in map(Requirement, requires(wanted.name) or ()):
            extras = ("", *wanted.extras)
            if not need.marker or any(need.marker.evaluate({"extra": one}) for one in extras):
                tree(need, seen)
    return seen

import_module(PACKAGE)
json.dumps(sorted({name for name, _ in tree(Requirement(PACKAGE), set())}))
"""
_ROWS = """
    const text = (row, part) => row.querySelector(part)?.textContent ?? "";
    return [...document.querySelectorAll("#TABLE tbody tr")].map((row) => ({
        name: text(row, ".name"),
        host: new URL(text(row, ".url")).host,
        badge: text(row, ".badge"),
        seen: row.cells[3].textContent,
        todo: row.cells[4].textContent,
        chosen: row.hasAttribute("aria-current"),
    }));
"""
_INSTALLED = """
    return [...document.querySelectorAll("#installed:not([hidden]) tbody tr")].map((row) =>
        [...row.cells].map((cell) => cell.textContent).concat(row.cells[2].dataset.source));
"""
_ORIGINS = """
    return [...document.querySelectorAll("#origins li")].map((line) =>
        [line.dataset.file, line.textContent]);
"""
_PROBLEM = """
    const problem = document.getElementById("problem");
    return problem.hidden ? "" : problem.textContent.replace(/\\s+/g, " ").trim();
"""
# How many colours the picture has, once the browser has painted it: an empty one has one.
_COLOURS = """
    const image = document.getElementById("drawing");
    if (!image.complete || !image.naturalWidth) return 0;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const pixels = new Uint32Array(
        context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    return new Set(pixels).size;
"""
_DRAWN_TO_FIT = """
    const image = document.getElementById("drawing");
    if (!image.src) return true;
    const width = Math.floor(image.parentElement.clientWidth);
    return image.complete && image.naturalWidth === width;
"""
_TYPED = """import pygal
chart = pygal.Line(width=560, height=180, js=(), show_legend=False)
chart.add("squares", [n * n for n in range(12)])
"""
_PROMPT_DREW = """
    const image = document.querySelector("#output img");
    return Boolean(image && image.complete && image.naturalWidth);
"""
_OVERFLOWS = "return document.documentElement.scrollWidth > innerWidth"


class Demo:
    """The page in a browser, and the promises that it has broken so far."""

    def __init__(self, driver: Chrome) -> None:
        """Take a browser that logs its requests."""
        self.driver = driver
        self.broken: list[str] = []

    def promise(self, kept: object, otherwise: str) -> None:
        """Note the sentence unless the promise is kept."""
        if not kept:
            self.broken.append(otherwise)

    def ask(self, script: str) -> Any:
        """Run the body of a JavaScript function in the page."""
        return self.driver.execute_script(script)

    def wait(self, script: str) -> Any:
        """Wait until the function's body returns something true, and return that."""
        return WebDriverWait(self.driver, _SECONDS, 0.1).until(lambda _: self.ask(script))

    def wait_until_ready(self) -> bool:
        """Wait until the page is at rest; return whether all went well."""
        state = self.wait("""
            const { state } = document.documentElement.dataset;
            return ["done", "failed"].includes(state) && state;
        """)
        self.promise(state == "done", f"The page says that it failed: {self.ask(_PROBLEM)}")
        return bool(state == "done")

    def check_verdicts(self) -> None:
        """Look at the rows of both tables, and for the healthy mirror as the chosen one."""
        rows = self.check_table("mirrors", PROMISES)
        chosen = [row["name"] for row in rows if row["chosen"]]
        self.promise(chosen == [CHOSEN], f"Chosen is {chosen} and not {[CHOSEN]}.")
        self.check_table("cdns", CDN_PROMISES)

    def check_table(self, table: str, promises: Sequence[Promise]) -> list[dict[str, Any]]:
        """Look for a row for each promise with that verdict; return the rows."""
        rows: list[dict[str, Any]] = self.ask(_ROWS.replace("TABLE", table))
        names = [row["name"] for row in rows]
        wanted = [promise.name for promise in promises]
        self.promise(names == wanted, f"The table has the rows {names} and not {wanted}.")
        for row, promise in zip(rows, promises, strict=False):
            says = f"The row {promise.name!r} says {row['badge']!r} and not {promise.reason!r}."
            self.promise(row["badge"] == promise.reason, says)
            self.promise(
                row["seen"] and row["todo"], f"The row {promise.name!r} lacks words: {row}."
            )
        return rows

    def check_start(self) -> None:
        """Look whether Python came from CDNs that have it, and its packages from the good one."""
        origins = dict(self.ask(_ORIGINS))
        for name, line in origins.items():
            places = _HAVE_CORE if name in _BIG_FILES else {GOOD}
            fine = any(f" from {place} ({LOOPBACK}:" in line for place in places)
            self.promise(fine, f"{name} did not come from {sorted(places)}: {line!r}.")
        told = {*_BIG_FILES, *(name for name in origins if name.startswith("micropip-"))}
        self.promise(
            origins.keys() == told and len(told) > len(_BIG_FILES),
            f"Python was started from {sorted(origins)}.",
        )

    def check_installed(self, package: str) -> None:
        """Look whether all came from the healthy mirror or the good CDN, with sizes."""
        rows = {row[0]: row[1:] for row in self.ask(_INSTALLED)}
        [good] = [row for row in self.ask(_ROWS.replace("TABLE", "cdns")) if row["name"] == GOOD]
        places = {"mirror": CHOSEN, "lockfile": f"Pyodide, from {GOOD} ({good['host']})"}
        for name, (_, where, size, digest, source) in rows.items():
            fine = where == places.get(source) and size and digest
            says = f"{name} came from {where!r}, with size {size!r} and digest {digest!r}."
            self.promise(fine, says)
        from_mirror = {name for name, (*_, source) in rows.items() if source == "mirror"}
        tree = self.tree(package)
        self.promise(package in from_mirror, f"{package} did not come from {CHOSEN}.")
        self.promise(
            from_mirror & tree > {package}, f"Nothing that {package} needs came from {CHOSEN}."
        )
        from_cdn = rows.keys() - from_mirror
        self.promise(from_cdn & tree, f"Nothing that {package} needs came from {GOOD}.")
        if package == "pygal":
            self.promise(LOCKED in from_cdn, f"{LOCKED} did not come from {GOOD}.")

    def tree(self, package: str) -> set[str]:
        """Import a package in the page; return the names of it and of all that it needs."""
        code = json.dumps(_TREE.replace("PACKAGE", repr(package)))
        answer = self.ask(f"""
            try {{ return demo.pyodide.runPython({code}, {{ globals: demo.pyodide.toPy({{}}) }}); }}
            catch (error) {{ return error.message; }}
        """)
        works = answer.startswith("[")
        self.promise(works, f"{package} does not work in the page: {answer}")
        return set(json.loads(answer)) if works else set()

    def check_chart(self) -> None:
        """Look whether the chart is there, and something is on it."""
        colours = self.ask(_COLOURS)
        self.promise(colours > 1, f"The chart is not painted: {colours} colours are on it.")

    def install(self, package: str) -> None:
        """Type a package's name and press Enter, as people do."""
        field = self.driver.find_element(By.ID, "package")
        field.clear()
        field.send_keys(package, "\n")

    def check_prompt(self) -> None:
        """Type Python that uses what is installed, and look for its value."""
        field = self.driver.find_element(By.ID, "source")
        for line in _TYPED.splitlines():
            field.send_keys(line, Keys.SHIFT, Keys.ENTER, Keys.NULL)
        field.send_keys("chart\n")
        try:
            drawn = self.wait(_PROMPT_DREW)
        except TimeoutException:
            drawn = False
        says = self.ask("return document.getElementById('output').textContent")
        self.promise(drawn, f"The prompt draws no chart; it says: {says!r}")

    def check_requests(self) -> None:
        """Look whether the browser asked this machine alone, and its policy stopped nothing."""
        hosts = set()
        for entry in self.driver.get_log("performance"):  # type: ignore[no-untyped-call]
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = urlsplit(message["params"]["request"]["url"])
                if url.scheme in _NETWORK:  # not blob:, data:, nor Chromium's own first tab
                    hosts.add(url.hostname)
        self.promise(hosts == {LOOPBACK}, f"Requests went to {sorted(map(str, hosts))}.")
        for entry in self.driver.get_log("browser"):  # type: ignore[no-untyped-call]
            text = entry["message"]
            self.promise("Content Security Policy" not in text, f"The browser says: {text}")

    def picture(self, path: Path, view: dict[str, Any], *, dark: bool = False) -> None:
        """Save a picture of the whole page in a window of that size."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._cdp("Emulation.setEmulatedMedia", {"features": [scheme]})
        self._cdp("Emulation.setDeviceMetricsOverride", view)
        self.wait(_DRAWN_TO_FIT)
        self.promise(
            not self.ask(_OVERFLOWS), f"The page is wider than {view['width']} pixels of window."
        )
        size = self._cdp("Page.getLayoutMetrics", {})["cssContentSize"]
        whole = {"x": 0, "y": 0, "width": view["width"], "height": size["height"], "scale": 1}
        shot = self._cdp("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": whole})
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _cdp(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self.driver.execute_cdp_cmd(command, arguments)
        return answer


def check(address: str, screenshot: Path) -> tuple[str, list[str]]:
    """Look at the page: return its report as text, and a sentence for each broken promise.

    Two pictures are saved: ``screenshot``, and one as on a phone beside it. Raises
    `tests.support.browsers.MissingBrowser`.
    """
    with _chromium() as driver:
        demo = Demo(driver)
        driver.get(address)
        try:
            _walk_through(demo, screenshot)
        except TimeoutException:
            steps = demo.ask(
                "return [...document.querySelectorAll('.chip')].map((chip) => chip.textContent)"
            )
            demo.promise(kept=False, otherwise=f"After {_SECONDS} s the page stands at: {steps!r}.")
        demo.check_verdicts()
        demo.check_requests()
        report = str(demo.ask("return document.querySelector('#report-text').value"))
        return report, demo.broken


def _walk_through(demo: Demo, screenshot: Path) -> None:
    """See what the page does by itself, take its pictures, and install one more package."""
    ready = demo.wait_until_ready()
    demo.check_start()
    if ready:
        demo.check_prompt()
    demo.picture(screenshot, _DESKTOP)
    demo.picture(screenshot.with_stem(f"{screenshot.stem}-phone"), _PHONE)
    if ready:
        demo.check_installed("pygal")
        demo.check_chart()
        demo.install("textual")
        if demo.wait_until_ready():
            demo.check_installed("textual")
            demo.check_chart()


@contextmanager
def _chromium() -> Iterator[Chrome]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = str(browsers.find(browsers.CHROMIUM))
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        for flag in [*browsers.chromium_flags(), f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        driver = Chrome(options, ChromeService(str(browsers.find(browsers.CHROMEDRIVER))))
        try:
            yield driver
        finally:
            driver.quit()
