"""How long it takes from a ready Pyodide to a package in use, through us and plain micropip.

    python -m tests.benchmarks.startup [--engine chromium,firefox] [--rounds 7] [--throttle 4]
        [--latency 0.03] [--docs FILE] [CASE...]

Each measurement has a page of its own, in which nothing is but Pyodide: the clock starts there, so
the loading of micropip and of our wheel, all imports and the probe count. Kinds take turns; what
counts is the ratio to plain micropip in the same round.
"""

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.mirror import CANARY, LATENCY, ROOT, TREE_SIZE, WIDE, bench_mirror
from tests.benchmarks.pages import NINE
from tests.benchmarks.report import Rows, machine, write
from tests.conformance.peers import markdown, text
from tests.support import provision
from tests.support.engines import BROWSERS, ENGINES, Engine
from tests.support.pages import PageServer
from tests.zoo.zoo import Zoo

PARTS = ("load", "import", "install", "use")
"""What is timed: wheels, the first import, the install, and the import of what was installed."""
PROJECTS = {"one small package": CANARY, f"tree of {TREE_SIZE}": ROOT} | {
    f"page of {files:,} files": name for name, files in WIDE.items()
}
MARK = "startup"
LEGEND = """\
From a page in which Pyodide has started, and nothing else, to the package imported. *load*: the
wheels of micropip, and of ours. *import*: `import micropip`, or `import pyodide_mirror`, which
loads next to nothing. *install*: in ours, the probe and all imports, micropip's too, are here.
*use*: `import` of what was installed. Ratios are to plain micropip in the same round; those of a
repeat visit to its repeat visit."""


class Kind(NamedTuple):
    """A way to install.

    ``ahead``: bad mirrors before the good one. ``again``: on a second visit.
    """

    ours: bool
    base: str
    ahead: int = 0
    again: bool = False


KINDS = {
    "plain": Kind(ours=False, base="plain"),
    "ours": Kind(ours=True, base="plain"),
    "ours, nine bad ahead": Kind(ours=True, base="plain", ahead=9),
    "plain, repeat visit": Kind(ours=False, base="plain, repeat visit", again=True),
    "ours, repeat visit": Kind(ours=True, base="plain, repeat visit", again=True),
}

Found = dict[str, dict[str, list[list[float]]]]
"""The milliseconds of each part, by case, kind and round."""

_TIMED = """
const moments = [performance.now()];
const quiet = {messageCallback: () => {}};
for (const step of STEPS) {
    if (Array.isArray(step)) await pyodide.loadPackage(step, quiet);
    else await pyodide.runPythonAsync(step);
    moments.push(performance.now());
}
return moments.slice(1).map((moment, place) => moment - moments[place]);
"""
_CLEAR = """
import pyodide_mirror
pyodide_mirror.reset()
await pyodide_mirror.clear_cache()
"""


@dataclass(frozen=True)
class Stage:
    """An engine, what is loaded in it, and the mirrors; ``throttle``: times slower (Chromium)."""

    page: Engine
    wheels: list[str]
    url: str
    bad: list[str]
    throttle: float

    def measure(self, kind: Kind, project: str, visit: str) -> list[float]:
        """The milliseconds of each part, in a page that nobody has used."""
        mirrors = [*self.bad[: kind.ahead], self.url.replace("/0/", f"/{visit}/")]
        steps = self._steps(project, mirrors, ours=kind.ours)
        if kind.again:
            self._run(steps, stays=True)
        return self._run(steps, stays=not kind.ours)

    def _steps(self, project: str, mirrors: list[str], *, ours: bool) -> list[object]:
        use = f"import {project.replace('-', '_')}"
        if ours:
            call = f"await pyodide_mirror.install({project!r}, mirrors={mirrors})"
            return [["micropip", *self.wheels], "import pyodide_mirror", call, use]
        call = f"await micropip.install({project!r}, index_urls={mirrors})"
        return [["micropip"], "import micropip", call, use]

    def _run(self, steps: list[object], *, stays: bool) -> list[float]:
        """Take the steps in a new page; unless it ``stays``, remove what the browser keeps."""
        page = self.page
        with page.page_of_pyodide_alone():
            if self.throttle > 1:
                rate = {"rate": self.throttle}
                page.driver.execute_cdp_cmd("Emulation.setCPUThrottlingRate", rate)
            found: list[float] = page.run_js(_TIMED.replace("STEPS", json.dumps(steps)))
            if not stays:
                page.run_js(f"await pyodide.runPythonAsync({json.dumps(_CLEAR)})")
        return found


