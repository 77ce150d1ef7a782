"""A folder of wheels: what is dropped in is served at once, and what cannot be read is left out."""

import asyncio
import hashlib
import os
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror.model import File, ProjectPage
from pyodide_mirror.server.folder import Folder, upload_time
from pyodide_mirror.server.upstream_client import UpstreamError
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


@pytest.fixture
def folder(path: Path) -> Folder:
    return Folder(path)


def drop(path: Path, *dists: Sdist) -> None:
    for dist in dists:
        (path / dist.filename).write_bytes(dist.data)


def move(path: Path, name: str) -> None:
    path.rename(path.with_name(name))


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
    with pytest.raises(UpstreamError, match="folder wheels: it cannot be read now"):
        await folder.page(PROJECT)
    with pytest.raises(UpstreamError):
        await folder.projects()
    move(path.with_name("moved"), path.name)
    assert await names(folder) == [WHEEL.filename]


async def test_a_subfolder_that_cannot_be_read_is_left_out_and_told(
    path: Path, folder: Folder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(path, WHEEL)
    (path / "lost+found").mkdir()
    scandir = os.scandir

    def forbidden(where: str) -> object:
        if str(where).endswith("lost+found"):
            raise PermissionError(13, "Permission denied", str(where))
        return scandir(where)

    monkeypatch.setattr("os.scandir", forbidden)
    assert await names(folder) == [WHEEL.filename]
    assert "lost+found: Permission denied" in caplog.text


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
    with pytest.raises(UpstreamError, match="has just been removed"):
        await folder.blob(PROJECT, file)
    with pytest.raises(UpstreamError, match="has just been removed"):
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


async def test_a_folder_that_rests_is_not_walked_again(
    path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(path, WHEEL)
    settle(path)
    await folder.page(PROJECT)

    def walk(*_: object, **__: object) -> object:
        raise AssertionError("it is walked")

    monkeypatch.setattr("os.walk", walk)
    assert await names(folder) == [WHEEL.filename]
    assert await folder.projects() == [PROJECT]


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
