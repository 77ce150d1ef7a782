"""What Python runs in a page when it has started: nothing until micropip is imported."""

import importlib
import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from pyodide_mirror import notebook
from pyodide_mirror._micropip import PREPARED
from pyodide_mirror.loader import start

URLS = ("PYODIDE_MIRROR_CDNS", "PYODIDE_MIRROR_URLS")


@pytest.fixture
def micropip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A micropip that is not there yet; the result is what happens when it is imported."""
    happened: list[str] = []
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "micropip", raising=False)
    monkeypatch.setattr(
        notebook,
        "prepare_page",
        lambda: happened.append(f"prepared {sys.modules['micropip'].ready}"),  # type: ignore[attr-defined]
    )
    for name in URLS:
        monkeypatch.delenv(name, raising=False)
    return happened


def install_micropip(folder: Path) -> None:
    """Put it there."""
    (folder / "micropip.py").write_text("ready = True")
    importlib.invalidate_caches()


def test_micropips_install_becomes_ours_once_micropip_has_been_executed(
    micropip: list[str], tmp_path: Path
) -> None:
    start.prepare(micropip.append, "", "")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("micropip")
    assert micropip == []
    install_micropip(tmp_path)
    first = importlib.import_module("micropip")
    assert micropip == ["prepared True"]
    assert importlib.import_module("micropip") is first
    assert importlib.reload(first) is first
    assert micropip == ["prepared True"]


def test_our_wheel_is_unpacked_when_it_is_first_imported(
    micropip: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = [name for name in sys.modules if name.split(".")[0] == "pyodide_mirror"]
    for name in names:
        monkeypatch.delitem(sys.modules, name)

    def unpack(folder: str) -> None:
        micropip.append(Path(folder).name)
        (tmp_path / "pyodide_mirror.py").write_text("unpacked = True")

    start.prepare(unpack, "", "")
    assert importlib.import_module("pyodide_mirror").unpacked
    assert micropip == ["site-packages"]
    monkeypatch.delitem(sys.modules, "pyodide_mirror")


def test_another_wheel_of_ours_that_is_there_stays(
    micropip: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = ModuleSpec("pyodide_mirror", None)
    monkeypatch.setattr(start, "find_spec", lambda _: there)
    start.prepare(micropip.append, "", "")
    assert sys.meta_path[0].find_spec("pyodide_mirror", None) is there
    assert sys.meta_path[0].find_spec("pyodide_mirror.api", None) is None
    assert micropip == []


def test_a_page_that_sees_to_our_package_itself_is_told_the_urls_alone(
    micropip: list[str], tmp_path: Path
) -> None:
    install_micropip(tmp_path)
    start.prepare(None, "https://cdn.example/", "")
    importlib.import_module("micropip")
    assert os.environ.pop("PYODIDE_MIRROR_CDNS") == "https://cdn.example/"
    assert micropip == []


def test_the_environment_of_the_page_counts_more(
    micropip: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYODIDE_MIRROR_CDNS", "https://mine.example/")
    start.prepare(micropip.append, "https://cdn.example/", "https://mirror.example/simple")
    values = [os.environ.pop(name) for name in URLS]
    assert values == ["https://mine.example/", "https://mirror.example/simple"]
    start.prepare(micropip.append, "", "")
    assert not set(URLS) & os.environ.keys()


def test_what_a_kernel_has_prepared_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = ("hook", "packages", "configure")
    monkeypatch.setattr("pyodide_mirror.notebook.startup.PREPARED", [prepared])
    notebook.prepare_page()
    assert PREPARED == []
