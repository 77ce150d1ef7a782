"""How long a large package of Pyodide's lock file takes through us and through Pyodide, in turns.

Both read it from the place that Pyodide is told to be its own; before a first visit nothing is
cached, and the connections are new.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks import turns
from tests.benchmarks.link import Link, Network
from tests.benchmarks.mirror import LATENCY
from tests.benchmarks.turns import Milliseconds, in_turns
from tests.support import provision
from tests.support.engines import ENGINES, Engine
from tests.support.pages import PageServer
from tests.support.wheels import make_wheel
from tests.zoo.cdns import CORE, PACKAGES, CDNZoo, lock_entries, lock_entry
from tests.zoo.zoo import Zoo

PLAIN, PLAIN_AGAIN, OURS, AGAIN = "Pyodide", "Pyodide, again", "ours", "ours, repeat visit"
_BASES = {PLAIN: PLAIN, PLAIN_AGAIN: PLAIN, OURS: PLAIN, AGAIN: PLAIN_AGAIN}
TARGETS = {OURS: 1.00, AGAIN: 0.80}
"""What the ratio to Pyodide's own way in the same round is to be, at most."""
NAME = "zoo-large"
_BYTES = 30_000_000
_INSIDE = Path(__file__).with_name("packages_inside.py")


@dataclass(frozen=True)
class Stage:
    """An engine, and where it reads packages and pages."""

    page: Engine
    cdn: str
    line: Link
    mirror: str

    def load(self, case: str) -> float:
        """Return the milliseconds of one loading."""
        self.line.cut()  # what connections there are
        self.line.mend()
        mirror = self.mirror if case in {OURS, AGAIN} else ""
        call = f"await load({NAME!r}, {self.cdn!r}, {mirror!r}, new={case == OURS})"
        return float(self.page.run_async(call))


@contextmanager
def stage(engine: str) -> Iterator[Stage]:
    """Start the engine, and a CDN and a mirror at their line's end."""
    wheel = make_wheel(NAME, "1.0", padding=_BYTES)
    with ExitStack() as stack:
        line = stack.enter_context(Link())
        line.network = Network(LATENCY * 1000, 0)
        pages = stack.enter_context(PageServer(provision.pyodide_dist(), provision.browser_wheel()))
        zoo = stack.enter_context(CDNZoo(CORE, {**PACKAGES, wheel.filename: wheel.data}))
        page = ENGINES[engine](pages)
        stack.callback(page.quit)
        entries: dict[str, Any] = {**lock_entries(), NAME: lock_entry(wheel)}
        page.run_async(f"{_INSIDE.read_text()}\n\nprepare({json.dumps(entries)!r})")
        url = zoo.url("good")
        port = urlsplit(url).port or 0
        far = url.replace(f":{port}/", f":{line.port(port)}/")
        cdn = far.replace("{version}", provision.PYODIDE_VERSION)
        yield Stage(page, cdn, line, stack.enter_context(Zoo()).url("healthy"))


def measure(engine: str, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of each case by round; the first round only warms up."""
    found: dict[str, list[float]] = {case: [] for case in _BASES}
    with stage(engine) as ground:
        for number, first in in_turns((PLAIN, OURS), rounds):
            for case in (first, PLAIN_AGAIN if first == PLAIN else AGAIN):
                took = ground.load(case)
                if number:
                    found[case].append(took)
    return found


def rows(found: Milliseconds) -> tuple[list[list[str]], int]:
    """A table of medians and ratios, and how many targets were missed."""
    return turns.rows("30 MB of Pyodide's lock file", found, _BASES, TARGETS)
