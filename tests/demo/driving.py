"""A person at the keyboard: the page as somebody uses it who has no mouse."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from demo.screenshots import Chromium
from tests.support import provision

AXE = "axe-core@4.14.1"
_MOST_TABS = 60
_FOCUS = """
    const { activeElement: at } = document;
    const { outlineStyle, outlineWidth } = getComputedStyle(at);
    const name = at.id ? `${at.tagName}#${at.id}` : at.tagName;
    return [at.matches(SELECTOR), name, at.matches(":focus-visible"), outlineStyle, outlineWidth];
"""
_RUN_AXE = """
    const { passes, violations } = await axe.run(document);
    if (!passes.some(({ id }) => id === "color-contrast")) return ["no contrast was looked at"];
    return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(
        ({ id, impact, nodes }) =>
            `${impact} ${id}: ${nodes.map(({ target, any }) =>
                `${target} ${any.map(({ message }) => message).join(" ")}`).join("; ")}`);
"""


class Visitor:
    """Uses the page in a Chromium by its keyboard alone, and looks at what is there."""

    def __init__(self, browser: Chromium) -> None:
        self.browser = browser

    def open(self, address: str) -> None:
        """Open an address, whatever page was open before."""
        self.browser.goto("about:blank")
        self.browser.goto(address)

    @contextmanager
    def run_first(self, code: str) -> Iterator[None]:
        """Run JavaScript in each page before its own scripts."""
        driver, command = self.browser.driver, "Page.addScriptToEvaluateOnNewDocument"
        added = driver.execute_cdp_cmd(command, {"source": code})
        yield
        driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)

    def look(self, code: str) -> Any:
        """Run the body of a function in the page, and return what it returns."""
        return self.browser.look(code)

    def text(self, selector: str) -> str:
        """Return the text of the first such element, in one line."""
        found = self.look(f"return document.querySelector({json.dumps(selector)}).innerText")
        return " ".join(found.split())

    def texts(self, selector: str) -> list[str]:
        """Return the text of each such element."""
        found = f"[...document.querySelectorAll({json.dumps(selector)})]"
        texts: list[str] = self.look(f"return {found}.map((one) => one.innerText)")
        return texts

    def wait(self, condition: str) -> Any:
        """Wait until an expression is true."""
        return self.browser.wait(f"return {condition};")

    def wait_until_done(self) -> None:
        """Wait until the page does nothing by itself, and nothing has failed."""
        state = "document.documentElement.dataset.state"
        found = self.wait(f"['done', 'failed'].includes({state}) && {state}")
        assert found == "done", self.text("main")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        ActionChains(self.browser.driver).send_keys(*keys).perform()

    def press_with(self, held: str, key: str) -> None:
        """Press a key while another is held."""
        chain = ActionChains(self.browser.driver)
        chain.key_down(held).send_keys(key).key_up(held).perform()

    def tab_to(self, selector: str) -> None:
        """Press Tab until what has the focus fits, and see that each on the way shows it."""
        passed = []
        for _ in range(_MOST_TABS):
            self.press(Keys.TAB)
            fits, name, visible, style, width = self.look(
                _FOCUS.replace("SELECTOR", json.dumps(selector))
            )
            passed.append(name)
            shown = visible and style != "none" and width != "0px"
            assert shown or name == "BODY", f"one does not see that the focus is on {name}"
            if fits:
                return
        raise AssertionError(f"Tab never comes to {selector}; it comes to {passed}")

    def serious_faults(self) -> list[str]:
        """Return what axe finds that is serious, or worse, in both schemes at two widths."""
        self.look(self.axe())
        found = []
        driver = self.browser.driver
        for scheme in ("light", "dark"):
            media = [{"name": "prefers-color-scheme", "value": scheme}]
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
            for width in (1280, 390):
                view = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
                driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", view)
                found += [f"{scheme}, {width}: {fault}" for fault in self.look(_RUN_AXE)]
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        return found

    @staticmethod
    def axe() -> str:
        """Return axe's program, which a page runs."""
        folder = provision.made(
            provision.CACHE / "npm" / AXE,
            lambda folder: provision.npm_install([AXE], folder) and None,
        )
        return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
