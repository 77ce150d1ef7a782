"""The status item and the panel, as a person uses them who has a keyboard alone."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from tests.jupyterlite import sites
from tests.jupyterlite.browser import END, Browser, Page, address
from tests.jupyterlite.panel import Panel
from tests.support import labextension
from tests.support.compiled import compiled
from tests.support.pages import PageServer
from tests.zoo.zoo import Zoo

ANIMALS = ("no-cors", "relative-urls", "healthy")
INSTALL = "%pip install zoo-root"
USE = "import zoo_root\nprint('It is there.')"
NOTEBOOK = "install.ipynb"
NIGHTLY = [pytest.param(app, marks=pytest.mark.nightly) for app in ("lab", "notebooks", "repl")]
LAB, *REST = NIGHTLY


@pytest.fixture(scope="module")
def zoo() -> Iterator[Zoo]:
    """Mirrors, of which the first is blocked and has its verdict before the others."""
    with Zoo() as zoo:
        zoo.share("relative-urls", latency=0.2)
        zoo.share("healthy", latency=0.4)
        yield zoo


@pytest.fixture(scope="module")
def browser(each_browser: Browser) -> Browser:
    """Each browser."""
    return each_browser


def build(
    root: Path, zoo: Zoo, name: str, release: sites.Release = sites.CURRENT, **addon: Any
) -> str:
    labextension.build()
    mirrors = {"mirrors": [zoo.url(name) for name in ANIMALS], "canary": "zoo-canary"}
    if release is sites.OLDER:
        sites.put_sqlite3(root / name)
    folder = sites.write_site(
        root / name,
        addon={**mirrors, **addon},
        pyodide=compiled(sites.kernel_dist(release)),
        notebooks={NOTEBOOK: [INSTALL, USE]},
    )
    return f"/{sites.built(folder, release=release).relative_to(root)}"


@pytest.fixture(scope="module")
def site(root: Path, zoo: Zoo) -> str:
    """A site with three mirrors; users may change them."""
    return build(root, zoo, "free")


@pytest.fixture(scope="module")
def locked_site(root: Path, zoo: Zoo) -> str:
    """The same, whose owner has locked the mirrors."""
    return build(root, zoo, "locked", locked=True)


def host(zoo: Zoo, name: str) -> str:
    return zoo[name].here.removeprefix("http://")


def hosts(panel: Panel) -> list[str]:
    return [item.split()[0] for item in panel.items()]


def url_of(base: str, app: str) -> str:
    """The address of a page with something that installs; the REPL does it by itself."""
    if app == "repl":
        return address(base, app, kernel="python", execute="1", code=f"{INSTALL}\nprint('{END}')")
    return address(base, app, path=NOTEBOOK)


def install(page: Page, app: str, *, restart: bool = False) -> str:
    """What the first cell shows."""
    if app != "repl":
        return page.run_notebook(NOTEBOOK, restart=restart)[0]
    return page.run_in_repl(INSTALL, restart=True) if restart else page.repl_output()


@pytest.mark.parametrize("app", ["lab", *REST])
def test_a_user_sees_the_verdicts_chooses_a_mirror_and_finds_it_after_a_reload(
    browser: Browser, server: PageServer, site: str, zoo: Zoo, app: str
) -> None:
    see_choose_and_reload(browser, server.base_url() + site, zoo, app)


@pytest.mark.nightly
@pytest.mark.parametrize("release", [sites.OLDER, sites.COMING], ids=lambda each: each.core)
def test_the_same_with_another_jupyterlite(
    browser: Browser, server: PageServer, root: Path, zoo: Zoo, release: sites.Release
) -> None:
    other = build(root, zoo, f"{release.core}-{type(browser).__name__}", release)
    see_choose_and_reload(browser, server.base_url() + other, zoo, "lab")


def see_choose_and_reload(browser: Browser, base: str, zoo: Zoo, app: str) -> None:
    url = url_of(base, app)
    repaired, healthy = host(zoo, "relative-urls"), host(zoo, "healthy")
    with browser.open(url) as page:
        panel = Panel(page)
        assert f"installs through {repaired}" in install(page, app)
        assert panel.status(repaired) == "fair"
        panel.open()
        blocked, used, other = panel.items()
        assert blocked.startswith(f"{host(zoo, 'no-cors')} cors the mirror answers, but")
        assert "Access-Control-Allow-Origin" in blocked
        assert used.startswith(f"{repaired} relative-urls in use")
        assert other == f"{healthy} not tested yet"
        panel.press(f"use {zoo.url('no-cors')}")
        assert "cors" in panel.problem()
        panel.press("probe")
        assert panel.problem() == ""
        assert panel.items()[2].startswith(f"{healthy} ok page, wheel")
        panel.press(f"use {zoo.url('healthy')}")
        assert panel.status(healthy) == "good"
        assert panel.items()[0].startswith(f"{healthy} ok in use")
        # Whatever runs first after a restart goes through it.
        assert f"installs through {healthy}" in install(page, app, restart=True)
    with browser.open(url) as page:
        panel = Panel(page)
        assert f"installs through {healthy}" in install(page, app)
        assert panel.status(healthy) == "good"
        panel.open()
        panel.press("reset")
        assert hosts(panel) == [host(zoo, name) for name in ANIMALS]
        assert page.run_js("return Object.keys(localStorage).join()").count("pyodide-mirror:") == 0


@pytest.mark.parametrize("app", NIGHTLY)
def test_mirrors_are_added_moved_and_removed_by_keys_and_the_mouse(
    browser: Browser, server: PageServer, site: str, zoo: Zoo, app: str
) -> None:
    with browser.open(url_of(server.base_url() + site, app)) as page:
        panel = Panel(page)
        assert f"installs through {host(zoo, 'relative-urls')}" in install(page, app)
        panel.open()
        assert panel.serious_faults() == []
        first, second, third = (zoo.url(name) for name in ANIMALS)
        panel.press(f"down {first}")
        panel.press(f"remove {third}")
        panel.run_js(
            """const input = document.querySelector('.pm-panel [data-key="url"]');
            input.focus();
            input.value = args[0];""",
            third,
        )
        page.press(Keys.ENTER)
        names = [host(zoo, name) for name in ("relative-urls", "no-cors", "healthy")]
        panel.wait('document.querySelectorAll(".pm-panel ol .pm-item").length === 3')
        assert hosts(panel) == names
        assert kept(page) == f'{{"mirrors":["{second}","{first}","{third}"]}}'
        page.drag(panel.middle(2), panel.middle(0))
        panel.run_js(
            """await until(() => document.querySelector(".pm-panel ol .pm-item")
                .innerText.includes(args[0]));""",
            names[2],
        )
        assert hosts(panel) == [names[2], *names[:2]]
        panel.wait('document.querySelector(".pm-panel").ariaBusy === "false"')
        assert kept(page) == f'{{"mirrors":["{third}","{second}","{first}"]}}'


def kept(page: Page) -> str:
    """What the browser has kept of the user's settings."""
    found: str = page.run_js(
        "return Object.values(localStorage).find((one) => one.includes('mirrors'))"
    )
    return found


