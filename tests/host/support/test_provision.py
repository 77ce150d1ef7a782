"""The provisioned Pyodide is complete and closed; folders are made whole, once, or not at all."""

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.support import browsers, provision
from tests.support.compiled import compiled_dist


def test_the_lock_file_names_what_is_in_the_folder_and_nothing_else() -> None:
    dist = provision.pyodide_dist()
    packages = json.loads((dist / "pyodide-lock.json").read_text())["packages"]
    digests = {entry["file_name"]: entry["sha256"] for entry in packages.values()}
    wheels = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in dist.glob("*.whl")
    }
    assert digests == wheels
    assert set(provision.LOCK_ROOTS) <= packages.keys()


def test_every_dependency_in_the_lock_file_is_there() -> None:
    lock = json.loads((provision.pyodide_dist() / "pyodide-lock.json").read_text())
    depended_on = {name for entry in lock["packages"].values() for name in entry["depends"]}
    assert depended_on <= lock["packages"].keys()


def test_real_wheels_are_pure_and_come_with_their_dependencies() -> None:
    names = sorted(path.name for path in provision.real_wheels(["markdown-it-py"]).iterdir())
    assert [name.split("-")[0] for name in names] == ["markdown_it_py", "mdurl"]
    assert all(name.endswith("-none-any.whl") for name in names)


def test_the_project_wheel_holds_the_package_and_is_built_once() -> None:
    wheel = provision.project_wheel()
    with zipfile.ZipFile(wheel) as archive:
        assert "pyodide_mirror/__init__.py" in archive.namelist()
    assert provision.project_wheel() == wheel


def test_a_folder_that_could_not_be_made_is_not_there(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise provision.ProvisionError("no")

    with pytest.raises(provision.ProvisionError):
        provision.made(tmp_path / "made", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_made_once(tmp_path: Path) -> None:
    first = provision.made(tmp_path / "made", lambda folder: (folder / "first").touch())
    second = provision.made(tmp_path / "made", lambda folder: (folder / "second").touch())
    assert first == second
    assert [path.name for path in first.iterdir()] == ["first"]


def test_a_failed_tool_is_quoted() -> None:
    with pytest.raises(provision.ProvisionError, match="no-such-package-of-pyodide-mirror"):
        provision.real_wheels(["no-such-package-of-pyodide-mirror @ file:///nowhere/at/all.whl"])


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsers.os, "geteuid", lambda: 1000)
    absent = browsers.Program(label="Netscape", commands=("netscape-4",), package="netscape")
    with pytest.raises(browsers.MissingBrowser, match=r"Netscape.*apt-get install netscape"):
        browsers.find(absent)


def test_a_compiled_distribution_is_as_the_published_one_with_its_code_compiled() -> None:
    plain, compiled = provision.pyodide_dist(), compiled_dist()
    locks = [json.loads((dist / "pyodide-lock.json").read_text()) for dist in (plain, compiled)]
    assert locks[0]["packages"].keys() == locks[1]["packages"].keys()
    for name, entry in locks[1]["packages"].items():
        wheel = compiled / entry["file_name"]
        assert entry["sha256"] == hashlib.sha256(wheel.read_bytes()).hexdigest(), name
    with (
        zipfile.ZipFile(plain / "python_stdlib.zip") as sources,
        zipfile.ZipFile(compiled / "python_stdlib.zip") as both,
    ):
        names = sources.namelist()
        assert all(both.read(name) == sources.read(name) for name in names)
        modules = {name for name in names if name.endswith(".py")}
        assert set(both.namelist()) == {*names, *(f"{name}c" for name in modules)}


def test_a_compiled_module_is_not_compiled_again_and_has_its_source_in_tracebacks() -> None:
    done = subprocess.run(
        [provision.node(), "--input-type=module", "-e", _TRACEBACK, str(compiled_dist())],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    cached, library, package = json.loads(done.stdout)
    assert cached == [True, True]
    assert "raise JSONDecodeError" in library
    assert "raise InvalidVersion" in package


_TRACEBACK = """
import { pathToFileURL } from "node:url";
const { loadPyodide } = await import(pathToFileURL(`${process.argv[1]}/pyodide.mjs`));
const pyodide = await loadPyodide();
await pyodide.loadPackage("packaging", { messageCallback() {} });
console.log(pyodide.runPython(`
import json, os, sys, traceback
import packaging.version

def seen(function, value):
    try:
        function(value)
    except ValueError:
        return traceback.format_exc()

cached = [json.__spec__.loader.get_filename("json").endswith(".pyc"),
          os.path.exists(packaging.version.__spec__.cached)]
json.dumps([cached, seen(json.loads, "?"), seen(packaging.version.Version, "?")])
`));
"""
