"""Pictures of the front-end extension, for the documentation: the panel and the status item.

Run ``python -m tests.jupyterlite.pictures [--folder FOLDER]``. Chinese needs a font that has it.
"""

import argparse
import base64
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.jupyterlite import sites
from tests.jupyterlite.browser import UNTIL, Browser, Page, address
from tests.support import labextension, provision
from tests.support.browsers import MissingBrowser
from tests.support.compiled import compiled
from tests.support.pages import PageServer
from tests.support.png import with_palette
from tests.zoo.zoo import Zoo

FOLDER: Final = provision.ROOT / "docs"
_NAMES: Final = {
    "no-cors": "mirror.university.example",
    "relative-urls": "mirror.example",
    "healthy": "pypi.corp.example",
}
NOTEBOOK: Final = "install.ipynb"
_SIZE: Final = {"width": 1000, "height": 800, "deviceScaleFactor": 1, "mobile": False}
_FONTS: Final = "'Noto Sans', 'Noto Sans CJK SC', sans-serif"
_LIGHT, _DARK = "JupyterLab Light", "JupyterLab Dark"
_PICTURES: Final = (
    ("en", _LIGHT, "light", ("panel", "status")),
    ("en", _DARK, "dark", ("panel", "status")),
    ("zh_CN", _LIGHT, "zh", ("panel",)),
)
_SPEAK: Final = """
    const app = await until(() => window.jupyterapp);
    await app.restored;
    const plugin = "@jupyterlab/translation-extension:plugin";
    await app.serviceManager.settings.save(plugin, JSON.stringify({ locale: args[0] }));"""
_SHOW: Final = """
    const [theme, fonts] = args;
    const { commands } = window.jupyterapp;
    await commands.execute("apputils:change-theme", { theme });
    await until(() => document.body.dataset.jpThemeName === theme);
    document.documentElement.style.setProperty("--jp-ui-font-family", fonts);
    await commands.execute("pyodide-mirror:probe");
    await until(() => document.querySelector(".pm-panel")?.ariaBusy === "false");
    document.activeElement.blur();
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
    const boxOf = (selector) => {
        const { x, y } = document.querySelector(selector).getBoundingClientRect();
        return { x, y, width: innerWidth - x, height: innerHeight - y, scale: 1 };
    };
    return { panel: boxOf(".pm-panel"), status: boxOf(".pm-status") };"""


@contextmanager
def site() -> Iterator[Path]:
    """A folder with a site in three languages, whose three mirrors run."""
    with Zoo() as zoo, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        zoo.share("relative-urls", latency=0.5)  # the good one wins
        labextension.build()
        mirrors = [{"index_url": zoo.url(each), "name": _NAMES[each]} for each in _NAMES]
        folder = sites.write_site(
            Path(name),
            addon={"mirrors": mirrors, "canary": "zoo-canary"},
            pyodide=compiled(sites.kernel_dist()),
            notebooks={NOTEBOOK: ["%pip install zoo-root"]},
        )
        yield sites.built(folder, **sites.in_languages())


def speak(page: Page, language: str) -> None:
    """Have the next pages of the site in a language, as its settings have it."""
    page.run_js(UNTIL + _SPEAK, language)


def take(folder: Path) -> Iterator[Path]:
    """Write all pictures into a folder."""
    with site() as output, PageServer(output) as server, Browser() as browser:
        url = address(server.base_url(), "lab", path=NOTEBOOK)
        for language, theme, name, parts in _PICTURES:
            with browser.open(url) as page:
                speak(page, language)
            with browser.open(url) as page:
                page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", _SIZE)
                page.run_notebook(NOTEBOOK)
                boxes = page.run_js(UNTIL + _SHOW, theme, _FONTS)
                for part in parts:
                    clip = {"clip": boxes[part]}
                    shot = page.driver.execute_cdp_cmd("Page.captureScreenshot", clip)
                    path = folder / f"jupyterlite-{part}-{name}.png"
                    path.write_bytes(with_palette(base64.b64decode(shot["data"])))
                    yield path


def main() -> int:
    """Take all pictures; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    try:
        for path in take(parser.parse_args().folder):
            print(path)
    except (MissingBrowser, provision.ProvisionError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
