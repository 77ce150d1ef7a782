"""The folder that the command ``pyodide-mirror loader`` writes, and what it says."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pyodide_mirror.loader.folder as folder_module
from pyodide_mirror import CDN, CDNS, Mirror
from pyodide_mirror.cli import main
from pyodide_mirror.loader import LocalFolder, core_files, source, write_loader
from pyodide_mirror.own_wheels import page_wheels
from tests.support import provision
from tests.zoo.cdns import ARRAYS, LIBRARY, CDNZoo, lock_entries

VERSION = provision.PYODIDE_VERSION
CORE = ("pyodide.asm.wasm", "python_stdlib.zip")
SMALL = ("pyodide.mjs", "pyodide.asm.mjs")


@pytest.fixture
def dist() -> Path:
    """A release, but for its lock file."""
    return provision.pyodide_dist()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock file of one's own."""
    path = tmp_path / "my-lock.json"
    entries = {name: lock_entries()[name] for name in ("zoo-arrays", "zoo-blas")}
    path.write_text(json.dumps({"info": {}, "packages": entries}))
    return path


@pytest.fixture
def zoo(dist: Path) -> Iterator[CDNZoo]:
    """CDNs that have the release."""
    names = (*SMALL, *CORE)
    with CDNZoo({name: (dist / name).read_bytes() for name in names}) as zoo:
        yield zoo


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run the command: its exit code, output and errors."""
    code = main(["loader", *map(str, arguments)])
    return code, *capsys.readouterr()


def settings(folder: Path, name: str = "pyodide.mjs") -> dict[str, Any]:
    """What is fixed in a module of ours."""
    [line] = re.findall(r"^const FIXED = (.*);$", (folder / name).read_text("ascii"), re.MULTILINE)
    found: dict[str, Any] = json.loads(line)
    return found


def test_the_folder_has_what_a_page_imports(
    dist: Path, lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "py"
    cdns = [each for one in CDNS for each in ("--cdn", one.base_url)]
    mirror = ("--mirror", "https://mirror.example/simple")
    code, out, err = run(capsys, folder, "--cdn", dist, *cdns, "--lock", lock, *mirror)
    assert (code, err) == (0, "")
    assert f"{folder}: loads Pyodide {VERSION}\n" in out
    assert "pages ask these CDNs: cdn.jsdelivr.net, " in out
    own = settings(folder)
    assert own["cdns"] == [one.url("", VERSION) for one in CDNS]
    assert own["local"] == []
    assert own["core"].keys() == set(CORE)
    more = settings(folder, own["rest"])
    wheels = page_wheels()  # compiled for this Python, if there is one
    name = next(iter(wheels))
    assert more["mirrors"] == ["https://mirror.example/simple"]
    assert more["wheel"]["name"] == name
    assert (folder / name).read_bytes() == wheels[name]
    assert (folder / own["module"]).read_bytes() == (dist / "pyodide.mjs").read_bytes()
    assert (folder / own["script"]).read_bytes() == (dist / "pyodide.asm.mjs").read_bytes()
    assert (folder / "pyodide-lock.json").read_bytes() == lock.read_bytes()
    assert len([*folder.iterdir()]) == 6
    assert (folder / "pyodide.mjs").stat().st_size <= 8 * 1024


def test_core_files_come_from_the_first_cdn_that_has_them(
    zoo: CDNZoo, lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cdns = [zoo.url(name) for name in ("503", "html", "closed", "good")]
    given = [each for url in cdns for each in ("--cdn", url)]
    code, _, err = run(capsys, tmp_path / "py", *given, "--lock", lock, "--timeout", 5)
    assert (code, err) == (0, "")
    assert settings(tmp_path / "py")["cdns"] == [CDN(url).url("", VERSION) for url in cdns]
    assert set(zoo.start("good").asked) == set(SMALL)
    assert zoo.start("503").asked == ["pyodide.mjs"]  # once: the good one is known then


def test_no_cdn_is_an_error_that_says_why_of_each_and_leaves_nothing(
    zoo: CDNZoo, lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    cdns = [zoo.url(name) for name in ("503", "html", "hanging")]
    given = [each for url in (*cdns, tmp_path / "empty") for each in ("--cdn", url)]
    target = tmp_path / "py"
    code, out, err = run(capsys, target, *given, "--lock", lock, "--timeout", 0.5)
    assert (code, out) == (1, "")
    assert err.startswith(f"pyodide-mirror loader: pyodide.mjs of Pyodide {VERSION} cannot be read")
    for url, why in zip(
        cdns, ("HTTP 503", f"its digest is not that of Pyodide {VERSION}", ""), strict=True
    ):
        assert f"{url.split('/')[2]}: {why}" in err
    assert f"{tmp_path / 'empty'}: it is not there" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "my-lock.json"]


def test_where_all_are_folders_all_that_pages_need_is_copied(
    dist: Path, lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / ARRAYS.filename).write_bytes(ARRAYS.data)
    given = ("--cdn", dist.as_uri(), "--cdn", packages, "--lock", lock)
    folder = tmp_path / "py"
    code, out, _ = run(capsys, folder, *given)
    assert code == 0
    assert "pages ask no CDN; of 2 packages of the lock file 1 are here\n" in out
    own = settings(folder)
    assert (own["cdns"], own["local"]) == ([], [*CORE, ARRAYS.filename])
    assert all(core_files(VERSION)[name].fits((folder / name).read_bytes()) for name in CORE)
    assert (folder / ARRAYS.filename).read_bytes() == ARRAYS.data
    # What was put there since is known when it is written again.
    (folder / LIBRARY.filename).write_bytes(LIBRARY.data)
    assert run(capsys, folder, *given)[0] == 0
    assert settings(folder)["local"] == [*CORE, ARRAYS.filename, LIBRARY.filename]


def test_a_package_with_other_bytes_is_not_copied(
    dist: Path, lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / ARRAYS.filename).write_bytes(ARRAYS.data + b" ")
    given = ("--cdn", dist, "--cdn", packages, "--lock", lock)
    code, _, err = run(capsys, tmp_path / "py", *given)
    assert code == 1
    assert f"{ARRAYS.filename} is not the file of the lock file: its SHA-256 differs" in err
    assert not (tmp_path / "py").exists()


def test_core_files_with_other_bytes_are_not_taken(
    dist: Path, lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "pyodide.mjs").write_bytes((dist / "pyodide.mjs").read_bytes() + b"\n")
    code, _, err = run(capsys, tmp_path / "py", "--cdn", wrong, "--lock", lock)
    assert code == 1
    assert f"{wrong}: its digest is not that of Pyodide {VERSION}" in err
    # The lock file of the tests' Pyodide is cut down, and so is not the release's.
    code, _, err = run(capsys, tmp_path / "py", "--cdn", dist)
    assert code == 1
    assert f"pyodide-lock.json of Pyodide {VERSION} cannot be read from any CDN" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pyodide", "0.27.8"], "Pyodide 0.27.8 is not known; those that are: 0.28.0, "),
        (["--cdn", "ftp://cdn.example/"], "neither an http or https URL nor a folder"),
        (["--cdn", "https://user:secret@cdn.example/"], "not a usable base URL of a CDN"),
        (["--mirror", "mirror.example"], "not a usable index URL"),
        (["--timeout", "-1"], "timeout must be a positive number of seconds"),
    ],
)
def test_bad_arguments_are_refused(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_code:
        main(["loader", str(tmp_path / "py"), *arguments])
    assert exit_code.value.code == 2
    err = capsys.readouterr().err
    assert said in err
    assert "secret" not in err
    assert not (tmp_path / "py").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"packages": []}',
        '{"packages": {"a": {"file_name": "a.whl"}}}',
        json.dumps({"packages": {"a": {"file_name": "../a.whl", "sha256": "0" * 64}}}),
        json.dumps({"packages": {"a": {"file_name": "a.whl", "sha256": "none"}}}),
        "[" * 100_000,
    ],
)
def test_what_is_no_lock_file_is_refused(
    text: str, dist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lock.json").write_text(text)
    given = ("--cdn", dist, "--lock", tmp_path / "lock.json")
    code, _, err = run(capsys, tmp_path / "py", *given)
    assert code == 2
    assert "lock.json is no lock file of Pyodide" in err
    assert not (tmp_path / "py").exists()


def test_a_missing_lock_file_is_told(
    dist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--cdn", dist, "--lock", tmp_path / "none.json")
    code, _, err = run(capsys, tmp_path / "py", *given)
    assert code == 1
    assert "none.json" in err


def test_a_folder_with_other_things_is_left_alone(
    dist: Path, lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--cdn", dist, "--cdn", "https://cdn.example/", "--lock", lock)
    (tmp_path / "py").mkdir()
    (tmp_path / "py" / "index.html").write_text("mine")
    code, _, err = run(capsys, tmp_path / "py", *given)
    assert code == 1
    assert "is not empty, and was not written by this command" in err
    assert [path.name for path in (tmp_path / "py").iterdir()] == ["index.html"]
    assert run(capsys, tmp_path / "py", *given, "--force")[0] == 0
    assert (tmp_path / "py" / "index.html").read_text() == "mine"
    code, _, err = run(capsys, lock, *given)
    assert code == 1
    assert "is a file; give the folder to write another name" in err


def test_a_folder_that_cannot_be_written_is_told(
    dist: Path, lock: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = run(capsys, tmp_path / "file" / "py", "--cdn", dist, "--lock", lock)
    assert code == 1
    assert str(tmp_path / "file") in err


def test_what_an_earlier_version_wrote_goes_and_what_is_not_ours_stays(
    dist: Path, lock: Path, tmp_path: Path
) -> None:
    sources = [LocalFolder(dist), CDN("https://cdn.example/")]
    folder = tmp_path / "py"
    write_loader(folder, VERSION, sources, lock=lock)
    before = {path.name for path in folder.iterdir()}
    (folder / "pyodide_mirror-0.0.1-0x0-py3-none-any.whl").write_text("")
    (folder / "pyodide-mirror-0123456789ab.mjs").write_text("")
    (folder / "mine.whl").write_text("")
    write_loader(folder, VERSION, sources, lock=lock, mirrors=[Mirror("https://m.example/simple")])
    after = {path.name for path in folder.iterdir()}
    own = settings(folder)
    assert after ^ before == {
        "mine.whl",
        own["rest"],
        *(name for name in before if name.startswith("pyodide-mirror-")),
    }


def test_nothing_changes_when_it_fails_half_way(
    dist: Path, lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError("no space left")

    sources = [LocalFolder(dist), CDN("https://cdn.example/")]
    folder = tmp_path / "py"
    write_loader(folder, VERSION, sources, lock=lock)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(folder_module, "_javascript", fail)
    with pytest.raises(OSError, match="no space left"):
        write_loader(folder, VERSION, [*sources, CDN("https://other.example/")], lock=lock)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"py", "my-lock.json"}


def test_the_same_settings_make_the_same_bytes(dist: Path, lock: Path, tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        write_loader(tmp_path / name, VERSION, [LocalFolder(dist), *CDNS], lock=lock)
        contents = sorted(path.read_bytes() for path in (tmp_path / name).iterdir())
        digests.append(hashlib.sha256(b"".join(contents)).hexdigest())
    assert digests[0] == digests[1]


def test_settings_are_ascii_whatever_is_in_them(dist: Path, lock: Path, tmp_path: Path) -> None:
    odd = CDN("https://cdn.example/ü\u2028/*'*/")
    write_loader(tmp_path / "py", VERSION, [LocalFolder(dist), odd], lock=lock)
    assert settings(tmp_path / "py")["cdns"] == [odd.base_url]
    for path in (tmp_path / "py").glob("*.mjs"):
        if path.read_bytes().startswith(b"//"):  # it is ours
            assert path.read_bytes().isascii()


def test_a_folder_is_a_source_by_its_path_and_its_url(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    assert source(str(tmp_path / "a b")) == source((tmp_path / "a b").as_uri())
    assert source(str(tmp_path / "a b")) == LocalFolder(tmp_path / "a b")
