"""Pictures of the page: in three engines, at two widths, in both schemes.

Run ``python -m demo.screenshots [ENGINE…] [--folder FOLDER]``.
"""

import argparse
import base64
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo.stage import set_stage
from tests.support import engines, provision
from tests.support.browsers import MissingBrowser
from tests.support.pages import PageServer

FOLDER = Path(__file__).parent / "out" / "screenshots"
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
_SECONDS = 90.0
_READY = """
    const { state } = document.documentElement.dataset;
    return ["done", "failed"].includes(state) ? state : "";
"""
_TYPED = """
    document.querySelector("#source").value = CODE;
    document.querySelector("#prompt").requestSubmit();
"""
_ANSWERED = "return document.documentElement.dataset.ran ?? '';"
_SCHEME = """
    const select = document.querySelector("#scheme");
    select.value = SCHEME;
    select.dispatchEvent(new Event("change"));
"""
_DRAWN = """
    const image = document.querySelector("#drawing");
    if (!image.src) return true;
    const width = Math.floor(image.parentElement.clientWidth);
    return image.complete && Number(image.dataset.width) === width;
"""
_PAINTED = """
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
"""
_CODE = """import pygal
chart = pygal.Line(width=560, height=180, js=(), show_legend=False)
chart.add("squares", [n * n for n in range(12)])
chart"""


class Bare(engines.Engine):
    """An engine without a page of the tests in it; `look` is what pages are asked with."""

    def look(self, code: str) -> Any:
        """Run the body of a function in the page, and return what it returns."""
        return self.run_js_inner(code, "")

    def wait(self, code: str) -> Any:
        """Wait until that is something true, and return it; TimeoutError when it never is."""
        end = time.monotonic() + _SECONDS
        while not (found := self.look(code)):
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name}: the page never came so far: {code.strip()}")
            time.sleep(0.1)
        return found

    def picture(self, width: int) -> bytes:
        """Return the whole page as a PNG, in a window of that width in CSS pixels."""
        raise NotImplementedError

    def prepare_driver(self) -> None:
        """Go nowhere yet."""

    javascript_setup = load_pyodide = initialize_pyodide = prepare_driver
    save_state = restore_state = prepare_driver


class Chromium(Bare, engines.Chromium):
    """Chromium, by the DevTools protocol."""

    def picture(self, width: int) -> bytes:
        """Take it of more than the window shows."""
        view = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", view)
        self.wait(_DRAWN)
        height = self.look("return document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip}
        )
        return base64.b64decode(shot["data"])


class Firefox(Bare, engines.Firefox):
    """Firefox, by WebDriver BiDi."""

    def picture(self, width: int) -> bytes:
        """Take it of the whole document."""
        height = 900
        for _ in range(2):  # a page that is higher than its window has a scrollbar, which has width
            size = {"width": width, "height": height}
            self._command("browsingContext.setViewport", context=self._context, viewport=size)
            self.wait(f"return innerWidth === {width} && innerHeight === {height}")
            self.wait(_DRAWN)
            height = self.look("return document.documentElement.scrollHeight")
        shot = self._command(
            "browsingContext.captureScreenshot", context=self._context, origin="document"
        )
        return base64.b64decode(shot["data"])


class WebKit(Bare, engines.WebKit):
    """WebKitGTK's MiniBrowser.

    Its window is never as narrow as a phone, and its pictures show no more than the window: so the
    page is in a frame, which can have any size.
    """

    def goto(self, page: str) -> None:
        """Load the page into a frame."""
        super().goto("about:blank")
        self.look(f"""
            document.body.style.margin = 0;
            const frame = document.createElement("iframe");
            Object.assign(frame.style, {{ border: 0, display: "block" }});
            frame.src = {json.dumps(page)};
            document.body.append(frame);
        """)
        self._resize(1280, 900)

    def picture(self, width: int) -> bytes:
        """Make the frame as large as the page, and the window no smaller."""
        self._resize(width, 900)
        self.wait(_DRAWN)
        self._resize(width, self.look("return document.documentElement.scrollHeight"))
        self.driver.switch_to.default_content()
        shot: str = self.driver.find_element("tag name", "iframe").screenshot_as_base64
        self.driver.switch_to.frame(0)
        return base64.b64decode(shot)

    def _resize(self, width: int, height: int) -> None:
        """Give the frame this size, and the window room for just that height.

        Where the window is higher than the frame, the picture is black at its top.
        """
        self.driver.switch_to.default_content()
        self.look(f"""
            const frame = document.querySelector("iframe");
            [frame.width, frame.height] = [{width}, {height}];
        """)
        outer = self.driver.get_window_size()["height"]
        bars = outer - self.look("return innerHeight")
        self.driver.set_window_size(width, height + bars)
        self.wait(f"return innerHeight === {height}")
        self.driver.switch_to.frame(0)
        self.wait(f"return innerWidth === {width} && innerHeight === {height}")
        self.look(_PAINTED)


ENGINES: dict[str, type[Bare]] = {each.name: each for each in (Chromium, Firefox, WebKit)}


@contextmanager
def bare(name: str, *flags: str) -> Iterator[Bare]:
    """Start an engine with these flags, without Pyodide.

    Raises `tests.support.browsers.MissingBrowser`.
    """
    with PageServer(provision.pyodide_dist()) as pages:
        engine = ENGINES[name](pages, flags=flags)
        try:
            yield engine
        finally:
            engine.quit()


def take(
    name: str,
    address: str,
    folder: Path,
    widths: Sequence[int] = WIDTHS,
    schemes: Sequence[str] = SCHEMES,
) -> list[Path]:
    """Let an engine open the page, use its prompt, and take its pictures; return their paths.

    Raises `tests.support.browsers.MissingBrowser`, and RuntimeError when the page fails or is wider
    than its window.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with bare(name) as engine:
        engine.goto(address)
        if engine.wait(_READY) == "failed":
            raise RuntimeError(engine.look("return document.querySelector('#problem').innerText"))
        engine.look(_TYPED.replace("CODE", json.dumps(_CODE)))
        engine.wait(_ANSWERED)
        for scheme in schemes:
            engine.look(_SCHEME.replace("SCHEME", json.dumps(scheme)))
            for width in widths:
                path = folder / f"{name}-{width}-{scheme}.png"
                path.write_bytes(engine.picture(width))
                if engine.look("return document.documentElement.scrollWidth > innerWidth"):
                    raise RuntimeError(f"{name}: the page is wider than {width} pixels of window")
                paths.append(path)
    return paths


def main() -> int:
    """Take all pictures that are asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo.screenshots", description=__doc__)
    parser.add_argument("engines", nargs="*", metavar="ENGINE", help=f"of {', '.join(ENGINES)}")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    given = parser.parse_args()
    if unknown := set(given.engines) - ENGINES.keys():
        parser.error(f"none of {', '.join(ENGINES)}: {', '.join(sorted(unknown))}")
    try:
        with set_stage() as address:
            for name in given.engines or ENGINES:
                for path in take(name, address, given.folder):
                    print(path)
    except (MissingBrowser, provision.ProvisionError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