@contextmanager
def stage(engine: str, latency: float, throttle: float) -> Iterator[Stage]:
    """Start them."""
    dist, wheel = provision.pyodide_dist(), provision.browser_wheel()
    with PageServer(dist, wheel) as pages, Zoo() as zoo, bench_mirror(latency) as mirror:
        page = ENGINES[engine](pages)
        try:
            bad = [zoo.start(name, latency=latency).url for name in NINE]
            wheels = [f"{page.base_url}/wheels/{name}" for name in pages.wheels]
            yield Stage(page, wheels, mirror.url(), bad, throttle)
        finally:
            page.quit()


def measure(ground: Stage, rounds: int, cases: Sequence[str]) -> Found:
    """Measure all cases in each round; the first round only warms up."""
    found: Found = {case: {kind: [] for kind in KINDS} for case in cases}
    for number in range(rounds + 1):
        turn = number % len(KINDS)
        for case in cases:
            for kind in ([*KINDS] * 2)[turn : turn + len(KINDS)]:
                visit = f"{number}-{[*KINDS].index(kind)}-{[*PROJECTS].index(case)}"
                parts = ground.measure(KINDS[kind], PROJECTS[case], visit)
                found[case][kind] += [parts] if number else []
    return found


def table(kinds: dict[str, list[list[float]]]) -> Rows:
    """One case: medians, and the median of the ratios with its quartiles."""
    rows: Rows = [["install", "median", "ratio", "quartiles", *PARTS]]
    for kind, rounds in kinds.items():
        base = kinds[KINDS[kind].base]
        ratios = [sum(one) / sum(other) for one, other in zip(rounds, base, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        parts = [f"{statistics.median(part):.0f}" for part in zip(*rounds, strict=True)]
        whole = f"{statistics.median(map(sum, rounds)):.0f} ms"
        rows.append([kind, whole, f"{middle:.2f}", f"{low:.2f} to {high:.2f}", *parts])
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print; ``--docs`` puts the tables into a document as well."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.startup")
    parser.add_argument("cases", nargs="*", metavar="CASE", choices=[*PROJECTS, []], default=[])
    parser.add_argument("--engine", default="chromium,firefox", metavar="NAMES")
    parser.add_argument("--rounds", type=int, default=7, choices=range(2, 1000), metavar="N")
    parser.add_argument("--throttle", type=float, default=1.0, help="processor, Chromium only")
    parser.add_argument("--latency", type=float, default=LATENCY, help="seconds")
    parser.add_argument("--docs", type=Path, metavar="FILE", help="put the tables into a document")
    given = parser.parse_args(arguments)
    engines = given.engine.split(",")
    if unknown := set(engines) - set(BROWSERS):
        parser.error(f"{', '.join(sorted(unknown))} is none of {', '.join(BROWSERS)}")
    sections = []
    for engine in engines:
        with stage(engine, given.latency, given.throttle) as ground:
            found = measure(ground, given.rounds, given.cases or [*PROJECTS])
        for case, kinds in found.items():
            print(f"\n{engine}: {case}\n{text(table(kinds))}", flush=True)
            sections.append(f"### {engine.capitalize()}: {case}\n\n{markdown(table(kinds))}")
    what = machine([engine.capitalize() for engine in engines], given.rounds)
    print(f"\n{what}; processor throttled {given.throttle:g} times")
    if given.docs:
        write(given.docs, what, sections, legend=LEGEND, mark=MARK)


if __name__ == "__main__":
    main()
