"""What all tests share: the choice of engines, and how they are shared out to processes."""

from collections.abc import Generator, Iterator

import pytest

from tests.zoo.zoo import Zoo


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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep in one process (pytest-xdist) what shares a browser, or a module's fixtures."""
    for item in items:
        shares_a_page = "page" in getattr(item, "fixturenames", ())
        engine = shares_a_page and hasattr(item, "callspec") and item.callspec.params.get("engine")
        item.add_marker(pytest.mark.xdist_group(engine or item.path.name))


@pytest.fixture(scope="session")
def zoo() -> Iterator[Zoo]:
    """The zoo: its shared animals start at first use and live until the last test."""
    with Zoo() as zoo:
        yield zoo


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Keep looptime 0.9 away from synchronous tests.

    It asks pytest-asyncio's policy for the loop in each test, and in a synchronous one Python
    3.11 answers with a new loop that nobody closes: a ResourceWarning, which is an error here.
    """
    if pyfuncitem.get_closest_marker("looptime") is None:
        pyfuncitem.funcargs.pop("event_loop_policy", None)
    return (yield)
