"""Pyodide and its packages from our own server, in a page whose own CDN is dead."""

import html
import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.test_cdns import NAMES, check_installed, run
from tests.support.engines import Engine
from tests.support.own_server import Served, serving_here
from tests.zoo.cdns import FRAMES, CDNZoo, lock_entries
from tests.zoo.zoo import Zoo

pytestmark = pytest.mark.engines("chromium")

LOCK = "pyodide-lock.json"


@pytest.fixture(scope="module")
def cdns() -> Iterator[CDNZoo]:
    """The zoo of CDNs."""
    with CDNZoo() as zoo:
        yield zoo


@pytest.fixture(scope="module")
def server(dist: Path, cdns: CDNZoo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Our server: Pyodide's core is in its folder, the zoo's packages are at one of its CDNs."""
    folder = tmp_path_factory.mktemp("release")
    for file in dist.iterdir():
        if file.name != LOCK:
            folder.joinpath(file.name).symlink_to(file)
    lock = json.loads((dist / LOCK).read_bytes())
    lock["packages"] |= lock_entries()
    folder.joinpath(LOCK).write_text(json.dumps(lock))
    urls = map(cdns.url, ("hanging", "503", "wrong-bytes", "core-only", "good"))
    with serving_here(cdns=urls, pyodide=[folder], timeout=30) as running:
        yield running


INSTALL = """
before = manager.installBaseUrl
manager.installBaseUrl = dead
try:
    report = await install(cdns=cdns)
    import zoo_arrays, zoo_frames
finally:
    manager.installBaseUrl = before
RESULT({
    "installed": {
        one.name: [one.source, one.url, one.sha256, one.size] for one in report.installed
    },
    "outcomes": {one.cdn.base_url: str(one.reason) for one in report.report.cdns},
    "version": pyodide_js.version,
    "own": manager.hasOwnProperty("downloadPackage"),
    "value": zoo_arrays.VALUE,
})
"""


def test_packages_come_through_the_server_where_the_own_cdn_is_dead(
    page: Engine, server: Served, cdns: CDNZoo, zoo: Zoo
) -> None:
    url = f"{server.url}/pyodide/v{{version}}/full/"
    dead = cdns.url("closed").replace("{version}", "1")
    check_installed(run(page, INSTALL, zoo.url("healthy"), cdns=url, dead=dead), url)


def test_the_lines_of_the_page_for_people_start_pyodide(page: Engine, server: Served) -> None:
    with urllib.request.urlopen(server.url, timeout=30) as answer:  # noqa: S310
        text = answer.read().decode()
    [lines] = re.findall(r"<pre[^>]*>(const indexURL[^<]*)</pre>", text)
    code = f"""
        {html.unescape(lines)}
        await pyodide.loadPackage({json.dumps(FRAMES.name)});
        const names = pyodide.runPython("import zoo_frames, zoo_arrays; zoo_arrays.VALUE");
        return [names, indexURL, Object.keys(pyodide.loadedPackages).sort()];
    """
    with page.bare_tab():
        page.goto(f"{page.base_url}/nothing-here")
        value, url, loaded = page.run_js(code, pyodide_checks=False)
    assert value == "zoo-arrays 1.0"
    assert url.startswith(f"{server.url}/pyodide/v")
    assert loaded == NAMES
