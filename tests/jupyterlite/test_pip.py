"""Cells with ``%pip`` in real kernels: with the add-on, and on a site that knows nothing of us."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyodide_mirror.own_wheels import page_wheel
from pyodide_mirror.rebuilt import rebuilt_wheel
from tests.jupyterlite import sites
from tests.jupyterlite.browser import Browser, address
from tests.support.compiled import compiled
from tests.support.pages import PageServer
from tests.support.small_index import SmallIndex
from tests.support.wheels import make_wheel

APPLES = [
    make_wheel("apples", version, requires=["pears>=1"]) for version in ("1.0", "2.0", "3.0rc1")
]
PEARS = [make_wheel("pears", version) for version in ("1.0", "1.1")]


@pytest.fixture(scope="module")
def index() -> Iterator[SmallIndex]:
    """What all kernels install from."""
    with SmallIndex(*APPLES, *PEARS) as index:
        yield index


@pytest.fixture(scope="module")
def extra() -> Iterator[SmallIndex]:
    """An index with a project of its own."""
    with SmallIndex(make_wheel("quinces", "1.0")) as extra:
        yield extra


CELLS = (
    ("%pip install apples==1.0", "x"),
    ("%pip install -U apples", "x"),
    ("%pip list", "x"),
    ("%pip install --nonsense apples", "x"),
    ("%pip", "x"),
)


def test_every_option(tmp_path: Path, index: SmallIndex, extra: SmallIndex) -> None:
    folder = sites.write_site(
        tmp_path / "pip",
        addon={"mirrors": [index.url]},
        pyodide=compiled(sites.kernel_dist()),
        notebooks={"pip.ipynb": [source for source, _ in CELLS]},
    )
    base = f"/{sites.built(folder).relative_to(tmp_path)}"
    with PageServer(tmp_path) as server, Browser() as browser:
        with browser.open(address(server.base_url() + base, "notebooks", path="pip.ipynb")) as page:
            shown = page.run_notebook("pip.ipynb")
    for (source, _), text in zip(CELLS, shown, strict=True):
        print("-->", source)
        print(text)
    assert 0
