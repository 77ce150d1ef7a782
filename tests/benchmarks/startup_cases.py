"""What is measured from a ready Pyodide: the cases, and what they may take at most."""

from types import MappingProxyType
from typing import NamedTuple

from tests.benchmarks.link import Network
from tests.benchmarks.mirror import CANARY, OLD, ROOT, TREE_SIZE, WIDE, WIDEST
from tests.benchmarks.wide_page import FILES

NETWORK = Network(round_trip=30, mbit=20)
"""The line of a case that names none."""


class Case(NamedTuple):
    """One comparison with plain micropip.

    ``trips``: round trips that wait for one another, whoever installs: two for the wheels of
    micropip and ours (connection, request), two for the first page, two for its wheel on another
    host, two for each level of the tree below. ``ahead``: bad mirrors, for us only. ``hours``: how
    long after an earlier visit; None for the first one. ``cut``: there is no network any more.
    ``at_most``: ratios, by engine and how often the processor is throttled.
    """

    title: str
    project: str
    trips: int
    round_trip: float | None = None
    mbit: float | None = None
    ahead: int = 0
    hours: float | None = None
    cut: bool = False
    at_most: tuple[float, float, float] | None = None

    def line(self, usual: Network) -> Network:
        """The line over which it is measured."""
        round_trip = usual.round_trip if self.round_trip is None else self.round_trip
        return Network(round_trip, usual.mbit if self.mbit is None else self.mbit)

    def visit(self, number: int, place: int, *, ours: bool) -> str:
        """A name for the index of one measurement, which no HTTP cache has seen."""
        return f"{OLD if self.hours else ''}{number}-{place}-{'ours' if ours else 'plain'}"

    def bound(self, engine: str, throttle: float) -> float | None:
        """What the ratio is to be, at most."""
        column = _COLUMNS.get((engine, throttle))
        return None if self.at_most is None or column is None else self.at_most[column]


_COLUMNS = {("chromium", 1.0): 0, ("chromium", 4.0): 1, ("firefox", 1.0): 2}
_TREE = f"tree of {TREE_SIZE}"
_ANY = float("inf")

CASES = MappingProxyType(
    {
        "small": Case("one small package", CANARY, 6, at_most=(1.10, 1.15, 1.15)),
        "tree": Case(_TREE, ROOT, 10, at_most=(1.00, 1.05, 1.05)),
        "nine-bad": Case(f"{_TREE}, nine bad ahead", ROOT, 10, ahead=9, at_most=(1.15, 1.25, 1.2)),
        "tree-300ms": Case(f"{_TREE}, 300 ms", ROOT, 10, round_trip=300, at_most=(0.85, _ANY, 0.9)),
        "tree-1.5mbit": Case(f"{_TREE}, 1.5 Mbit/s", ROOT, 10, mbit=1.5),
        "page-4200": Case(f"page of {WIDE['bench-wide']:,} files", "bench-wide", 6),
        "page-15000": Case(f"page of {FILES:,} files", WIDEST, 6, at_most=(0.85, 0.70, 0.85)),
        "repeat": Case(f"{_TREE}, minutes later", ROOT, 0, hours=0, at_most=(0.90, 0.95, 0.95)),
        "repeat-small": Case("one small package, minutes later", CANARY, 0, hours=0),
        "later": Case(f"{_TREE}, an hour later", ROOT, 2, hours=1),
        "later-15000": Case(f"page of {FILES:,} files, an hour later", WIDEST, 2, hours=1),
        "offline": Case(f"{_TREE}, an hour later, offline", ROOT, 0, hours=1, cut=True),
    }
)
