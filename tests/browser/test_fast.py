"""No request is made twice: probes are the first download, and a repeated install asks nobody."""

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.bench_mirror import HEAVY, ROOT, TREE_SIZE, WIDE, BenchMirror, bench_mirror
from tests.ground.engines import Engine
from tests.wheels import INSTALLED
from tests.zoo import ANIMALS, Running, Zoo
from tests.zoo_table import run_inside

pytestmark = pytest.mark.engines("chromium", "chromium-worker", "firefox", "webkit")

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
async def forget(prefix):
    await pyodide_mirror._session._host.cache.settled()
    pyodide_mirror._session._hook.remove()
    pyodide_mirror._session._seam.remove()
    pyodide_mirror._session._index_urls.restore()
    pyodide_mirror._session._standing = None
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
        f"report = await pyodide_mirror.install({ROOT!r}, mirrors={mirror.url()!r})\n"
        "json.dumps(shown(report))",
    )
    assert len(found["names"]) == TREE_SIZE  # type: ignore[arg-type]
    asked = paths(mirror)
    assert set(asked.values()) == {1}, asked
    pages = [path for path in asked if "/simple/" in path]
    wheels = [path for path in asked if path.endswith(".whl")]
    assert (len(pages), len(wheels)) == (TREE_SIZE, TREE_SIZE)
    # One metadata file, of the root: the probe says whether a mirror keeps that promise.
    assert [path for path in asked if path.endswith(".metadata")] == [f"{wheels[0]}.metadata"]


def test_a_mirror_that_is_not_used_gets_two_requests_at_most(page: Engine, zoo: Zoo) -> None:
    bad = [zoo.start(name) for name in BAD]
    healthy = zoo.start("healthy")
    urls = [running.url for running in (*bad, healthy)]
    found = run(
        page,
        f"report = await pyodide_mirror.install('zoo-root', mirrors={urls!r}, timeout=3)\n"
        "json.dumps(shown(report))",
    )
    assert found["names"] == sorted(INSTALLED)
    assert found["chosen"] == healthy.url
    for running in bad:
        assert len(running.requests) <= 2, (running.animal.name, running.requests)


def test_a_repeated_install_makes_no_request_and_says_where_files_are_from(
    page: Engine, mirror: BenchMirror
) -> None:
    install = f"await pyodide_mirror.install({ROOT!r}, mirrors={mirror.url()!r})"
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
        install = f"await pyodide_mirror.install('zoo-root', mirrors={healthy.url!r}, timeout=2)"
        run(page, f"report = {install}\nawait forget('zoo-')\njson.dumps({{}})")
    # Pages that are old by now: the mirror would be asked, and does not answer.
    found = json.loads(
        run_inside(
            page,
            INSTALL.replace("await clean()", "")
            + "from pyodide_mirror import supply\nfresh, supply.FRESH = supply.FRESH, 0.0\n"
            + f"try:\n    report = {install}\nfinally:\n    supply.FRESH = fresh\n"
            + "json.dumps(shown(report) | {'versions': versions()})",
        )
    )
    assert found["versions"] == INSTALLED
    assert "kept" in found["kinds"]


def test_without_the_cache_nothing_is_kept_or_taken(page: Engine, mirror: BenchMirror) -> None:
    install = f"await pyodide_mirror.install({HEAVY!r}, mirrors={mirror.url()!r}, cache=False)"
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
        "report = await pyodide_mirror.install('zoo-root', mirrors=mirror)\n"
        "info = await pyodide_mirror._session._host.cache.info()\n"
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
import sys
session = sys.modules["pyodide_mirror.session"]
before, session.DEFAULT_CANARY = session.DEFAULT_CANARY, "zoo-canary"
try:
    await pyodide_mirror.install("zoo-nothing", mirrors={zoo.url("healthy")!r}, canary="zoo-canary")
    error = ""
except Exception as caught:
    error = f"{{type(caught).__name__}}: {{caught}}"
finally:
    session.DEFAULT_CANARY = before
json.dumps({{"error": error}})
""",
    )
    assert "NoUsableMirror" not in str(found["error"])
    assert "zoo-nothing" in str(found["error"])


@pytest.mark.parametrize("name", WIDE)
def test_of_a_big_page_the_newest_wheel_is_installed(
    page: Engine, mirror: BenchMirror, name: str
) -> None:
    found = run(
        page,
        f"report = await pyodide_mirror.install({name!r}, mirrors={mirror.url()!r})\n"
        "json.dumps(shown(report) | {'version': report.installed[0].version})",
    )
    assert found["version"] == "9999.0"
    assert len([request for request in mirror.requests if request.path.endswith(".whl")]) == 1


def test_the_cache_can_be_seen_and_cleared(page: Engine, mirror: BenchMirror) -> None:
    found = run(
        page,
        f"await pyodide_mirror.install({ROOT!r}, mirrors={mirror.url()!r})\n"
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
