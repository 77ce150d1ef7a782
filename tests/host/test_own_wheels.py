"""Our own wheels: valid, each under a name that is its own, and the same whenever they are made."""

import ast
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
from functools import cache
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.tags import sys_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from pyodide_mirror import __version__, own_wheels
from pyodide_mirror._imports import ARCHIVE
from pyodide_mirror.own_wheels import (
    PAGE_PLATFORMS,
    main,
    page_wheel,
    pure_wheel,
    wheel_name,
    whole_wheel,
)
from tests.support import provision
from tests.support.own_compiled import modules as first_install

SITE = sysconfig.get_path("purelib")
SOURCE = provision.ROOT / "pyodide_mirror"
HOST_ONLY = (
    "__main__.py",
    "own_wheels.py",
    "bundling/",
    "cli/",
    "compiled/",
    "edge/",
    "jupyterlite/",
)
HOST_ONLY += (
    "loader/",
    "model/addresses.py",
    "page_source.py",
    "py.typed",
    "rebuilt.py",
    "server/",
)
HOST_ONLY += ("server/", "transport/cors.py", "transport/cpython.py", "runtime/published.py")
SITE_ONLY = ("api/choosing.py", "notebook/comm.py", "notebook/kernel.py")
MAX_PAGE_BYTES = 139_000
"""18,000 of them read packages of Pyodide from CDNs, 12,000 resolve versions, 9,000 are for lock
files; it is to stay under 140,000 for good."""

Wheel = tuple[str, bytes]


@cache
def wheels() -> dict[str, Wheel]:
    """The wheel for pages, and the whole one."""
    return {"page": page_wheel(), "whole": whole_wheel()}


@pytest.fixture(params=["page", "whole"])
def wheel(request: pytest.FixtureRequest) -> Wheel:
    """File name and content of each of the two."""
    return wheels()[request.param]


def contents(wheel: Wheel) -> dict[str, bytes]:
    return archived(wheel[1])


