"""The table of the corpus: what plain micropip, we and pip made of each package."""

import re
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from packaging.utils import canonicalize_name

Row = dict[str, Any]

REASONS = (
    (r"Can't find a pure Python 3 wheel for '([A-Za-z0-9._-]+)", "no wheel for Pyodide: {}"),
    (
        r"no versions fit together:\n  ([a-z0-9-]+): .* has no wheel for Pyodide",
        "no wheel for Pyodide: {}",
    ),
    (r"no versions fit together:\n  ([a-z0-9-]+): ", "no version fits: {}"),
    (r"Requested '(\S+)'.*but (\S+) is already installed", "wants {} beside {}"),
    (r"TimeoutError", "took too long"),
)
"""What an error's text comes to in a cell."""


def reason(error: str) -> str:
    """Return an error in a few words."""
    for pattern, words in REASONS:
        if match := re.search(pattern, error):
            return words.format(*match.groups())
    first = error.strip().splitlines()[0] if error.strip() else ""
    return first[:90]


_HEADING = """\
| package | result | plain, s | ours, s | versions as pip's | what there is to say |
|---|---|---|---|---|---|
"""


def verdict(row: Row) -> str:
    """Return how ours compares with plain micropip's."""
    plain, ours = row["plain"], row["ours"]
    if plain["error"] and ours["error"]:
        return "neither"
    if plain["error"]:
        return "only ours"
    if ours["error"]:
        return "only plain"
    return "same" if plain["files"] == ours["files"] else "differs"


def difference(row: Row) -> str:
    """Return in a few words why there is one, if there is."""
    plain, ours = row["plain"], row["ours"]
    match verdict(row):
        case "neither":
            return reason(ours["error"])
        case "only ours":
            return f"plain: {reason(plain['error'])}"
        case "only plain":
            return f"ours: {reason(ours['error'])}"
        case "differs":
            return _other_files(plain, ours)
    return "; ".join(_broken_imports(ours))


def _other_files(plain: Row, ours: Row) -> str:
    names = sorted(plain["versions"].items() ^ ours["versions"].items())
    if names:
        mine, theirs = (
            ", ".join(f"{name} {version}" for name, version in names if found.get(name) == version)
            for found in (ours["versions"], plain["versions"])
        )
        return f"ours has {mine or 'nothing more'}, plain {theirs or 'nothing more'}"
    paths = sorted({path for path, _ in plain["files"].items() ^ ours["files"].items()})
    return f"{len(paths)} files, such as {paths[0]}"


def _broken_imports(found: Row) -> list[str]:
    return [f"import {name}: {error}"[:90] for name, error in found["imports"].items() if error]


def as_pip(row: Row) -> str:
    """Return whether pip would take the same versions of what is in both."""
    if row["pip"]["error"]:
        return "pip fails"
    theirs = {canonicalize_name(name): v for name, v in row["pip"]["versions"].items()}
    ours = {canonicalize_name(name): v for name, v in row["ours"]["versions"].items()}
    other = [f"{n} {v} (pip {theirs[n]})" for n, v in ours.items() if theirs.get(n, v) != v]
    return ", ".join(other) or "same"


def line(row: Row) -> str:
    """Return one line for a terminal."""
    seconds = f"{row['plain']['seconds']:.1f} → {row['ours']['seconds']:.1f} s"
    return f"{row['project']}: {verdict(row)}, {seconds}, pip {as_pip(row)}; {difference(row)}"


def summary(rows: Sequence[Row]) -> str:
    """Return the counts, and a line for each package that is not the same."""
    lines = [line(row) for row in rows if verdict(row) != "same" or as_pip(row) != "same"]
    return "\n".join(
        [*lines, f"{len(rows)} packages: {_told(rows)}; ours takes {_ratio(rows):.2f} of plain's"]
    )


def _ratio(rows: Sequence[Row]) -> float:
    """Return the median of what our install takes of plain micropip's time, where both succeed."""
    both = [row for row in rows if verdict(row) in {"same", "differs"}]
    return median(r["ours"]["seconds"] / r["plain"]["seconds"] for r in both) if both else 0.0


def document(rows: Sequence[Row], engine: str) -> str:
    """Return the page of the documentation: a table of packages, and one of conflicts."""
    conflicts = [row for row in rows if " " in row["project"]]
    packages = [row for row in rows if row not in conflicts]
    return _packages(packages, engine) + _conflicts(conflicts)


def _told(rows: Sequence[Row]) -> str:
    counts = Counter(verdict(row) for row in rows)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _packages(rows: Sequence[Row], engine: str) -> str:
    head = f"""\
# Packages that exist

The {len(rows)} most used pure packages of PyPI, each installed in a fresh page ({engine}) through
`pyodide-mirror serve` over PyPI, by plain micropip and by us, and then imported; pip resolves each
through the same server. `nox -s corpus -- --top {len(rows)}` makes this page.

{_told(rows)}.

- *same*: both install exactly the same files.
- *only ours*: the newest versions need something that has no wheel for Pyodide, and plain micropip
  gives up; ours takes the newest ones that can be installed.
- *neither*: something that the package requires has no wheel on PyPI that Pyodide can use.
  Pyodide's own builds (numpy, PyYAML, MarkupSafe and so on) come from its CDN, which was out of
  reach here.

Seconds are of an install in a page where micropip and our wheel are loaded, and nothing is imported
yet. The machine was not quiet, so compare them in a row, not between rows. Ours took
{_ratio(rows):.2f} times plain micropip's (median): it tests the mirror, and loads more code. See
[benchmarks](benchmarks.md).

{_HEADING}"""
    return head + "".join(_cells(row) for row in rows)


def _conflicts(rows: Sequence[Row]) -> str:
    head = f"""
## Requests that conflict

Several requirements at once, whose newest versions often do not fit: {_told(rows)}. Where
something else has no wheel for Pyodide, we take an older version that does without it; pip, which
runs on a desktop, has that wheel. Plain micropip takes yanked files, pip and we do not. See
[how versions are chosen anew](how.md#when-versions-conflict).

{_HEADING}"""
    return head + "".join(_cells(row) for row in rows)


def _cells(row: Row) -> str:
    seconds = [f"{row[how]['seconds']:.1f}" for how in ("plain", "ours")]
    cells = [row["project"], verdict(row), *seconds, as_pip(row), difference(row)]
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |\n"


def _escaped(text: str) -> str:
    """Return a cell's text: an error's may have anything in it."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", text.replace("\n", " "))
