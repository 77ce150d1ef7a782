"""How the benchmark of the first minutes in a page shows its figures."""

import statistics
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.benchmarks.link import Network
from tests.benchmarks.report import Rows
from tests.benchmarks.startup_cases import CASES
from tests.conformance import peers

PARTS = ("load", "micropip", "ours", "network", "rest")
"""Where the time goes: wheels; imports of micropip's and our modules; requests; all else."""


class Run(NamedTuple):
    """One install: the milliseconds of each part, and the bytes that came over the line."""

    parts: list[float]
    received: int

    @property
    def whole(self) -> float:
        """Milliseconds from the ready Pyodide to the package imported."""
        return sum(self.parts)


@dataclass
class Measured:
    """Runs by case; a failed one is its reason."""

    plain: dict[str, list[Run | str]] = field(default_factory=dict)
    ours: dict[str, list[Run | str]] = field(default_factory=dict)

    def add(self, name: str, run: Run | str, *, ours: bool) -> None:
        """Add a run of a case."""
        (self.ours if ours else self.plain).setdefault(name, []).append(run)


class Table(NamedTuple):
    """A table; its first row is the head."""

    rows: Rows

    def text(self) -> str:
        """For a terminal."""
        return f"\n{peers.text(self.rows)}"

    def markdown(self) -> str:
        """For a document."""
        return peers.markdown(self.rows)


def tables(found: Measured, engine: str, throttle: float, usual: Network) -> list[Table]:
    """Compare us with plain micropip, and show where the time goes."""
    compared: Rows = [["case", "plain", "ours", "ratio", "quartiles", "at most", "floor"]]
    parts: Rows = [["case", "by", *PARTS, "kB"]]
    for name, runs in found.ours.items():
        case, others = CASES[name], found.plain[name]
        bound = case.bound(engine, throttle)
        floor = case.line(usual).seconds(case.trips, _received(runs)) * 1000
        ratio = _ratio(others, runs, bound)
        compared.append([case.title, _median(others), _median(runs), *ratio, f"{floor:.0f} ms"])
        for by, each in (("plain", others), ("ours", runs)):
            done = _done(each)
            if done:
                columns = zip(*(run.parts for run in done), strict=True)
                middle = [f"{statistics.median(column):.0f}" for column in columns]
                parts.append([case.title, by, *middle, f"{_received(each) / 1000:.0f}"])
    return [Table(compared), Table(parts)]


def _ratio(plain: list[Run | str], ours: list[Run | str], bound: float | None) -> list[str]:
    """The median of the ratios, their quartiles, and what the median is to be at most."""
    pairs = [(a, b) for a, b in zip(plain, ours, strict=True) if not isinstance(a, str)]
    ratios = [one.whole / base.whole for base, one in pairs if not isinstance(one, str)]
    if len(ratios) < 2:
        return ["", "", ""]
    low, middle, high = statistics.quantiles(ratios, n=4)
    wanted = "" if bound is None or bound == float("inf") else f"{bound:.2f}"
    missed = "  MISSED" if wanted and bound is not None and middle > bound else ""
    return [f"{middle:.2f}", f"{low:.2f} to {high:.2f}", wanted + missed]


def _median(runs: list[Run | str]) -> str:
    done = _done(runs)
    if len(done) < len(runs):
        return f"fails, {len(runs) - len(done)} of {len(runs)}"
    return f"{statistics.median(run.whole for run in done):.0f} ms"


def _received(runs: list[Run | str]) -> float:
    return statistics.median([run.received for run in _done(runs)] or [0])


def _done(runs: list[Run | str]) -> list[Run]:
    return [run for run in runs if not isinstance(run, str)]
