"""Fixtures for tests of ``%pip``: cells that run without IPython."""  # noqa: INP001  # like all folders of tests/host

import ast
import inspect
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pyodide_mirror.api import locks, pip
from pyodide_mirror.notebook.pip_options import rewritten
from tests.support.fake_web import TIMEOUT, A
from tests.support.install_world import World, world_in

Run = Callable[[str], Awaitable[str]]


class Shell:
    """IPython's shell, as far as ``%pip`` uses it; ``names`` are the variables of cells."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}

    def var_expand(self, line: str, depth: int) -> str:
        """Replace ``{name}`` as IPython does, which leaves what it cannot expand."""
        frame = sys._getframe(depth + 1)  # noqa: SLF001  # as IPython has it
        try:
            return line.format_map({**self.names, **frame.f_locals})
        except (KeyError, ValueError, IndexError):
            return line

    async def run(self, cell: str) -> None:
        """Run a cell."""
        source = "".join(rewritten(cell.splitlines(keepends=True)))
        code = compile(source, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, self.names)  # noqa: S307  # it is what IPython does
        if inspect.isawaitable(result):
            await result


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The shell of this Python."""
    shell = Shell()
    module = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", module)  # type: ignore[arg-type]
    return shell


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A web without mirrors, and an empty folder into which Pyodide's micropip installs.

    The working directory has nothing else in it.
    """
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with world_in(tmp_path / "site") as made:
        monkeypatch.setattr(locks, "SESSION", made.session)
        monkeypatch.setattr(pip, "SESSION", made.session)
        made.session.configure_later([A], timeout=TIMEOUT)
        yield made


@pytest.fixture
def run(world: World, shell: Shell, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs a cell and returns what it has printed."""

    async def run_cell(cell: str) -> str:
        capsys.readouterr()
        await shell.run(cell)
        return capsys.readouterr().out

    return run_cell
