"""Figures that the tests measure, by engine, for the lines after a run."""

from collections import defaultdict

VERDICTS: defaultdict[str, set[str]] = defaultdict(set)
"""The reasons that were seen."""
SECONDS: defaultdict[str, dict[str, float]] = defaultdict(dict)
"""Seconds that something took."""


def lines() -> list[str]:
    """Return what is worth a look."""
    from pyodide_mirror import Reason

    found = []
    for engine, figures in SECONDS.items():
        found += [f"{engine}: {what} {seconds:.2f} s" for what, seconds in figures.items()]
    for engine, seen in VERDICTS.items():
        missing = ", ".join(str(reason) for reason in Reason if reason not in seen)
        found.append(f"{engine}: verdicts not seen: {missing or 'none'}")
    return found
