"""What an install through each animal of the zoo comes to: ours and plain micropip's, side by side.

    python -m tests.zoo.table [--engine chromium] [NAME...]

`Stage` makes the installs, for the tests as well. What runs inside Pyodide are the functions of
`INSIDE`: their source is sent there, so that no pytest is needed and any version of Pyodide does.
"""

import argparse
import asyncio
import inspect
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

from pytest_pyodide.runner import JavascriptException
from selenium.common.exceptions import WebDriverException
from urllib3.exceptions import HTTPError

from tests.support import provision
from tests.support.engines import ENGINES, Engine
from tests.support.pages import PageServer
from tests.support.wheels import INSTALLED
from tests.zoo.zoo import ANIMALS, Running

How = Literal["ours", "plain"]

TIMEOUT = 1.5
"""Seconds that one of our requests may take."""
PATIENCE = 8.0
"""Seconds after which an install of ours hangs, for it should have given up."""
LARGE = frozenset({"crowded", "gzip-bomb", "oversized"})
"""Animals with megabytes on each page, which a slow machine takes its time for; none is silent."""
PLAIN_PATIENCE = 4.0
"""Seconds after which plain micropip hangs: it has no time-outs, and is done in one otherwise."""

# --- inside Pyodide -----------------------------------------------------------------------------


async def clean() -> None:
    """Leave nothing of an attempt: no configuration, no package, no task that goes on."""
    import importlib
    import sys
    from importlib.metadata import distributions

    import micropip

    import pyodide_mirror
    from pyodide_mirror.api import SESSION

    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()  # plain micropip leaves tasks behind that would go on installing
    await asyncio.sleep(0)
    pyodide_mirror.reset()
    await SESSION.settled()
    await pyodide_mirror.clear_cache()
    resolution = sys.modules.get("pyodide_mirror.resolving.resolution")
    if resolution is not None:
        resolution._LOADED.clear()  # noqa: SLF001  # what one mirror had, another may not have
    importlib.invalidate_caches()
    names = [one.name for one in distributions() if one.name.startswith("zoo-")]
    if names:
        micropip.uninstall(names)
    for name in [name for name in sys.modules if name.startswith("zoo_")]:
        del sys.modules[name]


def versions() -> dict[str, str]:
    """Return what is installed of the zoo: project → version."""
    import importlib
    from importlib.metadata import distributions

    importlib.invalidate_caches()
    return {one.name: one.version for one in distributions() if one.name.startswith("zoo-")}


def traces() -> list[str]:
    """Return whatever there is of the zoo: files, and entries in Pyodide's list of packages."""
    import sysconfig
    from pathlib import Path

    import js
    import pyodide_js

    files = Path(sysconfig.get_path("purelib")).glob("zoo_*")
    loaded = js.Object.keys(pyodide_js.loadedPackages)
    return sorted([*(file.name for file in files), *(n for n in loaded if n.startswith("zoo-"))])


def wrong() -> list[str]:
    """Return the modules of installed projects that are not what the stock has."""
    import importlib

    found = []
    for project, version in versions().items():
        module = importlib.import_module(project.replace("-", "_"))
        if f"{project} {version}" != module.VALUE:
            found.append(module.__name__)
    return found


async def attempt(how: str, urls: list[str], patience: float, options: dict[str, Any]) -> str:
    """Install zoo-root; return as JSON how it ended, and what is there then."""
    import time

    import micropip

    import pyodide_mirror
    from pyodide_mirror.api import SESSION

    before = asyncio.all_tasks()
    if how == "ours":
        options = {"canary": "zoo-canary", "remember": False} | options
        work = pyodide_mirror.install("zoo-root", mirrors=urls, **options)
    else:
        work = micropip.install("zoo-root", index_urls=urls)
    started = time.perf_counter()
    task = asyncio.ensure_future(work)
    await asyncio.wait({task}, timeout=patience)
    seconds = time.perf_counter() - started
    ended = task.done()
    error = task.exception() if ended else None
    if error is not None:
        await asyncio.sleep(0.05)  # what was left running has its chance to do harm
    await SESSION.settled()  # it writes to the cache on its own
    left = asyncio.all_tasks() - before - {task}
    if left:
        # What is between two requests ends at the next one; a request would take longer.
        _, left = await asyncio.wait(left, timeout=0.5)
    found = {
        "ended": ended,
        "error": f"{type(error).__name__}: {str(error)[:300]}" if error else "",
        "seconds": seconds,
        "running": len(left),
        "versions": versions(),
        "traces": traces(),
        "wrong": wrong() if ended and not error else [],
    }
    task.cancel()
    return json.dumps(found)


