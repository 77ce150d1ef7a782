"""What is measured in the pages of one engine: seconds, bytes of memory, and requests."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from tests.benchmarks import packages as bench_packages
from tests.benchmarks import probes as bench_probes
from tests.benchmarks import starts as bench_starts
from tests.benchmarks.mirror import HEAVY, LATENCY, ROOT, TREE_SIZE, WIDE, bench_mirror
from tests.benchmarks.probes import Cost
from tests.support import provision
from tests.support.engines import ENGINES, Engine
from tests.support.pages import PageServer
from tests.zoo.zoo import Zoo

NINE = (
    *("closed-port", "no-cors", "hangs", "html-no-cors", "404"),
    *("500", "hangs", "login-page", "reset-on-request"),
)
"""Bad mirrors, two of them hanging."""
BAD = (*NINE, *islice(cycle(name for name in NINE if name != "hangs"), 90))
"""Ninety-nine, two of them hanging."""

PLAIN, REPEAT = "plain", "plain, repeat visit"
KINDS = {
    PLAIN: "plain",
    REPEAT: "plain_repeat",
    "plain, offline": "plain_offline",
    "probe included": "ours",
    "nine bad ahead": "ours_after_nine",
    "99 bad ahead": "ours_after",
    "nine bad, browser alone": "floor_of_nine",
    "99 bad, browser alone": "floor",
    "configured before": "ours_configured",
    "repeat visit": "ours_repeat",
    "offline": "ours_offline",
}
"""What the tables call an install, and what `tests.benchmarks.inside` does."""
SOME = (PLAIN, REPEAT, "probe included", "configured before", "repeat visit")

TREE = f"tree of {TREE_SIZE}"
PROJECTS = {
    TREE: (ROOT, tuple(KINDS)),
    **{f"page of {files:,} files": (name, SOME) for name, files in WIDE.items()},
    "wheel of 16 MB": (HEAVY, SOME),
}
"""The installs: project, and kinds."""
IMPORT, MEMORY, PROBES = "import", "memory", "probes"
STARTS, PACKAGES = "starts", "packages"
CASES = (*PROJECTS, IMPORT, MEMORY, PROBES, STARTS, PACKAGES)

Seconds = dict[str, list[float | None]]
"""Round by round, by kind."""


@dataclass(frozen=True)
class Figures:
    """What was measured in one engine."""

    browser: str
    """Name and version."""
    installs: dict[str, Seconds]
    imports: dict[str, list[float]] = field(default_factory=dict)
    """Seconds that an import takes, by module."""
    memory: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """Bytes after an install, by project, and by who has installed."""
    probes: list[Cost] = field(default_factory=list)
    starts: dict[str, list[float]] = field(default_factory=dict)
    """Milliseconds until Python has started, by what starts it."""
    packages: dict[str, list[float]] = field(default_factory=dict)
    """Milliseconds until a large package of Pyodide's lock file is there."""


@dataclass(frozen=True)
class Stage:
    """An engine, and the mirrors: the good one's index URL, and those of bad ones."""

    page: Engine
    url: str
    bad: list[str]
    hanging: list[str]


@contextmanager
def stage(engine: str) -> Iterator[Stage]:
    """Start them."""
    dist, wheel = provision.pyodide_dist(), provision.browser_wheel()
    with PageServer(dist, wheel) as pages, Zoo() as zoo, bench_mirror() as mirror:
        page = ENGINES[engine](pages)
        try:
            bad = [zoo.start(name, latency=LATENCY).url for name in BAD]
            hanging = [url for url, name in zip(bad, BAD, strict=True) if name == "hangs"]
            yield Stage(page, mirror.url(), bad, hanging)
        finally:
            page.quit()


def measure(engine: str, rounds: int, cases: Sequence[str]) -> Figures:
    """Measure all cases in each round; the first round only warms up."""
    with stage(engine) as ground:
        found: dict[str, list[dict[str, float | None]]] = {
            case: [] for case in cases if case in PROJECTS
        }
        imports: list[dict[str, float]] = []
        memory: list[dict[str, dict[str, int]]] = []
        for number in range(rounds + 1):
            for case, each in found.items():
                each.append(_installs(ground, *PROJECTS[case], turn=number))
            if IMPORT in cases:
                imports.append(_imports(ground.page))
            if MEMORY in cases and number < 2:  # memory is no matter of luck
                memory.append(_memory(ground))
        probes = bench_probes.measure(ground.page) if PROBES in cases else []
        browser = _browser(ground.page)
    starts = bench_starts.measure(engine, rounds) if STARTS in cases else {}
    packages = bench_packages.measure(engine, rounds) if PACKAGES in cases else {}
    return Figures(
        browser,
        {case: _columns(each[1:]) for case, each in found.items()},
        _columns(imports[1:]),
        {case: _columns([one[case] for one in memory]) for case in (memory or [{}])[0]},
        probes,
        starts,
        packages,
    )