def archived(content: bytes) -> dict[str, bytes]:
    """The files of an archive by their path in it."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def modules(wheel: Wheel) -> dict[str, bytes]:
    """Its files of the package by their path in that."""
    prefix = "pyodide_mirror/"
    files = contents(wheel)
    found = {name.removeprefix(prefix): files[name] for name in files if name.startswith(prefix)}
    return found | archived(found.pop(ARCHIVE)) if ARCHIVE in found else found


def described(files: Mapping[str, bytes], name: str) -> Message:
    [found] = (content for path, content in files.items() if path.endswith(f".dist-info/{name}"))
    return email.message_from_bytes(found)


def run(folder: Path, *arguments: str) -> str:
    """Run Python with a folder of packages before all others."""
    done = subprocess.run(
        [sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,  # not here, where the source is
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), SITE])},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- names --------------------------------------------------------------------------------------


def test_a_name_says_what_the_wheel_is_and_for_whom() -> None:
    platforms = {"page": set(PAGE_PLATFORMS), "whole": {"any"}}
    for kind, (filename, _) in wheels().items():
        name, version, _, tags = parse_wheel_filename(filename)
        assert (name, str(version)) == ("pyodide-mirror", __version__), kind
        assert {str(tag) for tag in tags} == {f"py3-none-{each}" for each in platforms[kind]}, kind


def test_the_build_tag_is_made_of_the_content(wheel: Wheel) -> None:
    name, content = wheel
    assert parse_wheel_filename(name)[2] == (0, f"x{hashlib.sha256(content).hexdigest()[:12]}")
    assert wheel_name("a-1.0", content) != wheel_name("a-1.0", content + b"\0")


def test_the_one_for_pages_with_other_tags_is_another_file_with_the_same_modules() -> None:
    other = page_wheel(("any",))
    assert other[0] not in dict(wheels().values())
    assert modules(other) == modules(wheels()["page"])
    assert {str(tag) for tag in parse_wheel_filename(other[0])[3]} == {"py3-none-any"}


def test_the_one_for_a_site_is_another_file_with_what_only_its_kernels_need() -> None:
    site, page = page_wheel(("any",), for_site=True), page_wheel(("any",))
    assert site[0] != page[0]
    assert modules(site).keys() - modules(page).keys() == {*SITE_ONLY}
    assert modules(page).items() <= modules(site).items()
    assert not any(name.endswith(SITE_ONLY) for name in contents(site)), "in the archive, or not?"


def test_pip_on_this_machine_takes_the_whole_one_and_never_the_one_for_pages() -> None:
    ours = set(sys_tags())
    tags = {kind: parse_wheel_filename(name)[3] for kind, (name, _) in wheels().items()}
    assert not ours & tags["page"]
    assert ours & tags["whole"]


# --- contents -----------------------------------------------------------------------------------


def test_each_file_is_in_its_record_and_nothing_else_is(wheel: Wheel) -> None:
    files = contents(wheel)
    [record] = (name for name in files if name.endswith(".dist-info/RECORD"))
    rows = list(csv.reader(io.StringIO(files[record].decode())))
    assert [row[0] for row in rows] == list(files)
    for name, digest, size in rows[:-1]:
        found = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).decode()
        assert digest == f"sha256={found.rstrip('=')}"
        assert size == str(len(files[name]))
    assert rows[-1] == [record, "", ""]


def test_the_whole_one_has_every_file_of_the_package_as_it_is() -> None:
    files = [path for path in SOURCE.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert modules(wheels()["whole"]) == {
        path.relative_to(SOURCE).as_posix(): path.read_bytes() for path in files
    }


def test_the_one_for_pages_has_the_same_files_but_for_those_of_the_host() -> None:
    page, whole = modules(wheels()["page"]), modules(wheels()["whole"])
    assert page.keys() == {path for path in whole if not path.startswith(HOST_ONLY + SITE_ONLY)}
    for path in page:
        if path.endswith(".py"):
            assert said_in(page[path]) == said_in(whole[path]), path
        else:
            lines = zip(page[path].splitlines(), whole[path].splitlines(), strict=True)
            assert all(
                there == here.lstrip() or here.lstrip().startswith(b"//") for there, here in lines
            )
    for part in HOST_ONLY + SITE_ONLY:
        assert any(path.startswith(part) for path in whole), part


def test_what_few_installs_need_is_one_archive_from_which_python_imports(tmp_path: Path) -> None:
    for name, content in contents(wheels()["page"]).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    archive = tmp_path / "pyodide_mirror" / ARCHIVE
    names = set(archived(archive.read_bytes()))
    assert not names & set(first_install())
    rooms = {path.partition("/")[0] for path in names} | names
    assert rooms >= set(own_wheels._IN_ARCHIVE), "these are not there (any more)"
    printed = run(
        tmp_path,
        "-c",
        "import pyodide_mirror, inspect, traceback\n"
        "from pyodide_mirror import locking, reporting\n"
        "print(inspect.getsourcefile(reporting.show_progress), bool(locking.lock_of))\n"
        "try: locking.lock_of({}, {}, exclude='demo')\n"
        "except TypeError: print(traceback.format_exc())",
    )
    assert printed.startswith(f"{archive}{os.sep}reporting{os.sep}progress.py True\n")
    assert '    raise TypeError("exclude must hold names' in printed


def said_in(source: bytes) -> str:
    """All that a module does, with the lines on which it does it."""
    tree = WithoutAnnotations().visit(ast.parse(source))
    for node in ast.walk(tree):
        for part in ("body", "orelse", "finalbody"):
            statements = getattr(node, part, None)
            if isinstance(statements, list):
                setattr(node, part, [each for each in statements if not is_silent(each)])
        for unseen in {"annotation", "returns"} & vars(node).keys():
            setattr(node, unseen, None)
        if isinstance(node, ast.ClassDef) and "Protocol" in map(ast.unparse, node.bases):
            node.body = []
        for unsure in ("col_offset", "end_col_offset", "end_lineno"):
            if hasattr(node, unsure):
                setattr(node, unsure, 0)
    return ast.dump(tree, include_attributes=True)


class WithoutAnnotations(ast.NodeTransformer):
    """Takes away what is said of variables, but for those in classes."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        node.body = [
            each if isinstance(each, ast.AnnAssign) else self.visit(each) for each in node.body
        ]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if node.value is None:
            return node
        return ast.copy_location(ast.Assign([node.target], node.value), node)


