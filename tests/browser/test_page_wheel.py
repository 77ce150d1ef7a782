"""Each Pyodide that we support takes the wheel for pages, by its URL and by its name."""

import json
from collections.abc import Iterator

import pytest

from pyodide_mirror.own_wheels import page_wheel, page_wheels, whole_wheel
from tests.browser.test_versions import VERSIONS
from tests.support.engines import Engine
from tests.support.own_server import Serving, serving
from tests.support.provision import PYODIDE_VERSION

pytestmark = [
    # Every page of the tests has loaded it, by the newest.
    pytest.mark.nightly,
    # One engine is enough: what differs is Python's side.
    pytest.mark.engines("chromium"),
    pytest.mark.parametrize(
        "version", [*VERSIONS, PYODIDE_VERSION], indirect=True, scope="session"
    ),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    """A server of ours that has our own wheels, and nothing else."""
    with serving() as running:
        yield running


FORGET = """
import importlib, sys
from importlib.metadata import distributions
import micropip

if any(one.name == "pyodide-mirror" for one in distributions()):
    micropip.uninstall("pyodide-mirror")
for name in [name for name in sys.modules if name.startswith("pyodide_mirror")]:
    del sys.modules[name]
importlib.invalidate_caches()
"""


@pytest.fixture
def bare(engine_without_us: Engine) -> Iterator[Engine]:
    """A page with that Pyodide, without pyodide_mirror."""
    engine_without_us.run(FORGET)
    yield engine_without_us
    engine_without_us.run(FORGET)


INSTALLED = """
import importlib, json
from importlib.metadata import distribution, distributions
from importlib.util import find_spec

before = [one.name for one in distributions() if one.name == "pyodide-mirror"]
{install}
importlib.invalidate_caches()
import pyodide_mirror

wheel = distribution("pyodide-mirror").read_text("WHEEL").splitlines()
json.dumps({{
    "before": before,
    "tags": [line.rpartition("-")[2] for line in wheel if line.startswith("Tag:")],
    "server": find_spec("pyodide_mirror.server") is not None,
    "status": pyodide_mirror.status(),
}})
"""


def installed(page: Engine, install: str, filename: str = "") -> None:
    """Install by this code, and see that it is this wheel for pages that is there then."""
    filename = filename or page_wheel()[0]
    found = json.loads(page.run_async(INSTALLED.format(install=install)))
    tags = filename.removesuffix(".whl").rpartition("-")[2].split(".")
    assert found == {"before": [], "tags": tags, "server": False, "status": None}


def test_micropip_takes_it_by_its_url(bare: Engine, server: Serving) -> None:
    url = f"{server.url}/{page_wheel()[0]}"
    installed(bare, f"import micropip\nawait micropip.install({url!r})")


def test_load_package_takes_it_by_its_url(bare: Engine, server: Serving) -> None:
    url = f"{server.url}/{page_wheel()[0]}"
    installed(bare, f"import pyodide_js\nawait pyodide_js.loadPackage({url!r})")


def test_by_its_name_micropip_picks_the_one_for_its_python(
    bare: Engine, server: Serving, version: str
) -> None:
    urls = [server.index_url]
    listed = bare.run_async(f"""
        from pyodide.http import pyfetch
        accept = {{"Accept": "application/vnd.pypi.simple.v1+json"}}
        page = await (await pyfetch({urls[0] + "/pyodide-mirror/"!r}, headers=accept)).json()
        sorted(file["filename"] for file in page["files"])
    """)
    assert list(listed) == sorted([*page_wheels(), whole_wheel()[0]])
    installed(
        bare,
        f"import micropip\nawait micropip.install('pyodide-mirror', index_urls={urls!r})",
        next(iter(page_wheels())) if version == PYODIDE_VERSION else page_wheel()[0],
    )