async def verdict(url: str, timeout: float) -> str:
    """Return the verdict on one mirror, as the zoo writes it."""
    import pyodide_mirror

    report = await pyodide_mirror.probe(url, canary="zoo-canary", timeout=timeout)
    (outcome,) = report.outcomes
    return " ".join(outcome.repairs or (outcome.reason,))


INSIDE: tuple[Callable[..., object], ...] = (clean, versions, traces, wrong, attempt, verdict)
_PRELUDE = "\n\n".join(
    ["import asyncio\nimport json\nfrom typing import Any", *map(inspect.getsource, INSIDE)]
)

# --- outside ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an install of zoo-root ended."""

    ended: bool
    error: str
    """The exception, or nothing."""
    seconds: float
    running: int
    """How many tasks it left behind."""
    versions: dict[str, str]
    """What was installed then: project → version."""
    traces: list[str]
    """Files and entries that were there then."""
    wrong: list[str]
    """Modules that are not what they should be."""

    @property
    def word(self) -> str:
        """The result in a word; capitals for a success that is none."""
        if not self.ended:
            return "hangs"
        if self.error:
            return "fails, leftovers" if self.traces else "fails"
        if self.wrong:
            return "TAMPERED"
        if self.versions.get("zoo-root") == "9.0":
            return "WRONG VERSION"  # yanked, or not for this Python; it has no dependencies
        return "complete" if self.versions.keys() == INSTALLED.keys() else "INCOMPLETE"

    def __str__(self) -> str:
        """The result with all that is known about it."""
        parts = [self.word, self.error, f"{self.versions}", f"{self.seconds:.2f} s"]
        return " | ".join(filter(None, parts))


def install(
    page: Engine,
    urls: Sequence[str],
    how: How = "ours",
    *,
    patience: float = PATIENCE,
    fresh: bool = True,
    **options: object,
) -> Attempt:
    """Install zoo-root in a page, by default with nothing of the zoo there before.

    ``options`` are those of our install. What it installs is still there afterwards.
    """
    arguments = (how, list(urls), patience, {"timeout": TIMEOUT} | options)
    first = "await clean()\n" if fresh else ""
    # `repr` and not JSON, for it is Python that reads it.
    found = run_inside(page, f"{first}await attempt(*{arguments!r})")
    return Attempt(**json.loads(found))


_RUN_INSIDE = """
if (!globalThis.zooInside) {
    globalThis.zooInside = pyodide.toPy({});
    pyodide.runPython(PRELUDE, { globals: globalThis.zooInside });
}
const result = await pyodide.runPythonAsync(CODE, { globals: globalThis.zooInside });
return pyodide.$handleTestResult(result);
"""


def run_inside(page: Engine, code: str) -> str:
    """Run code inside Pyodide where the functions of `INSIDE` are known.

    A page compiles those once. All code has one namespace, which is not that of `page.run`.
    """
    js = _RUN_INSIDE.replace("PRELUDE", json.dumps(_PRELUDE)).replace("CODE", json.dumps(code))
    result: str = page.run_js(js)
    return result


def install_through(
    page: Engine, names: Iterable[str], how: How = "ours", **options: Any
) -> Attempt:
    """Install zoo-root through animals that nobody else has asked anything."""
    with ExitStack() as stack:
        named = list(names)
        urls = [stack.enter_context(Running(ANIMALS[name])).url for name in named]
        if how == "ours" and not LARGE.isdisjoint(named):
            options = {"timeout": 30.0, "patience": 45.0} | options
        return install(page, urls, how, **options)


