"""The wheel's slim copies are the same program, on the same lines."""

import ast
import csv
import io
import subprocess
import sys
import tarfile
import tokenize
import tomllib
import traceback
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder

import hatch_build
from hatch_build import SlimError, SlimHook, slim
from tests.ground import provision

MODULES = sorted((provision.ROOT / "pyodide_mirror").rglob("*.py"))
DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(provision.ROOT).with_suffix("").parts)


def documented(source: str) -> Iterator[tuple[str, Any]]:
    """Yield all that may have a docstring, with its dotted name."""

    def walk(node: ast.AST, name: str) -> Iterator[tuple[str, Any]]:
        for child in ast.iter_child_nodes(node):
            inner = f"{name}.{child.name}" if isinstance(child, DEFINITIONS) else name
            if isinstance(child, DEFINITIONS):
                yield inner, child
            yield from walk(child, inner)

    tree = ast.parse(source)
    yield "", tree
    yield from walk(tree, "")


def docstrings(source: str) -> dict[str, str | None]:
    return {name: ast.get_docstring(node, clean=False) for name, node in documented(source)}


def undocumented(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, *DEFINITIONS)):
            if ast.get_docstring(node) is not None:
                node.body[:1] = []
            # After an assignment a string is for readers alone.
            for before, after in pairwise(list(node.body)):
                match before, after:
                    case ast.Assign() | ast.AnnAssign(), ast.Expr(ast.Constant(str())):
                        node.body.remove(after)
    return ast.dump(tree)


