"""``python -m tests.benchmarks.conflicts``: what a conflict costs, and what it costs without one.

A tree of thirty packages is installed in turns: as it is, by another wheel of ours if there is one,
and with a conflict, so that it is resolved anew, resolvelib's download included.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.benchmarks import turns
from tests.benchmarks.link import Link, Network
from tests.benchmarks.turns import Milliseconds, in_turns
from tests.support import provision
from tests.support.conflict_worlds import needs, resolver_wheel, versions
from tests.support.engines import ENGINES, Engine
from tests.support.pages import PageServer
from tests.support.small_index import SmallIndex
from tests.support.wheels import Wheel

PLAIN, BESIDE, CONFLICT = "no conflict", "no conflict, other wheel", "resolved anew"
_BASES = {PLAIN: PLAIN, BESIDE: PLAIN, CONFLICT: PLAIN}
TARGETS = {CONFLICT: 2.0}
MORE_REQUESTS = 2
"""For each project, with a conflict."""
_NAMES = [f"zt{n}" for n in range(29)]

_INSIDE = """
async def measured(url, wanted):
    import time
    import micropip
    import pyodide_mirror
    from pyodide_mirror.installing.site_packages import installed
    before = set(installed())
    try:
        from pyodide_mirror.resolving import resolution
        resolution._LOADED.clear()
    except ImportError:
        pass
    began = time.monotonic()
    options = {"cache": False, "remember": False, "canary": "zcore", "timeout": 30}
    await pyodide_mirror.install(wanted, mirrors=url, **options)
    took = 1000 * (time.monotonic() - began)
    new = [name for name in installed() if name not in before]
    micropip.uninstall(new)
    pyodide_mirror.reset()
    return [took, len(new)]
"""


def tree() -> list[Wheel]:
    """Make a tree of 29 packages; with what is wanted beside, the thirtieth conflicts or not."""
    made = [needs(name, *_NAMES[2 * n + 1 : 2 * n + 3]) for n, name in enumerate(_NAMES[:-1])]
    made.append(needs(_NAMES[-1], "zcore<2"))
    return [*made, *versions("zcore", "1.0", "2.0"), resolver_wheel()]


WANTED = {PLAIN: ["zt0"], BESIDE: ["zt0"], CONFLICT: ["zt0", "zcore"]}


@dataclass(frozen=True)
class Stage:
    """Engines with our wheels, and an index at the end of a line."""

    pages: dict[str, Engine]
    index: SmallIndex
    url: str

    def install(self, case: str) -> tuple[float, int]:
        """Return the milliseconds of an install, and how many requests it made."""
        self.index.paths.clear()
        page = self.pages.get(case, self.pages[PLAIN])
        took, count = page.run_async(f"await measured({self.url!r}, {WANTED[case]!r})")
        assert count == 30, (case, count)
        return float(took), len(self.index.paths)


@contextmanager
def stage(engine: str, beside: Path | None) -> Iterator[Stage]:
    """Start the engines, and the index."""
    with ExitStack() as stack:
        line = stack.enter_context(Link())
        line.network = Network(30, 20)
        index = stack.enter_context(SmallIndex(*tree()))
        port = urlsplit(index.url).port or 0
        index.origin = index.origin.replace(f":{port}", f":{line.port(port)}")
        pages = {}
        for case, wheel in {PLAIN: provision.browser_wheel(), BESIDE: beside}.items():
            if wheel is not None:
                server = stack.enter_context(PageServer(provision.pyodide_dist(), wheel))
                pages[case] = ENGINES[engine](server)
                stack.callback(pages[case].quit)
                pages[case].run_async(f"{_INSIDE}\n0")
        yield Stage(pages, index, f"{index.origin}/simple")


def main() -> int:
    """Run from the command line; the status is 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.conflicts", description=__doc__)
    parser.add_argument("--engine", default="chromium", choices=ENGINES)
    parser.add_argument("--rounds", type=int, default=10, metavar="N")
    parser.add_argument("--beside", type=Path, metavar="WHEEL", help="another wheel of ours")
    given = parser.parse_args()
    cases = [case for case in _BASES if case != BESIDE or given.beside]
    found: dict[str, list[float]] = {case: [] for case in cases}
    requests: dict[str, int] = {}
    with stage(given.engine, given.beside) as ground:
        for number, case in in_turns(cases, given.rounds):
            took, requests[case] = ground.install(case)
            if number:
                found[case].append(took)
    return show(found, requests)


def show(found: Milliseconds, requests: dict[str, int]) -> int:
    """Print the table; the result is 1 if a target is missed."""
    rows, missed = turns.rows("30 packages, 30 ms, 20 Mbit/s", found, _BASES, TARGETS)
    for row in rows:
        print("  ".join(f"{cell:<30}" if n == 0 else f"{cell:>14}" for n, cell in enumerate(row)))
    print("requests:", requests)
    more = requests[CONFLICT] - requests[PLAIN]
    return int(missed > 0 or more > MORE_REQUESTS * 30)


if __name__ == "__main__":
    sys.exit(main())
