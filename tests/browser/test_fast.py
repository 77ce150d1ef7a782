"""No request is made twice: probes are the first download, and a repeated install asks nobody."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from pyodide_mirror.probing.race import MAX_AT_ONCE
from tests.benchmarks import probes as bench_probes
from tests.benchmarks.mirror import (
    HEAVY,
    ROOT,
    TREE_SIZE,
    WIDE,
    WIDEST,
    BenchMirror,
    bench_mirror,
    stock,
)
from tests.support.engines import Engine
from tests.support.wheels import INSTALLED, SMALLEST_THAT_SUITS
from tests.zoo.parts import Animal, Visit
from tests.zoo.server import LOOPBACK, Request, Response, Server
from tests.zoo.table import install as install_in_stage
from tests.zoo.table import run_inside
from tests.zoo.zoo import ANIMALS, Running, Zoo

pytestmark = pytest.mark.engines(
    "chromium", "chromium-worker", "firefox", "webkit", ci=("chromium",)
)

BAD = (
    "closed-port",
    "no-cors",
    "hangs",
    "html-no-cors",
    "404",
    "500",
    "login-page",
    "api-version-2",
)

INSTALL = """
await clean()
import json, micropip, pyodide_mirror
from pyodide_mirror.api import SESSION
async def forget(prefix):
    await SESSION.settled()
    SESSION.release()
    micropip.uninstall([n for n in micropip.list() if n.startswith(prefix)])
def shown(report):
    return {
        "names": sorted(item.name for item in report.installed),
        "sources": sorted({item.source for item in report.installed}),
        "mirrors": sorted({item.mirror for item in report.installed}),
        "kinds": [event.kind for event in report.events],
        "chosen": report.report.chosen and report.report.chosen.index_url,
    }
