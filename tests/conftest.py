"""What all tests share: the choice of engines, and how they are shared out to processes."""

from collections.abc import Generator, Iterator

import pytest

from tests.support.micropip_here import Micropip
from tests.zoo.zoo import Zoo

VERSIONS = ("314.0.7", "0.29.5", "0.28.3", "0.27.8")
"""The Pyodides whose micropip is tested: 0.11.1 twice, 0.10.1 and 0.9.0."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--engine``."""
    parser.addoption(
        "--engine",
        action="append",
        default=[],
        metavar="NAMES",
        help="engines for tests/browser, separated by commas; `ci` are those of each change, `all`"
        " are all (default: chromium)",
    )


LONGEST = (
    *(
        "chromium",
        "firefox",
        "test_site.py",
        "test_panel.py",
        "webkit",
        "chromium-worker",
        "versions",
    ),
    *("test_run.py", "test_marimo.py", "test_blocks.py", "test_zoo_installs.py", "test_abuse.py"),
    *("test_setuptools.py", "test_addon.py", "test_pages.py", "test_table.py", "test_page.py"),
    *("test_demo.py", "test_jupyterlite.py", "test_crash.py", "test_worker_stream.py"),
    *("test_loading.py", "test_site_loader.py"),
)
"""What takes longest begins first, so that no process is left alone with it at the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what is nightly, if it is not; and share the rest out.

    What shares a browser, or a module's fixtures, is kept in one process (pytest-xdist).
    """
    if "ci" in config.getoption("--engine"):
        nightly = [item for item in items if item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=nightly)
        items[:] = [item for item in items if item not in nightly]
    groups = {item: _group(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    if config.getoption("loadgroup", default=False):  # in a process of pytest-xdist
        order = {group: place for place, group in enumerate(LONGEST)}
        items.sort(key=lambda item: order.get(groups[item], len(LONGEST)))


def _group(item: pytest.Item) -> str:
    if "engine_without_us" in getattr(item, "fixturenames", ()):
        return "versions"
    shares_a_page = "page" in getattr(item, "fixturenames", ())
    engine = shares_a_page and hasattr(item, "callspec") and item.callspec.params.get("engine")
    return engine or item.path.name


@pytest.fixture(scope="session")
def zoo() -> Iterator[Zoo]:
    """The zoo: its shared animals start at first use and live until the last test."""
    with Zoo() as zoo:
        yield zoo


@pytest.fixture(scope="session")
def micropip_here() -> Iterator[Micropip]:
    """Return the micropip of the newest Pyodide, in CPython."""
    with Micropip() as micropip:
        yield micropip


@pytest.fixture(scope="session", params=VERSIONS)
def each_micropip_here(request: pytest.FixtureRequest) -> Iterator[Micropip]:
    """Return the micropip of each Pyodide that is tested, in CPython."""
    with Micropip(request.param) as micropip:
        yield micropip


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Keep looptime 0.9 away from synchronous tests.

    It asks pytest-asyncio's policy for the loop in each test, and in a synchronous one Python
    3.11 answers with a new loop that nobody closes: a ResourceWarning, which is an error here.
    """
    if pyfuncitem.get_closest_marker("looptime") is None:
        pyfuncitem.funcargs.pop("event_loop_policy", None)
    return (yield)
