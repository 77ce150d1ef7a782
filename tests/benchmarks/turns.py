"""Tables of what was measured in turns: milliseconds by case, and their ratios within a round."""

import statistics
from collections.abc import Iterator, Mapping, Sequence

Milliseconds = Mapping[str, Sequence[float]]
"""Round by round, by case."""


def in_turns(cases: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """The cases of each round, which begins with another one each time; round 0 warms up."""
    for number in range(rounds + 1):
        turn = number % len(cases)
        for case in (*cases[turn:], *cases[:turn]):
            yield number, case


def rows(
    what: str, found: Milliseconds, bases: Mapping[str, str], targets: Mapping[str, float]
) -> tuple[list[list[str]], int]:
    """A table of medians and of ratios to the base of each case, and how many targets were missed.

    ``targets``: what the ratio is to be, at most.
    """
    table, missed = [[what, "median", "ratio", "quartiles", "at most"]], 0
    for case, each in found.items():
        base = found[bases.get(case, case)]
        ratios = [one / other for one, other in zip(each, base, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        target = targets.get(case)
        is_missed = target is not None and middle > target
        bound = "" if target is None else f"{target:.2f}{'  MISSED' if is_missed else ''}"
        shown = f"{statistics.median(each):.0f} ms"
        table.append([case, shown, f"{middle:.2f}", f"{low:.2f} to {high:.2f}", bound])
        missed += is_missed
    return table, missed
