"""How long an install takes through us and through plain micropip, in turns, in a real engine.

    python -m tests.bench [--engine chromium] [--rounds 15]

Machines are noisy: what counts is the ratio of neighbours in one run, not the milliseconds.
"""

import argparse
import json
import statistics
from collections.abc import Iterator
from contextlib import contextmanager

from tests.ground import provision
from tests.ground.engines import ENGINES, Engine
from tests.ground.pages import PageServer
from tests.zoo import Zoo

LATENCY = 0.03
"""Seconds that each answer of a mirror takes longer."""

# One install of each kind; each begins with nothing installed and nothing remembered.
ROUND = """
import json, time
import micropip, pyodide_mirror

MIRRORS = json.loads({mirrors!r})
HEALTHY = MIRRORS[-1]

async def clean():
    pyodide_mirror.reset()
    await pyodide_mirror._session._forgotten()
    names = [name for name in micropip.list() if name.startswith("zoo-")]
    if names:
        micropip.uninstall(names)

async def plain():
    await micropip.install("zoo-root", index_urls=[HEALTHY])

async def ours(mirrors):
    await pyodide_mirror.install("zoo-root", mirrors=mirrors, canary="zoo-canary", timeout=5)

async def configured():
    await micropip.install("zoo-root")

async def seconds(work):
    started = time.perf_counter()
    await work
    return time.perf_counter() - started

found = {{}}
await clean()
found["plain micropip"] = await seconds(plain())
await clean()
found["probe included"] = await seconds(ours(HEALTHY))
await clean()
found["four bad mirrors ahead"] = await seconds(ours(MIRRORS))
await clean()
await pyodide_mirror.configure(HEALTHY, canary="zoo-canary")
found["configured before"] = await seconds(configured())
await clean()
json.dumps(found)
"""
AHEAD = ("closed-port", "no-cors", "html-no-cors", "hangs")


@contextmanager
def stage(engine: str) -> Iterator[tuple[Engine, list[str]]]:
    """Start the engine and the mirrors, the healthy one last."""
    dist, wheel = provision.pyodide_dist(), provision.browser_wheel()
    with PageServer(dist, wheel) as pages, Zoo() as zoo:
        page = ENGINES[engine](pages)
        try:
            urls = [zoo.start(name, latency=LATENCY).url for name in (*AHEAD, "healthy")]
            yield page, urls
        finally:
            page.quit()


def measure(engine: str, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each kind, round by round; the first round only warms up."""
    with stage(engine) as (page, urls):
        code = ROUND.format(mirrors=json.dumps(urls))
        found = [json.loads(page.run_async(code)) for _ in range(rounds + 1)][1:]
    return {kind: [one[kind] for one in found] for kind in found[0]}


def table(figures: dict[str, list[float]]) -> str:
    """Show medians, and the ratios to plain micropip in the same round with their quartiles."""
    plain = figures["plain micropip"]
    lines = [f"{'install of three packages':28}{'median':>10}{'ratio':>8}   quartiles"]
    for kind, seconds in figures.items():
        ratios = [one / other for one, other in zip(seconds, plain, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        milliseconds = f"{statistics.median(seconds) * 1000:.0f} ms"
        lines.append(f"{kind:28}{milliseconds:>10}{middle:8.2f}   {low:.2f} to {high:.2f}")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--engine", choices=ENGINES, default="chromium")
    parser.add_argument("--rounds", type=int, default=15, choices=range(2, 1000), metavar="N")
    given = parser.parse_args()
    print(f"{given.engine}, {given.rounds} rounds, {LATENCY * 1000:.0f} ms of latency")
    print(table(measure(given.engine, given.rounds)))


if __name__ == "__main__":
    main()