def _columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    return {kind: [row[kind] for row in rows] for kind in (rows or [{}])[0]}


# --- installs -----------------------------------------------------------------------------------

_INSIDE = Path(__file__).with_name("inside.py")


def _installs(
    ground: Stage, project: str, kinds: Sequence[str], *, turn: int
) -> dict[str, float | None]:
    """Return the seconds of each kind, after it was looked at whether all installed the same."""
    # Each comes first once, as far as there are rounds: being first is no privilege.
    turn %= len(kinds)
    order = [KINDS[kind] for kind in (*kinds[turn:], *kinds[:turn])]
    given = [project, ground.url, ground.bad, ground.hanging]
    code = f"{_INSIDE.read_text()}\n\nawait Stage(*{given}).run({order})"
    found = json.loads(ground.page.run_async(code))
    results = {what for _, what in found.values() if what is not None}
    if len(results) != 1:
        raise AssertionError(f"not the same was installed: {json.dumps(found, indent=1)}")
    return {kind: found[KINDS[kind]][0] for kind in kinds}


# --- pages that are new -------------------------------------------------------------------------


@contextmanager
def _bare_page(page: Engine) -> Iterator[None]:
    """Load a page with Pyodide, micropip and our wheel, and nothing that only tests need."""
    with page.page_of_pyodide_alone():
        wheels = [f"{page.base_url}/wheels/{name}" for name in page.pages.wheels]
        page.run_js(f"await pyodide.loadPackage({json.dumps(['micropip', *wheels])})")
        yield


_IMPORT = """
import json, time
moments = [time.perf_counter()]
import micropip
moments.append(time.perf_counter())
import pyodide_mirror
moments.append(time.perf_counter())
pyodide_mirror.install
moments.append(time.perf_counter())
json.dumps([after - before for before, after in zip(moments, moments[1:])])
"""
IMPORTS = ("micropip", "pyodide_mirror", "its first use")
"""Imports, and the modules that are loaded when a function of ours is named for the first time."""


def _imports(page: Engine) -> dict[str, float]:
    """Return the seconds that the imports take, in a page that was just loaded."""
    with _bare_page(page):
        # By JavaScript: the result must not go through what other pages have.
        text = page.run_js(f"return await pyodide.runPythonAsync({json.dumps(_IMPORT)});")
    return dict(zip(IMPORTS, json.loads(text), strict=True))


_INSTALL = {
    PLAIN: "import micropip\nawait micropip.install({project!r}, index_urls=[{url!r}])",
    "ours": "import pyodide_mirror\nawait pyodide_mirror.install({project!r}, mirrors={url!r})",
}
_EMPTY = """
import pyodide_mirror
await pyodide_mirror.clear_cache()
"""
_HEAP = "return pyodide._module.HEAP8.length"


def _memory(ground: Stage) -> dict[str, dict[str, int]]:
    """Return the bytes of Pyodide's heap after each install, in a page that was just loaded."""
    found: dict[str, dict[str, int]] = {}
    for case, (project, _) in PROJECTS.items():
        for who, install in _INSTALL.items():
            with _bare_page(ground.page):
                before = ground.page.run_js(_HEAP)
                visit = f"/memory-{case}-{who}-{len(found)}/".replace(" ", "").replace(",", "")
                code = install.format(project=project, url=ground.url.replace("/0/", visit))
                ground.page.run_js(f"await pyodide.runPythonAsync({json.dumps(code)});")
                after = ground.page.run_js(_HEAP)
                ground.page.run_js(f"await pyodide.runPythonAsync({json.dumps(_EMPTY)});")
            found.setdefault(case, {"before": before})[who] = after
    return found


def _browser(page: Engine) -> str:
    """Return the browser's name and version."""
    agent = page.run_js("return navigator.userAgent")
    for mark, name in {"Firefox/": "Firefox", "Chrome/": "Chromium", "Version/": "WebKit"}.items():
        if mark in agent:
            return f"{name} {agent.partition(mark)[2].split('.')[0]}"
    return str(agent)
