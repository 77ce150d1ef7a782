"""Firefox with JupyterLite sites in it, by WebDriver BiDi."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from tests.jupyterlite.browser import PATIENCE, Page, Point
from tests.support import browsers
from tests.support.bidi import Firefox as FirefoxProcess


class Firefox:
    """One Firefox; a context manager, as `browser.Browser` is. It has no record of requests."""

    def __enter__(self) -> Self:
        """Start it."""
        self._process = FirefoxProcess(browsers.find(browsers.FIREFOX))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self._process.close()

    def check_requests(self) -> None:
        """See nothing: Chromium tells what a site asks for."""

    @contextmanager
    def open(self, url: str) -> Iterator["FirefoxPage"]:
        """Open a page of a site in a tab of its own, and close it afterwards."""
        created = self._process.command("browsingContext.create", {"type": "tab"}, PATIENCE)
        page = FirefoxPage(self._process, created["context"])
        try:
            page.command("browsingContext.navigate", url=url, wait="complete")
            yield page
        finally:
            page.command("browsingContext.close")


class FirefoxPage(Page):
    """A page of a site in Firefox."""

    def __init__(self, process: FirefoxProcess, context: str) -> None:
        """Take the process, and the name of the tab."""
        self._process = process
        self._context = context
        self.first_output_at = 0.0

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Have Firefox do something in the tab."""
        return self._process.command(method, {"context": self._context, **parameters}, PATIENCE)

    def run_js(self, body: str, *arguments: Any) -> Any:
        """Run the body of an async function in the page and return what it returns."""
        answer = self._process.command(
            "script.evaluate",
            {
                "expression": f"""(async (...args) => {{ {body} }})(
                    ...{json.dumps(arguments)}
                ).then(
                    (result) => JSON.stringify({{ result }}),
                    (error) => JSON.stringify({{ error: `${{error}}\\n${{error?.stack}}` }}))""",
                "target": {"context": self._context},
                "awaitPromise": True,
            },
            PATIENCE,
        )
        if answer["type"] == "exception":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        found = json.loads(answer["result"]["value"])
        if "error" in found:
            raise RuntimeError(found["error"])
        return found.get("result")

    def press(self, *keys: str) -> None:
        """Press and release keys, one after the other, wherever the focus is."""
        actions = [
            {"type": kind, "value": key} for key in "".join(keys) for kind in ("keyDown", "keyUp")
        ]
        source = {"type": "key", "id": "keys", "actions": actions}
        self.command("input.performActions", actions=[source])

    def take_focus(self) -> None:
        """Do nothing: each page of Firefox without a screen is in front."""

    def resize(self, width: int, height: int) -> None:
        """Give the tab another size, in pixels."""
        self.command("browsingContext.setViewport", viewport={"width": width, "height": height})

    def drag(self, start: Point, end: Point) -> None:
        """Tell the page of a drag: without a screen, Firefox begins none by the mouse."""
        self.run_js(
            """const [start, end] = args;
            const dataTransfer = new DataTransfer();
            for (const [kind, [x, y]] of [
                ["dragstart", start], ["dragover", end], ["drop", end], ["dragend", start],
            ]) {
                const options = { bubbles: true, cancelable: true, dataTransfer };
                document.elementFromPoint(x, y).dispatchEvent(new DragEvent(kind, options));
            }""",
            start,
            end,
        )
