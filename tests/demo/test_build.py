import json
import re
import sys
import zipfile
from pathlib import Path

import pytest

from demo import __main__ as command
from demo.site import HOMES, check_home, copy_pyodide
from tests.support import provision


def build(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["demo", "--build", str(folder), *arguments])
    return command.main()


def test_the_folder_has_all_that_the_page_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a" / "site"
    assert build(folder, monkeypatch) == 0
    index = (folder / "index.html").read_text("utf-8")
    asked = set(re.findall(r'(?:src|href)="([\w.]+)"', index))
    for script in folder.glob("*.js"):
        asked |= set(re.findall(r'from "\./([\w.]+)"', script.read_text("utf-8")))
    asked |= {"texts.json", "settings.json", "demo.py", "prompt.py"}
    settings = json.loads((folder / "settings.json").read_text("utf-8"))
    assert {path.name for path in folder.iterdir()} == {*asked, "index.html", settings["wheel"]}
    assert settings["homes"] == list(HOMES)
    assert "mirrors" not in settings
    with zipfile.ZipFile(folder / settings["wheel"]) as wheel:
        assert "pyodide_mirror/__init__.py" in wheel.namelist()


def test_scripts_come_from_the_page_and_the_homes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = "https://pyodide.example/v1"
    assert build(tmp_path, monkeypatch, "--pyodide", home, "--pyodide", "lib/pyodide") == 0
    index = (tmp_path / "index.html").read_text("utf-8")
    (policy,) = re.findall(r"script-src ([^;]*);", index)
    assert policy == f"'self' 'wasm-unsafe-eval' {home}/"
    settings = json.loads((tmp_path / "settings.json").read_text("utf-8"))
    assert settings["homes"] == [f"{home}/", "lib/pyodide/"]


def test_pyodide_beside_the_page_is_what_the_page_needs(tmp_path: Path) -> None:
    dist = provision.pyodide_dist()
    copy_pyodide(dist, tmp_path)
    lock = json.loads((tmp_path / "pyodide" / "pyodide-lock.json").read_text("utf-8"))
    assert lock["packages"].keys() == {"micropip"}
    for package in lock["packages"].values():
        assert set(package["depends"]) <= lock["packages"].keys()
        file = package["file_name"]
        assert (tmp_path / "pyodide" / file).read_bytes() == (dist / file).read_bytes()


def test_what_is_no_place_for_pyodide_is_refused() -> None:
    for home in (
        "javascript:alert(1)",
        "ftp://pyodide.example/",
        "https:///full/",
        "https://a.example/;script-src *",
        "https://a.example/ https://b.example/",
        "https://user@a.example/",
        "https://a.example/?x",
    ):
        with pytest.raises(ValueError, match=f"not a place for Pyodide: {re.escape(repr(home))}"):
            check_home(home)
