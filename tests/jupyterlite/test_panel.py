"""The status item and the panel, as a person uses them who has a keyboard alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.demo.driving import Visitor
from tests.jupyterlite import sites
from tests.jupyterlite.browser import END, UNTIL, Browser, Page, address
from tests.support import labextension
from tests.support.compiled import compiled
from tests.support.pages import PageServer
from tests.zoo.zoo import Zoo

ANIMALS = ("no-cors", "relative-urls", "healthy")
INSTALL = "%pip install zoo-root"
USE = "import zoo_root\nprint('It is there.')"
NOTEBOOK = "install.ipynb"
APPS = ("lab", "notebooks", "repl")
_FAULTS = """
    const { passes, violations } = await axe.run({ include: [[".pm-panel"], [".pm-status"]] });
    if (!passes.some(({ id }) => id === "color-contrast")) return ["no contrast was looked at"];
    return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(
        ({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join("; ")}`);
"""


@pytest.fixture(scope="module")
def zoo() -> Iterator[Zoo]:
    """Mirrors, of which the first is blocked and has its verdict before the others."""
    with Zoo() as zoo:
        zoo.share("relative-urls", latency=0.2)
        zoo.share("healthy", latency=0.4)
        yield zoo


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all sites in it."""
    return tmp_path_factory.mktemp("sites")


@pytest.fixture
def server(root: Path) -> Iterator[PageServer]:
    """A server of all sites, on an origin for which the browser has stored nothing."""
    with PageServer(root) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser of all tests, which asks this machine alone."""
    browser = Browser()
    with browser:
        yield browser
    browser.check_requests()


def build(root: Path, zoo: Zoo, name: str, **addon: Any) -> str:
    labextension.build()
    mirrors = {"mirrors": [zoo.url(name) for name in ANIMALS], "canary": "zoo-canary"}
    folder = sites.write_site(
        root / name,
        addon={**mirrors, **addon},
        pyodide=compiled(sites.kernel_dist()),
        notebooks={NOTEBOOK: [INSTALL, USE]},
    )
    return f"/{sites.built(folder).relative_to(root)}"


@pytest.fixture(scope="module")
def site(root: Path, zoo: Zoo) -> str:
    """A site with three mirrors; users may change them."""
    return build(root, zoo, "free")


@pytest.fixture(scope="module")
def locked_site(root: Path, zoo: Zoo) -> str:
    """The same, whose owner has locked the mirrors."""
    return build(root, zoo, "locked", locked=True)


class Panel:
    """The status item and the panel of a page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.driver.set_window_size(1280, 900)

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
        self.wait('document.querySelector(".pm-status button")').send_keys(Keys.ENTER)
        self.wait('document.querySelector(".pm-panel .pm-item")')

    def press(self, key: str) -> None:
        """Go to a button by its key in the panel, press Enter there, and wait till it is done."""
        self.run_js('document.querySelector(`.pm-panel [data-key="${args[0]}"]`).focus();', key)
        ActionChains(self.page.driver).send_keys(Keys.ENTER).perform()
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
                """await window.jupyterapp.commands.execute("apputils:change-theme",
                    { theme: args[0] });
                await until(() => document.body.dataset.jpThemeName === args[0]);""",
                theme,
            )
            found += [f"{theme}: {fault}" for fault in self.run_js(_FAULTS)]
        return found


def host(zoo: Zoo, name: str) -> str:
    return zoo[name].here.removeprefix("http://")


def test_a_user_sees_the_verdicts_chooses_a_mirror_and_finds_it_after_a_reload(
    browser: Browser, server: PageServer, site: str, zoo: Zoo
) -> None:
    url = address(server.base_url() + site, "lab", path=NOTEBOOK)
    repaired, healthy = host(zoo, "relative-urls"), host(zoo, "healthy")
    with browser.open(url) as page:
        panel = Panel(page)
        assert f"installs through {repaired}" in page.run_notebook(NOTEBOOK)[0]
        assert panel.status(repaired) == "fair"
        panel.open()
        blocked, used, other = panel.items()
        assert blocked.startswith(f"{host(zoo, 'no-cors')} cors the mirror answers, but")
        assert "Access-Control-Allow-Origin" in blocked
        assert used.startswith(f"{repaired} relative-urls in use")
        assert other == f"{healthy} not tested yet"
        assert panel.serious_faults() == []
        panel.press(f"use {zoo.url('no-cors')}")
        assert "cors" in panel.problem()
        panel.press("probe")
        assert panel.problem() == ""
        assert panel.items()[2].startswith(f"{healthy} ok page, wheel")
        panel.press(f"use {zoo.url('healthy')}")
        assert panel.status(healthy) == "good"
        assert panel.items()[0].startswith(f"{healthy} ok in use")
        # Whatever runs first after a restart goes through it.
        assert f"installs through {healthy}" in page.run_notebook(NOTEBOOK, restart=True)[0]
    with browser.open(url) as page:
        panel = Panel(page)
        assert f"installs through {healthy}" in page.run_notebook(NOTEBOOK)[0]
        assert panel.status(healthy) == "good"
        panel.open()
        panel.press("reset")
        assert [item.split()[0] for item in panel.items()] == [host(zoo, n) for n in ANIMALS]
        assert page.run_js("return Object.keys(localStorage).join()").count("pyodide-mirror:") == 0


@pytest.mark.nightly
@pytest.mark.parametrize("app", APPS)
def test_mirrors_are_added_moved_and_removed_in_each_app(
    browser: Browser, server: PageServer, site: str, zoo: Zoo, app: str
) -> None:
    base = server.base_url() + site
    code = f"{INSTALL}\nprint({END!r})"
    repl = address(base, "repl", kernel="python", execute="1", code=code)
    with browser.open(repl if app == "repl" else address(base, app, path=NOTEBOOK)) as page:
        panel = Panel(page)
        shown = page.repl_output() if app == "repl" else page.run_notebook(NOTEBOOK)[0]
        assert f"installs through {host(zoo, 'relative-urls')}" in shown
        panel.open()
        first, second, third = (zoo.url(name) for name in ANIMALS)
        panel.press(f"down {first}")
        panel.press(f"remove {third}")
        panel.run_js(
            """const input = document.querySelector('.pm-panel [data-key="url"]');
            input.focus();
            input.value = args[0];""",
            third,
        )
        ActionChains(page.driver).send_keys(Keys.ENTER).perform()
        names = [host(zoo, name) for name in ("relative-urls", "no-cors", "healthy")]
        panel.wait('document.querySelectorAll(".pm-panel ol .pm-item").length === 3')
        assert [item.split()[0] for item in panel.items()] == names
        kept = page.run_js(
            "return Object.values(localStorage).find((one) => one.includes('mirrors'))"
        )
        assert kept == f'{{"mirrors":["{second}","{first}","{third}"]}}'


@pytest.mark.nightly
def test_what_the_owner_has_locked_stays_whatever_the_browser_has_kept(
    browser: Browser, server: PageServer, locked_site: str, zoo: Zoo
) -> None:
    url = address(server.base_url() + locked_site, "lab", path=NOTEBOOK)
    mine = f'{{"mirrors":["{zoo.url("healthy")}"]}}'
    with browser.open(url) as page:
        root = server.base_url() + locked_site.rstrip("/") + "/"
        page.run_js("localStorage.setItem(args[0], args[1])", f"pyodide-mirror:{root}", mine)
    with browser.open(url) as page:
        panel = Panel(page)
        shown = page.run_notebook(NOTEBOOK)[0]
        assert f"installs through {host(zoo, 'relative-urls')}" in shown
        panel.open()
        assert [item.split()[0] for item in panel.items()] == [host(zoo, n) for n in ANIMALS]
        panel.press(f"use {zoo.url('healthy')}")
        assert panel.status(host(zoo, "relative-urls")) == "fair"
        changing = """return [...document.querySelectorAll(".pm-panel ol button")]
            .every((each) => each.getAttribute("aria-disabled") === "true");"""
        assert panel.run_js(changing)
