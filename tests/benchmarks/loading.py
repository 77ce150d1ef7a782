"""How long wheels of ours take to load, to import, and to their first use and first install.

    python -m tests.benchmarks.loading OTHER.whl... [--engine chromium] [--rounds 10]

Compares the wheel of this tree with others, such as that of an earlier commit: each round opens a
fresh page for each wheel, in turn. Printed are medians, and the medians of the ratios to the first
of the others in the same round.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.mirror import CANARY, bench_mirror
from tests.support import provision
from tests.support.engines import ENGINES, Engine
from tests.support.pages import PageServer

STEPS = ("load", "import", "first use", "first install")

_LOAD = """
const started = performance.now();
await pyodide.loadPackage({wheel}, {{messageCallback: () => {{}}}});
return performance.now() - started;
"""
_USE = """
import json, time
import micropip
moments = [time.perf_counter()]
import pyodide_mirror
moments.append(time.perf_counter())
pyodide_mirror.install
moments.append(time.perf_counter())
await pyodide_mirror.install({project!r}, mirrors={url!r}, cache=False, remember=False)
moments.append(time.perf_counter())
json.dumps([1000 * (after - before) for before, after in zip(moments, moments[1:])])
"""


def measure(page: Engine, wheel: str, url: str) -> list[float]:
    """Return the milliseconds of each step, in a page that was just loaded."""
    with page.page_of_pyodide_alone():
        # Wheels of earlier commits want packaging as well.
        page.run_js("await pyodide.loadPackage(['micropip', 'packaging'])")
        address = json.dumps(f"{page.base_url}/wheels/{wheel}")
        load = float(page.run_js(_LOAD.format(wheel=address)))
        code = json.dumps(_USE.format(project=CANARY, url=url))
        # By JavaScript: the result must not go through what other pages have.
        rest = json.loads(page.run_js(f"return await pyodide.runPythonAsync({code});"))
    return [load, *rest]


def compare(engine: str, wheels: Sequence[Path], rounds: int) -> dict[str, list[list[float]]]:
    """Return the milliseconds of each wheel by round; the first round only warms up."""
    found: dict[str, list[list[float]]] = {str(wheel): [] for wheel in wheels}
    with PageServer(provision.pyodide_dist()) as pages, bench_mirror() as mirror:
        page = ENGINES[engine](pages)
        pages.wheels = {wheel.name: wheel for wheel in wheels}
        try:
            for number in range(rounds + 1):
                turn = number % len(wheels)
                for wheel in (*wheels[turn:], *wheels[:turn]):
                    url = mirror.url().replace("/0/", f"/{number}-{wheels.index(wheel)}/")
                    found[str(wheel)].append(measure(page, wheel.name, url))
        finally:
            page.quit()
    return {wheel: rows[1:] for wheel, rows in found.items()}


def show(engine: str, found: dict[str, list[list[float]]]) -> None:
    """Print a table."""
    names = list(found)
    baseline = [sum(row[:3]) for row in found[names[0]]]
    whole = [sum(row) for row in found[names[0]]]
    print(f"{engine}, {len(baseline)} rounds; milliseconds, medians")
    print(f"{'wheel':60} {'bytes':>8} " + " ".join(f"{step:>13}" for step in STEPS))
    for name in names:
        columns = [statistics.median(column) for column in zip(*found[name], strict=True)]
        figures = " ".join(f"{each:13.0f}" for each in columns)
        print(f"{Path(name).name[:60]:60} {Path(name).stat().st_size:8,} {figures}")
    for name in names[1:]:
        rows = found[name]
        loaded = statistics.median(sum(r[:3]) / b for r, b in zip(rows, baseline, strict=True))
        all_of_it = statistics.median(sum(r) / b for r, b in zip(rows, whole, strict=True))
        print(f"ratio to the first: to first use {loaded:.2f}, with an install {all_of_it:.2f}")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.loading")
    parser.add_argument("others", nargs="+", type=Path, metavar="OTHER.whl")
    parser.add_argument("--engine", default="chromium", choices=ENGINES)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    wheels = [*given.others, provision.browser_wheel()]
    show(given.engine, compare(given.engine, wheels, given.rounds))


if __name__ == "__main__":
    main()