@pytest.mark.parametrize("app", NIGHTLY)
def test_the_keyboard_gets_to_all_of_it(
    browser: Browser, server: PageServer, site: str, zoo: Zoo, app: str
) -> None:
    with browser.open(url_of(server.base_url() + site, app)) as page:
        panel = Panel(page)
        install(page, app)
        # As on a page that has just been opened.
        panel.run_js(
            """const first = document.createElement("span");
            first.tabIndex = -1;
            document.body.prepend(first);
            first.focus();"""
        )
        panel.tab_to("status", at_most=120)
        page.press(Keys.ENTER)
        panel.wait('document.querySelector(".pm-panel .pm-item")')
        panel.wait('document.querySelector(".pm-panel").ariaBusy === "false"')
        panel.wait('document.activeElement.closest(".pm-panel")')
        keys = panel.run_js(
            """return [...document.querySelectorAll(".pm-panel [data-key]")]
                .map(({ dataset }) => dataset.key);"""
        )
        assert len(keys) == 4 * len(ANIMALS) + 2 + 4
        for key in keys:
            panel.tab_to(key, at_most=3)  # a scroll bar may be between


@pytest.mark.nightly
def test_the_report_is_copied_and_the_cache_is_cleared(
    browser: Browser, server: PageServer, site: str, zoo: Zoo
) -> None:
    with browser.open(url_of(server.base_url() + site, "lab")) as page:
        panel = Panel(page)
        install(page, "lab")
        panel.open()
        panel.wait('document.querySelector(".pm-panel").ariaBusy === "false"')
        panel.run_js("navigator.clipboard.writeText = async (text) => { window.copied = text; };")
        panel.press("copy")
        copied = panel.run_js("return window.copied")
        assert re.search(rf"^no-cors|{host(zoo, 'no-cors')}.*cors", copied)
        assert host(zoo, "relative-urls") in copied
        # As on a page by plain http.
        panel.run_js(
            """Object.defineProperty(navigator, "clipboard", { value: undefined });
            document.addEventListener("copy", (event) => {
                window.copiedAgain = event.clipboardData.getData("text");
            });"""
        )
        panel.press("copy")
        assert panel.problem() == ""
        assert panel.run_js("return window.copiedAgain") == copied
        assert files_in_cache(panel) > 0
        panel.press("clear")
        assert files_in_cache(panel) == 0


def files_in_cache(panel: Panel) -> int:
    text = panel.run_js('return document.querySelector(".pm-panel").innerText')
    return int(re.findall(r"Cache: \d+(?:\.\d)? kB in (\d+) file", text)[0])


