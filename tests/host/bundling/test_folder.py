"""The folder that ``pyodide-mirror bundle`` writes, adds to and checks, and what it says."""

import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror.bundling import BundlingError, check_bundle, read_lock_file, write_bundle
from pyodide_mirror.cli import main
from pyodide_mirror.index import parse_page
from tests.support import bundles
from tests.support.small_index import SmallIndex
from tests.support.wheels import make_sdist, make_wheel

URL = "https://bundle.example/py"
OTHER = make_wheel("zoo-other", "3.0", requires_python=">=3.12")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A release that is known."""
    top = tmp_path_factory.mktemp("release")
    release = bundles.make_release(top / "release", bundles.make_small_dist(top / "dist"))
    with bundles.known_release(release):
        yield release


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock file of a package with what it needs."""
    return bundles.write_lock(tmp_path / "lock" / "pylock.toml")


@pytest.fixture
def run(release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that runs the command: its exit code, output and errors."""

    def runner(folder: Path, *arguments: object) -> tuple[int, str, str]:
        cache = ("--cache", tmp_path / "cache")
        words = ["bundle", folder, "--cdn", release, *cache, "--timeout", 5, *arguments]
        return main(list(map(str, words))), *capsys.readouterr()

    return runner


def content(folder: Path) -> dict[str, bytes]:
    """All files by their paths."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write(folder: Path, release: Path, *locks: Path, **changes: Any) -> dict[str, bytes]:
    """Write a bundle and return what is in it."""
    cache = folder.parent / "cache"
    found = list(map(read_lock_file, locks))
    write_bundle(folder, found, bundles.settings(release, cache, **changes))
    return content(folder)


def test_a_bundle_has_all_that_is_needed(run: Any, lock: Path, tmp_path: Path) -> None:
    code, out, _ = run(tmp_path / "new" / "bundle", "--pylock", lock)
    assert code == 0
    assert f"Pyodide {bundles.VERSION} and 5 packages, 5 of them new" in out
    found = content(tmp_path / "new" / "bundle")
    for wheel in bundles.CHOSEN:
        [path] = [path for path in found if path.endswith(f"/{wheel.filename}")]
        assert found[path] == wheel.data
        assert found[f"{path}.metadata"] == wheel.metadata
    packages = json.loads(found["pyodide/pyodide-lock.json"])["packages"]
    # Those of the lock file, the library that one needs, and what installs.
    wanted = {"zoo-arrays", "zoo-blas", "zoo-frames", "micropip", "iniconfig"}
    assert packages.keys() == wanted
    assert all(f"pyodide/{entry['file_name']}" in found for entry in packages.values())
    assert run(tmp_path / "new" / "bundle", "--check")[0] == 0


def test_its_lock_file_names_its_own_files(release: Path, lock: Path, tmp_path: Path) -> None:
    found = write(tmp_path / "bundle", release, lock)
    document = tomllib.loads(found["pylock.toml"].decode())
    assert [each["name"] for each in document["packages"]] == sorted(
        wheel.name for wheel in bundles.CHOSEN
    )
    for package in document["packages"]:
        [wheel] = package["wheels"]
        assert len(found[wheel["path"]]) == wheel["size"]
    with_url = write(tmp_path / "url", release, lock, public_url=URL)
    document = tomllib.loads(with_url["pylock.toml"].decode())
    urls = [package["wheels"][0]["url"] for package in document["packages"]]
    assert all(url.removeprefix(f"{URL}/") in with_url for url in urls)


@pytest.mark.parametrize("public_url", ["", URL])
def test_its_pages_name_its_files_with_their_digests(
    public_url: str, release: Path, lock: Path, tmp_path: Path
) -> None:
    found = write(tmp_path / "bundle", release, lock, public_url=public_url)
    listing = json.loads(found["simple/index.json"])
    names = [each["name"] for each in listing["projects"]]
    assert {"zoo-tree", "zoo-arrays", "pyodide-mirror", "micropip", "resolvelib"} <= set(names)
    place = f"{public_url or 'https://elsewhere.example'}/"
    for name in names:
        assert f'<a href="{name}/">' in found["simple/index.html"].decode()
        pages = []
        for path, kind in (("index.html", "text/html"), ("index.json", "application/json")):
            url = f"{place}simple/{name}/{path}"
            page = parse_page(found[f"simple/{name}/{path}"], kind, url, name)
            pages.append([(each.filename, each.sha256, each.metadata) for each in page.files])
            for each in page.files:
                assert found[each.url.removeprefix(place)] is not None
        assert pages[0] == pages[1]
    [file] = json.loads(found["simple/zoo-tree/index.json"])["files"]
    assert file["url"].startswith(f"{URL}/files/" if public_url else "../../files/")
    links = re.findall(r'href="([^"#]*)#sha256=', found["links.html"].decode())
    assert sorted(links) == sorted(path for path in found if path.endswith(".whl"))


def test_the_same_makes_the_same_bytes(release: Path, lock: Path, tmp_path: Path) -> None:
    first = write(tmp_path / "one" / "bundle", release, lock)
    second = write(tmp_path / "two" / "bundle", release, lock)
    again = write(tmp_path / "two" / "bundle", release, lock)
    assert first == second == again
    # What was added is as if it had been there from the first.
    more = bundles.write_lock(tmp_path / "more" / "pylock.toml", [OTHER])
    both = write(tmp_path / "three" / "bundle", release, lock, more)
    assert write(tmp_path / "two" / "bundle", release, more) == both


def test_packages_are_added_and_what_is_there_stays(run: Any, lock: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    assert run(folder, "--pylock", lock, "--public-url", URL)[0] == 0
    kept = folder / "files" / bundles.TREE.filename
    os.utime(kept, (1, 1))
    for wheel in bundles.CHOSEN:
        (lock.parent / wheel.filename).unlink()
    (tmp_path / "cache").rename(tmp_path / "gone")
    more = bundles.write_lock(tmp_path / "more" / "pylock.toml", [OTHER])
    code, out, _ = run(folder, "--pylock", more)
    assert code == 0
    assert "6 packages, 1 of them new" in out
    assert kept.stat().st_mtime == 1
    found = content(folder)
    names = [each["name"] for each in tomllib.loads(found["pylock.toml"].decode())["packages"]]
    assert names == sorted(wheel.name for wheel in (*bundles.CHOSEN, OTHER))
    assert json.loads(found["simple/zoo-other/index.json"])["files"][0]["url"].startswith(URL)
    assert run(folder, "--check")[0] == 0


def test_another_version_of_what_is_there_is_refused(run: Any, lock: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    run(folder, "--pylock", lock)
    before = content(folder)
    newer = make_wheel("zoo-leaf", "2.0")
    more = bundles.write_lock(tmp_path / "more" / "pylock.toml", [newer])
    code, _, err = run(folder, "--pylock", more)
    assert code == 1
    assert f"zoo-leaf: {more} has {newer.filename}, and there is {bundles.LEAF.filename}" in err
    code, _, err = run(folder, "--pyodide", "0.29.5")
    assert code == 1
    assert f"{folder} has Pyodide {bundles.VERSION}" in err
    assert content(folder) == before


def test_a_folder_with_other_things_is_left_alone(run: Any, lock: Path, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "mine.html").write_text("mine")
    code, _, err = run(folder, "--pylock", lock)
    assert code == 1
    assert "is not empty, and was not written by this command" in err
    assert content(folder) == {"mine.html": b"mine"}
    assert run(folder, "--pylock", lock, "--force")[0] == 0
    assert (folder / "mine.html").read_text() == "mine"
    code, out, _ = run(folder, "--check")
    assert (code, out) == (1, "mine.html: it is not of this bundle\n")
    assert run(lock, "--pylock", lock)[0] == 1


def test_one_bit_changed_anywhere_is_found(release: Path, lock: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    found = write(folder, release, lock)
    for path, data in found.items():
        ends = {0, len(data) - 1} if path == "SHA256SUMS" else set()
        for place in {len(data) // 2, *ends}:
            changed = bytearray(data)
            changed[place] ^= 1
            (folder / path).write_bytes(changed)
            assert [*check_bundle(folder)] == [path]
        (folder / path).write_bytes(data)
    assert check_bundle(folder) == {}


def test_the_check_names_what_is_missing_and_what_is_foreign(
    run: Any, lock: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    run(folder, "--pylock", lock)
    (folder / "files" / bundles.TREE.filename).unlink()
    (folder / "simple" / "new").mkdir()
    (folder / "simple" / "new" / "index.html").write_text("")
    (folder / "files" / "more").symlink_to(tmp_path)
    code, out, _ = run(folder, "--check")
    assert code == 1
    assert out.splitlines() == [
        "files/more: it is not of this bundle",
        f"files/{bundles.TREE.filename}: it is missing",
        "simple/new/index.html: it is not of this bundle",
    ]
    code, _, err = run(tmp_path, "--check")
    assert code == 1
    assert "is no bundle: it has no SHA256SUMS" in err


def test_what_fails_half_way_leaves_whole_files_and_the_next_run_ends_it(
    release: Path, lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bundle"
    before = write(folder, release, lock)
    more = bundles.write_lock(tmp_path / "more" / "pylock.toml", [OTHER])
    after = write(tmp_path / "other" / "bundle", release, lock, more)
    moved = []
    move = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if "bundle" in self.parts[-4:-1] or target.is_relative_to(folder):
            moved.append(target)
            if len(moved) == 4:
                raise OSError("no space left")
        return move(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="no space left"):
            write(folder, release, more)
    now = content(folder)
    assert all(now[path] in {before.get(path), after.get(path)} for path in now)
    assert {path for path in now if now[path] != before.get(path)} == {
        path.relative_to(folder).as_posix() for path in moved[:3]
    }
    for path in ("index.html", "pylock.toml", "SHA256SUMS", "pyodide/pyodide.mjs"):
        assert now[path] == before[path]
    assert write(folder, release, more) == after
    assert check_bundle(folder) == {}
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_what_an_earlier_version_has_written_goes(
    release: Path, lock: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    write(folder, release, lock, public_url=URL)
    more = bundles.write_lock(tmp_path / "more" / "pylock.toml", [OTHER])
    old = folder / "files" / "old.whl"
    old.write_text("")
    sums = folder / "SHA256SUMS"
    from pyodide_mirror.bundling.sums import digest_of, read_sums, written_sums

    sums.write_bytes(written_sums({**read_sums(folder), "files/old.whl": digest_of(old)}))
    (folder / "mine.txt").write_text("")
    write(folder, release, more)
    assert not old.exists()
    assert check_bundle(folder) == {"mine.txt": "it is not of this bundle"}


# --- lock files that cannot be bundled ----------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"requires-python": "<3.14"}, "does not satisfy the Python version requirement"),
        ({"environments": ["sys_platform == 'win32'"]}, "does not satisfy any of the environments"),
        ({"lock-version": "2.0"}, "is no lock file (PEP 751)"),
        ({"packages": [{"name": "a", "sdist": {"name": "a-1.tar.gz"}}]}, "is no lock file"),
    ],
)
def test_a_lock_file_for_something_else_is_refused(
    changes: dict[str, Any], said: str, run: Any, tmp_path: Path
) -> None:
    lock = bundles.write_lock(tmp_path / "lock" / "pylock.toml", **changes)
    code, _, err = run(tmp_path / "bundle", "--pylock", lock)
    assert code == 1
    assert said in err
    assert not (tmp_path / "bundle").exists()


def locked(name: str, filename: str, **more: Any) -> dict[str, Any]:
    """An entry of a lock file."""
    wheel = {
        "name": filename,
        "url": f"https://x.example/{filename}",
        "hashes": {"sha256": "0" * 64},
    }
    return {"name": name, "version": "1.0", "wheels": [wheel], **more}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (locked("a", "a-1.0-cp311-cp311-win_amd64.whl"), "No wheel found"),
        (
            locked("a", "a-1.0-py3-none-any.whl", tool={"pyodide-mirror": {"pyodide": "0.29.5"}}),
            "a: it is the build of Pyodide 0.29.5, and this is 314.0.7; add --pyodide 0.29.5",
        ),
        (
            {"name": "a", "directory": {"path": "a"}},
            "a: it is locked as directory, and only wheels can be installed in a page",
        ),
    ],
)
def test_a_package_that_cannot_be_installed_is_refused(
    entry: dict[str, Any], said: str, run: Any, tmp_path: Path
) -> None:
    lock = bundles.write_lock(tmp_path / "lock" / "pylock.toml", packages=[entry])
    code, _, err = run(tmp_path / "bundle", "--pylock", lock)
    assert code == 1
    assert said in err


def test_a_password_in_a_url_is_neither_used_nor_shown(run: Any, tmp_path: Path) -> None:
    entry = locked("a", "a-1.0-py3-none-any.whl")
    entry["wheels"][0]["url"] = "https://user:secret@x.example/a-1.0-py3-none-any.whl"
    lock = bundles.write_lock(tmp_path / "lock" / "pylock.toml", packages=[entry])
    code, _, err = run(tmp_path / "bundle", "--pylock", lock)
    assert code == 1
    assert "a-1.0-py3-none-any.whl cannot be used: it contains a user name or password" in err
    assert "secret" not in err


@pytest.mark.parametrize("data", [b"", b"[", b"\xff\xfe", b"a = 1"])
def test_what_is_no_lock_file_is_refused(data: bytes, run: Any, tmp_path: Path) -> None:
    (tmp_path / "pylock.toml").write_bytes(data)
    code, _, err = run(tmp_path / "bundle", "--pylock", tmp_path / "pylock.toml")
    assert code == 1
    assert "pylock.toml is no lock file (PEP 751)" in err


def test_bad_usage_is_refused(run: Any, lock: Path, tmp_path: Path) -> None:
    for arguments in (
        ("--check", "--pylock", lock),
        ("--pyodide", "1.2.3.4"),
        ("--public-url", "https://user:secret@bundle.example/"),
    ):
        with pytest.raises(SystemExit) as code:
            run(tmp_path / "bundle", *arguments)
        assert code.value.code == 2
    code_of_missing, _, err = run(tmp_path / "bundle", "--pylock", tmp_path / "none.toml")
    assert code_of_missing == 1
    assert "none.toml" in err


# --- where files come from ----------------------------------------------------------------------


def elsewhere(path: Path, index: SmallIndex, **changes: Any) -> Path:
    """A lock file whose files are at an index, and of `changes` another URL."""
    entries = []
    for wheel in (bundles.TREE, bundles.LEAF):
        file = {
            "name": wheel.filename,
            "url": f"{index.origin}/files/{wheel.filename}?token=secret",
            "hashes": {"sha256": wheel.sha256},
            **changes,
        }
        entries.append({"name": wheel.name, "version": wheel.version, "wheels": [file]})
    return bundles.write_lock(path, (), packages=entries)


def test_files_come_from_their_urls_and_the_next_time_from_the_cache(
    run: Any, tmp_path: Path
) -> None:
    with SmallIndex(bundles.TREE, bundles.LEAF) as index:
        lock = elsewhere(tmp_path / "lock" / "pylock.toml", index)
        code, _, err = run(tmp_path / "one", "--pylock", lock)
        assert code == 0
        assert f"{bundles.TREE.filename}: {len(bundles.TREE.data):,} bytes" in err
    assert "secret" not in err
    assert run(tmp_path / "two", "--pylock", lock)[0] == 0
    one, two = content(tmp_path / "one"), content(tmp_path / "two")
    assert one == two
    assert not [path for path, data in one.items() if b"secret" in data or b"127.0.0.1" in data]
    # What is broken in the cache is fetched again.
    [kept] = (tmp_path / "cache").glob(f"file/*/{bundles.LEAF.sha256}")
    kept.write_bytes(b"")
    code, _, err = run(tmp_path / "three", "--pylock", lock)
    assert code == 1
    assert f"{bundles.LEAF.filename} cannot be had: 127.0.0.1: " in err


def test_files_that_are_not_there_any_more_come_from_a_mirror(run: Any, tmp_path: Path) -> None:
    with SmallIndex(bundles.TREE, bundles.LEAF) as index:
        gone = elsewhere(tmp_path / "lock" / "pylock.toml", index, url=f"{index.origin}/gone.whl")
        code, _, _ = run(tmp_path / "bundle", "--pylock", gone, "--mirror", index.url)
        assert code == 0
        assert "/simple/zoo-tree/" in index.paths
    assert check_bundle(tmp_path / "bundle") == {}


def test_other_bytes_are_never_taken(run: Any, tmp_path: Path) -> None:
    with SmallIndex(bundles.TREE, bundles.LEAF, make_wheel("zoo-other", "1.0")) as index:
        url = f"{index.origin}/files/zoo_other-1.0-py3-none-any.whl"
        lock = elsewhere(tmp_path / "lock" / "pylock.toml", index, url=url)
        code, _, err = run(
            tmp_path / "bundle", "--pylock", lock, "--mirror", f"{index.origin}/none"
        )
    assert code == 1
    assert "cannot be had: 127.0.0.1: it has another SHA-256; " in err
    assert ": HTTP 404" in err
    assert not (tmp_path / "bundle").exists()


def test_a_private_package_is_asked_of_named_mirrors_alone(release: Path, tmp_path: Path) -> None:
    from pyodide_mirror.model import Mirror

    entry = {
        "name": "zoo-leaf",
        "version": "1.0",
        "wheels": [
            {
                "name": bundles.LEAF.filename,
                "path": bundles.LEAF.filename,
                "hashes": {"sha256": bundles.LEAF.sha256},
            }
        ],
        "tool": {"pyodide-mirror": {"private": True}},
    }
    lock = bundles.write_lock(tmp_path / "lock" / "pylock.toml", (), packages=[entry])
    with SmallIndex(bundles.LEAF) as index:
        mirrors = [Mirror(index.url)]
        with pytest.raises(BundlingError, match="it is not there"):
            write(tmp_path / "bundle", release, lock, mirrors=mirrors)
        assert index.paths == []
        write(tmp_path / "bundle", release, lock, mirrors=mirrors, named=mirrors)


def test_a_file_that_is_no_wheel_is_refused(run: Any, tmp_path: Path) -> None:
    sdist = make_sdist("zoo-leaf", "1.0")
    lock = bundles.write_lock(tmp_path / "lock" / "pylock.toml", ())
    entry = locked("zoo-leaf", bundles.LEAF.filename)
    entry["wheels"][0] |= {"path": "wheel", "hashes": {"sha256": sdist.sha256}}
    (lock.parent / "wheel").write_bytes(sdist.data)
    bundles.write_lock(lock, (), packages=[entry])
    code, _, err = run(tmp_path / "bundle", "--pylock", lock)
    assert code == 1
    assert f"{bundles.LEAF.filename} is no readable wheel" in err
