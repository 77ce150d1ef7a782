"""Fixtures for tests of Pyodide's own packages."""  # noqa: INP001  # like all folders of tests/host

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.install_world import World, world_in
from tests.support.pyodide_micropip import DEPENDS
from tests.zoo import cdns


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An empty folder into which a Pyodide installs that has the zoo's packages in its lock file.

    No CDN has them yet, and no mirror has anything.
    """
    with world_in(tmp_path) as made:
        made.pyodide.manage_packages()
        for wheel in cdns.LOCKED:
            made.lock(wheel)
        DEPENDS.update(cdns.DEPENDS)
        yield made
        DEPENDS.clear()
