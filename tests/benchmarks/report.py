"""How the benchmarks of installs show their figures: in a terminal, and in the documents."""

import datetime as dt
import json
import os
import platform
import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import packages as bench_packages
from tests.benchmarks import probes as bench_probes
from tests.benchmarks import starts as bench_starts
from tests.benchmarks.mirror import LATENCY
from tests.benchmarks.pages import IMPORTS, KINDS, PLAIN, REPEAT, TREE, Figures
from tests.support import provision

TARGETS = {
    (TREE, "probe included"): 1.10,
    (TREE, "nine bad ahead"): 1.35,
    (TREE, "configured before"): 0.95,
    (TREE, "repeat visit"): 0.80,
    ("page of 4,200 files", "configured before"): 0.65,
    ("wheel of 16 MB", "configured before"): 1.0,
}
"""What the ratio to plain micropip is to be, at most."""
IMPORT_SECONDS = 0.05
"""What the import may take, at most."""

MIRRORS = {"probe included": 1, "nine bad ahead": 10, "99 bad ahead": 100}
"""Kinds by the number of mirrors that are given."""
FLOORS = {"nine bad ahead": "nine bad, browser alone", "99 bad ahead": "99 bad, browser alone"}
"""How long the browser takes for the requests to bad mirrors that answer, without any Python."""
BASES = {"repeat visit": REPEAT, "offline": REPEAT}
"""What a kind is compared with, where it is not `PLAIN`."""

LEGEND = """\
Ratios are to plain micropip through the one healthy mirror, in the same round; those of "repeat
visit" and "offline" to its repeat visit, which has a warm HTTP cache. "Probe included" is an
install through us through that mirror alone, "nine bad ahead" and "99 bad ahead" with others before
it, two of which hang; "configured before" leaves the probe out. "Repeat visit" is minutes later;
"offline" is an hour later, when all connections are reset. All kinds of install have put the same
files in place, or the run would have ended."""

Rows = list[list[str]]


@dataclass(frozen=True)
class Table:
    """One table; the first row is its head. ``missed``: targets that were."""

    title: str
    rows: Rows
    missed: int = 0


def tables(figures: Figures) -> Iterator[Table]:
    """Show what was measured in one engine."""
    for case, kinds in figures.installs.items():
        yield _installs(figures.browser, case, kinds)
        if MIRRORS.keys() <= kinds.keys():
            yield _growth(figures.browser, case, kinds)
    if figures.imports:
        yield _imports(figures)
    if figures.memory:
        yield _memory(figures)
    if figures.probes:
        title = f"{figures.browser}: what a probe costs a mirror"
        yield Table(title, bench_probes.rows(figures.probes))
    if figures.starts:
        title = f"{figures.browser}: from nothing to Python, and what that is to a straight start"
        yield Table(title, *bench_starts.rows(figures.starts))
    if figures.packages:
        title = f"{figures.browser}: a large package of Pyodide's lock file"
        yield Table(title, *bench_packages.rows(figures.packages))


def _installs(browser: str, case: str, kinds: dict[str, list[float | None]]) -> Table:
    rows = [["install", "median", "ratio", "quartiles", "at most"]]
    missed = 0
    for kind, rounds in kinds.items():
        if kind in FLOORS.values():
            continue
        seconds = [one for one in rounds if one is not None]
        if len(seconds) < len(rounds):
            rows.append([kind, "fails", "", f"{len(rounds) - len(seconds)} of {len(rounds)}", ""])
            missed += kind not in {each for each in KINDS if each.startswith(PLAIN)}
            continue
        base = kinds[BASES.get(kind, PLAIN)]
        ratios = [one / other for one, other in zip(seconds, base, strict=True) if other]
        low, middle, high = statistics.quantiles(ratios, n=4)
        bound, is_missed = _bound(middle, TARGETS.get((case, kind)))
        missed += is_missed
        rows.append([kind, _ms(seconds), f"{middle:.2f}", f"{low:.2f} to {high:.2f}", bound])
    return Table(f"{browser}: {case}", rows, missed)