@pytest.mark.nightly
def test_a_console_has_its_notebook_s_kernel_and_one_that_does_not_answer_is_said_to_be_one(
    browser: Browser, server: PageServer, site: str, zoo: Zoo
) -> None:
    """Whether it refuses the comm, or does nothing with it."""
    with browser.open(url_of(server.base_url() + site, "lab")) as page:
        page.take_focus()
        panel = Panel(page)
        install(page, "lab")
        title = panel.run_js(
            """const { shell, commands } = window.jupyterapp;
            const notebook = [...shell.widgets("main")].find((each) => each.context);
            const { kernel } = notebook.sessionContext.session;
            await commands.execute("console:create",
                { path: notebook.context.path, kernelPreference: { id: kernel.id } });
            const console = await until(() => [...shell.widgets("main")].find(
                (each) => each.console && each.sessionContext.session?.kernel));
            if (console.sessionContext.session.kernel.handleComms) throw new Error("it is alone");
            shell.activateById(console.id);
            await until(() => shell.currentWidget === console);
            const said = () => document.querySelector(".pm-status button").title;
            await until(() => !said().includes("No kernel has answered"));
            const title = said();
            console.dispose();
            return title;"""
        )
        assert title == f"Packages come from {host(zoo, 'relative-urls')} (relative-urls)"
        for targets in ("pop('pyodide_mirror')", "__setitem__('pyodide_mirror', print)"):
            panel.run_js(
                """const { shell, commands } = window.jupyterapp;
                const notebook = [...shell.widgets("main")].find((each) => each.context);
                const { path } = notebook.context;
                const { kernel } = notebook.sessionContext.session;
                await kernel.requestExecute({ code: args[0] }).done;
                notebook.dispose();
                await commands.execute("docmanager:open", { path });
                const said = () => document.querySelector(".pm-status button").title;
                await until(() => said().includes("has no pyodide_mirror"));""",
                f"import comm; comm.get_comm_manager().targets.{targets}",
            )


@pytest.mark.nightly
def test_what_the_owner_has_locked_stays_whatever_the_browser_has_kept(
    browser: Browser, server: PageServer, locked_site: str, zoo: Zoo
) -> None:
    url = url_of(server.base_url() + locked_site, "lab")
    mine = f'{{"mirrors":["{zoo.url("healthy")}"]}}'
    with browser.open(url) as page:
        root = server.base_url() + locked_site.rstrip("/") + "/"
        page.run_js("localStorage.setItem(args[0], args[1])", f"pyodide-mirror:{root}", mine)
    with browser.open(url) as page:
        panel = Panel(page)
        assert f"installs through {host(zoo, 'relative-urls')}" in install(page, "lab")
        panel.open()
        assert hosts(panel) == [host(zoo, name) for name in ANIMALS]
        panel.press(f"use {zoo.url('healthy')}")
        assert panel.status(host(zoo, "relative-urls")) == "fair"
        changing = """return [...document.querySelectorAll(".pm-panel ol button")]
            .every((each) => each.getAttribute("aria-disabled") === "true");"""
        assert panel.run_js(changing)
        assert panel.open_settings()["timeout"] == ["5", True]
        panel.run_js(
            """const { plugins } = await window.jupyterapp.serviceManager.settings.list();
            window.saved = window.jupyterapp.serviceManager.settings
                .save("pyodide-mirror:plugin", JSON.stringify({ mirrors: [args[0]] }));
            await window.saved;""",
            zoo.url("healthy"),
        )
        assert f"installs through {host(zoo, 'relative-urls')}" in install(
            page, "lab", restart=True
        )


@pytest.mark.nightly
def test_the_editor_of_settings_has_the_owner_s_values_and_refuses_bad_ones(
    browser: Browser, server: PageServer, site: str, zoo: Zoo
) -> None:
    with browser.open(url_of(server.base_url() + site, "lab")) as page:
        panel = Panel(page)
        install(page, "lab")
        fields = panel.open_settings()
        for number, name in enumerate(ANIMALS):
            assert fields[f"mirrors_{number}"] == [zoo.url(name), False]
        assert fields["timeout"] == ["5", False]
        panel.set_field("timeout", "-1", "must be > 0")
        assert page.run_js("return Object.keys(localStorage).join()").count("pyodide-mirror:") == 0
        panel.set_field("timeout", "7")
        panel.set_field("mirrors_0", "nonsense", "must match pattern")
        panel.set_field("mirrors_0", "https://new.example/simple")
        panel.run_js(
            """const kept = () => JSON.stringify({ ...localStorage });
            await until(() => kept().includes("timeout") && kept().includes("new.example"));"""
        )
        panel.open()
        panel.run_js(
            """await until(() => document.querySelector(".pm-panel ol .pm-item")
                .innerText.includes(args[0]));""",
            "new.example",
        )
