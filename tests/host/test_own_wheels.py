"""The wheel that pages load: a valid one, small, and the same whenever it is made."""

import base64
import csv
import email
import hashlib
import io
import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Mapping
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from pyodide_mirror.page_wheel import of_wheel

from pyodide_mirror import __version__
from pyodide_mirror.own_wheels import page_wheel
from tests.support import provision

SITE = sysconfig.get_path("purelib")
HOST_ONLY = {"server", "edge", "cli.py", "options.py", "jupyterlite.py", "site_wheels.py"} | {
    *("__main__.py", "_cors.py", "_fetch.py", "browser_wheel.py")
}


def contents(wheel: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def metadata(files: Mapping[str, bytes]) -> Message:
    [found] = (content for name, content in files.items() if name.endswith("/METADATA"))
    return email.message_from_bytes(found)


@pytest.fixture(params=["installed", "built"], scope="module")
def wheel(request: pytest.FixtureRequest) -> tuple[str, bytes]:
    """Made of what is installed, as the server does; or of a whole wheel."""
    return page_wheel() if request.param == "installed" else of_wheel(provision.project_wheel())


def test_its_name_says_what_it_is(wheel: tuple[str, bytes]) -> None:
    name, version, _, tags = parse_wheel_filename(wheel[0])
    assert (name, str(version)) == ("pyodide-mirror", __version__)
    assert {str(tag) for tag in tags} == {"py3-none-any"}


def test_each_file_is_in_its_record_and_nothing_else_is(wheel: tuple[str, bytes]) -> None:
    files = contents(wheel[1])
    [record] = (name for name in files if name.endswith(".dist-info/RECORD"))
    rows = list(csv.reader(io.StringIO(files[record].decode())))
    assert sorted(row[0] for row in rows) == sorted(files)
    for name, digest, size in rows:
        if name == record:
            assert (digest, size) == ("", "")
            continue
        found = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).decode()
        assert digest == f"sha256={found.rstrip('=')}"
        assert size == str(len(files[name]))
    assert list(files)[-1] == record


def test_it_holds_what_pages_need_and_no_more(wheel: tuple[str, bytes]) -> None:
    names = contents(wheel[1])
    inside = {name.split("/")[1] for name in names if name.startswith("pyodide_mirror/")}
    [bundle] = (content for name, content in names.items() if name.endswith("/modules.json"))
    inside |= {f"{name}.py" for name in json.loads(bundle)}
    assert {"__init__.py", "py.typed", "_browser.py", "session.py"} <= inside
    assert not inside & HOST_ONLY
    assert not any("__pycache__" in name or name.endswith("/") for name in names)
    folders = {name.split("/")[0] for name in names}
    assert folders == {"pyodide_mirror", f"pyodide_mirror-{__version__}.dist-info"}


def test_its_metadata_asks_for_what_a_browser_needs(wheel: tuple[str, bytes]) -> None:
    files = contents(wheel[1])
    found = metadata(files)
    assert canonicalize_name(found["Name"]) == "pyodide-mirror"
    assert found["Version"] == __version__
    assert found["Requires-Python"] == ">=3.11"
    needed = [Requirement(each) for each in found.get_all("Requires-Dist") or []]
    assert {each.name for each in needed} == {"micropip", "packaging"}
    assert all(each.marker is None for each in needed)
    assert found.get_all("Provides-Extra") is None
    [kind] = (content for name, content in files.items() if name.endswith("/WHEEL"))
    assert email.message_from_bytes(kind).items() == [
        ("Wheel-Version", "1.0"),
        ("Generator", "pyodide-mirror"),
        ("Root-Is-Purelib", "true"),
        ("Tag", "py3-none-any"),
    ]
    licence = f"pyodide_mirror-{__version__}.dist-info/licenses/LICENSE"
    assert files[licence] == (provision.ROOT / "LICENSE").read_bytes()


def test_files_are_ones_that_all_may_read(wheel: tuple[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel[1])) as archive:
        for member in archive.infolist():
            assert member.external_attr >> 16 == 0o100644
            assert member.date_time == (2020, 2, 2, 0, 0, 0)
            assert member.create_system == 3


def test_it_is_the_same_whenever_it_is_made() -> None:
    assert page_wheel.__wrapped__() == page_wheel.__wrapped__()
    whole = provision.project_wheel()
    assert of_wheel(whole) == of_wheel(whole)


