"""Figures that the tests measure, by engine, for the lines after a run."""

import json
from collections import Counter, defaultdict

VERDICTS: defaultdict[str, set[str]] = defaultdict(set)
"""The reasons that were seen."""
SECONDS: defaultdict[str, dict[str, float]] = defaultdict(dict)
"""Seconds that something took."""
INNER_TESTS: Counter[str] = Counter()
"""How many tests passed inside the engines' own Pythons."""


def to_json() -> str:
    """Return the figures of this process, for another one."""
    seen = {engine: sorted(reasons) for engine, reasons in VERDICTS.items()}
    return json.dumps({"verdicts": seen, "seconds": SECONDS, "inner": INNER_TESTS})


def add_json(text: str) -> None:
    """Add the figures of another process."""
    figures = json.loads(text)
    for engine, reasons in figures.get("verdicts", {}).items():
        VERDICTS[engine].update(reasons)
    for engine, seconds in figures.get("seconds", {}).items():
        SECONDS[engine].update(seconds)
    INNER_TESTS.update(figures.get("inner", {}))


def lines() -> list[str]:
    """Return what is worth a look."""
    from pyodide_mirror import Reason

    found = []
    if INNER_TESTS:
        counts = ", ".join(f"{engine} {count}" for engine, count in INNER_TESTS.items())
        found.append(f"tests/pure passed inside Pyodide: {counts}")
    for engine, figures in SECONDS.items():
        found += [f"{engine}: {what} {seconds:.2f} s" for what, seconds in figures.items()]
    for engine, seen in VERDICTS.items():
        missing = ", ".join(str(reason) for reason in Reason if reason not in seen)
        found.append(f"{engine}: verdicts not seen: {missing or 'none'}")
    return found
