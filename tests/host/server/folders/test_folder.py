"""A folder of wheels: what is dropped in is served at once, and what cannot be read is left out."""

import asyncio
import errno
import hashlib
import os
import shutil
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pyodide_mirror.model import File, ProjectPage
from pyodide_mirror.server.cache.disk import Disk
from pyodide_mirror.server.folders import files as folder_files
from pyodide_mirror.server.folders.files import upload_time
from pyodide_mirror.server.folders.folder import Folder
from pyodide_mirror.server.folders.tree import SETTLED
from pyodide_mirror.server.source import UnreadableError
from tests.support.wheels import Sdist, make_sdist, make_wheel

WHEEL = make_wheel("my-project", "1.0", requires_python=">=3.8", requires=["zoo-dep-a"])
NEWER = make_wheel("my-project", "2.0", modules={"newer.py": "x = 1\n"})
SDIST = make_sdist("my-project", "1.0")
PROJECT = "my-project"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "wheels"
    made.mkdir()
    return made


def blur(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Let the stamp of a folder stay as it is now."""
    stat, same = os.stat, path.stat()

    def coarse(where: Any, **options: Any) -> os.stat_result:
        return same if Path(where) == path else stat(where, **options)

    monkeypatch.setattr("os.stat", coarse)


class Clock:
    """A time in seconds that goes on when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(path: Path, clock: Clock) -> Folder:
    return Folder(path, clock=clock)


def drop(path: Path, *dists: Sdist) -> None:
    for dist in dists:
        (path / dist.filename).write_bytes(dist.data)


def move(path: Path, name: str) -> None:
    path.rename(path.with_name(name))


def forbid(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    """Let these folders be listed no more: those who run the tests may list everything."""
    scandir = os.scandir

    def forbidden(where: str) -> object:
        if Path(where) in paths:
            raise PermissionError(13, "Permission denied", str(where))
        return scandir(where)

    monkeypatch.setattr("os.scandir", forbidden)
    for each in paths:
        os.utime(each)  # a change of its mode would show as well


async def names(folder: Folder, project: str = PROJECT) -> list[str] | None:
    page = await folder.page(project)
    return None if page is None else [file.filename for file in page.files]


async def only(folder: Folder, project: str = PROJECT) -> File:
    page = await folder.page(project)
    assert page is not None
    [file] = page.files
    return file


def settle(path: Path) -> None:
    """Make all folders look as if nobody had touched them for an hour."""
    past = time.time() - 3600
    for root, _, _ in os.walk(path):
        os.utime(root, (past, past))


# --- what comes and goes ------------------------------------------------------------------------


async def test_what_is_dropped_in_is_there_at_once(path: Path, folder: Folder) -> None:
    assert await names(folder) is None
    drop(path, WHEEL)
    assert await names(folder) == [WHEEL.filename]
    drop(path, NEWER, SDIST)
    assert await names(folder) == sorted([WHEEL.filename, NEWER.filename, SDIST.filename])
    assert await folder.projects() == [PROJECT]


async def test_what_is_dropped_into_a_folder_that_rested_is_there_at_once(
    path: Path, folder: Folder
) -> None:
    drop(path, WHEEL)
    settle(path)
    assert await names(folder) == [WHEEL.filename]
    drop(path, NEWER)
    assert await names(folder) == [WHEEL.filename, NEWER.filename]


async def test_what_is_removed_is_gone_at_once(path: Path, folder: Folder) -> None:
    drop(path, WHEEL, NEWER)
    assert await names(folder) == [WHEEL.filename, NEWER.filename]
    (path / NEWER.filename).unlink()
    assert await names(folder) == [WHEEL.filename]
    (path / WHEEL.filename).unlink()
    assert await names(folder) is None
    assert await folder.projects() == []


async def test_what_is_replaced_in_place_has_its_new_digest(path: Path, folder: Folder) -> None:
    drop(path, WHEEL)
    settle(path)
    assert (await only(folder)).sha256 == WHEEL.sha256
    rebuilt = make_wheel(PROJECT, "1.0", requires_python=">=3.12")
    (path / WHEEL.filename).write_bytes(rebuilt.data)
    settle(path)  # the folder itself tells nothing
    file = await only(folder)
    assert file.sha256 == rebuilt.sha256
    assert file.requires_python == ">=3.12"
    assert await folder.metadata(PROJECT, file) == rebuilt.metadata


async def test_one_renamed_over_another_is_seen_whatever_its_time(
    path: Path, folder: Folder
) -> None:
    drop(path, WHEEL)
    status = (path / WHEEL.filename).stat()
    assert (await only(folder)).sha256 == WHEEL.sha256
    rebuilt = make_wheel(PROJECT, "1.0", requires_python=">=3.9", requires=["zoo-dep-a"])
    assert len(rebuilt.data) == len(WHEEL.data)
    other = path / "other"
    other.write_bytes(rebuilt.data)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path / WHEEL.filename)
    assert (await only(folder)).sha256 == rebuilt.sha256


async def test_a_half_copied_wheel_is_left_out_until_it_is_whole(
    path: Path, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    drop(path, WHEEL)
    with (path / NEWER.filename).open("wb", buffering=0) as file:
        file.write(NEWER.data[:500])
        assert await names(folder) == [WHEEL.filename]
        assert await names(folder) == [WHEEL.filename]
        assert caplog.text.count("left out for now") == 1, "it is said once of each state"
        file.write(NEWER.data[500:])
        assert await names(folder) == [WHEEL.filename, NEWER.filename]


async def test_a_project_whose_files_all_cannot_be_read_is_still_ours(
    path: Path, folder: Folder
) -> None:
    """Or else somebody elsewhere would be asked for it."""
    (path / WHEEL.filename).write_bytes(b"not a wheel")
    assert await names(folder) == []


async def test_subfolders_are_looked_into_whenever_they_come(path: Path, folder: Folder) -> None:
    drop(path, WHEEL)
    settle(path)
    assert await names(folder) == [WHEEL.filename]
    (path / "a" / "b").mkdir(parents=True)
    settle(path)
    os.utime(path)
    assert await names(folder) == [WHEEL.filename]
    drop(path / "a" / "b", NEWER)
    assert await names(folder) == [WHEEL.filename, NEWER.filename]
    shutil.rmtree(path / "a")
    assert await names(folder) == [WHEEL.filename]


async def test_of_two_files_of_one_name_the_upper_one_counts(path: Path, folder: Folder) -> None:
    drop(path, WHEEL)
    (path / "a").mkdir()
    (path / "a" / WHEEL.filename).write_bytes(NEWER.data)
    assert (await only(folder)).sha256 == WHEEL.sha256


async def test_what_is_no_distribution_by_its_name_is_not_looked_at(
    path: Path, folder: Folder
) -> None:
    for name in [
        ".hidden-1.0-py3-none-any.whl",
        "README.md",
        "my_project.whl",
        "my_project-1.0.whl",
        "my_project-not.a.version!-py3-none-any.whl",
        "my-project.tar.gz",
        "1.0.zip",
        "my_project-1.0-py3-none-any.whl.part",
        "my_project-1.0.tar.bz2",
        "-1.0-py3-none-any.whl",
    ]:
        (path / name).write_bytes(WHEEL.data)
        assert await folder.projects() == [], name


async def test_hidden_folders_are_not_looked_into(path: Path, folder: Folder) -> None:
    (path / ".trash").mkdir()
    drop(path / ".trash", WHEEL)
    assert await folder.projects() == []


@pytest.mark.parametrize("stem", ["My.Project", "my_project", "MY_PROJECT"])
async def test_names_are_normalized(path: Path, folder: Folder, stem: str) -> None:
    (path / f"{stem}-1.0-py3-none-any.whl").write_bytes(WHEEL.data)
    assert await folder.projects() == [PROJECT]
    assert await folder.page(PROJECT) is not None
    assert await folder.page("my_project") is None, "it is asked for normalized names"


async def test_a_pipe_with_the_name_of_a_wheel_blocks_nobody(path: Path, folder: Folder) -> None:
    drop(path, WHEEL)
    os.mkfifo(path / NEWER.filename)
    os.mkfifo(path / SDIST.filename)
    async with asyncio.timeout(30):
        assert await names(folder) == [WHEEL.filename]


async def test_a_folder_with_the_name_of_a_wheel_is_no_wheel(path: Path, folder: Folder) -> None:
    (path / WHEEL.filename).mkdir()
    assert await folder.projects() == []


async def test_a_dangling_link_is_left_out(path: Path, folder: Folder) -> None:
    drop(path, WHEEL)
    (path / NEWER.filename).symlink_to(path / "nowhere")
    assert await names(folder) == [WHEEL.filename]


def test_a_time_that_no_calendar_has_is_not_told() -> None:
    """Some file systems have it."""
    for seconds, shown in [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_600_000_000, "2020-09-13T12:26:40.000000Z"),
        (253_402_300_799, "9999-12-31T23:59:59.000000Z"),
        (253_402_300_800, ""),
        (-1, ""),
        (1 << 62, ""),
    ]:
        assert upload_time(seconds * 10**9) == shown, seconds


async def test_a_folder_that_vanished_is_an_error_and_not_an_empty_folder(
    path: Path, folder: Folder
) -> None:
    """Its projects must not be looked for elsewhere: that is how dependency confusion begins."""
    drop(path, WHEEL)
    assert await names(folder) == [WHEEL.filename]
    move(path, "moved")
    with pytest.raises(UnreadableError, match="folder wheels: it cannot be read now"):
        await folder.page(PROJECT)
    with pytest.raises(UnreadableError):
        await folder.projects()
    move(path.with_name("moved"), path.name)
    assert await names(folder) == [WHEEL.filename]


async def test_a_subfolder_that_was_never_read_is_left_out_and_told(
    path: Path, folder: Folder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as lost+found."""
    drop(path, WHEEL)
    (path / "lost+found").mkdir()
    forbid(monkeypatch, path / "lost+found")
    assert await names(folder) == [WHEEL.filename]
    assert await folder.left_out() == {"lost+found": "Permission denied"}
    assert caplog.text.count("lost+found: Permission denied") == 1


OTHER = make_wheel("other", "1.0")


async def test_what_was_in_a_subfolder_that_cannot_be_read_is_an_error(
    path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the rest of such a project: nobody would know that a version is missing."""
    (path / "a" / "b").mkdir(parents=True)
    drop(path, WHEEL, OTHER)
    drop(path / "a" / "b", NEWER, make_wheel("deep", "1.0"))
    assert await folder.projects() == [PROJECT, "other", "deep"]
    with monkeypatch.context() as patched:
        forbid(patched, path / "a" / "b")
        for project in (PROJECT, "deep"):
            with pytest.raises(UnreadableError, match=r"^folder wheels: a.b: Permission denied$"):
                await folder.page(project)
        assert await names(folder, "other") == [OTHER.filename]
        assert await folder.projects() == [PROJECT, "other", "deep"]
        forbid(patched, path / "a")
        with pytest.raises(UnreadableError):
            await folder.page("deep")
    assert await names(folder) == [WHEEL.filename, NEWER.filename]
    shutil.rmtree(path / "a")
    assert await folder.page("deep") is None


async def test_a_link_to_a_folder_is_followed(path: Path, folder: Folder, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "sub").mkdir(parents=True)
    drop(elsewhere, WHEEL)
    drop(elsewhere / "sub", NEWER)
    (path / "link").symlink_to(elsewhere)
    assert await names(folder) == [WHEEL.filename, NEWER.filename]
    (elsewhere / WHEEL.filename).unlink()
    assert await names(folder) == [NEWER.filename]


async def test_loops_of_links_end(path: Path, folder: Folder) -> None:
    (path / "a").mkdir()
    drop(path / "a", WHEEL)
    for name, target in [("here", path), ("a/up", path), ("a/self", path / "a"), ("z", path / "a")]:
        (path / name).symlink_to(target)
    assert await names(folder) == [WHEEL.filename]
    assert await folder.left_out() == {}, "nothing is listed twice"
    (path / "round").symlink_to(path / "round")
    assert await names(folder) == [WHEEL.filename]
    assert await folder.left_out() == {"round": os.strerror(errno.ELOOP)}


async def test_what_was_behind_a_link_that_leads_nowhere_is_an_error(
    path: Path, folder: Folder, tmp_path: Path
) -> None:
    (tmp_path / "nas").mkdir()
    drop(tmp_path / "nas", WHEEL)
    (path / "link").symlink_to(tmp_path / "nas")
    assert await names(folder) == [WHEEL.filename]
    move(tmp_path / "nas", "away")
    for _ in range(2):
        with pytest.raises(UnreadableError, match="link: No such file or directory"):
            await folder.page(PROJECT)
        drop(path, OTHER)  # the link is looked at anew
    move(tmp_path / "away", "nas")
    assert await names(folder) == [WHEEL.filename]
    (path / "link").unlink()
    assert await folder.page(PROJECT) is None


async def test_a_server_that_starts_without_a_subfolder_knows_what_was_in_it(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path / "cache", 1 << 20)
    for name in ("nas", "nas/deep"):
        (tmp_path / name).mkdir()
    (path / "shut").mkdir()
    drop(tmp_path / "nas" / "deep", WHEEL)
    drop(path / "shut", OTHER)
    (path / "link").symlink_to(tmp_path / "nas")
    assert await Folder(path, disk).projects() == ["other", PROJECT]
    move(tmp_path / "nas", "away")
    with monkeypatch.context() as patched:
        forbid(patched, path / "shut")
        for _ in range(2):
            started = Folder(path, disk)
            for project in (PROJECT, "other"):
                with pytest.raises(UnreadableError):
                    await started.page(project)
    assert await names(started, "other") == [OTHER.filename]
    (path / "link").unlink()
    drop(path, NEWER)
    assert await names(Folder(path, disk)) == [NEWER.filename]


async def test_of_a_folder_without_subfolders_nothing_is_kept(path: Path, tmp_path: Path) -> None:
    drop(path, WHEEL)
    disk = Disk(tmp_path / "cache", 1 << 20)
    await Folder(path, disk).page(PROJECT)
    assert disk.size == 0


async def test_a_folder_that_was_unmounted_is_not_an_empty_one(
    path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path / "mounted").mkdir()
    drop(path / "mounted", WHEEL)
    stat = os.stat

    def elsewhere(where: Any, **options: Any) -> Any:
        found = stat(where, **options)
        if Path(where) != path / "mounted":
            return found
        fields = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
        return SimpleNamespace(**fields | {"st_dev": found.st_dev + 1})

    with monkeypatch.context() as patched:
        patched.setattr("os.stat", elsewhere)
        assert await names(folder) == [WHEEL.filename]
    (path / "mounted" / WHEEL.filename).unlink()
    with pytest.raises(UnreadableError, match="mounted: it is empty, and on another device"):
        await folder.page(PROJECT)
    drop(path / "mounted", NEWER)
    assert await names(folder) == [NEWER.filename]


async def test_a_project_whose_only_file_cannot_be_read_is_an_error(
    path: Path, folder: Folder
) -> None:
    (path / WHEEL.filename).symlink_to(path / "nowhere")
    with pytest.raises(UnreadableError, match="no file of my-project: No such file or directory"):
        await folder.page(PROJECT)
    drop(path, SDIST)
    assert await names(folder) == [SDIST.filename]


async def test_a_file_that_is_written_while_it_is_read_is_left_out(
    path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(path, SDIST)
    digest = hashlib.file_digest

    def written(file: Any, name: str) -> object:
        with (path / SDIST.filename).open("ab") as more:
            more.write(b"more")
        return digest(file, name)

    with monkeypatch.context() as patched:
        patched.setattr("hashlib.file_digest", written)
        with pytest.raises(UnreadableError, match="it is being written"):
            await folder.page(PROJECT)
    assert (await only(folder)).sha256 == hashlib.sha256(SDIST.data + b"more").hexdigest()


# --- what is left out ---------------------------------------------------------------------------


async def test_what_is_left_out_is_told_once_and_why(
    path: Path, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    (path / "a").mkdir()
    drop(path, WHEEL, OTHER)
    drop(path / "a", WHEEL)
    for name in ["my_project.whl", "notes.zip", "old-1.0.tar.bz2", "evil\n-1.0.whl", "README.md"]:
        (path / name).write_bytes(b"")
    (path / NEWER.filename).write_bytes(b"not a wheel")
    for _ in range(2):
        await folder.page(PROJECT)
    wheel = "it is not named like a wheel (NAME-VERSION-PYTHON-ABI-PLATFORM.whl)"
    sdist = "it is not named like an sdist (NAME-VERSION.tar.gz or NAME-VERSION.zip)"
    assert await folder.left_out() == {
        f"a/{WHEEL.filename}": f"{WHEEL.filename} has the same name",
        "evil\ufffd-1.0.whl": wheel,
        "my_project.whl": wheel,
        "notes.zip": sdist,
        "old-1.0.tar.bz2": sdist,
        NEWER.filename: "is not a complete wheel (its directory has no end)",
    }
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 6
    assert f"left out for now: a/{WHEEL.filename}: {WHEEL.filename} has the same name" in lines
    (path / "my_project.whl").unlink()
    drop(path, NEWER)
    await folder.page(PROJECT)
    assert not {NEWER.filename, "my_project.whl"} & (await folder.left_out()).keys()
    (path / NEWER.filename).write_bytes(b"no wheel again")
    await folder.page(PROJECT)
    (path / NEWER.filename).unlink()
    assert NEWER.filename not in await folder.left_out()
    assert len(caplog.records) == 7


# --- what is found out --------------------------------------------------------------------------


async def test_a_wheel_is_described_in_full(path: Path, folder: Folder) -> None:
    drop(path, WHEEL)
    os.utime(path / WHEEL.filename, ns=(0, 1_600_000_000_123_456_789))
    page = await folder.page(PROJECT)
    assert page == ProjectPage(
        name=PROJECT,
        files=(
            File(
                filename=WHEEL.filename,
                url=(path / WHEEL.filename).as_uri(),
                hashes={"sha256": WHEEL.sha256},
                requires_python=">=3.8",
                metadata={"sha256": WHEEL.metadata_sha256},
                size=len(WHEEL.data),
                upload_time="2020-09-13T12:26:40.123456Z",
            ),
        ),
        versions=("1.0",),
    )
    file = await only(folder)
    assert await folder.metadata(PROJECT, file) == WHEEL.metadata
    assert (await folder.blob(PROJECT, file)).path.read_bytes() == WHEEL.data


async def test_what_a_wheel_vendors_is_not_taken_for_its_own(path: Path, folder: Folder) -> None:
    """As setuptools does it: the METADATA of a wheel is that at its root."""
    vendored = "my_project/_vendor/packaging-24.0.dist-info/METADATA"
    wheel = make_wheel(
        PROJECT, "1.0", requires_python=">=3.8", modules={vendored: "Requires-Python: >=3.99\n"}
    )
    drop(path, wheel)
    file = await only(folder)
    assert file.metadata == {"sha256": wheel.metadata_sha256}
    assert file.requires_python == ">=3.8"
    assert await folder.metadata(PROJECT, file) == wheel.metadata


async def test_an_sdist_is_described_without_metadata(path: Path, folder: Folder) -> None:
    drop(path, SDIST)
    file = await only(folder)
    assert file.metadata is None
    assert file.requires_python == ""
    assert file.sha256 == SDIST.sha256


async def test_metadata_with_strange_bytes_is_served_as_it_is(path: Path, folder: Folder) -> None:
    metadata = (
        b"Metadata-Version: 2.1\nName: my-project\nSummary: \xff\xfe\nRequires-Python: \xff\n"
    )
    with zipfile.ZipFile(path / WHEEL.filename, "w") as archive:
        archive.writestr("my_project-1.0.dist-info/METADATA", metadata)
    file = await only(folder)
    assert file.requires_python == ""
    assert await folder.metadata(PROJECT, file) == metadata


async def test_a_file_removed_between_page_and_request_is_told(path: Path, folder: Folder) -> None:
    drop(path, WHEEL)
    file = await only(folder)
    (path / WHEEL.filename).unlink()
    assert await names(folder) is None
    with pytest.raises(UnreadableError, match="has just been removed"):
        await folder.blob(PROJECT, file)
    with pytest.raises(UnreadableError, match="has just been removed"):
        await folder.metadata(PROJECT, file)


async def test_nothing_is_read_twice_that_did_not_change(
    path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(path, WHEEL, NEWER, SDIST)
    read: list[str] = []
    digest = hashlib.file_digest

    def noted(file: Any, name: str) -> object:
        read.append(Path(file.name).name)
        return digest(file, name)

    monkeypatch.setattr("hashlib.file_digest", noted)
    await asyncio.gather(*(folder.page(PROJECT) for _ in range(10)))
    await folder.page(PROJECT)
    assert sorted(read) == sorted([WHEEL.filename, NEWER.filename, SDIST.filename])


@pytest.mark.parametrize("stamp", [-3600, 0, 86_400 * 365])
async def test_a_folder_that_rests_is_not_listed_again(
    path: Path, folder: Folder, clock: Clock, monkeypatch: pytest.MonkeyPatch, stamp: int
) -> None:
    """Whatever its time stamp says, be it in the future."""
    drop(path, WHEEL)
    os.utime(path, (time.time() + stamp,) * 2)
    await folder.page(PROJECT)
    clock.now += SETTLED
    await folder.page(PROJECT)

    def scandir(*_: object) -> object:
        raise AssertionError("it is listed")

    with monkeypatch.context() as patched:
        patched.setattr("os.scandir", scandir)
        assert await names(folder) == [WHEEL.filename]
        assert await folder.projects() == [PROJECT]
    drop(path, NEWER)
    assert await names(folder) == [WHEEL.filename, NEWER.filename]


async def test_a_change_in_the_moment_of_a_time_stamp_is_seen(
    path: Path, folder: Folder, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of a file system may be coarse: both changes have the same stamp."""
    blur(monkeypatch, path)
    drop(path, WHEEL)
    assert await names(folder) == [WHEEL.filename]
    clock.now += SETTLED / 2
    drop(path, NEWER)
    assert await names(folder) == [WHEEL.filename, NEWER.filename]


async def test_one_look_is_enough_for_all_who_wait(
    path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(path, WHEEL)
    looks: list[str] = []
    scandir = os.scandir

    def noted(where: str) -> object:
        looks.append(where)
        return scandir(where)

    monkeypatch.setattr("os.scandir", noted)
    await asyncio.gather(*(folder.page(PROJECT) for _ in range(40)))
    # The first had begun when the others came; what they see must be as new as their questions.
    assert len(looks) == 2


async def test_a_file_that_could_not_be_opened_is_tried_again(
    path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mode may change, which does not show in its stamp."""
    drop(path, WHEEL, SDIST)

    def forbidden(*_: object) -> object:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("pyodide_mirror.server.folders.files.read_metadata", forbidden)
        assert await names(folder) == [SDIST.filename]
        assert await folder.left_out() == {WHEEL.filename: "Permission denied"}
    assert await names(folder) == sorted([WHEEL.filename, SDIST.filename])


async def test_one_page_serves_for_as_long_as_nothing_changes(path: Path, folder: Folder) -> None:
    drop(path, WHEEL, NEWER)
    page = await folder.page(PROJECT)
    drop(path, OTHER)
    assert await folder.page(PROJECT) is page
    drop(path, SDIST)
    assert await folder.page(PROJECT) is not page


async def test_files_of_a_large_page_are_looked_at_now_and_then(
    path: Path, folder: Folder, clock: Clock
) -> None:
    versions = [make_sdist(PROJECT, f"{n}.0") for n in range(200)]
    drop(path, *versions)
    page = await folder.page(PROJECT)
    (path / versions[0].filename).write_bytes(b"in place")
    assert await folder.page(PROJECT) is page
    drop(path, WHEEL)
    assert WHEEL.filename in (await names(folder) or []), "what is dropped in is there at once"
    (path / versions[1].filename).write_bytes(b"in place")
    clock.now += 0.1
    page = await folder.page(PROJECT)
    assert page is not None
    assert page.files[0].sha256 != versions[0].sha256
    assert {file.size for file in page.files} >= {len(b"in place")}
    assert sum(file.size == len(b"in place") for file in page.files) == 2


# --- big files ----------------------------------------------------------------------------------


async def test_a_big_project_keeps_nobody_waiting(
    path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Digests of large files take seconds: no other page waits for them."""
    big = [make_sdist("big", f"{n}.0") for n in range(20)]
    drop(path, WHEEL, *big)
    begun, may_end = threading.Semaphore(0), threading.Event()
    digest = hashlib.file_digest

    def slow(file: Any, name: str) -> object:
        if Path(file.name).name.startswith("big"):
            begun.release()
            may_end.wait()
        return digest(file, name)

    monkeypatch.setattr("hashlib.file_digest", slow)
    monkeypatch.setattr(folder_files, "BIG", len(big[0].data))
    waiting = [asyncio.ensure_future(folder.page("big")) for _ in range(3)]
    try:
        async with asyncio.timeout(30):
            await asyncio.to_thread(begun.acquire)
            assert await names(folder) == [WHEEL.filename]
            drop(path, NEWER)
            assert await names(folder) == [WHEEL.filename, NEWER.filename]
    finally:
        may_end.set()
        pages = await asyncio.gather(*waiting)
    for page in pages:
        assert page is not None
        assert {file.sha256 for file in page.files} == {each.sha256 for each in big}
    read = 1 + sum(begun.acquire(blocking=False) for _ in range(2 * len(big)))
    assert read == len(big), "each is read once"


async def test_what_is_still_being_read_at_the_end_is_given_up(
    path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(path, SDIST, WHEEL)
    monkeypatch.setattr(folder_files, "BIG", 1)
    begun, may_end = threading.Event(), threading.Event()

    def slow(*_: object) -> object:
        begun.set()
        may_end.wait()
        raise OSError("nobody asks any more")

    monkeypatch.setattr("hashlib.file_digest", slow)
    before = asyncio.all_tasks()
    waiting = asyncio.ensure_future(folder.page(PROJECT))
    try:
        await asyncio.to_thread(begun.wait)
        await folder.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert asyncio.all_tasks() == before
    finally:
        may_end.set()


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Where digests are kept, even of small files."""
    monkeypatch.setattr(folder_files, "BIG", 1)
    return Disk(tmp_path / "cache", 1 << 20)


def age(file: Path) -> None:
    past = time.time() - 3600
    os.utime(file, (past, past))


async def test_digests_of_big_files_outlive_the_server(
    path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(path, WHEEL, SDIST)
    age(path / WHEEL.filename)
    age(path / SDIST.filename)
    page = await Folder(path, disk).page(PROJECT)
    with monkeypatch.context() as patched:
        patched.delattr("hashlib.file_digest")
        assert await Folder(path, disk).page(PROJECT) == page
    (path / SDIST.filename).write_bytes(b"other")
    age(path / SDIST.filename)
    page = await Folder(path, disk).page(PROJECT)
    assert page is not None
    found = {file.filename: file.sha256 for file in page.files}
    assert found[SDIST.filename] == hashlib.sha256(b"other").hexdigest()


async def test_digests_of_what_has_just_been_written_are_not_kept(path: Path, disk: Disk) -> None:
    """It may be written to once more in the same moment of a coarse clock."""
    drop(path, SDIST)
    assert (await only(Folder(path, disk))).sha256 == SDIST.sha256
    assert list(disk.folder.glob("digest/*/*")) == []


async def test_kept_digests_that_are_damaged_or_cannot_be_read_are_computed_again(
    path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    drop(path, SDIST)
    age(path / SDIST.filename)
    await Folder(path, disk).page(PROJECT)
    [kept] = disk.folder.glob("digest/*/*")
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    assert (await only(Folder(path, disk))).sha256 == SDIST.sha256
    kept.unlink()
    kept.mkdir()
    assert (await only(Folder(path, disk))).sha256 == SDIST.sha256
    assert "cannot" in caplog.text


# --- at the start -------------------------------------------------------------------------------


def test_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the folder '.*nowhere' does not exist"):
        Folder(tmp_path / "nowhere")


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ValueError, match=r"the folder '.*file' is no folder"):
        Folder(tmp_path / "file")


def test_what_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ValueError, match=r"may not be read"):
        Folder(tmp_path)


async def test_of_many_files_only_those_of_the_project_are_read(
    path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured: 5,000 files in 500 folders take 0.2 s once, and 2 ms while nothing changes."""
    for n in range(50):
        (path / f"p{n}").mkdir()
        for version in range(10):
            name = f"p{n}-{version}.0-py3-none-any.whl"
            (path / f"p{n}" / name).write_bytes(b"")
    drop(path, WHEEL)
    read: list[str] = []
    opened = Path.open

    def noted(file: Path, *options: Any) -> object:
        read.append(file.name)
        return opened(file, *options)

    monkeypatch.setattr(Path, "open", noted)
    assert await names(folder) == [WHEEL.filename]
    assert set(read) == {WHEEL.filename}
    assert len(list(await folder.projects())) == 51
