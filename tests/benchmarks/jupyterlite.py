"""How much longer a JupyterLite kernel takes to start with our add-on: page opened → first output.

    python -m tests.benchmarks.jupyterlite [--rounds 7]

Two sites are built, alike but for the add-on and its front-end extension, and opened in turns, each
time in a new browser. Machines are noisy: what counts is the ratio of neighbours in one run, not
the milliseconds. One round shows only that it works.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.jupyterlite import sites
from tests.jupyterlite.browser import END, Browser, address
from tests.support import labextension
from tests.support.pages import PageServer
from tests.zoo.zoo import Zoo

LIMIT = 1.05
"""The add-on may cost less than 5 %."""


def build(folder: Path, mirror: str) -> Mapping[str, str]:
    """Build both sites in a folder, and return their paths there.

    The one without the add-on has `comm` from its owner: without, a kernel would ask PyPI for it,
    and not start where that cannot be reached.
    """
    addon = {"mirrors": [mirror], "canary": "zoo-canary"}
    labextension.build()
    found = {}
    for name, enabled in (("without", False), ("with", True)):
        settings = {**addon, "enabled": enabled}
        site = sites.write_site(folder / name, addon=settings, pyodide=sites.kernel_dist())
        if not enabled:
            (comm,) = sites.download("comm").iterdir()
            (site / "pypi").mkdir()
            shutil.copy(comm, site / "pypi")
        found[name] = f"/{sites.built(site).relative_to(folder)}"
    return found


def first_output(url: str) -> float:
    """Return the seconds from the opening of a REPL to the first output of its first cell."""
    with Browser() as browser, browser.open(url) as page:
        page.repl_output()
        return page.first_output_at


def measure(rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each site, round by round; the first round only warms up."""
    found: dict[str, list[float]] = {"without": [], "with": []}
    with tempfile.TemporaryDirectory() as scratch, Zoo() as zoo:
        paths = build(Path(scratch), zoo.url("healthy"))
        with PageServer(Path(scratch)) as server:
            query = {"kernel": "python", "execute": "1", "code": f"print('{END}')"}
            urls = {
                name: address(server.base_url() + paths[name], "repl", **query) for name in found
            }
            for number in range(rounds + 1):
                # Who is first in one round is second in the next one.
                for name in sorted(urls, reverse=number % 2 == 0):
                    found[name].append(first_output(urls[name]))
        if zoo["healthy"].requests:
            raise RuntimeError("a kernel asked a mirror before it had anything to install")
    return {name: seconds[1:] for name, seconds in found.items()}


def ratios(figures: Mapping[str, list[float]]) -> list[float]:
    """Return the quartiles of the rounds' ratios."""
    pairs = zip(figures["with"], figures["without"], strict=True)
    return quartiles([one / other for one, other in pairs])


def quartiles(values: list[float]) -> list[float]:
    """Return the quartiles; of one value they are that."""
    return statistics.quantiles(values, n=4) if len(values) > 1 else values * 3


def table(figures: Mapping[str, list[float]]) -> str:
    """Show medians and the ratio, with their quartiles."""
    lines = [f"{'page opened → first output':28}{'median':>10}   quartiles"]
    for name, seconds in figures.items():
        low, middle, high = quartiles(seconds)
        lines.append(f"{f'{name} the add-on':28}{middle:8.2f} s   {low:.2f} to {high:.2f}")
    low, middle, high = ratios(figures)
    lines.append(f"{'with ÷ without':28}{middle:8.3f}     {low:.3f} to {high:.3f}, limit {LIMIT}")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the table; end with status 1 when the add-on costs too much."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=7, choices=range(1, 1000), metavar="N")
    figures = measure(parser.parse_args().rounds)
    print(table(figures))
    sys.exit(ratios(figures)[1] >= LIMIT)


if __name__ == "__main__":
    main()
