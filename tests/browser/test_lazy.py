"""A configuration that is made by the first install that needs one."""

import json
from collections.abc import Iterator

import pytest

from tests.support.engines import Engine
from tests.support.wheels import INSTALLED
from tests.zoo.table import run_inside
from tests.zoo.zoo import Zoo

pytestmark = pytest.mark.engines(
    "chromium", "chromium-worker", "firefox", "webkit", ci=("chromium",)
)

CANARY = "zoo-canary"
TIMEOUT = 30.0
"""Seconds that one request may take: all are answered, and no slow machine takes that long."""
DEAD = ("closed-port", "no-cors", "404")


@pytest.fixture(autouse=True)
def _clean(page: Engine) -> Iterator[None]:
    yield
    run_inside(page, "await clean()")


@pytest.fixture(scope="module")
def zoo() -> Iterator[Zoo]:
    with Zoo() as opened:
        yield opened


def run(page: Engine, urls: list[str], body: str) -> dict[str, object]:
    """Activate for these mirrors, run the body, and return what it put into `found`."""
    lines = [
        "await clean()",
        "import contextlib, io, micropip, pyodide_mirror",
        "from pyodide_mirror import notebook",
        "from pyodide_mirror.api import SESSION",
        "found, printed = {}, io.StringIO()",
        "with contextlib.redirect_stdout(printed):",
        f"    notebook.activate(SESSION, mirrors={urls!r}, canary={CANARY!r}, timeout={TIMEOUT})",
        *(f"    {line}" for line in body.strip().splitlines()),
        'found["printed"] = printed.getvalue()',
        'found["versions"] = versions()',
        "json.dumps(found)",
    ]
    found: dict[str, object] = json.loads(run_inside(page, "\n".join(lines)))
    return found


def test_the_first_plain_install_finds_a_mirror_and_says_so_in_a_line(
    page: Engine, zoo: Zoo
) -> None:
    mirrors = [zoo.start(name) for name in (*DEAD, "relative-urls")]
    found = run(
        page,
        [mirror.url for mirror in mirrors],
        """
found["before"] = pyodide_mirror.status() is None
await micropip.install("zoo-root")
found["chosen"] = pyodide_mirror.status().chosen.index_url
""",
    )
    assert found["before"]
    assert found["versions"] == INSTALLED
    assert found["chosen"] == mirrors[-1].url
    (line,) = str(found["printed"]).splitlines()
    assert "installs through 127.0.0.1" in line
    assert "(relative-urls)" in line
    assert "%mirror" in line


def test_activating_makes_no_request_and_changes_no_index_url(page: Engine, zoo: Zoo) -> None:
    mirror = zoo.start("healthy")
    found = run(
        page,
        [mirror.url],
        """
manager = micropip.set_index_urls.__self__
from micropip import package_index
found["same"] = list(manager.index_urls) == list(package_index.DEFAULT_INDEX_URLS)
found["ours"] = [mirror in str(manager.index_urls) for mirror in ("127.0.0.1",)]
""",
    )
    assert found["same"]
    assert found["ours"] == [False]
    assert mirror.requests == ()


def test_what_the_lock_file_has_asks_no_mirror(page: Engine, zoo: Zoo) -> None:
    mirror = zoo.start("closed-port")
    found = run(
        page,
        [mirror.url],
        """
from importlib.metadata import version
micropip.uninstall("tblib")
await micropip.install("tblib")
found["tblib"] = version("tblib")
found["status"] = pyodide_mirror.status() is None
manager = micropip.set_index_urls.__self__
found["urls"] = "127.0.0.1" in str(manager.index_urls)
""",
    )
    assert found["tblib"]
    assert found["status"]
    assert not found["urls"]
    assert found["printed"] == ""


