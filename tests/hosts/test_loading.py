"""Hosts that have a setting for the place of Pyodide, and the loader in that place."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pyodide_mirror import CDN, Mirror
from pyodide_mirror.loader import CoreFile, LocalFolder, write_loader
from pyodide_mirror.loader import folder as loader_folder
from tests.hosts.pyscript import pyscript
from tests.hosts.stage import EXAMPLES, ISOLATED, Site, browsing, mirrors, result
from tests.hosts.stlite import needed_by_streamlit, stlite
from tests.jupyterlite import sites
from tests.jupyterlite.browser import Browser
from tests.support import provision
from tests.support.compiled import compiled, compiled_dist
from tests.zoo.cdns import CDNZoo, lock_entry
from tools.core_digests import measured

# stlite says in words of its own that it cannot go on.
ENDED = """
    const text = () => document.body.innerText;
    for (;;) {
        if (text().includes("Error during booting up")) return text();
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
"""
DEAD = ("hanging", "503", "wrong-bytes")


@pytest.fixture(scope="module")
def urls() -> Iterator[Mapping[str, str]]:
    with mirrors() as urls:
        yield urls


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


class Writer:
    """Writes loaders for Pyodides of tests, which are no releases: their Python is compiled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(
        self, folder: Path, dist: Path, version: str, cdns: CDNZoo, mirrors: Mapping[str, str]
    ) -> None:
        """Write one, with dead CDNs before the good one."""
        core = {name: CoreFile(name, *each) for name, each in measured(dist, version).items()}
        self._monkeypatch.setattr(loader_folder, "core_files", lambda _: core)
        sources = [LocalFolder(dist), *(CDN(cdns.url(name)) for name in (*DEAD, "good"))]
        indexes = [Mirror(url) for url in mirrors.values()]
        write_loader(folder, version, sources, mirrors=indexes)


@pytest.fixture
def write(monkeypatch: pytest.MonkeyPatch) -> Writer:
    return Writer(monkeypatch)


@pytest.mark.parametrize(("where", "visits"), [("main thread", 2), ("worker", 1)])
def test_pyscript_starts_and_installs_when_the_first_three_cdns_are_dead(
    where: str,
    visits: int,
    tmp_path: Path,
    urls: Mapping[str, str],
    browser: Browser,
    write: Writer,
) -> None:
    """And on the second visit again, for which PyScript makes a lock file of its own."""
    shutil.copytree(EXAMPLES / "pyscript-loader", tmp_path, dirs_exist_ok=True)
    index, headers = tmp_path / "index.html", {}
    if where == "worker":
        index.write_text(index.read_text().replace('type="py"', 'type="py" worker'))
        headers = ISOLATED
    dist = compiled_dist()
    with CDNZoo.of(dist) as cdns, Site(tmp_path, pyscript=pyscript()) as site:
        write(tmp_path / "py", dist, provision.PYODIDE_VERSION, cdns, urls)
        for _ in range(visits):
            with browser.open(f"{site.base_url(headers)}/index.html") as page:
                report, width = result(page)
            assert report.startswith("Python 3.14")
            assert width > 0
        assert "pyodide.asm.wasm" in cdns.start("good").asked


@pytest.mark.nightly
def test_stlite_starts_and_installs_when_the_first_three_cdns_are_dead(
    tmp_path: Path, urls: Mapping[str, str], browser: Browser, write: Writer
) -> None:
    """As far as it can get where all that Streamlit needs is made up, but what is from mirrors."""
    site, dist = tmp_path / "site", tmp_path / "dist"
    shutil.copytree(EXAMPLES / "stlite", site)
    needed = needed_by_streamlit()
    shutil.copytree(compiled(sites.kernel_dist(sites.OLDER)), dist)
    lock = json.loads((dist / "pyodide-lock.json").read_text())
    for wheel in needed:
        (dist / wheel.filename).write_bytes(wheel.data)
        lock["packages"][wheel.name] = lock_entry(wheel)
    (dist / "pyodide-lock.json").write_text(json.dumps(lock))
    with CDNZoo.of(dist) as cdns, Site(site, stlite=stlite()) as server:
        write(site / "py", dist, sites.OLDER.pyodide, cdns, urls)
        with browser.open(f"{server.base_url()}/index.html") as page:
            error = page.run_js(ENDED)
        asked = cdns.start("good").asked
    assert {"pyodide.asm.wasm", *(wheel.filename for wheel in needed)} <= {*asked}
    # All is installed, and stlite's own package is imported.
    assert "No module named 'anyio._backends'" in error
