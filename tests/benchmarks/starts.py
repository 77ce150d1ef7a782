"""How long Python takes to start through the loader, and straight from a good CDN, in turns.

Each start is a new page with nothing cached, whose own server is connected, and whose CDN is not.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pyodide_mirror import CDN
from pyodide_mirror.loader import LocalFolder, write_loader
from tests.benchmarks import turns
from tests.benchmarks.link import Link, Network
from tests.benchmarks.mirror import LATENCY
from tests.benchmarks.turns import Milliseconds, in_turns
from tests.support import provision
from tests.support.engines import ENGINES, Engine
from tests.support.pages import PageServer
from tests.zoo.cdns import CDNZoo

_CASES = STRAIGHT, LOADER, DEAD = "straight", "loader", "three dead ahead"
TARGETS = {LOADER: 1.05, DEAD: 1.30}
"""What the ratio to the straight start in the same round is to be, at most."""
_FLAGS = {
    "chromium": ("--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows")
}
"""Of two windows Chromium lets one have less of the processor, whichever it takes for hidden."""
_HEADERS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
_START = """
for (const name of await caches.keys()) await caches.delete(name);
const begun = performance.now();
const {{ loadPyodide }} = await import({url});
const pyodide = await loadPyodide();
if (pyodide.runPython("6 * 7") !== 42) throw new Error("Python did not start");
return performance.now() - begun;
"""


class Stage:
    """An engine, and what it can start from: URLs of modules by the name of the case."""

    def __init__(self, page: Engine, blank: str, modules: Mapping[str, str], cdn: Link) -> None:
        """Take what was started."""
        self._page = page
        self._blank = blank
        self._modules = modules
        self._cdn = cdn

    def start(self, case: str) -> float:
        """Return the milliseconds of one start."""
        with self._page.bare_tab():
            self._page.goto(self._blank)
            self._cdn.cut()  # what connections there are
            self._cdn.mend()
            code = _START.format(url=json.dumps(self._modules[case]))
            return float(self._page.run_js(code, pyodide_checks=False))


@contextmanager
def stage(engine: str) -> Iterator[Stage]:
    """Start the engine, a site with loaders, a good CDN and dead ones, each at its line's end."""
    dist = provision.pyodide_dist()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        near, far = stack.enter_context(Link()), stack.enter_context(Link())
        near.network = far.network = Network(LATENCY * 1000, 0)
        release = stack.enter_context(PageServer(dist))
        site = stack.enter_context(PageServer(folder))
        zoo = stack.enter_context(CDNZoo())
        good = _through(far, release)
        dead = [zoo.url("hanging"), zoo.url("503"), stack.enter_context(CDNZoo()).url("hanging")]
        (folder / "blank.html").write_text("<!doctype html><title>blank</title>")
        for name, cdns in ((LOADER, [good]), (DEAD, [*dead, good])):
            sources = [LocalFolder(dist), *map(CDN, cdns)]
            lock = dist / "pyodide-lock.json"
            write_loader(folder / name[:4], provision.PYODIDE_VERSION, sources, lock=lock)
        own = _through(near, site)
        modules = {name: f"{own}/{name[:4]}/pyodide.mjs" for name in (LOADER, DEAD)}
        page = ENGINES[engine](release, flags=_FLAGS.get(engine, ()))
        stack.callback(page.quit)
        yield Stage(page, f"{own}/blank.html", {STRAIGHT: f"{good}/pyodide.mjs", **modules}, far)


def _through(link: Link, pages: PageServer) -> str:
    port = link.port(pages.port)
    return pages.base_url(_HEADERS).replace(f":{pages.port}/", f":{port}/")


def measure(engine: str, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of each case by round; the first round only warms up."""
    found: dict[str, list[float]] = {case: [] for case in _CASES}
    with stage(engine) as ground:
        for number, case in in_turns(_CASES, rounds):
            took = ground.start(case)
            if number:
                found[case].append(took)
    return found


def rows(found: Milliseconds) -> tuple[list[list[str]], int]:
    """A table of medians and ratios, and how many targets were missed."""
    return turns.rows("start", found, dict.fromkeys(_CASES, STRAIGHT), TARGETS)