def test_a_users_own_index_urls_are_respected(page: Engine, zoo: Zoo) -> None:
    site, own = zoo.start("healthy"), zoo.start("healthy")
    body = f"""
await micropip.install("zoo-dep-a", index_urls=[{own.url!r}])
micropip.set_index_urls([{own.url!r}])
await micropip.install("zoo-dep-b")
found["status"] = pyodide_mirror.status() is None
from micropip import package_index
micropip.set_index_urls(list(package_index.DEFAULT_INDEX_URLS))
"""
    found = run(page, [site.url], body)
    assert found["status"]
    assert found["printed"] == ""
    assert set(found["versions"]) == {"zoo-dep-a", "zoo-dep-b"}  # type: ignore[call-overload]
    assert site.requests == ()
    assert own.requests


def test_with_all_mirrors_dead_the_error_has_the_table_and_the_next_try_is_a_new_one(
    page: Engine, zoo: Zoo
) -> None:
    mirrors = [zoo.start(name) for name in DEAD]
    healthy = zoo.start("healthy")
    found = run(
        page,
        [mirror.url for mirror in mirrors],
        f"""
try:
    await micropip.install("zoo-root")
except pyodide_mirror.NoUsableMirror as error:
    found["error"] = str(error)
manager = micropip.set_index_urls.__self__
found["restored"] = "127.0.0.1" not in str(manager.index_urls)
found["nothing"] = versions()
notebook.activate(SESSION, mirrors=[{healthy.url!r}], canary={CANARY!r}, timeout={TIMEOUT})
await micropip.install("zoo-root")
""",
    )
    for reason in ("unreachable", "cors", "http-status"):
        assert reason in str(found["error"])
    assert found["restored"]
    assert found["nothing"] == {}
    assert found["versions"] == INSTALLED


def test_our_own_functions_use_the_sites_mirrors_too(page: Engine, zoo: Zoo) -> None:
    dead, healthy = zoo.start("404"), zoo.start("healthy")
    found = run(
        page,
        [dead.url, healthy.url],
        """
report = await pyodide_mirror.install("zoo-root", remember=False)
found["mirrors"] = sorted({item.mirror for item in report.installed})
found["looked"] = [outcome.mirror.index_url for outcome in (await pyodide_mirror.probe()).outcomes]
""",
    )
    assert found["mirrors"] == [healthy.url]
    assert sorted(found["looked"]) == sorted([dead.url, healthy.url])  # type: ignore[call-overload]


def test_deactivating_leaves_micropip_as_it_was(page: Engine, zoo: Zoo) -> None:
    found = run(
        page,
        [zoo.url("healthy")],
        """
patched = micropip.install
notebook.deactivate(SESSION)
found["undone"] = micropip.install is not patched
found["method"] = type(micropip.install).__name__
""",
    )
    assert found["undone"]
    assert found["method"] == "method"


def test_the_ipython_extension_brings_the_magic_and_takes_it_away(page: Engine, zoo: Zoo) -> None:
    """With a shell that is as little of IPython as the extension needs."""
    found = run(
        page,
        [zoo.url("healthy")],
        """
import os, sys, types
class Shell:
    def __init__(self):
        self.magics_manager = types.SimpleNamespace(magics={"line": {}})
    def register_magic_function(self, function, kind, name):
        self.magics_manager.magics[kind][name] = function
shell = Shell()
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell)
notebook.deactivate(SESSION)
os.environ["PYODIDE_MIRROR_URLS"] = "URL"
try:
    pyodide_mirror.load_ipython_extension(shell)
    magic = shell.magics_manager.magics["line"]["mirror"]
    found["nothing"] = magic("") is None
    await pyodide_mirror.configure(canary="zoo-canary")
    found["chosen"] = magic("").chosen.index_url
    try:
        magic("what")
    except ValueError as error:
        found["refused"] = str(error)
    pyodide_mirror.unload_ipython_extension(shell)
    found["left"] = list(shell.magics_manager.magics["line"])
finally:
    del sys.modules["IPython"], os.environ["PYODIDE_MIRROR_URLS"]
""".replace('URL"', f'{zoo.url("healthy")}"'),
    )
    assert found["nothing"]
    assert "no mirror has been chosen yet" in str(found["printed"])
    assert found["chosen"] == zoo.url("healthy")
    assert "takes no arguments" in str(found["refused"])
    assert found["left"] == []
