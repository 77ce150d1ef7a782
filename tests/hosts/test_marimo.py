from pathlib import Path

import pytest

from tests.hosts import marimo
from tests.hosts.stage import USABLE, assert_installed, browsing, mirrors, prepare
from tests.jupyterlite.browser import Page
from tests.support.pages import PageServer

# The report is an HTML table here, with the mirrors in a folded part.
SHOWN = """
    const told = new Set();
    const find = () => document.querySelector("img[src^='data:image/svg']");
    await new Promise((resolve, reject) => {
        const look = () => {
            const status = document.querySelector("[role=status]");
            if (status) told.add(status.textContent);
            if (find()) resolve();
            const text = document.body.innerText;
            if (/Error|Traceback/.test(text)) reject(text);
        };
        const everything = { childList: true, subtree: true, characterData: true };
        new MutationObserver(look).observe(document, everything);
        setTimeout(() => reject(document.body.innerText), 100000);
        look();
    });
    await find().decode();
    const table = [...document.querySelectorAll("table")]
        .find((each) => each.rows[0].cells[0].textContent === "installed");
    const lines = [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent));
    const report = lines.map((line) => line.join(" ")).join("\\n");
    return [report, find().naturalWidth, [...told].join("\\n")];
"""


def result(page: Page) -> tuple[str, int, str]:
    report, width, told = page.run_js(SHOWN)
    return report, width, told


@pytest.mark.nightly
def test_the_exported_notebook_installs_from_a_mirror_that_works(tmp_path: Path) -> None:
    with mirrors() as urls:
        site = marimo.exported(prepare("marimo", tmp_path, urls))
        with PageServer(site) as server, browsing() as browser:
            url = f"{server.base_url()}/index.html"
            with browser.open(url) as page:
                report, width, told = result(page)
    assert_installed(report, *(urls[name] for name in USABLE))
    assert width > 0
    # The progress was there while the cell ran; what is said last is gone at once.
    assert "looked at " in told
