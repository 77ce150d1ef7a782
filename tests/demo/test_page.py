"""The page as a folder on a web server, used by keyboard in a Chromium."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import pytest
from selenium.webdriver.common.keys import Keys

from demo import site
from demo.mirrors import Stocked, read_wheels
from demo.screenshots import Chromium
from demo.stage import WHEELS
from pyodide_mirror import CDN, MIRRORS
from tests.demo.conftest import Serve
from tests.demo.driving import Visitor
from tests.support import provision
from tests.support.compiled import compiled_dist
from tests.zoo.cdns import CDNZoo
from tests.zoo.changes import failing, of_project
from tests.zoo.zoo import ANIMALS, Running

BIG_FILES = ("pyodide.asm.wasm", "python_stdlib.zip")
PYTHON = provision.python_of(provision.pyodide_dist())
# Note how far the bar of the start is, and what is said then, from before the page's own scripts.
_WATCH_START = """
    globalThis.started = [];
    new MutationObserver(() => {
        const bar = document.querySelector("#loaded");
        const says = document.querySelector("#loading-says");
        if (bar && says) started.push([bar.value, bar.max, says.textContent]);
    }).observe(document, { childList: true, subtree: true });
"""
# Note what is said of the bytes, and how many lines the log has, whenever one of them changes.
_WATCH = """
    globalThis.watched = [];
    const bytes = document.querySelector("#bytes");
    const log = document.querySelector("#log");
    const note = () => watched.push([bytes.textContent, log.childElementCount]);
    const watcher = new MutationObserver(note);
    watcher.observe(bytes, { childList: true });
    watcher.observe(log, { childList: true });
