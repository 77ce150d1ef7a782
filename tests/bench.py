"""How long installs take through us and through plain micropip, in turns, in a real engine.

    python -m tests.bench [--engine chromium] [--rounds 11] [CASE...]

Machines are noisy: what counts is the ratio to plain micropip in the same round, not the
milliseconds. Each install begins with nothing installed, and at an index URL that no cache of the
browser knows; only the repeat visits find what the visit before has left.
"""

import argparse
import json
import statistics
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench_mirror import HEAVY, LATENCY, ROOT, TREE_SIZE, WIDE, bench_mirror
from tests.ground import provision
from tests.ground.engines import ENGINES, Engine
from tests.ground.pages import PageServer
from tests.zoo import Zoo

AHEAD = (
    *("closed-port", "no-cors", "hangs", "html-no-cors", "404"),
    *("500", "hangs", "login-page", "reset-on-request"),
)
"""Nine bad mirrors, two of them hanging."""

PROJECTS = {
    f"tree of {TREE_SIZE}": ROOT,
    **{f"page of {files:,} files": name for name, files in WIDE.items()},
    "wheel of 16 MB": HEAVY,
}

TARGETS = {
    (f"tree of {TREE_SIZE}", "probe included"): 1.10,
    (f"tree of {TREE_SIZE}", "nine bad ahead"): 1.35,
    (f"tree of {TREE_SIZE}", "configured before"): 0.95,
    (f"tree of {TREE_SIZE}", "repeat visit"): 0.80,
    ("page of 4,200 files", "configured before"): 0.65,
    ("wheel of 16 MB", "configured before"): 1.0,
}
"""What the ratio is to be, at most."""

# One project, each kind of install once; a visit is a page load, as far as that can be played.
ROUND = """
import json, time
import micropip, pyodide_mirror

PROJECT, BASE, AHEAD = json.loads({arguments!r})
session = pyodide_mirror._session
visits = 0

def fresh():
    global visits
    visits += 1
    return BASE.replace("/0/", f"/{{time.time()}}-{{visits}}/")

async def leave():
    await session._host.cache.settled()
    for one in (session._hook, session._seam):
        one.remove()
    session._index_urls.restore()
    session._standing = None
    names = [name for name in micropip.list() if name.startswith("bench-")]
    if names:
        micropip.uninstall(names)

async def clean():
    await leave()
    pyodide_mirror.reset()
    await session._forgotten()
    await session._host.cache.clear()

async def seconds(work):
    started = time.perf_counter()
    await work
    return time.perf_counter() - started

def plain(url):
    return micropip.install(PROJECT, index_urls=[url])

def ours(*mirrors):
    return pyodide_mirror.install(PROJECT, mirrors=mirrors)

found = {{}}
await clean()
url = fresh()
found["plain"] = await seconds(plain(url))
await leave()
found["plain, repeat visit"] = await seconds(plain(url))
await clean()
found["probe included"] = await seconds(ours(fresh()))
await clean()
found["nine bad ahead"] = await seconds(ours(*AHEAD, fresh()))
await clean()
await pyodide_mirror.configure(fresh(), canary="bench-canary", remember=False)
found["configured before"] = await seconds(micropip.install(PROJECT))
await clean()
url = fresh()
await ours(url)
await leave()
found["repeat visit"] = await seconds(ours(url))
await clean()
json.dumps(found)
"""

Figures = dict[str, list[float]]


@contextmanager
def stage(engine: str) -> Iterator[tuple[Engine, str, list[str]]]:
    """Start the engine and the mirrors: the page, the good one's index URL, the bad ones'."""
    dist, wheel = provision.pyodide_dist(), provision.browser_wheel()
    with PageServer(dist, wheel) as pages, Zoo() as zoo, bench_mirror() as mirror:
        page = ENGINES[engine](pages)
        try:
            ahead = [zoo.start(name, latency=LATENCY).url for name in AHEAD]
            yield page, mirror.url(), ahead
        finally:
            page.quit()


def measure(engine: str, rounds: int, cases: list[str]) -> dict[str, Figures]:
    """Return the seconds of each kind by case, round by round; the first round only warms up."""
    found: dict[str, list[dict[str, float]]] = {case: [] for case in cases}
    with stage(engine) as (page, url, ahead):
        for _ in range(rounds + 1):
            for case in cases:
                arguments = json.dumps([PROJECTS[case], url, ahead])
                found[case].append(json.loads(page.run_async(ROUND.format(arguments=arguments))))
    return {
        case: {kind: [one[kind] for one in each[1:]] for kind in each[0]}
        for case, each in found.items()
    }


def table(case: str, figures: Figures) -> str:
    """Show medians, and ratios to plain micropip in the same round with their quartiles."""
    lines = [f"{case:24}{'median':>10}{'ratio':>8}  quartiles      at most"]
    for kind, seconds in figures.items():
        base = figures["plain, repeat visit" if kind == "repeat visit" else "plain"]
        ratios = [one / other for one, other in zip(seconds, base, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        milliseconds = f"{statistics.median(seconds) * 1000:.0f} ms"
        target = TARGETS.get((case, kind))
        bound = f"{target:.2f}{'' if middle <= target else '  MISSED'}" if target else ""
        spread = f"{low:.2f} to {high:.2f}"
        lines.append(f"  {kind:22}{milliseconds:>10}{middle:8.2f}  {spread}   {bound}".rstrip())
    return "\n".join(lines)


def main() -> None:
    """Measure, and print a table for each case."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("cases", nargs="*", choices=[*PROJECTS, []], metavar="CASE", default=[])
    parser.add_argument("--engine", choices=ENGINES, default="chromium")
    parser.add_argument("--rounds", type=int, default=11, choices=range(2, 1000), metavar="N")
    given = parser.parse_args()
    print(f"{given.engine}, {given.rounds} rounds, {LATENCY * 1000:.0f} ms of latency")
    for case, figures in measure(given.engine, given.rounds, given.cases or list(PROJECTS)).items():
        print(f"\n{table(case, figures)}")


if __name__ == "__main__":
    main()
