"""Which lines of a cell are made Python, and in whose place."""

import asyncio
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from pyodide_mirror.notebook.ipython import add_magics, remove_magics
from pyodide_mirror.notebook.pip_options import rewritten


def call(line: str) -> str:
    return f'await __import__("pyodide_mirror.notebook").notebook.pip({line!r})\n'


@pytest.mark.parametrize(
    ("cell", "python"),
    [
        ("%pip install x\n", call("install x")),
        ("%pip\n", call("")),
        ("  %pip  list \n", f"  {call('list')}"),
        ("if 1:\n\t%pip list\n", f"if 1:\n\t{call('list')}"),
        ("%pip install a \\\n   b \\\n  c\nprint(1)\n", f"{call('install a  b  c')}print(1)\n"),
        ("%pip install a\\", call("install a ")),
        ("%pip install it's\n", call("install it's")),
        ("%time\n!echo it's\n%pip list\n", f"%time\n!echo it's\n{call('list')}"),
        ("%%time\n%pip list\n", f"%%time\n{call('list')}"),
        ("%%writefile x.txt\n%pip list\n", "%%writefile x.txt\n%pip list\n"),
        ("x = '''\n%pip list\n'''\n", "x = '''\n%pip list\n'''\n"),
        ("f'''{1}\n%pip list\n'''\n", "f'''{1}\n%pip list\n'''\n"),
        ("%pipeline\n", "%pipeline\n"),
        ("%pip? \n", "%pip? \n"),
        ("# %pip list\n", "# %pip list\n"),
    ],
)
def test_a_cell(cell: str, python: str) -> None:
    found = "".join(rewritten(cell.splitlines(keepends=True)))
    assert found.split() == python.split()
    assert found.count("\n") >= python.count("\n") - 1


class Shell:
    """IPython's shell with a kernel of pyodide-kernel."""

    def __init__(self) -> None:
        async def pip_magic(lines: list[str]) -> list[str]:
            return [f"theirs: {line}" for line in lines]

        async def another(lines: list[str]) -> list[str]:
            return lines

        manager = SimpleNamespace(line_transforms=[pip_magic, another])
        self.kernel = SimpleNamespace(lite_transform_manager=manager)
        self.magics_manager = SimpleNamespace(magics={"line": {}})

    def register_magic_function(self, function: Any, kind: str, name: str) -> None:
        self.magics_manager.magics[kind][name] = function

    def transformed(self, *lines: str) -> list[str]:
        found = list(lines)
        for transform in self.kernel.lite_transform_manager.line_transforms:
            found = asyncio.run(transform(found))
        return found


def test_ours_takes_the_place_of_that_of_the_kernel_until_it_is_unloaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shell = Shell()
    module = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", module)  # type: ignore[arg-type]
    for _ in range(2):
        for _ in range(2):  # the site's start-up file, and %load_ext
            add_magics(print)
            assert shell.transformed("%pip list", "1") == [call("list"), "1"]
            assert [*shell.magics_manager.magics["line"]] == ["mirror"]
        for _ in range(2):
            remove_magics()
            assert shell.transformed("%pip list") == ["theirs: %pip list"]
            assert shell.magics_manager.magics["line"] == {}
