import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from demo import __main__ as command
from pyodide_mirror import CDNS
from tests.support import provision

VERSION = provision.PYODIDE_VERSION
BIG_FILES = ["pyodide.asm.wasm", "python_stdlib.zip"]


def build(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["demo", "--build", str(folder), *map(str, arguments)])
    return command.main()


def fixed_in(path: Path) -> dict[str, Any]:
    """What the loader's command has written into a module."""
    [line] = re.findall(r"^const FIXED = (.*);$", path.read_text("ascii"), re.MULTILINE)
    found: dict[str, Any] = json.loads(line)
    return found


def test_the_folder_has_all_that_the_page_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a" / "site"
    for _ in range(2):  # a page that is built anew takes the old one's place
        assert build(folder, monkeypatch) == 0
    index = (folder / "index.html").read_text("utf-8")
    asked = set(re.findall(r'(?:src|href)="([\w.]+)"', index))
    for script in folder.glob("*.js"):
        asked |= set(re.findall(r'from "\./([\w.]+)"', script.read_text("utf-8")))
    asked |= {"texts.json", "settings.json", "demo.py", "prompt.py", "pyodide"}
    assert {path.name for path in folder.iterdir()} == {*asked, "index.html"}
    settings = json.loads((folder / "settings.json").read_text("utf-8"))
    assert settings == {
        "package": "",
        "cdns": [{"name": cdn.name, "url": cdn.base_url} for cdn in CDNS],
    }
    own = fixed_in(folder / "pyodide" / "pyodide.mjs")
    assert own["cdns"] == [cdn.url("", VERSION) for cdn in CDNS]
    assert own["local"] == []
    lock = folder / "pyodide" / "pyodide-lock.json"  # is the release's, as a whole
    assert lock.read_bytes() == (provision.pyodide_package() / lock.name).read_bytes()
    [wheel] = (folder / "pyodide").glob("pyodide_mirror-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "pyodide_mirror/__init__.py" in archive.namelist()


def test_scripts_come_from_the_page_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://pyodide.example/v{version}"
    folder = provision.pyodide_package()
    assert build(tmp_path, monkeypatch, "--pyodide", url, "--pyodide", folder) == 0
    index = (tmp_path / "index.html").read_text("utf-8")
    [policy] = re.findall(r"script-src ([^;]*);", index)
    assert policy == "'self' 'wasm-unsafe-eval'"
    settings = json.loads((tmp_path / "settings.json").read_text("utf-8"))
    assert settings["cdns"] == [{"name": "pyodide.example", "url": f"{url}/"}]
    own = fixed_in(tmp_path / "pyodide" / "pyodide.mjs")
    assert own["cdns"] == [f"https://pyodide.example/v{VERSION}/"]


def test_a_page_with_pyodide_needs_no_cdn_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build(tmp_path, monkeypatch, "--with-pyodide") == 0
    folder = tmp_path / "pyodide"
    lock = json.loads((folder / "pyodide-lock.json").read_text("utf-8"))["packages"]
    file = lock["micropip"]["file_name"]
    assert fixed_in(folder / "pyodide.mjs")["local"] == [*BIG_FILES, file]
    assert lock["micropip"]["depends"] == []
    dist = provision.pyodide_dist()
    for name in (*BIG_FILES, file):
        assert (folder / name).read_bytes() == (dist / name).read_bytes()
    # The others are the release's, so that CDNs can be tested by them.
    release = json.loads((provision.pyodide_package() / "pyodide-lock.json").read_text("utf-8"))
    assert lock == {**release["packages"], "micropip": lock["micropip"]}


def test_what_is_no_place_for_pyodide_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in ("javascript:alert(1)", "ftp://pyodide.example/", "https:///full/", "no/folder"):
        with pytest.raises(SystemExit):
            build(tmp_path, monkeypatch, "--pyodide", place)
        assert f"--pyodide: invalid source value: {place!r}" in capsys.readouterr().err
