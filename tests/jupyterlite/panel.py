"""The panel and the status item of a page of a site, as a user of the keyboard has them."""

from typing import Any

from selenium.webdriver.common.keys import Keys

from tests.demo.driving import Visitor
from tests.jupyterlite.browser import UNTIL, Page

_FAULTS = """
    const { passes, violations } = await axe.run({ include: [[".pm-panel"], [".pm-status"]] });
    if (!passes.some(({ id }) => id === "color-contrast")) return ["no contrast was looked at"];
    return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(
        ({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join("; ")}`);
"""


class Panel:
    """The status item and the panel of a page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.resize(1280, 900)

    def run_js(self, body: str, *arguments: Any) -> Any:
        """Run the body of an async function, in which `until` waits."""
        return self.page.run_js(f"{UNTIL}\n{body}", *arguments)

    def wait(self, condition: str) -> Any:
        """Wait until an expression is true."""
        return self.run_js(f"return await until(() => {condition});")

    def status(self, name: str) -> str:
        """Wait until the status item names that mirror; return its state."""
        found: str = self.run_js(
            """const item = await until(() => [...document.querySelectorAll(".pm-status")]
                .find((each) => each.innerText.includes(args[0])));
            return item.querySelector(".pm-dot").dataset.health;""",
            name,
        )
        return found

    def open(self) -> None:
        """Press the status item, and wait for the panel."""
        self.run_js(
            """const button = await until(() => document.querySelector(".pm-status button"));
            button.focus();"""
        )
        self.page.press(Keys.ENTER)
        self.wait('document.querySelector(".pm-panel .pm-item")')

    def press(self, key: str) -> None:
        """Go to a button by its key in the panel, press Enter there, and wait till it is done."""
        self.run_js('document.querySelector(`.pm-panel [data-key="${args[0]}"]`).focus();', key)
        self.page.press(Keys.ENTER)
        self.run_js(
            """await until(() => document.querySelector(".pm-panel").ariaBusy === "false");
            const at = document.activeElement.dataset.key;
            const gone = args[0].startsWith("remove");
            if (gone ? !at : at !== args[0]) throw new Error(`the focus is on ${at}`);""",
            key,
        )

    def items(self) -> list[str]:
        """Return what the panel says of each mirror, in a line."""
        texts = self.run_js(
            """return [...document.querySelectorAll(".pm-panel ol .pm-item")]
                .map((item) => [...item.children].slice(0, -1)
                    .map((each) => each.innerText).join(" "));"""
        )
        return [" ".join(text.split()) for text in texts]

    def problem(self) -> str:
        """Return what has gone wrong."""
        found: str = self.run_js('return document.querySelector(".pm-problem").textContent;')
        return found

    def serious_faults(self) -> list[str]:
        """Return what axe finds that is serious, in light and in dark."""
        self.run_js("(0, eval)(args[0]);", Visitor.axe())
        found = []
        for theme in ("JupyterLab Dark", "JupyterLab Light"):
            self.run_js(
                """const { commands } = window.jupyterapp;
                await commands.execute("apputils:change-theme", { theme: args[0] });
                await until(() => document.body.dataset.jpThemeName === args[0]);""",
                theme,
            )
            found += [f"{theme}: {fault}" for fault in self.run_js(_FAULTS)]
        return found

    def focused(self) -> str:
        """Return the key of the button in the panel that has the focus; "status" for the item."""
        key: str = self.run_js(
            """const { activeElement } = document;
            if (activeElement.closest(".pm-status")) return "status";
            return activeElement.closest(".pm-panel") ? activeElement.dataset.key ?? "" : "";"""
        )
        return key

    def tab_to(self, key: str, *, at_most: int) -> None:
        """Press Tab until what has this key has the focus."""
        for _ in range(at_most):
            if self.focused() == key:
                return
            if self.run_js('return !!document.activeElement.closest(".cm-editor")'):
                self.page.press(Keys.ESCAPE)  # Tab indents in an editor
            self.page.press(Keys.TAB)
        raise AssertionError(f"{key} has not got the focus by {at_most} times Tab")

    def middle(self, number: int) -> tuple[int, int]:
        """Return the middle of what the panel says of a mirror, as a point in the page."""
        x, y = self.run_js(
            """const item = document.querySelectorAll(".pm-panel ol .pm-title")[args[0]];
            item.scrollIntoView({ block: "center" });
            const { left, top, width, height } = item.getBoundingClientRect();
            return [left + width / 2, top + height / 2].map(Math.round);""",
            number,
        )
        return x, y

    def open_settings(self) -> dict[str, tuple[str, bool]]:
        """Open JupyterLab's editor; return our fields' values, and whether they are read-only."""
        found: dict[str, tuple[str, bool]] = self.run_js(
            """await window.jupyterapp.commands.execute("settingeditor:open",
                { query: "Package mirrors" });
            const ours = "jp-SettingsEditor-pyodide-mirror:plugin_";
            await until(() => document.querySelector(`[id="${ours}timeout"]`));
            const all = [...document.querySelectorAll(`[id^="${ours}"]`)];
            return Object.fromEntries(all.filter(({ value }) => value !== undefined).map(
                ({ id, value, readOnly, disabled }) =>
                    [id.slice(ours.length), [value, readOnly || disabled]]));"""
        )
        return found

    def set_field(self, name: str, value: str, said: str = "") -> None:
        """Type a value into a field of the editor, and wait until the editor says that of it."""
        self.run_js(
            """const field = document.querySelector(
                `[id="jp-SettingsEditor-pyodide-mirror:plugin_${args[0]}"]`);
            field.focus();
            field.select();""",
            name,
        )
        self.page.press(value, Keys.TAB)
        self.run_js(
            """const said = () => [...document.querySelectorAll(".validationErrors")]
                .map(({ innerText }) => innerText).join("").trim();
            await until(() => args[0] ? said().includes(args[0]) : !said());""",
            said,
        )