"""
# How many files the loader has kept, which it does after the start: it is an insecure page.
_KEPT_ALL = """await new Promise((resolve, reject) => {
    const opening = indexedDB.open("pyodide-mirror-loader-VERSION");
    opening.onerror = reject;
    opening.onsuccess = () => {
        const counting = opening.result.transaction("files").objectStore("files").count();
        counting.onsuccess = () => resolve(counting.result === FILES);
    };
})""".replace("VERSION", provision.PYODIDE_VERSION)
TEXTS = json.loads(Path(site.__file__).with_name("texts.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def mirrors() -> Iterator[dict[str, Running]]:
    """Three mirrors of the demonstration's wheels.

    `lacking` has all pages, but not the wheel of zipp; `healthy` is a little slower.
    """
    stock = read_wheels(provision.real_wheels(WHEELS))
    healthy = Stocked.like(ANIMALS["healthy"], stock)
    lacking = replace(healthy, file=of_project("zipp", failing(404)))
    with ExitStack() as stack:
        yield {
            "lacking": stack.enter_context(Running(lacking)),
            "healthy": stack.enter_context(Running(healthy, latency=0.2)),
        }


@pytest.fixture(scope="module")
def zoo() -> Iterator[CDNZoo]:
    """CDNs, of which the good one has Pyodide."""
    dist = compiled_dist()
    core = {name: (dist / name).read_bytes() for name in BIG_FILES}
    with CDNZoo(core, {path.name: path.read_bytes() for path in dist.glob("*.whl")}) as zoo:
        yield zoo


@pytest.fixture
def visitor(browser: Chromium) -> Visitor:
    return Visitor(browser)


def test_a_link_is_followed_as_far_as_it_may_be(
    serve: Serve, mirrors: dict[str, Running], zoo: CDNZoo, visitor: Visitor
) -> None:
    good = CDN(zoo.url("good"), name="Good")
    cdns = [CDN(zoo.url("503"), name="Busy"), good]
    address = serve("some/where/deep", {"package": ""}, cdns)
    asked = [
        *(("mirror", mirrors[name].url) for name in ("lacking", "healthy")),
        ("mirror", "https://me:secret@mirror.example/simple"),
        ("mirror", "javascript:alert(1)"),
        ("mirror", "https://mirror.example:0/simple"),
        ("mirror", "https://mirror.example/simple?<img src=x onerror=alert(1)>"),
        ("canary", "<img src=x>"),
        ("package", "pygal"),
        ("lang", "es-MX"),
    ]
    with visitor.run_first(_WATCH_START):
        visitor.open(f"{address}#{urlencode(asked, quote_via=quote)}")
    visitor.wait_until_done()
    spanish = TEXTS["es"]
    check_refused(visitor, spanish)
    check_start(visitor, good)
    assert visitor.look("return document.documentElement.lang") == "es"
    assert visitor.text("h1") == spanish["title"]

    # They are on this machine, and it was a link that named them.
    assert visitor.texts("#mirrors .badge") == [spanish["state.held"]] * 2
    assert not mirrors["lacking"].requests
    visitor.tab_to("#again")
    visitor.press(Keys.SPACE)
    visitor.wait_until_done()
    assert visitor.texts("#mirrors .badge") == ["ok", "ok"]
    check_failover(visitor, mirrors, spanish)
    check_cdns(visitor, good)
    check_report(visitor, address, mirrors, good)


def check_refused(visitor: Visitor, spanish: dict[str, str]) -> None:
    refused = visitor.texts("#refused li")
    for line, why in zip(
        refused,
        ("password", "scheme", "characters", "canary", ""),
        strict=True,
    ):
        # The last one is Python's to refuse, and in its words.
        assert (spanish[f"fault.{why}"] if why else "its port is 0") in line
    assert visitor.look("return document.querySelectorAll('#refused img').length") == 0
    assert "secret" not in visitor.look("return document.body.innerHTML")
    assert visitor.look("return document.querySelector('#canary').value") == ""


def check_start(visitor: Visitor, good: CDN) -> None:
    place = f"Good ({urlsplit(good.base_url).netloc})"
    lines = dict(
        visitor.look("""
            return [...document.querySelectorAll("#origins li")].map((line) =>
                [line.dataset.file, line.textContent]);
        """)
    )
    assert set(BIG_FILES) < lines.keys()
    for line in lines.values():
        assert line.endswith(f" de {place}")
    seen = visitor.look("return started")
    shares = [here / most for here, most, says in seen if "MB" in says]
    assert len(set(shares)) > 2  # the bar moved
    assert shares[-1] == 1
    assert f"Python {PYTHON}." in seen[-1][2]


def check_cdns(visitor: Visitor, good: CDN) -> None:
    assert visitor.texts("#cdns .name") == ["Busy", "Good"]
    assert visitor.texts("#cdns .badge") == ["http-status", "ok"]
    texts = TEXTS["es"]
    said = visitor.texts("#cdns .explanation")
    assert said == [texts["cdn.http-status.explanation"], texts["cdn.ok.explanation"]]
    visitor.tab_to("#package")
    visitor.press_with(Keys.CONTROL, "a")
    visitor.press("pluggy", Keys.ENTER)
    visitor.wait("document.querySelector('#installed [data-name=pluggy]')")
    visitor.wait_until_done()
    place = f"Good ({urlsplit(good.base_url).netloc})"
    assert visitor.text("#installed [data-source]") == texts["source.cdn"].format(place=place)


def check_failover(visitor: Visitor, mirrors: dict[str, Running], spanish: dict[str, str]) -> None:
    visitor.tab_to("#package")
    assert visitor.look("return document.activeElement.value") == "pygal"
    visitor.look(_WATCH)
    visitor.press(Keys.ENTER)
    visitor.wait("document.documentElement.dataset.state === 'busy'")
    visitor.wait_until_done()
    seen = visitor.look("return watched")
    assert len({says for says, _ in seen}) > 2  # they were told of as they came
    # So was the trouble: there was more to come.
    assert any(lines for says, lines in seen if says != seen[-1][0])
    log = visitor.texts("#log li")
    assert any(line.startswith(spanish["event.problem"]) and "zipp" in line for line in log)
    assert any(line.startswith(spanish["event.failover"]) and "zipp" in line for line in log)
    rows = visitor.look("""
        return [...document.querySelectorAll("#installed tbody tr")].map((row) =>
            [row.dataset.name, row.cells[2].textContent, row.cells[3].textContent]);
    """)
    came_from = {name: where for name, where, _ in rows}
    places = {name: one.url.partition("//")[2].partition("/")[0] for name, one in mirrors.items()}
    assert came_from["pygal"] == places["lacking"]
    assert came_from["zipp"] == places["healthy"]
    bar = visitor.look("const { value, max } = document.querySelector('#bar'); return value / max")
    assert bar == 1
    assert visitor.text("#bytes").endswith(f"{len(rows)} de {len(rows)}")


def check_report(visitor: Visitor, address: str, mirrors: dict[str, Running], good: CDN) -> None:
    # As where the browser has no clipboard for pages: plain http.
    visitor.look("navigator.clipboard.writeText = () => Promise.reject(new Error('no'));")
    visitor.tab_to("#copy-report")
    visitor.press(Keys.ENTER)
    visitor.wait("document.activeElement.id === 'report-text'")
    report = visitor.look("""
        const { value, selectionStart, selectionEnd } = document.querySelector("#report-text");
        return value.slice(selectionStart, selectionEnd);
    """)
    agent = visitor.look("return navigator.userAgent")
    for part in (
        f"Pyodide {provision.PYODIDE_VERSION}",
        "micropip ",
        "pyodide_mirror ",
        f"Page:    {address} (secure context)",
        agent,
        *(f"Pyodide: {good.url(name, provision.PYODIDE_VERSION)}\n" for name in BIG_FILES),
        "Busy  http-status",
        mirrors["lacking"].url,
        "pygal: installed",
        "failover: ",
    ):
        assert part in report
    assert "secret" not in report
    assert "#mirror" not in report


@pytest.mark.nightly
def test_the_page_works_by_keyboard_and_for_screen_readers(
    serve: Serve, mirrors: dict[str, Running], visitor: Visitor
) -> None:
    address = serve("page", {"package": "", "timeout": 4})
    visitor.open(address)
    visitor.wait_until_done()
    # No host has a name here, so all that pyodide_mirror knows are out of reach.
    assert visitor.texts("#mirrors .name") == [mirror.name for mirror in MIRRORS]
    assert set(visitor.texts("#mirrors .badge")) == {"unreachable"}
    assert visitor.text("#chosen") == TEXTS["en"]["mirrors.none"]
    assert visitor.look("return document.querySelector('#cdns').hidden")
    assert visitor.serious_faults() == []

    add_a_mirror(visitor, mirrors["healthy"].url)
    visitor.tab_to("#copy-link")
    visitor.press(Keys.ENTER)
    visitor.wait("document.querySelector('#copied').textContent")
    check_link(visitor, address, mirrors["healthy"].url)
    fail_to_install(visitor)
    visitor.press_with(Keys.CONTROL, "a")
    visitor.press("pygal", Keys.ENTER)
    visitor.wait("document.documentElement.dataset.state === 'busy'")
    visitor.wait_until_done()
    use_the_prompt(visitor)
    assert visitor.serious_faults() == []
    check_languages(visitor)
    remove_it_again(visitor, mirrors["healthy"].url)


def add_a_mirror(visitor: Visitor, url: str) -> None:
    visitor.tab_to("#mirror")
    visitor.press("ftp://mirror.example", Keys.ENTER)
    visitor.wait("document.querySelector('#mirror-fault').textContent")
    assert TEXTS["en"]["fault.scheme"] in visitor.text("#mirror-fault")
    at = "document.activeElement.getAttribute('aria-invalid') + document.activeElement.id"
    assert visitor.look(f"return {at}") == "truemirror"
    visitor.press_with(Keys.CONTROL, "a")
    visitor.press(f"{url}/", Keys.ENTER)
    row = f"document.querySelector('[data-url={json.dumps(url)}]')"
    visitor.wait(f"{row}?.dataset.reason")
    visitor.wait(f"{row}.hasAttribute('aria-current')")
    assert visitor.text("#mirror-fault") == ""
    assert visitor.text(f"#mirrors [data-url={json.dumps(url)}] .badge") == "ok"


def check_link(visitor: Visitor, address: str, url: str) -> None:
    visitor.browser.set_permission("clipboard-read", "granted")
    assert visitor.text("#copied") == TEXTS["en"]["copy.link"]
    link = visitor.look("return await navigator.clipboard.readText()")
    page, _, asked = link.partition("#")
    assert page == address
    urls = [*(mirror.index_url for mirror in MIRRORS), url]
    assert asked == urlencode([("mirror", each) for each in urls])


def fail_to_install(visitor: Visitor) -> None:
    visitor.tab_to("#package")
    visitor.press("no-such-project", Keys.ENTER)
    visitor.wait("document.documentElement.dataset.state === 'failed'")
    says = visitor.text("#installing #problem")
    assert "no-such-project" in says
    assert "HTTP 404" in says  # what the mirror said, and not only micropip's own words
    assert visitor.text("#progress") == "no-such-project is not installed."
    report = visitor.look("return document.querySelector('#report-text').value")
    assert "no-such-project: ValueError: " in report


def use_the_prompt(visitor: Visitor) -> None:
    visitor.tab_to("#source")
    visitor.press("import pygal, asyncio", Keys.ENTER)
    visitor.wait("document.documentElement.dataset.ran === '1'")
    visitor.press("for tag in ['<b>', '&amp;']:", Keys.ENTER)  # an indented line follows by itself
    visitor.press("print(tag)", Keys.ENTER, Keys.ENTER)
    visitor.wait("document.documentElement.dataset.ran === '2'")
    visitor.press("await asyncio.sleep(0, 6 * 7)")
    visitor.press_with(Keys.SHIFT, Keys.ENTER)
    visitor.press("1 / 0", Keys.ENTER)
    visitor.wait("document.documentElement.dataset.ran === '3'")
    visitor.press(Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_UP)
    recalled = visitor.look("return document.querySelector('#source').value")
    visitor.press_with(Keys.CONTROL, "a")
    visitor.press("await asyncio.sleep(0, 6 * 7)", Keys.ENTER)
    visitor.wait("document.documentElement.dataset.ran === '4'")
    said = visitor.look("""
        return [...document.querySelector("#output").children].map((line) =>
            [line.dataset.kind, line.textContent]);
    """)
    assert said[0] == ["in", "import pygal, asyncio"]
    assert said[2] == ["out", "<b>\n&amp;\n"]
    assert said[4][0] == "error"
    assert said[4][1].startswith("Traceback")
    assert said[4][1].endswith("ZeroDivisionError: division by zero\n")
    assert said[-1] == ["value", "42\n"]
    assert recalled.startswith(("import pygal", "for tag in"))


def remove_it_again(visitor: Visitor, url: str) -> None:
    row = f"tr[data-url={json.dumps(url)}]"
    visitor.tab_to(f"{row} button")
    visitor.press(Keys.ENTER)
    assert visitor.look(f"return document.querySelector({json.dumps(row)})") is None
    assert visitor.look("return document.activeElement.id") == "mirror"
    assert visitor.text("#chosen") == TEXTS["en"]["mirrors.none"]


def check_languages(visitor: Visitor) -> None:
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    visitor.browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    for language in ("zh-CN", "es", "en"):
        visitor.look(f"""
            const select = document.querySelector("#language");
            select.value = {json.dumps(language)};
            select.dispatchEvent(new Event("change"));
        """)
        said = visitor.look("""
            return [...document.querySelectorAll("[data-text]")].map((one) =>
                [one.dataset.text, one.textContent]);
        """)
        assert visitor.look("return document.documentElement.lang") == language
        assert visitor.look("return document.documentElement.scrollWidth") == 390
        assert len(said) > 100
        for key, text in said:
            words = TEXTS[language][key]
            # Up to where something is filled in.
            assert text.startswith(words.partition("{")[0]), key
            assert "{" not in text, key


def test_a_page_without_pyodide_says_why_and_can_be_reported(
    serve: Serve, zoo: CDNZoo, visitor: Visitor
) -> None:
    cdns = [CDN(zoo.url(name)) for name in ("empty", "wrong-bytes")]
    address = serve("page", {"package": ""}, cdns)
    visitor.open(f"{address}?lang=en")
    visitor.wait("document.documentElement.dataset.state === 'failed'")
    shown = visitor.text("#loading #problem")
    assert TEXTS["en"]["problem.load"] in shown
    for cdn, fault in zip(cdns, ("HTTP 404", "other bytes than it must have"), strict=True):
        assert f"{cdn.name}: {fault}" in shown
    assert visitor.serious_faults() == []
    visitor.tab_to("#copy-report")
    visitor.press(Keys.ENTER)
    visitor.wait("document.querySelector('#copied').textContent")
    report = visitor.look("return document.querySelector('#report-text').value")
    assert report.startswith("Python does not run.")
    assert f"Page:    {address} (secure context)" in report
    assert f"Problem: {visitor.text('#problem-text')}" in report


def test_an_insecure_page_starts_python_under_the_same_policy_and_the_second_time_from_its_store(
    serve: Serve, zoo: CDNZoo, visitor: Visitor
) -> None:
    cdns = [CDN(zoo.url(name)) for name in ("wrong-bytes", "good")]
    address = serve("page", {"package": "", "mirrors": []}, cdns)
    visitor.open(address.replace("127.0.0.1", "page.test"))
    visitor.wait_until_done()
    assert not visitor.look("return isSecureContext")  # plain http, as in a company's network
    for line in visitor.texts("#origins li"):
        assert line.endswith(f" from {cdns[1].name}")
    visitor.wait(_KEPT_ALL.replace("FILES", str(len(visitor.texts("#origins li")))))
    visitor.open(address.replace("127.0.0.1", "page.test"))
    visitor.wait_until_done()
    assert visitor.texts("#origins li") == [TEXTS["en"]["load.kept"]]