def is_silent(statement: ast.stmt) -> bool:
    """Whether nothing comes of it in a page: a docstring, or imports for type checkers."""
    if isinstance(statement, ast.ImportFrom) and statement.module in {"typing", "__future__"}:
        return True
    if isinstance(statement, ast.If):
        return ast.unparse(statement.test) in {"TYPE_CHECKING", "0"}
    value = getattr(statement, "value", None)
    return isinstance(statement, ast.Expr) and isinstance(
        getattr(value, "value", None), str | type(...)
    )


def test_in_pages_users_see_the_same_documentation(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(wheels()["page"][1])) as archive:
        archive.extractall(tmp_path)
    code = (
        "import inspect, json, pyodide_mirror as ours\n"
        "names = [name for name in ours.__all__ if callable(getattr(ours, name))]\n"
        "told = lambda each: inspect.getdoc(each) + (\n"
        "    str(inspect.signature(each)) if inspect.isroutine(each) else '')\n"
        "print(json.dumps([ours.__file__, {n: told(getattr(ours, n)) for n in names}]))"
    )
    told = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", code],
                check=True,
                capture_output=True,
                text=True,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(folder)},
            ).stdout
        )
        for folder in (tmp_path, SOURCE.parent)
    ]
    assert told[0][0].startswith(str(tmp_path))
    assert told[0][1] == told[1][1]
    assert "drop-in" in told[0][1]["install"]
    assert told[0][1].keys() >= {"Mirror", "Report", "Event", "NoUsableMirror", "probe"}


def test_nothing_else_is_in_it(wheel: Wheel) -> None:
    names = contents(wheel)
    info = f"pyodide_mirror-{__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"pyodide_mirror", info}
    assert not any("__pycache__" in name or name.endswith("/") for name in names)


def test_the_metadata_of_the_one_for_pages_is_what_a_browser_needs() -> None:
    files = contents(wheels()["page"])
    found = described(files, "METADATA")
    assert canonicalize_name(found["Name"]) == "pyodide-mirror"
    assert found["Version"] == __version__
    assert found["Requires-Python"] == ">=3.11"
    needed = [Requirement(each) for each in found.get_all("Requires-Dist") or []]
    assert {each.name for each in needed} == {"micropip"}
    assert all(each.marker is None for each in needed)
    assert found.get_all("Provides-Extra") is None
    assert not any(name.endswith("/entry_points.txt") for name in files)


def test_the_whole_one_has_the_commands_and_extras_of_what_is_installed() -> None:
    files = contents(wheels()["whole"])
    assert set(described(files, "METADATA").get_all("Provides-Extra") or []) == {
        *("bundle", "jupyterlite", "serve")
    }
    info = f"pyodide_mirror-{__version__}.dist-info"
    entry_points = files[f"{info}/entry_points.txt"].decode()
    assert "pyodide-mirror = pyodide_mirror.cli:main" in entry_points
    assert "pyodide-mirror = pyodide_mirror.jupyterlite:PyodideMirrorAddon" in entry_points


def test_its_tags_and_licence_are_in_it(wheel: Wheel) -> None:
    files = contents(wheel)
    found = described(files, "WHEEL")
    assert (found["Wheel-Version"], found["Root-Is-Purelib"]) == ("1.0", "true")
    tags = parse_wheel_filename(wheel[0])[3]
    assert set(found.get_all("Tag") or []) == {str(tag) for tag in tags}
    licence = f"pyodide_mirror-{__version__}.dist-info/licenses/LICENSE"
    assert files[licence] == (provision.ROOT / "LICENSE").read_bytes()


