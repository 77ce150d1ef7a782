"""How long it takes from a ready Pyodide to a package in use, through us and plain micropip.

    python -m tests.benchmarks.startup [--engine chromium] [--rounds 7] [--throttle 4]
        [--latency 0.03] [CASE...]

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

from tests.benchmarks.mirror import CANARY, LATENCY, ROOT, TREE_SIZE, WIDE, bench_mirror
from tests.benchmarks.pages import NINE
from tests.support import provision
from tests.support.engines import ENGINES, Engine
from tests.support.pages import PageServer
from tests.zoo.zoo import Zoo

PARTS = ("load", "import", "install", "use")
SMALL, TREE = "one small package", f"tree of {TREE_SIZE}"
PROJECTS = {SMALL: CANARY, TREE: ROOT} | {f"page of {n:,} files": name for name, n in WIDE.items()}

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
    """An engine, what is loaded in it, and the mirrors."""

    page: Engine
    wheels: list[str]
    url: str
    bad: list[str]
    throttle: float

    def steps(self, ours: bool, project: str, mirrors: list[str]) -> list[object]:
        """What is timed, one after the other."""
        use = f"import {project.replace('-', '_')}"
        if ours:
            call = f"await pyodide_mirror.install({project!r}, mirrors={mirrors})"
            return [["micropip", *self.wheels], "import pyodide_mirror", call, use]
        call = f"await micropip.install({project!r}, index_urls={mirrors})"
        return [["micropip"], "import micropip", call, use]

    def measure(
        self, ours: bool, project: str, visit: str, *, ahead: int = 0, stays: bool = False
    ) -> list[float]:
        """The milliseconds of each part, in a page that nobody has used."""
        mirrors = [*self.bad[:ahead], self.url.replace("/0/", f"/{visit}/")]
        with self._bare_page():
            steps = json.dumps(self.steps(ours, project, mirrors))
            found: list[float] = self.page.run_js(_TIMED.replace("STEPS", steps))
            if ours and not stays:
                self.page.run_js(f"await pyodide.runPythonAsync({json.dumps(_CLEAR)})")
        return found

    @contextmanager
    def _bare_page(self) -> Iterator[None]:
        page = self.page
        with page._tab():  # noqa: SLF001
            page.prepare_driver()
            page.javascript_setup()
            page.load_pyodide()
            if self.throttle > 1:
                rate = {"rate": self.throttle}
                page.driver.execute_cdp_cmd("Emulation.setCPUThrottlingRate", rate)
            yield


@contextmanager
def stage(engine: str, *, latency: float = LATENCY, throttle: float = 1.0) -> Iterator[Stage]:
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.startup")
    parser.add_argument("cases", nargs="*", metavar="CASE", default=[])
    parser.add_argument("--engine", default="chromium", choices=ENGINES)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--throttle", type=float, default=1.0)
    parser.add_argument("--latency", type=float, default=LATENCY)
    given = parser.parse_args(arguments)
    kinds = {
        "plain": (False, 0, False),
        "ours": (True, 0, False),
        "nine bad ahead": (True, 9, False),
        "plain repeat": (False, 0, True),
        "repeat": (True, 0, True),
    }
    with stage(given.engine, latency=given.latency, throttle=given.throttle) as ground:
        found: dict[str, dict[str, list[list[float]]]] = {}
        for number in range(given.rounds + 1):
            for case in given.cases or PROJECTS:
                turn = number % len(kinds)
                names = [*kinds]
                for kind in names[turn:] + names[:turn]:
                    ours, ahead, again = kinds[kind]
                    visit = f"{number}-{names.index(kind)}-{[*PROJECTS].index(case)}"
                    parts = ground.measure(ours, PROJECTS[case], visit, ahead=ahead, stays=again)
                    if again:
                        parts = ground.measure(ours, PROJECTS[case], visit, ahead=ahead)
                    if number:
                        found.setdefault(case, {}).setdefault(kind, []).append(parts)
    print(f"{given.engine}, {given.rounds} rounds, throttled {given.throttle:g} times")
    for case, rows in found.items():
        for kind, rounds in rows.items():
            base = rows["plain repeat" if "repeat" in kind else "plain"]
            parts = [statistics.median(part) for part in zip(*rounds, strict=True)]
            ratio = statistics.median(sum(a) / sum(b) for a, b in zip(rounds, base, strict=True))
            whole = statistics.median(map(sum, rounds))
            shown = " ".join(f"{name} {ms:5.0f}" for name, ms in zip(PARTS, parts, strict=True))
            print(f"{case:22} {kind:16} {whole:6.0f} ms  {ratio:5.2f}   {shown}")


if __name__ == "__main__":
    main()