"""
"""`forget` does to the session what a new page does; what the browser keeps is still there."""


def run(page: Engine, body: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(run_inside(page, f"{INSTALL}\n{body}"))
    return found


@pytest.fixture(autouse=True)
def _clean(page: Engine) -> Iterator[None]:
    yield
    run_inside(
        page,
        "import micropip\n"
        "micropip.uninstall([n for n in micropip.list() if n.startswith('bench-')])\n"
        "await clean()",
    )


@pytest.fixture(scope="module")
def zoo() -> Iterator[Zoo]:
    with Zoo() as opened:
        yield opened


@pytest.fixture
def mirror() -> Iterator[BenchMirror]:
    with bench_mirror(latency=0) as running:
        yield running


def paths(mirror: BenchMirror) -> Counter[str]:
    return Counter(request.path for request in mirror.requests if request.method == "GET")


def test_the_probe_is_the_first_download_and_no_request_is_made_twice(
    page: Engine, mirror: BenchMirror
) -> None:
    found = run(
        page,
        f"report = await pyodide_mirror.install({ROOT!r}, mirrors={mirror.url()!r}, timeout=30)\n"
        "json.dumps(shown(report))",
    )
    assert len(found["names"]) == TREE_SIZE  # type: ignore[arg-type]
    asked = paths(mirror)
    assert set(asked.values()) == {1}, asked
    pages = [path for path in asked if "/simple/" in path]
    wheels = [path for path in asked if path.endswith(".whl")]
    assert (len(pages), len(wheels)) == (TREE_SIZE, TREE_SIZE)
    assert not [path for path in asked if path.endswith(".metadata")], "it is in the wheels"


def test_a_mirror_that_is_not_used_gets_two_requests_at_most(page: Engine, zoo: Zoo) -> None:
    bad = [zoo.start(name) for name in BAD]
    healthy = zoo.start("healthy")
    urls = [running.url for running in (*bad, healthy)]
    found = run(
        page,
        f"report = await pyodide_mirror.install('zoo-root', mirrors={urls!r}, timeout=30)\n"
        "json.dumps(shown(report))",
    )
    assert found["names"] == sorted(INSTALLED)
    assert found["chosen"] == healthy.url
    for running in bad:
        assert len(running.requests) <= 2, (running.animal.name, running.requests)


def test_only_a_mirror_that_lacks_the_project_is_asked_for_another_one(
    page: Engine, zoo: Zoo
) -> None:
    bad = [zoo.start(name) for name in ("no-cors", "hangs", "html-no-cors", "404")]
    urls = [running.url for running in bad]
    found = run(
        page,
        "try:\n"
        f"    await pyodide_mirror.install('zoo-root', mirrors={urls!r}, timeout=5)\n"
        "except pyodide_mirror.NoUsableMirror as error:\n"
        "    outcomes = error.report.to_dict()['outcomes']\n"
        "json.dumps({each['mirror']['index_url']: each['reason'] for each in outcomes})",
    )
    assert [found[url] for url in urls] == ["cors", "timeout", "cors", "http-status"]
    asked = [{request.path for request in running.requests} for running in bad]
    canary = "/simple/iniconfig/"
    assert asked == [*[{"/simple/zoo-root/"}] * 3, {"/simple/zoo-root/", canary}]


def test_a_repeated_install_makes_no_request_and_says_where_files_are_from(
    page: Engine, mirror: BenchMirror
) -> None:
    install = f"await pyodide_mirror.install({ROOT!r}, mirrors={mirror.url()!r}, timeout=30)"
    run(page, f"report = {install}\nawait forget('bench-')\njson.dumps({{}})")
    before = len(mirror.requests)
    found = json.loads(
        run_inside(
            page,
            f"{INSTALL.replace('await clean()', '')}\n"
            f"report = {install}\njson.dumps(shown(report))",
        )
    )
    assert len(found["names"]) == TREE_SIZE
    assert found["sources"] == ["cache"]
    assert len(mirror.requests) == before


def test_with_the_network_gone_a_repeated_install_completes(page: Engine) -> None:
    with Running(ANIMALS["healthy"]) as healthy:
        install = f"await pyodide_mirror.install('zoo-root', mirrors={healthy.url!r}, timeout=30)"
        run(page, f"report = {install}\nawait forget('zoo-')\njson.dumps({{}})")
    # Pages that are old by now: the mirror would be asked, and does not answer.
    found = json.loads(
        run_inside(
            page,
            INSTALL.replace("await clean()", "")
            + "from pyodide_mirror.installing import mirror_client\n"
            + "fresh, mirror_client.FRESH = mirror_client.FRESH, 0.0\n"
            + f"try:\n    report = {install}\nfinally:\n    mirror_client.FRESH = fresh\n"
            + "json.dumps(shown(report) | {'versions': versions()})",
        )
    )
    assert found["versions"] == INSTALLED
    assert "kept" in found["kinds"]


def test_without_the_cache_nothing_is_kept_or_taken(page: Engine, mirror: BenchMirror) -> None:
    options = f"mirrors={mirror.url()!r}, timeout=30, cache=False"
    install = f"await pyodide_mirror.install({HEAVY!r}, {options})"
    found = run(
        page,
        f"report = {install}\nawait forget('bench-')\n"
        f"report = {install}\n"
        "info = await pyodide_mirror.cache_info()\n"
        "json.dumps(shown(report) | {'held': info.files + info.pages})",
    )
    assert found["sources"] == ["mirror"]
    assert found["held"] == 0
    wheels = [request for request in mirror.requests if request.path.endswith(".whl")]
    assert len(wheels) == 2


def test_what_a_login_has_opened_is_not_kept(page: Engine, zoo: Zoo) -> None:
    url = zoo.start("healthy").url
    found = run(
        page,
        f"mirror = pyodide_mirror.Mirror({url!r}, headers={{'X-Token': 'sesame'}})\n"
        "report = await pyodide_mirror.install('zoo-root', mirrors=mirror, timeout=30)\n"
        "info = await pyodide_mirror.cache_info()\n"
        "json.dumps(shown(report) | {'held': info.files + info.pages})",
    )
    assert found["names"] == sorted(INSTALLED)
    assert found["held"] == 0


def test_a_project_that_nobody_has_is_the_projects_fault_and_not_the_mirrors(
    page: Engine, zoo: Zoo
) -> None:
    found = run(
        page,
        f"""