def comments(source: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


# --- what goes ------------------------------------------------------------------------------------


def test_comments_go_wherever_they_are() -> None:
    source = """\
#!/usr/bin/env python
# -*- coding: utf-8 -*-
import os  # noqa: F401

if os:
    # between
        # and too deep
    x = [  # in
        1,
        # a bracket
        2,
    ]  # type: ignore
# too shallow
    y = 1
else:  # after a colon
    pass
# at the end"""
    assert (
        slim(source, "m")
        == """\


import os

if os:


 x = [
  1,

  2,
  ]

 y = 1
else:
 pass
"""
    )


def test_strings_that_look_like_comments_stay() -> None:
    source = '''\
a = "# no" '# no'  # yes
b = """
# no
    # no   \n"""  # noqa: E501
c = "\\\\"  # yes
d = f"{a!r:#>10} # no"  # yes
e = f"""
  # no {
    b
    } # no
"""
f = b"# no"  # yes
'''
    assert slim(source, "m") == source.replace("  # yes", "").replace("  # noqa: E501", "")


def test_the_comment_of_a_debugging_f_string_is_text() -> None:
    source = 'x = 1\ny = f"""{\n    x # yes\n    = }"""  # no\n'
    if sys.version_info < (3, 12):
        pytest.skip("such an f-string needs Python 3.12")
    assert slim(source, "m") == source.replace("  # no", "")


def test_docstrings_of_what_is_private_go() -> None:
    source = '''\
"""Module."""

def _f():
    """Private."""
    return 1

async def _g():
    """Private.

    Long.
    """  # noqa: D400
    return 2

class _C:
    """Private."""
    x = 1

    def method(self):
        """Of a private class."""
        return 3

class C:
    def _method(self):
        r"""Private."""
        return 4
'''
    assert (
        slim(source, "m")
        == '''\
"""Module."""

def _f():

 return 1

async def _g():




 return 2

class _C:

 x = 1

 def method(self):

  return 3

class C:
 def _method(self):

  return 4
'''
    )


PUBLIC = '''\
"""Module."""

def f():
    """Function.

        Indented,
    with blanks at the end.   \n    """
    def inner():
        """Inner."""
        return 1
    class Inner:
        """Inner class."""
        def method(self):
            """Inner method."""
            return 1
    return inner

@decorated("# no")  # yes
async def g():
    """Coroutine."""
    return 2

class C(Base):
    """Class."""
    @property
    # between
    def p(self):
        """Property."""
        return 3
    if True:
        def q(self):
            """Method."""
            return 4
'''


def test_docstrings_of_what_is_public_stay_as_they_are() -> None:
    before, after = docstrings(PUBLIC), docstrings(slim(PUBLIC, "package.module"))
    inner = {name for name in before if ".inner" in name or ".Inner" in name}
    assert {name for name in before if after[name] != before[name]} == inner
    assert {after[name] for name in inner} == {None}


@pytest.mark.parametrize("module", ["_m", "package._m", "_package.m", "package.__main__"])
def test_nothing_is_public_in_a_private_module(module: str) -> None:
    assert set(docstrings(slim(PUBLIC, module)).values()) == {None}


def test_a_package_is_public_by_its_own_name() -> None:
    assert slim('"""P."""\nx = 1\n', "package.__init__").startswith('"""P."""')
    assert slim('"""P."""\nx = 1\n', "_package.__init__").startswith("\n")


def test_docstrings_of_attributes_go() -> None:
    source = 'X = 1\n"""Of X."""\nclass C:\n    y: int = 2\n    """Of y."""\n'
    source += '    """More."""\n    def f(self): ...\n    """Of nothing."""\n'
    assert (
        slim(source, "m")
        == 'X = 1\n\nclass C:\n y: int = 2\n\n\n def f(self): ...\n """Of nothing."""\n'
    )


# --- what stays -----------------------------------------------------------------------------------


def test_a_body_keeps_its_only_docstring() -> None:
    source = 'class _E(Exception):\n """E."""\ndef _f(): "F."\ndef _g():\n (  # why\n  "G."\n  )\n'
    assert slim(source, "_m") == source.replace("  # why", "")


def test_an_empty_module_stays_empty() -> None:
    assert slim("", "m") == ""
    assert slim("# nothing\n", "m") == "\n"
    assert slim('"""Private."""', "_m") == '"""Private."""'


def test_a_method_of_a_protocol_keeps_its_dots() -> None:
    source = '''\
class _P(Protocol):
    """Private."""

    def one(self) -> int:
        """One."""
        ...

    async def two(self) -> int:
        """Two."""
'''
    assert (
        slim(source, "m")
        == '''\
class _P(Protocol):


 def one(self) -> int:

  ...

 async def two(self) -> int:
  """Two."""
'''
    )


def test_a_docstring_that_shares_its_line_stays() -> None:
    source = """\
def _f(): "F."; return 1  # why
def _g():
    "G."; x = 1
    return x
"""
    assert (
        slim(source, "_m")
        == """\
def _f(): "F."; return 1
def _g():
 "G."; x = 1
 return x
"""
    )


def test_no_second_string_becomes_the_docstring() -> None:
    source = 'def _f():\n "First."\n "Second."\n return 1\n'
    assert slim(source, "m") == source


def test_a_docstring_of_parts_goes_as_a_whole() -> None:
    source = 'def _f():\n    ("1"  # a\n     "2")  # b\n    return 1\ndef _g():\n    "1" \\\n'
    source += '    "2" \\\n\n    return 1\n'
    assert slim(source, "m") == "def _f():\n\n\n return 1\ndef _g():\n\n\n\n return 1\n"


def test_lines_go_on_after_brackets_and_backslashes() -> None:
    source = '''\
if x:
    if y and \\
            z:
        f(a,
          """
          in # text
      """, b,  # why
                c)
    assert x, \\
        y  # why
    g()
'''
    assert (
        slim(source, "m")
        == '''\
if x:
 if y and \\
  z:
  f(a,
   """
          in # text
      """, b,
   c)
 assert x, \\
  y
 g()
'''
    )


def test_places_are_counted_in_characters() -> None:
    source = 'é = "ü"; è = [  # à\n    "ß",  # ö\n]\nclass _É:\n    "É."; ñ = 1  # ç\n'
    assert slim(source, "m") == 'é = "ü"; è = [\n "ß",\n ]\nclass _É:\n "É."; ñ = 1\n'


def test_tabs_and_windows_line_ends_are_no_trouble() -> None:
    assert slim("if x:\r\n\ty = 1  # why\r\n\r\n", "m") == "if x:\n y = 1\n\n"


def test_what_is_no_longer_the_same_program_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def add(text: str, at: int) -> None:
        monkeypatch.setattr(hatch_build, "_tidy", lambda lines, *_: lines.insert(at, text))

    add("y = 2", at=1)
    with pytest.raises(SlimError, match=r"package\.module: .* another program"):
        slim("x = 1\n", "package.module")
    add("", at=0)
    with pytest.raises(SlimError, match=r"package\.module: .* other lines"):
        slim("x = 1\n", "package.module")
    add("y =", at=1)
    with pytest.raises(SlimError, match=r"package\.module: .* not Python"):
        slim("x = 1\n", "package.module")


# --- our modules ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_each_module_stays_the_same_program(path: Path) -> None:
    source = path.read_text()
    slimmed = slim(source, module_of(path))
    compile(slimmed, path, "exec")
    assert undocumented(slimmed) == undocumented(source)
    assert slimmed.count("\n") == source.count("\n")
    assert comments(slimmed) == []


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_each_module_keeps_what_help_shows(path: Path) -> None:
    source = path.read_text()
    before, after = docstrings(source), docstrings(slim(source, module_of(path)))
    gone = {name for name in before if after[name] != before[name]}
    assert {after[name] for name in gone} <= {None}
    if path.stem == "__init__" or not path.stem.startswith("_"):
        inside = functions(source)
        assert all("._" in name or name.rpartition(".")[0] in inside for name in gone)


def functions(source: str) -> set[str]:
    nodes = documented(source)
    return {name for name, node in nodes if not isinstance(node, ast.Module | ast.ClassDef)}


def test_a_traceback_has_the_line_of_the_source() -> None:
    source = '''\
"""Module."""
# A comment.

def _f():
    """Long.

    Docstring.
    """
    # Why.
    raise LookupError("here")  # line 10

_f()  # line 12
'''
    with pytest.raises(LookupError) as raised:
        exec(compile(slim(source, "_m"), "<slim>", "exec"), {})  # noqa: S102
    frames = traceback.extract_tb(raised.value.__traceback__)
    assert [frame.lineno for frame in frames if frame.filename == "<slim>"] == [12, 10]


# --- the wheel ------------------------------------------------------------------------------------


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert len(names) == len(set(names))
        return {name: archive.read(name) for name in names}


def build(project: Path, folder: Path, *options: str) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), *options]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (made,) = folder.iterdir()
    return made