def test_the_zipfile_module_finds_no_fault(wheel: tuple[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / wheel[0]
    path.write_bytes(wheel[1])
    done = subprocess.run(
        [sys.executable, "-m", "zipfile", "-t", str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "Done testing\n"


def run(python: Path | str, code: str, *paths: Path | str) -> str:
    """Run code with folders of packages before all others."""
    found = os.pathsep.join(map(str, (*paths, SITE)))
    done = subprocess.run(
        [str(python), "-c", code],
        check=False,
        capture_output=True,
        text=True,
        cwd=paths[0],  # not here, where the source is
        env={**os.environ, "PYTHONPATH": found},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def pip(*arguments: str) -> None:
    """Run pip, which asks nobody."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_pip_installs_it_and_it_can_be_imported(wheel: tuple[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / wheel[0]
    path.write_bytes(wheel[1])
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "v")], check=True)
    python = tmp_path / "v" / "bin" / "python"
    pip("--python", str(python), "install", "--no-index", "--no-deps", str(path))
    [site] = (tmp_path / "v").glob("**/site-packages")
    printed = run(
        python,
        "import pyodide_mirror, importlib.metadata as m; print(pyodide_mirror.__file__);"
        " print(m.version('pyodide-mirror')); [getattr(pyodide_mirror, n) for n in"
        " pyodide_mirror.__all__]",
        site,
    )
    assert printed.splitlines() == [
        str(site / "pyodide_mirror" / "__init__.py"),
        __version__,
    ]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project as people install it: not editable, and slimmed."""
    folder = tmp_path_factory.mktemp("installed")
    wheel = str(provision.project_wheel())
    pip("install", "--no-index", "--no-deps", "--no-compile", "--target", str(folder), wheel)
    return folder


MAKE = """
import sys, pyodide_mirror.browser_wheel as b
name, content = b.own_wheel()
sys.stdout.reconfigure(encoding="latin-1", newline="")
print(b.__file__, name, content.decode("latin-1"), sep="\\n", end="")
"""


def test_from_what_people_install_it_is_small_and_what_a_build_makes(installed: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MAKE],
        check=True,
        capture_output=True,
        cwd=installed,  # not here, where the source is
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), SITE])},
    )
    where, name, content = done.stdout.split(b"\n", 2)
    assert Path(where.decode()).is_relative_to(installed)
    assert len(content) < 64_000
    built_name, built = of_wheel(provision.project_wheel())
    assert name.decode() == built_name
    assert contents(content).keys() == contents(built).keys()
    for path, each in contents(built).items():
        if not path.endswith("/RECORD"):  # another order
            assert contents(content)[path] == each, path


def test_the_command_writes_it_into_a_folder(tmp_path: Path) -> None:
    whole = provision.project_wheel()
    subprocess.run(
        [sys.executable, "-m", "pyodide_mirror.browser_wheel", str(whole), str(tmp_path)],
        check=True,
    )
    name, content = of_wheel(whole)
    assert (tmp_path / name).read_bytes() == content


def test_without_an_installation_it_says_so(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "pyodide_mirror").symlink_to(installed / "pyodide_mirror")
    printed = subprocess.run(
        [sys.executable, "-S", "-c", "import sys; sys.path.append(sys.argv[1])\n" + LONELY, SITE],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(tmp_path)},
    ).stdout
    assert printed == "No package metadata was found for pyodide-mirror\n"


LONELY = """
import importlib.metadata
real = importlib.metadata.Distribution.discover
importlib.metadata.Distribution.discover = lambda *_, **__: iter(())
from pyodide_mirror.own_wheels import page_wheel
try:
    page_wheel()
except importlib.metadata.PackageNotFoundError as error:
    print(error)
"""


def test_modules_in_one_file_are_like_modules_in_files(
    wheel: tuple[str, bytes], tmp_path: Path
) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel[1])) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / "pyodide_mirror"
    assert {path.name for path in folder.iterdir()} == {
        *("__init__.py", "bundle.py", "modules.json", "py.typed")
    }
    sources = json.loads((folder / "modules.json").read_text())
    found = json.loads(run(sys.executable, BUNDLED, tmp_path))
    assert found["file"] == str(folder / "urls.py")
    assert found["function"] in sources["urls"]
    *_, (file, number, text) = found["traceback"]
    assert file == found["file"]
    assert sources["urls"].splitlines()[number - 1].strip() == text
    assert found["missing"] == "No module named 'pyodide_mirror.server'"
    assert (found["new"], found["bundles"]) == ("new", 1)


BUNDLED = """
import inspect, json, pathlib, sys, traceback
from pyodide_mirror import Mirror, urls
found = {"file": urls.__file__, "function": inspect.getsource(urls.check_index_url)}
try:
    Mirror("nonsense")
except ValueError as error:
    frames = traceback.extract_tb(error.__traceback__)
    found["traceback"] = [(frame.filename, frame.lineno, frame.line) for frame in frames]
try:
    import pyodide_mirror.server
except ModuleNotFoundError as error:
    found["missing"] = str(error)
# Another version takes the first one's place, as after an uninstall.
file = pathlib.Path(urls.__file__).with_name("modules.json")
file.write_text(json.dumps({"urls": "new = 'new'"}))
for name in [name for name in sys.modules if name.startswith("pyodide_mirror")]:
    del sys.modules[name]
from pyodide_mirror import urls
found["new"] = urls.new
found["bundles"] = sum(type(each).__name__ == "Bundle" for each in sys.meta_path)
print(json.dumps(found))
"""
