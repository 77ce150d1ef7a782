"""Plain micropip, in real engines, through the mirrors one can run oneself."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.edge.workerd import worker
from tests.support.engines import Engine
from tests.support.own_server import serving
from tests.support.upstreams import Kind, Upstream
from tests.support.wheels import INSTALLED
from tests.zoo.table import install, run_inside

pytestmark = pytest.mark.engines(
    "chromium", "chromium-worker", "firefox", "webkit", ci=("chromium",)
)

PATIENCE = 20.0

Begin = Callable[[str, Kind], str]


@pytest.fixture(autouse=True)
def _clean(page: Engine) -> Iterator[None]:
    yield
    run_inside(page, "await clean()")


@pytest.fixture(scope="module")
def begin() -> Iterator[Begin]:
    """A function that starts a mirror over an upstream, and returns its origin."""
    with ExitStack() as stack:
        started: dict[tuple[str, Kind], str] = {}

        def start(mirror: str, kind: Kind) -> str:
            if (mirror, kind) not in started:
                index = stack.enter_context(Upstream(kind))
                if mirror == "server":
                    running = serving(upstreams=[index.url])
                else:
                    running = worker(index.url, file_hosts=index.file_hosts)
                started[mirror, kind] = stack.enter_context(running).url
            return started[mirror, kind]

        yield start


@pytest.mark.parametrize("kind", ["json", "html"])
@pytest.mark.parametrize("mirror", ["server", "worker"])
def test_plain_micropip_installs_a_tree(
    page: Engine, begin: Begin, mirror: str, kind: Kind
) -> None:
    url = begin(mirror, kind)
    found = install(page, [f"{url}/simple"], "plain", patience=PATIENCE)
    assert found.word == "complete", found
    assert found.versions == INSTALLED


@pytest.mark.parametrize("mirror", ["server", "worker"])
def test_the_address_of_the_well_known_snippet_works(
    page: Engine, begin: Begin, mirror: str
) -> None:
    url = begin(mirror, "json")
    assert install(page, [f"{url}/pypi/simple"], "plain", patience=PATIENCE).word == "complete"


@pytest.mark.parametrize("mirror", ["server", "worker"])
def test_our_own_verdict_on_it_is_ok(page: Engine, begin: Begin, mirror: str) -> None:
    for kind in ("json", "html"):
        url = begin(mirror, kind)
        found = run_inside(page, f"await verdict({url + '/simple'!r}, 5.0)")
        assert found == "ok"


def test_a_browser_that_reaches_nothing_else_begins_with_the_servers_own_wheel(
    open_page: Callable[..., Engine], begin: Begin
) -> None:
    """The page's own wheel is taken away first, so that it can only come from the server."""
    url = begin("server", "json")
    page = open_page()
    code = f"""
        import importlib, json, sys
        import micropip
        micropip.uninstall("pyodide-mirror")
        for name in [name for name in sys.modules if name.startswith("pyodide_mirror")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        await micropip.install("pyodide-mirror", index_urls=["{url}/simple"], deps=False)
        import pyodide_mirror
        report = await pyodide_mirror.install(
            "zoo-root", mirrors="{url}/simple", canary="zoo-canary", remember=False
        )
        json.dumps([
            sorted(item.name for item in report.installed),
            [name for name in sys.modules if name.startswith("pyodide_mirror.server")],
            type(sys.modules["pyodide_mirror.api.session"].__loader__).__name__,
        ])
    """
    installed, server_modules, loader = json.loads(page.run_async(code))
    assert installed == sorted(INSTALLED)
    assert server_modules == []
    assert loader == "CompiledFinder"  # micropip prefers the wheel for this very Python
