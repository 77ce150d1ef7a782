"""Fixtures for tests of whole installs."""  # noqa: INP001  # like all folders of tests/host

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.real_micropip import World, world_in


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A web without mirrors, and an empty folder into which the real micropip installs."""
    with world_in(tmp_path, monkeypatch) as made:
        yield made
