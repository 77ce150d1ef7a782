"""How long it takes from a ready Pyodide to a package in use, through us and plain micropip.

    python -m tests.benchmarks.startup [--engine chromium,firefox] [--throttle 1,4,6] [--rounds 7]
        [--round-trip 30] [--mbit 20] [--docs FILE] [CASE...]

Each measurement has a page of its own, in which nothing is but Pyodide: the clock starts there, so
the download of micropip's wheel and ours, all imports and the probe count. Everything comes over
one slow line (`link`). We and plain micropip take turns; what counts is the ratio in each round.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.link import Link, Network
from tests.benchmarks.mirror import BenchMirror, bench_mirror
from tests.benchmarks.pages import NINE
from tests.benchmarks.report import machine, write
from tests.benchmarks.startup_cases import CASES, NETWORK, Case
from tests.benchmarks.startup_tables import Measured, Run, tables
from tests.support import provision
from tests.support.engines import BROWSERS, ENGINES, Engine
from tests.support.pages import PageServer
from tests.zoo.zoo import Zoo

_HERE = Path(__file__).parent
_TIMED = (_HERE / "startup_inside.js").read_text("utf-8").rstrip().removesuffix(";")
_IMPORT_TIMES = (_HERE / "import_times.py").read_text("utf-8")
_LATER = """
const now = Date.now;
Date.now = () => now() + HOURS * 3_600_000;
"""
_SETTLE = """
import sys
if "pyodide_mirror" in sys.modules:
    from pyodide_mirror.api import SESSION
    await SESSION.settled()
