"""``python -m tests.oracle``: compare many worlds, and show what differs."""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from .compare import FAULTS, Verdict, judge
from .tools import Tools
from .worlds import Release, World, worlds


class Found(Exception):
    """A world that shows a fault; hypothesis makes it smaller."""


def look(tools: Tools, options: argparse.Namespace) -> Counter[str]:
    """Compare so many worlds; count the verdicts and print the first of each fault."""
    counts: Counter[str] = Counter()
    shrink = options.shrink
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    patient = settings(
        max_examples=options.worlds,
        phases=phases,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )

    @seed(options.seed)
    @patient
    @given(worlds())
    def compare(world: World) -> None:
        thorough = sum(counts.values()) % options.pip_every == 0
        verdict = judge(tools.asked_about(world), thorough=thorough)
        shown = options.show and options.show in verdict.kind
        if shown or (verdict.is_fault and (shrink or not counts[verdict.kind])):
            show(world, verdict)
        counts[verdict.kind] += 1
        if shrink and shrink in verdict.kind:
            raise Found(verdict.kind)

    compare()
    return counts


def show(world: World, verdict: Verdict) -> None:
    """Print a world and what came of it."""
    print(f"\n{brief(world)}\n{verdict}", flush=True)


def brief(world: World) -> str:
    """Write a world as it is made, without what is as usual."""
    usual = Release(version="")
    lines = [f"World(wanted={world.wanted!r}, projects={{"]
    for project, releases in world.projects.items():
        lines.append(f"  {project!r}: (")
        for release in releases:
            odd = [
                f"{name.name}={getattr(release, name.name)!r}"
                for name in fields(Release)
                if getattr(release, name.name) != getattr(usual, name.name)
            ]
            lines.append(f"    Release({', '.join(odd)}),")
        lines.append("  ),")
    others = [
        f"{each.name}={getattr(world, each.name)!r}"
        for each in fields(World)
        if each.name not in {"wanted", "projects"} and getattr(world, each.name)
    ]
    return "\n".join([*lines, f"}}, {', '.join(others)})"])


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="tests.oracle", description=__doc__)
    add = parser.add_argument
    add("--worlds", type=int, default=200, metavar="N", help="how many (default: 200)")
    add("--seed", type=int, default=0, metavar="N", help="draw others (default: 0)")
    add("--show", default="", metavar="KIND", help="print all of this kind")
    add("--shrink", default="", metavar="KIND", help="find one of this kind, and make it small")
    add("--pip-every", type=int, default=50, metavar="N", help="ask pip at every Nth world anyway")
    return parser.parse_args(arguments)


def main() -> int:
    """Run from the command line; the status is 1 if there are faults."""
    options = options_of()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Tools(Path(folder)) as tools:
        counts = look(tools, options)
    print(f"\n{sum(counts.values())} worlds in {time.monotonic() - began:.0f} s")
    for kind, count in counts.most_common():
        print(f"{count:6} {kind}{' (fault)' if kind in FAULTS else ''}")
    return int(any(kind in FAULTS for kind in counts))


if __name__ == "__main__":
    sys.exit(main())