def test_the_wheel_has_no_comments_and_the_same_modules() -> None:
    files = contents(provision.project_wheel())
    modules = {name: data.decode() for name, data in files.items() if name.endswith(".py")}
    settings = tomllib.loads((provision.ROOT / "pyproject.toml").read_text())
    hook = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
    assert modules == {
        path.relative_to(provision.ROOT).as_posix(): slim(
            path.read_text(), module_of(path), hook["documented"]
        )
        for path in MODULES
    }
    assert {module_of(path) for path in MODULES} > set(hook["documented"])
    assert [comment for source in modules.values() for comment in comments(source)] == []
    (record,) = (data.decode() for name, data in files.items() if name.endswith("/RECORD"))
    rows = list(csv.reader(record.splitlines()))
    assert sorted(row[0] for row in rows) == sorted(files)
    assert all(int(row[2]) == len(files[row[0]]) for row in rows if row[2])


def test_the_wheel_has_what_help_shows() -> None:
    name = "pyodide_mirror/session.py"
    of_wheel = docstrings(contents(provision.project_wheel())[name].decode())
    of_source = docstrings((provision.ROOT / name).read_text())
    assert of_source[".Session.install"]
    assert of_wheel[".Session.install"] == of_source[".Session.install"]


def test_an_editable_install_has_the_source() -> None:
    build_data: dict[str, Any] = {"force_include": {}}
    hook(provision.ROOT).initialize("editable", build_data)
    assert build_data == {"force_include": {}}


def test_temporary_files_in_the_project_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SlimError, match="TMPDIR"):
        hook(tmp_path).initialize("standard", {"force_include": {}})


def hook(root: Path) -> SlimHook:
    builder = WheelBuilder(str(root))
    return SlimHook(str(root), {}, builder.config, builder.metadata, "", "wheel")


def test_a_wheel_from_the_sdist_is_the_same(tmp_path: Path) -> None:
    sdist = build(provision.ROOT, tmp_path / "sdist", "-t", "sdist")
    with tarfile.open(sdist) as archive:
        # As a parameter of extractall Debian 12's Python 3.11.2 does not know it.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path / "tree")  # noqa: S202  # of our own making
    (tree,) = (tmp_path / "tree").iterdir()
    for path in [*MODULES, provision.ROOT / "hatch_build.py"]:
        assert (tree / path.relative_to(provision.ROOT)).read_bytes() == path.read_bytes()
    wheel = build(tree, tmp_path / "wheel", "-t", "wheel")
    assert wheel.read_bytes() == provision.project_wheel().read_bytes()