def test_files_are_ones_that_all_may_read(wheel: Wheel) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel[1])) as archive:
        for member in archive.infolist():
            assert member.external_attr >> 16 == 0o100644
            assert member.date_time == (2020, 2, 2, 0, 0, 0)
            assert member.create_system == 3


def test_the_same_modules_make_the_same_bytes_in_another_python_as_well() -> None:
    code = "from pyodide_mirror.own_wheels import page_wheel, whole_wheel; import hashlib"
    code += (
        "; print([(n, hashlib.sha256(c).hexdigest()) for n, c in [page_wheel(), whole_wheel()]])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "1"},
    ).stdout
    digests = [(name, hashlib.sha256(content).hexdigest()) for name, content in wheels().values()]
    assert printed.strip() == str(digests)
    files = {"b.py": b"1", "a.py": b"2"}
    turned = dict(reversed(files.items()))
    assert pure_wheel("x-1.dist-info", files) == pure_wheel("x-1.dist-info", turned)


def test_the_one_for_pages_is_small() -> None:
    assert len(wheels()["page"][1]) < MAX_PAGE_BYTES


# --- installed ----------------------------------------------------------------------------------


def pip(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run pip, which asks nobody."""
    return subprocess.run(
        [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull},
    )


USE = """
import sys, pyodide_mirror, importlib.metadata as metadata
for name in pyodide_mirror.__all__:
    getattr(pyodide_mirror, name)
print(pyodide_mirror.__file__, metadata.version("pyodide-mirror"))
"""


def test_pip_installs_the_whole_one_and_it_works(tmp_path: Path) -> None:
    path = tmp_path / wheels()["whole"][0]
    path.write_bytes(wheels()["whole"][1])
    folder = tmp_path / "installed"
    done = pip("install", "--no-index", "--no-deps", "--target", str(folder), str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert run(folder, "-c", USE).split() == [
        str(folder / "pyodide_mirror" / "__init__.py"),
        __version__,
    ]
    # What is installed from it makes the same wheels: they are not worn by copying.
    run(folder, "-m", "pyodide_mirror.own_wheels", str(tmp_path))
    assert modules((path.name, path.read_bytes())) == modules(wheels()["whole"])
    [made] = tmp_path.glob("pyodide_mirror-*pyemscripten*.whl")
    assert modules((made.name, made.read_bytes())) == modules(wheels()["page"])


def test_pip_refuses_the_one_for_pages_and_its_modules_work_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / wheels()["page"][0]
    path.write_bytes(wheels()["page"][1])
    done = pip("install", "--no-index", "--no-deps", "--target", str(tmp_path / "no"), str(path))
    assert done.returncode != 0
    assert "is not a supported wheel on this platform" in done.stdout + done.stderr
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    where = folder / "pyodide_mirror" / "__init__.py"
    assert run(folder, "-c", USE).split() == [str(where), __version__]


# --- the command --------------------------------------------------------------------------------


def test_the_command_writes_the_one_for_pages_and_prints_its_path(tmp_path: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "pyodide_mirror.own_wheels", str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    name, content = wheels()["page"]
    assert printed == f"{tmp_path / name}\n"
    assert (tmp_path / name).read_bytes() == content


def test_bad_usage_of_the_command_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    cases = {
        "the following arguments are required: FOLDER": [],
        f"{tmp_path / 'absent'} is not a folder": [str(tmp_path / "absent")],
        f"{tmp_path / 'file'} is not a folder": [str(tmp_path / "file")],
        "unrecognized arguments: more": [str(tmp_path), "more"],
    }
    for sentence, arguments in cases.items():
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2, sentence
        shown = capsys.readouterr()
        assert (shown.out, sentence in shown.err) == ("", True), shown.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_without_an_installation_the_command_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nowhere(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(own_wheels, "distribution", nowhere)
    monkeypatch.setattr(own_wheels, "page_wheel", page_wheel.__wrapped__)
    assert main([str(tmp_path)]) == 1
    assert "No package metadata was found for pyodide-mirror" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