"""
_CLEAR = """
for (const { name } of await indexedDB.databases()) {
    const request = indexedDB.deleteDatabase(name);
    await new Promise((resolve) => request.addEventListener("success", resolve));
}
"""
"""A database that is empty is none of a first visit."""


@dataclass
class Stage:
    """An engine, its pages, the good mirror and the bad ones, and the line between them."""

    page: Engine
    pages: PageServer
    zoo: Zoo
    mirror: BenchMirror
    link: Link
    usual: Network
    throttle: float = 1.0
    _bad: dict[float, list[str]] = field(default_factory=dict)

    def measure(self, case: Case, visit: str, *, ours: bool) -> Run | str:
        """Install once, in a page that nobody has used; or say why that failed."""
        line = case.line(self.usual)
        if "wide" in case.project:
            self.mirror.prepare(visit, case.project)
        steps = self._steps(case, visit, self._mirrors_ahead(case, line), ours=ours)
        try:
            if case.hours is not None:
                before = self._run(steps, line, 0, clear=False)
                if isinstance(before, str):
                    raise AssertionError(f"the visit before has failed: {before}")
            if case.cut:
                self.link.cut()
            return self._run(steps, line, case.hours or 0, clear=ours)
        finally:
            self.link.mend()

    def _mirrors_ahead(self, case: Case, line: Network) -> list[str]:
        if case.ahead and line.round_trip not in self._bad:
            latency = line.round_trip / 1000
            started = [self.zoo.start(name, latency=latency).url for name in NINE]
            self._bad[line.round_trip] = started
        return self._bad[line.round_trip][: case.ahead] if case.ahead else []

    def _steps(self, case: Case, visit: str, ahead: list[str], *, ours: bool) -> list[object]:
        """The wheels to load, and what to run after that."""
        headers = {"X-Visit": visit, "Access-Control-Allow-Origin": "*"}
        whole = self.pages.base_url(headers).replace(
            str(self.pages.port), str(self.link.port(self.pages.port))
        )
        micropip = next(self.pages.dist.glob("micropip-*.whl")).name
        wheels = [f"{whole}/{micropip}", *(f"{whole}/wheels/{name}" for name in self.pages.wheels)]
        use = f"import {case.project.replace('-', '_')}"
        url = self.mirror.url(visit)
        if ours:
            call = f"await pyodide_mirror.install({case.project!r}, mirrors={[*ahead, url]})"
            return [wheels, f"import pyodide_mirror\n{call}\n{use}"]
        call = f"await micropip.install({case.project!r}, index_urls={[url]})"
        return [wheels[:1], f"import micropip\n{call}\n{use}"]

    def _run(self, steps: list[object], line: Network, hours: float, *, clear: bool) -> Run | str:
        """Take the steps in a new page, ``hours`` from now; then ``clear`` what we keep."""
        page = self.page
        with page.page_of_pyodide_alone():
            page.run_js(_LATER.replace("HOURS", str(hours)))
            if self.throttle > 1:
                rate = {"rate": self.throttle}
                page.driver.execute_cdp_cmd("Emulation.setCPUThrottlingRate", rate)
            self.link.network = line
            before = self.link.received
            given = f"{json.dumps(_IMPORT_TIMES)}, {json.dumps(steps)}"
            parts = page.run_js(f"return await ({_TIMED})(pyodide, {given});")
            received = self.link.received - before
            self.link.network = Network(0, 0)
            page.run_js(f"await pyodide.runPythonAsync({json.dumps(_SETTLE)})")
            if clear:
                page.run_js(_CLEAR)
        return parts if isinstance(parts, str) else Run(parts, received)


@contextmanager
def stage(engine: str, usual: Network, python: str = "cp314") -> Iterator[Stage]:
    """Start them. ``python``: whose wheel of ours pages load; "" for that of every Python."""
    dist, wheel = provision.pyodide_dist(), provision.browser_wheel(python)
    with (
        PageServer(dist, wheel) as pages,
        Zoo() as zoo,
        Link() as link,
        bench_mirror(0, reach=link.port) as mirror,
    ):
        page = ENGINES[engine](pages)
        try:
            yield Stage(page, pages, zoo, mirror, link, usual)
        finally:
            page.quit()


def measure(ground: Stage, rounds: int, names: Sequence[str]) -> Measured:
    """Measure all cases in each round; the first round only warms up."""
    found = Measured()
    for number in range(rounds + 1):
        for place, name in enumerate(names):
            case = CASES[name]
            for ours in (False, True) if (number + place) % 2 else (True, False):
                visit = case.visit(number, place, ours=ours)
                run = ground.measure(case, f"{visit}-{ground.throttle:g}", ours=ours)
                if number:
                    found.add(name, run, ours=ours)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print; ``--docs`` puts the tables into a document as well."""
    given = _arguments(arguments)
    usual = Network(given.round_trip, given.mbit)
    for engine in given.engine.split(","):
        with stage(engine, usual, "" if given.sources else "cp314") as ground:
            for throttle in given.throttle if engine == "chromium" else [1.0]:
                ground.throttle = throttle
                found = measure(ground, given.rounds, given.cases or [*CASES])
                shown = tables(found, engine, throttle, usual)
                slow = f", processor throttled {throttle:g} times" if throttle > 1 else ""
                title = f"{engine.capitalize()}{slow}"
                what = machine([title], given.rounds, str(usual))
                print("\n".join(["", what, *(each.text() for each in shown)]), flush=True)
                if given.docs:
                    mark = f"startup {engine} {throttle:g}"
                    markdown = [f"### {title}", *(each.markdown() for each in shown)]
                    write(given.docs, what, markdown, legend="", mark=mark)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.startup")
    parser.add_argument("cases", nargs="*", metavar="CASE", choices=[*CASES, []], default=[])
    parser.add_argument("--engine", default="chromium,firefox", metavar="NAMES")
    parser.add_argument("--rounds", type=int, default=7, choices=range(2, 1000), metavar="N")
    parser.add_argument(
        "--throttle",
        type=lambda text: [float(each) for each in text.split(",")],
        default=[1.0],
        metavar="TIMES",
        help="how many times slower the processor is made, Chromium only",
    )
    parser.add_argument("--round-trip", type=float, default=NETWORK.round_trip, metavar="MS")
    parser.add_argument("--mbit", type=float, default=NETWORK.mbit, help="0: no limit")
    parser.add_argument(
        "--sources", action="store_true", help="load our wheel that has nothing compiled"
    )
    parser.add_argument("--docs", type=Path, metavar="FILE", help="put the tables into a document")
    given = parser.parse_args(arguments)
    if unknown := set(given.engine.split(",")) - set(BROWSERS):
        parser.error(f"{', '.join(sorted(unknown))} is none of {', '.join(BROWSERS)}")
    return given


if __name__ == "__main__":
    main()
