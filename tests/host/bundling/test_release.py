"""Lock files of Pyodide's kind: which packages they have, and which are refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror.bundling import BundlingError
from pyodide_mirror.bundling.release import read_release

INFO = {"python": "3.14.2", "abi_version": "2026_0", "arch": "wasm32", "platform": "emscripten_5"}


def package(file_name: str, *depends: str, **others: Any) -> dict[str, Any]:
    """An entry of a lock file."""
    named = {"file_name": file_name, "sha256": "0" * 64, "version": "1.0"}
    return {**named, "depends": list(depends), **others}


def lock_file(folder: Path, packages: object) -> Path:
    """A lock file with these packages."""
    path = folder / "its-lock.json"
    path.write_text(json.dumps({"info": INFO, "packages": packages}))
    return path


def test_packages_come_with_all_that_they_need(tmp_path: Path) -> None:
    packages = {
        "One": package("one-1.0.whl", "The_Two"),
        "the-two": package("https://files.example/a/the_two-1.0%2Blocal.whl?token=x", "one"),
        "three": package("three-1.0.zip"),
    }
    pins = read_release("314.0.7", lock_file(tmp_path, packages)).pins(["one"])
    assert [(pin.name, pin.file.filename) for pin in pins] == [
        ("one", "one-1.0.whl"),
        ("the-two", "the_two-1.0%2Blocal.whl"),
    ]


def test_what_it_lacks_is_named(tmp_path: Path) -> None:
    packages = {"one": package("one-1.0.whl", "two")}
    with pytest.raises(BundlingError, match=r"the lock file of Pyodide 314\.0\.7 has no two"):
        read_release("314.0.7", lock_file(tmp_path, packages)).pins(["one"])


def test_what_is_none_is_refused(tmp_path: Path) -> None:
    """Above all where a name would lead out of the folder that files are written to."""
    none = [[], "x", {"one": {}}, {"one": []}, {"one": package("one-1.0.whl", depends=7)}]
    none += [{"one": package("one-1.0.whl", sha256=each)} for each in ("", "0" * 63, 7, "z" * 64)]
    names = (
        "",
        ".",
        "..",
        "a/b.whl",
        "/etc/x",
        "x\\y",
        "a\0b",
        "https://a.example/..",
        "https://a/",
    )
    none += [{"one": package(each)} for each in (*names, "a" * 300, 7)]
    for each in none:
        path = lock_file(tmp_path, each)
        with pytest.raises(BundlingError) as raised:
            read_release("314.0.7", path)
        assert str(raised.value) == f"{path} is no lock file of Pyodide", each
    (tmp_path / "text").write_text("[" * 100_000)
    with pytest.raises(BundlingError, match="is no lock file of Pyodide"):
        read_release("314.0.7", tmp_path / "text")


def test_one_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(BundlingError, match=r"gone\.json cannot be read: No such file"):
        read_release("314.0.7", tmp_path / "gone.json")
