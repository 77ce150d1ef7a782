"""What the examples of ``demo/hosts`` need to run: their folder made ready, mirrors, and a browser.

An example is copied as it is, but for the two things that its users edit as well: the list of
mirrors and the name of our wheel. Mirrors are those of the demonstration.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from demo.mirrors import read_wheels, serve_mirrors
from demo.stage import WHEELS
from tests.jupyterlite.browser import Browser, Page
from tests.support import provision
from tests.support.pages import PageServer

EXAMPLES: Final = provision.ROOT / "demo" / "hosts"
PACKAGE: Final = "pygal"
"""What all examples install: a package that Pyodide has not, with dependencies."""
ISOLATED: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
# They race, so either of the demonstration's two may win.
USABLE: Final = ("Relative URLs", "Healthy")
# The first that answers wins: Node knows no CORS.
USABLE_IN_NODE: Final = ("No CORS", "HTML, no CORS", *USABLE)

# A list on one line, which is JSON in all languages.
_MIRRORS = re.compile(r'(\bMIRRORS = |"mirrors": )\[.*\]')
_WHEEL = re.compile(r"pyodide_mirror-\d[^-]*-py3-none-any\.whl")
_EDITED = {".html", ".json", ".mjs", ".py"}


class Site(PageServer):
    """Serves a page's folder, and what is large from where it is."""

    def __init__(self, folder: Path, **beside: Path) -> None:
        """Take the folder of the page, and folders by the names they have beside it."""
        super().__init__(folder)
        self.beside = {name: place.resolve() for name, place in beside.items()}

    def find(self, path: str) -> Path | None:
        """Return the file for a request's path."""
        name, _, rest = path.removeprefix("/").partition("/")
        if name not in self.beside:
            return super().find(path)
        file = (self.beside[name] / rest).resolve()
        return file if file.is_relative_to(self.beside[name]) and file.is_file() else None


@contextmanager
def mirrors() -> Iterator[Mapping[str, str]]:
    """Start the demonstration's six mirrors: name → index URL, in their order."""
    with serve_mirrors(read_wheels(provision.real_wheels(WHEELS))) as urls:
        yield urls


def prepare(example: str, folder: Path, urls: Mapping[str, str]) -> Path:
    """Copy an example and our wheel into a folder, as its users would, and return the folder.

    Raises ValueError unless the example has one list of mirrors.
    """
    shutil.copytree(EXAMPLES / example, folder, dirs_exist_ok=True)
    wheel = provision.browser_wheel()
    mirrors, lists = json.dumps(list(urls.values())), 0
    for path in [path for path in folder.rglob("*.*") if path.suffix in _EDITED]:
        text, found = _MIRRORS.subn(lambda match: match[1] + mirrors, path.read_text())
        path.write_text(_WHEEL.sub(wheel.name, text))
        lists += found
    if lists != 1:
        raise ValueError(f"the example {example} has {lists} lists of mirrors")
    shutil.copy(wheel, folder)
    return folder


@contextmanager
def browsing() -> Iterator[Browser]:
    """Start a browser; afterwards see that its pages and workers asked this machine alone."""
    browser = Browser()
    with browser:
        yield browser
    browser.check_requests()


def result(page: Page) -> tuple[str, int]:
    """Wait until an example's page shows its chart, or an error.

    Returns its report, and the width of the chart in pixels. Raises RuntimeError with the page's
    text when that has an error, or nothing happens for a minute.
    """
    text, width = page.run_js(
        """
        const report = document.getElementById("report");
        const chart = document.getElementById("chart");
        await new Promise((resolve, reject) => {
            const look = () => {
                if (chart.src) resolve();
                const text = document.body.innerText;
                if (/Error|Traceback/.test(text)) reject(text);
            };
            const everything = { attributes: true, childList: true, subtree: true };
            new MutationObserver(look).observe(document, everything);
            setTimeout(() => reject(document.body.innerText), 60000);
            look();
        });
        await chart.decode();
        return [report.textContent, chart.naturalWidth];
        """
    )
    return text, width


def sources(report: str) -> dict[str, str]:
    """Return where packages came from, by name, of an `InstallReport` as text."""
    table = report.partition("\n\n")[0].splitlines()
    rows = [line.split() for line in table]
    assert rows[0] == ["installed", "version", "from", "bytes"], report
    return {name: where for name, _, where, _ in rows[1:]}


def assert_installed(report: str, *allowed: str) -> None:
    """See that `PACKAGE` and what it needs were installed, and came from nowhere else."""
    found = sources(report)
    assert found.keys() > {PACKAGE}, report
    assert set(found.values()) <= set(allowed), report
