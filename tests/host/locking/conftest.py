"""Fixtures for tests of lock files."""  # noqa: INP001  # like all folders of tests/host

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror.api import locks
from tests.support.install_world import World, world_in


@pytest.fixture
def new_world(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., World]]:
    """A function that opens a world, whose session is the one of the public functions.

    The world before it has ended then.
    """
    with ExitStack() as stack:

        def open_world(version: str = "0.11.1", web: Any = None) -> World:
            stack.close()
            folder = tmp_path_factory.mktemp("site")
            world = stack.enter_context(world_in(folder, version, web=web))
            if version == "0.11.1":
                world.pyodide.manage_packages()
            monkeypatch.setattr(locks, "SESSION", world.session)
            return world

        yield open_world


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    """An empty folder into which Pyodide's micropip installs, and a web without mirrors."""
    return new_world()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for files of a test."""
    return tmp_path