def _growth(browser: str, case: str, kinds: dict[str, list[float | None]]) -> Table:
    """Show what mirrors cost that stand ahead of the good one."""
    rows = [["mirrors", "median", "more than with one", "for each bad one", "browser alone"]]
    (first, _), *_ = MIRRORS.items()
    for kind, count in MIRRORS.items():
        pairs = [
            (one, base) for one, base in zip(kinds[kind], kinds[first], strict=True) if one and base
        ]
        more = statistics.median(one - base for one, base in pairs) * 1000
        each = f"{more / (count - 1):.1f} ms" if count > 1 else ""
        floor = [one for one in kinds[FLOORS[kind]] if one] if kind in FLOORS else []
        least = f"{statistics.median(floor) * 1000 / (count - 1):.1f} ms" if floor else ""
        rows.append([str(count), _ms([one for one, _ in pairs]), f"{more:.0f} ms", each, least])
    return Table(f"{browser}: {case}, through the last of many mirrors", rows)


def _imports(figures: Figures) -> Table:
    base, *ours = IMPORTS
    rows = [["import", "median", "ratio", "quartiles", "at most"]]
    rows.append([base, _ms(figures.imports[base]), "1.00", "", ""])
    missed = 0
    for what in ours:
        seconds = figures.imports[what]
        ratios = [one / other for one, other in zip(seconds, figures.imports[base], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        bound = ""
        if what == "pyodide_mirror":
            is_missed = statistics.median(seconds) > IMPORT_SECONDS
            bound = f"{IMPORT_SECONDS * 1000:.0f} ms{'  MISSED' if is_missed else ''}"
            missed += is_missed
        rows.append([what, _ms(seconds), f"{middle:.2f}", f"{low:.2f} to {high:.2f}", bound])
    return Table(f"{figures.browser}: import, in a page just loaded", rows, missed)


def _memory(figures: Figures) -> Table:
    rows = [["after the install of", PLAIN, "ours", "ratio"]]
    for case, who in figures.memory.items():
        plain, ours = statistics.median(who[PLAIN]), statistics.median(who["ours"])
        rows.append([case, f"{plain / 1e6:.1f} MB", f"{ours / 1e6:.1f} MB", f"{ours / plain:.2f}"])
    before = statistics.median(next(iter(figures.memory.values()))["before"])
    title = f"{figures.browser}: Pyodide's heap, {before / 1e6:.1f} MB in a page just loaded"
    return Table(title, rows)


def _bound(ratio: float, target: float | None) -> tuple[str, bool]:
    if target is None:
        return "", False
    return f"{target:.2f}{'' if ratio <= target else '  MISSED'}", ratio > target


def _ms(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.0f} ms"


# --- the machine, and the documents -------------------------------------------------------------


def machine(
    browsers: Iterable[str], rounds: int, line: str = f"{LATENCY * 1000:.0f} ms of latency"
) -> str:
    """Say on what, with what, over which ``line`` and when it was measured."""
    lock = json.loads((provision.pyodide_dist() / "pyodide-lock.json").read_text())
    micropip = lock["packages"]["micropip"]["version"]
    found = re.search(r"^model name\s*: (.*)$", _text("/proc/cpuinfo"), re.MULTILINE)
    cpu = found[1] if found else platform.processor() or platform.machine()
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return (
        f"{dt.datetime.now(dt.UTC).date()}, {rounds} rounds, {line};"
        f" {cpu}, {len(os.sched_getaffinity(0))} cores, {total / 1e9:.0f} GB, {system};"
        f" {', '.join(browsers)}; Pyodide {provision.PYODIDE_VERSION}, micropip {micropip}"
    )


def _text(path: str) -> str:
    return Path(path).read_text("utf-8") if Path(path).exists() else ""


def write(
    document: Path, what: str, found: Iterable[str], *, legend: str = LEGEND, mark: str = "bench"
) -> None:
    """Put tables in Markdown between the marks of a document.

    Raises ValueError when there are no such marks.
    """
    first, last = f"<!-- {mark}: begin -->\n", f"<!-- {mark}: end -->\n"
    before, begin, rest = document.read_text("utf-8").partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise ValueError(f"{document} lacks the lines {first.strip()} and {last.strip()}")
    tables = "\n\n".join(filter(None, [f"Measured on {what}.", legend, *found]))
    document.write_text(f"{before}{begin}\n{tables}\n\n{end}{after}", "utf-8")
