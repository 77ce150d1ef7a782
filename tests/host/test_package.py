"""The wheel, the public face, and what an import brings along."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
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


@pytest.mark.parametrize("make", [provision.project_wheel, provision.browser_wheel])
def test_a_wheel_holds_nothing_but_the_package(make: Callable[[], Path]) -> None:
    names = zipfile.ZipFile(make()).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"pyodide_mirror"}
    assert "pyodide_mirror/py.typed" in names


def test_the_wheel_that_pages_load_is_small() -> None:
    assert provision.browser_wheel().stat().st_size < 64_000


def test_importing_makes_no_request_and_loads_no_code_of_the_host() -> None:
    command = [sys.executable, "-c", IMPORT]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    loaded = set(json.loads(printed))
    ours = {name for name in loaded if name.startswith("pyodide_mirror.")}
    host = {
        *("_browser", "_browser_fast", "_browser_store", "_cors", "_fetch", "browser_wheel", "cli"),
        *("edge", "jupyterlite", "options", "server", "site_wheels", "__main__"),
    }
    assert not ours & {f"pyodide_mirror.{name}" for name in host}
    assert not loaded & {"urllib.request", "http.client", "http.server", "packaging.requirements"}


def test_all_is_sorted_and_complete() -> None:
    def order(name: str) -> tuple[bool, bool, str]:
        return not name.isupper(), name.islower(), name

    assert pyodide_mirror.__all__ == sorted(pyodide_mirror.__all__, key=order)
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
