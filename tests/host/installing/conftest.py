"""Fixtures for tests of whole installs."""  # noqa: INP001  # like all folders of tests/host

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.install_world import World, world_in
from tests.support.pyodide_micropip import VERSIONS


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A web without mirrors, and an empty folder into which Pyodide's micropip installs."""
    with world_in(tmp_path) as made:
        yield made


@pytest.fixture(params=VERSIONS)
def each_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The same with each version of micropip that we support."""
    with world_in(tmp_path, request.param) as made:
        yield made
