"""Imports from zip archives find what Python's own find, and compile it once."""

import gc
import importlib
import py_compile
import sys
import zipfile
import zipimport
from importlib.machinery import PathFinder

import pytest

from pyodide_mirror._imports import ZipFinder, quick_imports

SOURCES = {
    "zq_module.py": "VALUE = 1\n",
    "zq_package/__init__.py": "from . import part\n",
    "zq_package/part.py": "VALUE = 2\n",
    "zq_package/deep/__init__.py": "VALUE = 3\n",
    "zq_package/loose/": "",
    "zq_package/loose/part.py": "VALUE = 4\n",
    "zq_namespace/": "",
    "zq_namespace/part.py": "VALUE = 5\n",
    "zq_broken.py": "def\n",
}
NAMES = ("zq_module", "zq_package", "zq_namespace", "zq_broken", "zq_compiled", "zq_none", "json")
STANDARD = ("html", "html.entities", "ipaddress", "json", "platform", "urllib", "urllib.parse")


def forget():
    for name in [name for name in sys.modules if name.startswith("zq_")]:
        del sys.modules[name]


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A zip archive on the path, between a folder and the rest; one module has no source."""
    path = tmp_path / "zq.zip"
    (tmp_path / "zq_compiled.py").write_text("VALUE = 6\n")
    compiled = py_compile.compile(str(tmp_path / "zq_compiled.py"), str(tmp_path / "zq.pyc"))
    with zipfile.ZipFile(path, "w") as made:
        for name, source in SOURCES.items():
            made.writestr(name, source)
        made.write(compiled, "zq_compiled.pyc")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "zq_first.py").write_text("VALUE = 7\n")
    monkeypatch.syspath_prepend(str(path))
    monkeypatch.syspath_prepend(str(folder))
    yield path
    forget()


def facts(spec):
    """What can be compared of a spec."""
    if spec is None or spec.loader is None:  # for a namespace: None
        return None
    loader = getattr(spec.loader, "loader", spec.loader)  # of a lazy one
    where = getattr(loader, "archive", ""), getattr(loader, "prefix", "")
    folders = spec.submodule_search_locations
    return spec.name, spec.origin, spec.cached, spec.has_location, where, folders


def same(name, path=None):
    """The facts of a module by our finder, if Python's own says the same."""
    try:
        theirs = facts(PathFinder.find_spec(name, path))
    except SyntaxError:
        theirs = "broken"
    ours = facts(ZipFinder.find_spec(name, path))
    assert theirs in (ours, "broken"), name
    return ours


def test_specs_are_those_of_the_path_finder(archive):
    found = {name: same(name) for name in (*NAMES, "zq_first")}
    assert [name for name, spec in found.items() if spec is None] == ["zq_namespace", "zq_none"]
    assert found["zq_broken"][1] == f"{archive}/zq_broken.py"
    inside = importlib.import_module("zq_package").__path__
    parts = {name: same(f"zq_package.{name}", inside) for name in ("part", "deep", "loose", "none")}
    assert [name for name, spec in parts.items() if spec is None] == ["loose", "none"]


def test_the_standard_library_is_found_as_python_finds_it():
    for name in STANDARD:
        parent = name.rpartition(".")[0]
        assert same(name, importlib.import_module(parent).__path__ if parent else None), name


def test_a_module_is_compiled_once(archive, monkeypatch):
    compiled = []
    real = zipimport._compile_source
    monkeypatch.setattr(
        zipimport, "_compile_source", lambda path, *rest: compiled.append(path) or real(path, *rest)
    )
    with quick_imports():
        module = importlib.import_module("zq_package")
        assert importlib.import_module("zq_first").VALUE == 7
        assert importlib.import_module("zq_compiled").VALUE == 6
        assert importlib.import_module("zq_namespace.part").VALUE == 5
    assert module.part.VALUE == 2
    folder = f"{archive}/zq_package"
    assert compiled[:2] == [f"{folder}/__init__.py", f"{folder}/part.py"]
    # Python's own finder, which is asked for the namespace, compiles twice.
    assert set(compiled[2:]) == {f"{archive}/zq_namespace/part.py"}
    assert module.__file__ == compiled[0]
    with quick_imports(), pytest.raises(SyntaxError, match=r"zq_broken\.py"):
        importlib.import_module("zq_broken")


def test_what_is_seldom_used_is_loaded_when_it_is_used(archive, monkeypatch):
    monkeypatch.setattr("pyodide_mirror._imports._SELDOM_USED", {"zq_module"})
    with quick_imports():
        module = importlib.import_module("zq_module")
    assert "VALUE" not in object.__getattribute__(module, "__dict__")
    assert module.VALUE == 1
    assert type(module) is type(sys)


CALLED = """\
VALUE = 1
def double(number, *, add=0):
    return 2 * number + add
"""


@pytest.fixture
def called(archive, monkeypatch):
    """A module that is loaded when `double` is called; and what it has before."""
    with zipfile.ZipFile(archive, "a") as made:
        made.writestr("zq_called.py", CALLED)
    zipimport.zipimporter(str(archive)).invalidate_caches()
    sys.path_importer_cache.pop(str(archive), None)
    functions = {"zq_called": ("double",)}
    monkeypatch.setattr("pyodide_mirror._imports._SELDOM_CALLED", functions)
    with quick_imports():
        return importlib.import_module("zq_called")


def test_what_is_seldom_called_is_loaded_when_it_is_called(called):
    from zq_called import double

    assert "VALUE" not in vars(called)
    assert not hasattr(called, "__path__")
    assert "VALUE" not in vars(called)
    assert double(2, add=1) == 5
    assert vars(called)["VALUE"] == 1
    assert double(3) == called.double(3) == 6
    assert called.double is not double
    with pytest.raises(AttributeError, match="'zq_called' has no attribute 'none'"):
        called.none  # noqa: B018


def test_what_else_is_used_of_it_loads_it_too(called):
    from zq_called import VALUE

    assert VALUE == 1
    assert called.double(2) == 4


def test_what_cannot_be_loaded_says_so_each_time(called, monkeypatch):
    loader = called.__spec__.loader
    monkeypatch.setattr(loader, "_loader", None)
    for _ in range(2):
        with pytest.raises(AttributeError, match="exec_module"):
            called.double(1)


@pytest.mark.parametrize("collects", [True, False])
def test_nothing_stays_as_it_was_not(collects):
    before = gc.isenabled(), list(sys.meta_path)
    try:
        (gc.enable if collects else gc.disable)()
        with pytest.raises(KeyError), quick_imports(), quick_imports():  # noqa: PT012
            assert (gc.isenabled(), sys.meta_path.count(ZipFinder)) == (False, 1)
            raise KeyError
        assert (gc.isenabled(), sys.meta_path) == (collects, before[1])
    finally:
        (gc.enable if before[0] else gc.disable)()
