"""We install what pip and uv agree on, or what plain micropip installs, or refuse with a reason."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oracle.__main__ import look, options_of
from tests.oracle.compare import FAULTS
from tests.oracle.tools import Tools


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tools]:
    """Return the tools, with a cache of their own."""
    with Tools(Path(os.fspath(tmp_path_factory.mktemp("uv")))) as tools:
        yield tools


def test_some_worlds_show_no_fault(tools: Tools) -> None:
    # The same worlds each time; `nox -s oracle -- --worlds 2000` looks at many more.
    counts = look(tools, options_of(["--worlds=20", "--seed=20"]))
    assert not FAULTS & counts.keys()  # they have been printed
    assert counts["the same"] >= 5
