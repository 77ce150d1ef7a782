"""The wheel, the public face, and what an import brings along."""

import json
import pickle
import subprocess
import sys
import zipfile
from types import ModuleType

import pytest

import pyodide_mirror
from tests.support import provision

IMPORT = """
import json, socket, sys

def no_network(*_, **__):
    raise AssertionError("importing made a connection")

socket.socket.connect = no_network
import micropip
before = set(sys.modules)
import pyodide_mirror
print(json.dumps(sorted(set(sys.modules) - before)))
"""
USE = "from pyodide_mirror import *"


def test_a_wheel_holds_nothing_but_the_package() -> None:
    for wheel in (provision.project_wheel(), provision.browser_wheel()):
        names = zipfile.ZipFile(wheel).namelist()
        assert {name.split("/")[0].split("-")[0] for name in names} == {"pyodide_mirror"}, wheel
    # Type checkers read it, and no page has one.
    assert "pyodide_mirror/py.typed" in zipfile.ZipFile(provision.project_wheel()).namelist()


def test_the_wheel_of_the_project_is_its_source() -> None:
    source = provision.ROOT / "pyodide_mirror"
    with zipfile.ZipFile(provision.project_wheel()) as archive:
        packed = {
            name.removeprefix("pyodide_mirror/"): archive.read(name)
            for name in archive.namelist()
            if name.startswith("pyodide_mirror/")
        }
    files = [path for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert packed == {path.relative_to(source).as_posix(): path.read_bytes() for path in files}


def test_importing_makes_no_request_and_loads_no_code_of_the_host() -> None:
    command = [sys.executable, "-c", IMPORT]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    loaded = set(json.loads(printed))
    # A name is loaded when it is first used, and what it stands for with it.
    ours = {name for name in loaded if name.startswith("pyodide_mirror")}
    assert ours == {"pyodide_mirror", "pyodide_mirror._lazy", "pyodide_mirror._imports"}
    assert not loaded & {"urllib.request", "http.client", "http.server", "packaging.requirements"}


def test_the_public_functions_load_no_code_of_the_host() -> None:
    command = [sys.executable, "-c", IMPORT.replace("import pyodide_mirror", USE)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # A room's __init__ loads nothing of the room.
    loaded = set(json.loads(printed)) - {"pyodide_mirror.browser"}
    rooms = {name.split(".")[1] for name in loaded if "pyodide_mirror." in name}
    assert rooms >= {"api", "installing", "probing"}
    assert not rooms & {"browser", "cli", "edge", "jupyterlite", "own_wheels", "server", "__main__"}


def test_all_is_sorted_and_complete() -> None:
    assert pyodide_mirror.__all__ == sorted(pyodide_mirror.__all__)
    assert set(pyodide_mirror.__all__) <= set(dir(pyodide_mirror))
    for name in pyodide_mirror.__all__:
        value = getattr(pyodide_mirror, name)
        assert not isinstance(value, ModuleType), f"the room of that name hides {name}"
    with pytest.raises(AttributeError, match="has no attribute 'instal'"):
        _ = pyodide_mirror.instal


def test_a_name_is_the_same_however_it_is_come_by() -> None:
    command = (
        "from pyodide_mirror import *; import pyodide_mirror as p; import pyodide_mirror.probing"
    )
    check = f"{command}; assert all(globals()[name] is getattr(p, name) for name in p.__all__)"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_the_table_of_mirrors_starts_with_micropips_own_default() -> None:
    from micropip.package_index import DEFAULT_INDEX_URLS

    assert pyodide_mirror.MIRRORS[0].index_url == DEFAULT_INDEX_URLS[0]
    assert pyodide_mirror.MIRRORS[0].name == "PyPI"
    assert len({mirror.index_url for mirror in pyodide_mirror.MIRRORS}) >= 10
    assert all(mirror.region and mirror.note for mirror in pyodide_mirror.MIRRORS)


def test_classes_are_where_users_find_them() -> None:
    found = {name: getattr(pyodide_mirror, name) for name in pyodide_mirror.__all__}
    classes = {name: each for name, each in found.items() if isinstance(each, type)}
    assert len(classes) > 10
    assert {name for name, each in classes.items() if each.__module__ != "pyodide_mirror"} == set()
    for value in pyodide_mirror.MIRRORS[0], pyodide_mirror.Reason.CORS:
        assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301  # our own
