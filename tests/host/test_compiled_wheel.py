"""The wheel for pages whose Python is known: modules compiled ahead, loaded from one file."""

import io
import json
import os
import subprocess
import sys
import zipfile
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest
from packaging.utils import parse_wheel_filename

from pyodide_mirror import __version__, own_wheels
from pyodide_mirror._imports import CompiledFinder, use_compiled
from pyodide_mirror.own_wheels import (
    COMPILED_FOR,
    compile_modules,
    compiled_wheel,
    main,
    page_wheel,
)
from tests.support.own_compiled import PYTHONS, modules

MAX_BYTES = 206_000
"""Of which 66,000 are more than the sources have: 24 ms at 20 Mbit/s, for 110 ms of compiling.

Each build's bytes differ a little."""


@pytest.fixture(params=PYTHONS)
def wheel(request: pytest.FixtureRequest) -> tuple[str, bytes]:
    """What `nox -s tests` has compiled before."""
    found = compiled_wheel(request.param)
    assert found is not None, "run `python -m tests.support.own_compiled` first"
    return found


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """A folder with the wheel for pages, whose modules this very Python has compiled."""
    with zipfile.ZipFile(io.BytesIO(page_wheel()[1])) as archive:
        archive.extractall(tmp_path)
    package = tmp_path / "pyodide_mirror"
    package.joinpath("compiled.bin").write_bytes(compile_modules(modules()))
    for path in modules():
        if not path.endswith("__init__.py"):
            package.joinpath(path).unlink()
    return tmp_path


def run(folder: Path, code: str) -> str:
    """Run code where only that folder has our package; return the output."""
    env = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=env,
        cwd=folder,
    )
    return done.stdout


def test_each_python_that_is_compiled_for_has_a_pyodide() -> None:
    assert PYTHONS.keys() == COMPILED_FOR.keys()


def test_only_that_python_in_a_page_takes_it(wheel: tuple[str, bytes]) -> None:
    name, version, _, tags = parse_wheel_filename(wheel[0])
    assert (name, str(version)) == ("pyodide-mirror", __version__)
    [python] = {tag.interpreter for tag in tags}
    assert {tag.platform for tag in tags} == set(COMPILED_FOR[python])
    assert {tag.abi for tag in tags} == {"none"}


def test_it_has_what_the_one_for_every_python_has(wheel: tuple[str, bytes]) -> None:
    found = {}
    for name, content in (wheel, page_wheel()):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.testzip() is None
            found[name] = {
                each: archive.read(each)
                for each in archive.namelist()
                if each.startswith("pyodide_mirror/")
            }
    compiled, sources = found.values()
    header = json.loads(compiled.pop("pyodide_mirror/compiled.bin").partition(b"\n")[0])
    names = {f"pyodide_mirror/{path}" for path in header["modules"]}
    assert names == {f"pyodide_mirror/{path}" for path in modules()}
    assert compiled == {
        name: source
        for name, source in sources.items()
        if name not in names or name.endswith("/__init__.py")
    }


def test_it_is_small(wheel: tuple[str, bytes]) -> None:
    assert len(wheel[1]) < MAX_BYTES


def test_there_is_none_where_the_sources_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {**own_wheels._page_modules(), modules()[0]: b"changed = True\n"}
    monkeypatch.setattr(own_wheels, "_page_modules", lambda **_: others)
    assert compiled_wheel.__wrapped__() is None
    assert own_wheels.compiled_wheel.__wrapped__("cp39") is None


def test_its_modules_are_loaded_from_the_file(unpacked: Path) -> None:
    printed = run(
        unpacked,
        """
import sys, traceback, pyodide_mirror
for name in pyodide_mirror.__all__:
    getattr(pyodide_mirror, name)
from pyodide_mirror.model import Mirror
for name in "pyodide_mirror.model", "pyodide_mirror.model.mirror":
    print(type(sys.modules[name].__loader__).__name__)
print(sys.modules["pyodide_mirror.model.mirror"].__file__)
try:
    Mirror("nonsense")
except ValueError:
    print([f.filename for f in traceback.extract_tb(sys.exc_info()[2])][-1])
    print(min(f.lineno for f in traceback.extract_tb(sys.exc_info()[2])[1:]) > 1)
""",
    )
    *loaders, file, place, has_lines = printed.splitlines()
    assert loaders == ["CompiledFinder"] * 2
    assert file == str(unpacked / "pyodide_mirror" / "model" / "mirror.py")
    assert place.startswith("pyodide_mirror/model/")
    assert has_lines == "True"


def test_another_version_installed_later_has_its_own_modules(unpacked: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(page_wheel()[1])) as archive:
        archive.extractall(unpacked / "later")
    printed = run(
        unpacked,
        """
import sys, pyodide_mirror
assert type(pyodide_mirror.Mirror.__init__).__name__ == "function"
before = len(sys.meta_path)
for name in [name for name in sys.modules if name.startswith("pyodide_mirror")]:
    del sys.modules[name]
sys.path.insert(0, "later")
import pyodide_mirror
pyodide_mirror.Mirror
loader = sys.modules["pyodide_mirror.model.mirror"].__loader__
print(before - len(sys.meta_path), type(loader).__name__)
""",
    )
    assert printed.split() == ["1", "SourceFileLoader"]


def test_code_of_another_python_is_refused_with_a_sentence(unpacked: Path) -> None:
    file = unpacked / "pyodide_mirror" / "compiled.bin"
    other = file.read_bytes().replace(MAGIC_NUMBER.hex().encode(), b"00000d0a", 1)
    file.write_bytes(other)
    with pytest.raises(ImportError, match="install the wheel of pyodide-mirror whose name"):
        CompiledFinder(file)


def test_where_nothing_is_compiled_nothing_is_changed(tmp_path: Path) -> None:
    before = list(sys.meta_path)
    use_compiled(tmp_path / "compiled.bin")
    assert sys.meta_path == before


def test_the_command_writes_it_and_prints_its_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for python in COMPILED_FOR:
        name, content = compiled_wheel(python) or ("", b"")
        assert main([str(tmp_path), "--python", python]) == 0
        assert capsys.readouterr().out == f"{tmp_path / name}\n"
        assert tmp_path.joinpath(name).read_bytes() == content
        monkeypatch.setattr(own_wheels, "compiled_wheel", lambda _python: None)
        assert main([str(tmp_path), "--python", python]) == 1
        assert f"nothing is compiled for {python}" in capsys.readouterr().err