from pyodide_mirror import probing
before, probing.DEFAULT_CANARY = probing.DEFAULT_CANARY, "zoo-canary"
try:
    url = {zoo.url("healthy")!r}
    await pyodide_mirror.install("zoo-nothing", mirrors=url, canary="zoo-canary", timeout=30)
    error = ""
except Exception as caught:
    error = f"{{type(caught).__name__}}: {{caught}}"
finally:
    probing.DEFAULT_CANARY = before
json.dumps({{"error": error}})
""",
    )
    assert "NoUsableMirror" not in str(found["error"])
    assert "zoo-nothing" in str(found["error"])


@pytest.mark.parametrize("name", [*WIDE, WIDEST])  # of the last one, a wheel for Pyodide only
def test_of_a_big_page_the_newest_wheel_is_installed(
    page: Engine, mirror: BenchMirror, name: str
) -> None:
    found = run(
        page,
        f"report = await pyodide_mirror.install({name!r}, mirrors={mirror.url()!r}, timeout=30)\n"
        "json.dumps(shown(report) | {'version': report.installed[0].version})",
    )
    assert found["version"] == stock()[name].version
    assert len([request for request in mirror.requests if request.path.endswith(".whl")]) == 1


def test_the_cache_can_be_seen_and_cleared(page: Engine, mirror: BenchMirror) -> None:
    found = run(
        page,
        f"await pyodide_mirror.install({ROOT!r}, mirrors={mirror.url()!r}, timeout=30)\n"
        "full = await pyodide_mirror.cache_info()\n"
        "await pyodide_mirror.clear_cache()\n"
        "empty = await pyodide_mirror.cache_info()\n"
        "json.dumps({'full': full.to_dict(), 'empty': empty.to_dict()})",
    )
    full, empty = found["full"], found["empty"]
    assert isinstance(full, dict)
    assert isinstance(empty, dict)
    assert (full["files"], full["pages"]) == (TREE_SIZE, TREE_SIZE)
    assert full["bytes"] > 0
    assert (empty["files"], empty["pages"], empty["bytes"]) == (0, 0, 0)


# --- where the page's policy forbids `eval` ------------------------------------------------------

NO_EVAL = {"Content-Security-Policy": "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'"}
# The driver's own script in a worker makes functions of text, so there the policy is played.
FORBID = """
self.allowed = self.eval;
self.eval = () => { throw new EvalError("as if by the policy"); };
"""
SILENT = ("drips", "hangs-half-page")
BODIES = (
    *("file-cut", "file-chunks-cut", "file-tampered", "file-empty"),
    *("gzip", "gzip-files", "chunked", "http-1.0", "byte-order-mark", "broken-json", "redirect"),
    *("html", "relative-urls", "one-bad-entry", "hostile-entries", "no-cors", "reset-on-request"),
)
"""Animals whose bodies are read in some way of their own; those of silent ones never end."""


@pytest.fixture
def eval_less(page: Engine, engine: str, open_page: Callable[..., Engine]) -> Iterator[Engine]:
    """A page whose policy forbids to make code of text."""
    is_worker = engine.endswith("-worker")
    forget = "from pyodide_mirror.browser.fetch import fast\nfast.cache_clear()\n"
    if is_worker:
        page.run_js(FORBID)
    else:
        open_page(headers=NO_EVAL)
    # Not `page.run`: while a driver waits for a script that does not, browsers let it do anything.
    assert page.run_async(f"{forget}fast() is None")
    yield page
    if is_worker:
        page.run_js("self.eval = self.allowed;")
        page.run(forget)


@pytest.mark.nightly
def test_without_eval_all_is_the_same(
    eval_less: Engine, engine: str, mirror: BenchMirror, zoo: Zoo
) -> None:
    installs_are_the_same(eval_less, mirror)
    run_inside(eval_less, "await clean()")
    verdicts_are_the_same(eval_less, engine.removesuffix("-worker"), zoo)
    a_wrong_digest_is_found(eval_less, zoo)


def installs_are_the_same(eval_less: Engine, mirror: BenchMirror) -> None:
    # A tree, nothing of it asked for twice.
    install = (
        f"report = await pyodide_mirror.install({ROOT!r}, mirrors={mirror.url()!r}, timeout=30)"
    )
    found = run(eval_less, f"{install}\nawait forget('bench-')\njson.dumps(shown(report))")
    assert (len(found["names"]), found["sources"]) == (TREE_SIZE, ["mirror"])  # type: ignore[arg-type]
    asked = paths(mirror)
    assert set(asked.values()) == {1}, asked
    assert len([path for path in asked if path.endswith(".whl")]) == TREE_SIZE
    # The same again, from the cache.
    again = INSTALL.replace("await clean()", "")
    found = json.loads(run_inside(eval_less, f"{again}\n{install}\njson.dumps(shown(report))"))
    assert (len(found["names"]), found["sources"]) == (TREE_SIZE, ["cache"])
    assert paths(mirror) == asked
    # Big pages, which Python reads whole, and a large wheel, whose digest Python computes.
    for name, version in {**dict.fromkeys(WIDE, "9999.0"), HEAVY: "1.0"}.items():
        found = run(
            eval_less,
            f"url = {mirror.url()!r}\n"
            f"report = await pyodide_mirror.install({name!r}, mirrors=url, timeout=30)\n"
            "json.dumps(shown(report) | {'all': [(i.version, i.size) for i in report.installed]})",
        )
        assert found["all"] == [[version, len(stock()[name].data)]]
        wheels = [path for path in paths(mirror) - asked if path.endswith(".whl")]
        assert len(wheels) == 1
        asked = paths(mirror)


def verdicts_are_the_same(eval_less: Engine, engine: str, zoo: Zoo) -> None:
    for names, timeout in ((BODIES, 30.0), (SILENT, 5.0)):
        urls = {zoo.url(name): name for name in names}
        text = run_inside(
            eval_less,
            "await clean()\nimport pyodide_mirror\n"
            f"report = await pyodide_mirror.probe({list(urls)!r}, canary='zoo-canary',"
            f" timeout={timeout})\n"
            "json.dumps([(one.mirror.index_url, ' '.join(one.repairs or (one.reason,)))\n"
            "            for one in report.outcomes])",
        )
        expected = {name: ANIMALS[name].expect(engine) for name in names}
        assert {urls[url]: verdict for url, verdict in json.loads(text)} == {
            name: " ".join(one.repairs or (one.reason,)) for name, one in expected.items()
        }


def a_wrong_digest_is_found(eval_less: Engine, zoo: Zoo) -> None:
    lying, healthy = zoo.url("dep-file-tampered"), zoo.url("healthy")
    alone = install_in_stage(eval_less, [lying], patience=60.0, timeout=30.0)
    assert alone.error.startswith("DigestMismatch")
    assert (alone.versions, alone.traces) == ({}, [])
    beside = install_in_stage(eval_less, [lying, healthy], patience=60.0, timeout=30.0)
    assert beside.word == "complete", beside


# --- politeness ---------------------------------------------------------------------------------


def test_of_a_hundred_mirrors_eight_at_most_are_asked_at_a_time(page: Engine) -> None:
    lock, asked_now, peak, started = threading.Lock(), 0, 0, 0
    one_more = threading.Event()
    # The first eight wait for each other, and then a moment for a ninth that must not come.
    full = threading.Barrier(MAX_AT_ONCE, action=lambda: one_more.wait(0.5), timeout=60)

    def answer(request: Request) -> Response:
        nonlocal asked_now, peak, started
        with lock:
            asked_now, started = asked_now + 1, started + 1
            peak, number = max(peak, asked_now), started
        if number <= MAX_AT_ONCE:
            full.wait()
        else:
            one_more.set()
        with lock:
            asked_now -= 1
        return Response(status=503, headers=(("Access-Control-Allow-Origin", "*"),))

    servers = [Server(answer) for _ in range(100)]
    try:
        urls = [f"http://{LOOPBACK}:{server.port}/simple" for server in servers]
        found = run(
            page,
            f"try:\n    await pyodide_mirror.install('zoo-root', mirrors={urls!r}, timeout=90)\n"
            "except pyodide_mirror.NoUsableMirror as error:\n    report = error.report\n"
            "json.dumps({'verdicts': [str(one.reason) for one in report.outcomes]})",
        )
        asked = [len(server.requests) for server in servers]
    finally:
        for server in servers:
            server.close()
    assert found["verdicts"] == ["http-status"] * 100
    # The project's page, and a project's that every index has: it may be the project's own fault.
    assert asked == [2] * 100
    assert peak == MAX_AT_ONCE


def test_a_probe_costs_a_mirror_few_bytes(page: Engine) -> None:
    costs = {cost.animal: cost for cost in bench_probes.measure(page, [*BAD, "healthy"])}
    healthy = costs.pop("healthy")
    assert healthy.requests == 3
    # The zoo's page of its canary, the smallest wheel there that suits, and its metadata.
    assert len(SMALLEST_THAT_SUITS.data) < healthy.sent < 6_000
    assert {cost.animal for cost in costs.values() if cost.requests > 2} == set()
    assert max(cost.sent for cost in costs.values()) < 6_000


class _Course:
    """A race of healthy mirrors that the first one wins, when all others have got far enough."""

    def __init__(self) -> None:
        self._behind = threading.Semaphore(0)
        self._over = threading.Event()
        self.winner = Animal("wins", "has its page when the others wait", "ok", page=self._win)
        self.loser = Animal("loses", "has no file before the end", "ok", file=self._lose)
        self.last = Animal("is last", "has no page before the end", "ok", page=self._lose)

    def _win(self, visit: Visit, response: Response) -> Response:
        if visit.project == "zoo-root":
            for _ in range(MAX_AT_ONCE - 1):
                assert self._behind.acquire(timeout=60)
        return response

    def _lose(self, visit: Visit, response: Response) -> Response:
        self._behind.release()
        self._over.wait(60)
        return response

    def end(self) -> None:
        """Let the losers have what they were asked for."""
        self._over.set()


def test_healthy_mirrors_that_lose_the_race_are_asked_for_a_page_and_a_wheel_at_most(
    page: Engine, zoo: Zoo
) -> None:
    course = _Course()
    with ExitStack() as stack:
        winner = stack.enter_context(Running(course.winner))
        kinds = [*[course.loser] * 4, *[course.last] * (MAX_AT_ONCE - 5), *[course.loser] * 12]
        losers = [stack.enter_context(Running(kind)) for kind in kinds]
        stack.callback(course.end)
        urls = [mirror.url for mirror in (winner, *losers)]
        found = run(
            page,
            f"report = await pyodide_mirror.install('zoo-root', mirrors={urls!r}, timeout=60)\n"
            "json.dumps(shown(report))",
        )
        course.end()
        # Whoever was still in the race would go on while this goes to the server and back.
        probe = f"probe({zoo.url('healthy')!r}, canary='zoo-canary', timeout=30)"
        run_inside(page, f"import pyodide_mirror\nstr(await pyodide_mirror.{probe})")
        asked = [[request.path for request in mirror.requests] for mirror in losers]
    assert (found["names"], found["chosen"]) == (sorted(INSTALLED), winner.url)
    project_page, wheel = "/simple/zoo-root/", "/files/zoo_root-1.0-py3-none-any.whl"
    only_page = [[project_page]] * (MAX_AT_ONCE - 5)
    assert asked == [[project_page, wheel]] * 4 + only_page + [[]] * 12