# --- the table ----------------------------------------------------------------------------------

COLUMNS: dict[str, tuple[How, bool]] = {
    "ours, beside": ("ours", True),
    "ours, alone": ("ours", False),
    "plain, beside": ("plain", True),
    "plain, alone": ("plain", False),
}
"""Who installs, and whether a healthy mirror comes second."""
WORDS = (
    "complete",
    "fails",
    "fails, leftovers",
    "INCOMPLETE",
    "WRONG VERSION",
    "TAMPERED",
    "hangs",
    "breaks the page",
)
_STUCK = (TimeoutError, WebDriverException, HTTPError, JavascriptException)


class Table:
    """Fills rows, in a page that is renewed when an install has broken it."""

    def __init__(self, engine: str) -> None:
        """Start the engine."""
        self._closing = ExitStack()
        self._engine = engine
        dist, wheel = provision.pyodide_dist(), provision.browser_wheel()
        self._pages = self._closing.enter_context(PageServer(dist, wheel))
        self._page = self._start()

    def close(self) -> None:
        """End the engine."""
        self._page.quit()
        self._closing.close()

    def row(self, name: str) -> dict[str, str]:
        """Return the cells of one animal, by column."""
        cells = {"animal": name, "verdict": self._verdict(name)}
        for column, (how, beside) in COLUMNS.items():
            names = [name, "healthy"] if beside else [name]
            patience = PATIENCE if how == "ours" else PLAIN_PATIENCE
            cells[column] = self._word(names, how, patience)
        return cells

    def _start(self) -> Engine:
        page = ENGINES[self._engine](self._pages)
        page.set_script_timeout(PATIENCE + 10)
        return page

    def _verdict(self, name: str) -> str:
        with Running(ANIMALS[name]) as running:
            return run_inside(self._page, f"await verdict({running.url!r}, {TIMEOUT})")

    def _word(self, names: list[str], how: How, patience: float) -> str:
        try:
            return install_through(self._page, names, how, patience=patience).word
        except _STUCK:
            # Pyodide has ended for good: a page nested too deeply does that to plain micropip.
            with suppress(*_STUCK):
                self._page.quit()
            self._page = self._start()
            return "breaks the page"


@contextmanager
def table(engine: str) -> Iterator[Table]:
    """Start a table, and end its engine."""
    started = Table(engine)
    try:
        yield started
    finally:
        started.close()


def line(cells: Iterable[str], first: int, second: int) -> str:
    """Lay the cells of one animal out."""
    animal, reason, *words = cells
    return "  ".join([animal.ljust(first), reason.ljust(second), *(f"{w:16}" for w in words)])


def totals(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Count each word in each column."""
    counts = {column: Counter(row[column] for row in rows) for column in COLUMNS}
    return [
        {"animal": word, "verdict": ""} | {column: str(counts[column][word]) for column in COLUMNS}
        for word in WORDS
        if any(count[word] for count in counts.values())
    ]


def main() -> None:
    """Print the table, row by row as they come, and the totals."""
    parser = argparse.ArgumentParser(prog="python -m tests.zoo.table", description=main.__doc__)
    parser.add_argument("--engine", choices=ENGINES, default="chromium")
    parser.add_argument("names", nargs="*", choices=[*ANIMALS, []], metavar="NAME", default=[])
    given = parser.parse_args()
    names = given.names or list(ANIMALS)
    widths = max(map(len, names)), 30
    print(line(["animal", "verdict", *COLUMNS], *widths))
    rows = []
    with table(given.engine) as one:
        for name in names:
            rows.append(one.row(name))
            print(line(rows[-1].values(), *widths), flush=True)
    print(f"\n{len(rows)} animals in {given.engine}")
    for row in totals(rows):
        print(line(row.values(), *widths))


if __name__ == "__main__":
    main()
