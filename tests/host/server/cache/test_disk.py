"""The disk cache: bounded, in the order of use, and whole at any moment."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror.server.cache.disk import Disk, Unfinished

A, B, C, D = (f"file-{letter * 64}" for letter in "abcd")
HOUR = 3600.0


class Clock:
    """A clock that stands until it is set."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def disk(tmp_path: Path, clock: Clock) -> Disk:
    return Disk(tmp_path / "cache", 100, clock=clock)


def reopened(disk: Disk, clock: Clock) -> Disk:
    return Disk(disk.folder, disk.max_bytes, clock=clock)


def on_disk(disk: Disk) -> dict[str, bytes]:
    """What is really there, by key."""
    return {
        f"{path.parent.parent.name}-{path.name}": path.read_bytes()
        for path in disk.folder.rglob("*")
        if path.is_file() and path.parent.name != "unfinished"
    }


def unfinished(disk: Disk) -> list[Path]:
    return list((disk.folder / "unfinished").iterdir())


def fill(disk: Disk, clock: Clock, *keys: str, size: int = 40) -> None:
    """Put entries, an hour after one another."""
    for key in keys:
        clock.now += HOUR
        disk.put(key, key[-1].encode() * size)


# --- entries ----------------------------------------------------------------------------------


def test_what_is_put_can_be_had(disk: Disk) -> None:
    path = disk.put(A, b"content")
    assert path.read_bytes() == b"content"
    assert disk.get(A) == path
    assert disk.size == 7


def test_what_was_never_put_is_not_there(disk: Disk) -> None:
    assert disk.get(A) is None


def test_a_second_put_takes_the_place_of_the_first(disk: Disk) -> None:
    disk.put(A, b"old content")
    disk.put(A, b"new")
    assert on_disk(disk) == {A: b"new"}
    assert disk.size == 3


def test_what_is_removed_is_gone_and_may_be_removed_again(disk: Disk) -> None:
    disk.put(A, b"content")
    disk.remove(A)
    disk.remove(A)
    assert disk.get(A) is None
    assert on_disk(disk) == {}
    assert disk.size == 0


@pytest.mark.parametrize(
    "key",
    [
        "",
        "file",
        "file-",
        "file-" + "a" * 63,
        "file-" + "a" * 65,
        "file-" + "A" * 64,
        "file-" + "g" * 64,
        "../x-" + "a" * 64,
        "-" + "a" * 64,
        "file-" + "a" * 64 + "\n",
        "file-../../../" + "a" * 55,
        "toolongtoolongtoo-" + "a" * 64,
    ],
)
def test_what_is_no_key_is_refused(disk: Disk, key: str) -> None:
    for act in (disk.get, disk.remove, lambda key: disk.put(key, b"x")):
        with pytest.raises(ValueError, match="is not a key"):
            act(key)
    assert on_disk(disk) == {}
    assert unfinished(disk) == []


def test_others_may_read_an_entry(disk: Disk) -> None:
    assert disk.put(A, b"content").stat().st_mode & 0o777 == 0o644


def test_an_entry_that_somebody_else_removed_is_not_there_and_weighs_nothing(disk: Disk) -> None:
    disk.put(A, b"content").unlink()
    assert disk.get(A) is None
    assert disk.size == 0


def test_an_entry_that_somebody_else_added_is_found_and_weighs_something(
    disk: Disk, clock: Clock
) -> None:
    other = reopened(disk, clock)
    other.put(A, b"content")
    assert disk.get(A) is not None
    assert disk.size == 7


# --- the bound --------------------------------------------------------------------------------


def test_least_recently_used_leave_first(disk: Disk, clock: Clock) -> None:
    fill(disk, clock, A, B)
    clock.now += HOUR
    disk.get(A)
    fill(disk, clock, C)
    assert set(on_disk(disk)) == {A, C}
    assert disk.size == 80


def test_the_order_of_use_outlives_a_restart(disk: Disk, clock: Clock) -> None:
    fill(disk, clock, A, B)
    clock.now += HOUR
    disk.get(A)
    again = reopened(disk, clock)
    assert again.size == 80
    fill(again, clock, C)
    assert set(on_disk(again)) == {A, C}


def test_a_smaller_bound_takes_effect_at_the_next_start(disk: Disk, clock: Clock) -> None:
    fill(disk, clock, A, B)
    clock.now += HOUR
    smaller = Disk(disk.folder, 50, clock=clock)
    assert set(on_disk(smaller)) == {B}
    assert smaller.size == 40


def test_what_was_used_a_moment_ago_stays_for_somebody_is_about_to_open_it(
    disk: Disk, clock: Clock
) -> None:
    for key in (A, B, C, D):
        disk.put(key, b"x" * 40)
    assert set(on_disk(disk)) == {A, B, C, D}
    clock.now += HOUR
    disk.make_room()
    assert disk.size <= 100
    assert set(on_disk(disk)) == {C, D}


def test_what_is_larger_than_the_bound_can_be_read_for_a_moment(disk: Disk, clock: Clock) -> None:
    path = disk.put(A, b"x" * 101)
    assert path.read_bytes() == b"x" * 101
    clock.now += HOUR
    disk.make_room()
    assert on_disk(disk) == {}
    assert disk.size == 0


def test_what_another_process_used_a_moment_ago_stays(disk: Disk, clock: Clock) -> None:
    fill(disk, clock, A, B)
    other = reopened(disk, clock)
    clock.now += HOUR
    assert other.get(A) is not None
    clock.now += 1
    disk.put(C, b"c" * 40)
    assert set(on_disk(disk)) == {A, C}, "B was used least recently, by all of them"


def test_what_another_process_removed_makes_room(disk: Disk, clock: Clock) -> None:
    fill(disk, clock, A, B)
    reopened(disk, clock).remove(A)
    fill(disk, clock, C)
    assert set(on_disk(disk)) == {B, C}
    assert disk.size == 80


def test_files_that_are_no_entries_are_left_alone(tmp_path: Path, clock: Clock) -> None:
    cache = tmp_path / "cache"
    (cache / "file" / "aa").mkdir(parents=True)
    strangers = [cache / "note.txt", cache / "file" / "aa" / "README", cache / "file" / "x.whl"]
    for stranger in strangers:
        stranger.write_bytes(b"x" * 1000)
    (cache / "file" / "aa" / ("a" * 64)).mkdir()
    disk = Disk(cache, 0, clock=clock)
    assert disk.size == 0
    disk.put(B, b"x")
    assert all(stranger.exists() for stranger in strangers)


# --- unfinished files ---------------------------------------------------------------------------


def test_what_is_not_committed_is_no_entry_and_is_removed(disk: Disk) -> None:
    with disk.begin() as started:
        started.write(b"half")
        assert on_disk(disk) == {}
        assert len(unfinished(disk)) == 1
    assert unfinished(disk) == []


def test_what_is_written_can_be_read_meanwhile(disk: Disk) -> None:
    with disk.begin() as started:
        started.write(b"one")
        assert started.read(0, 2) == b"on"
        started.write(b"two")
        assert started.read(1, 100) == b"netwo"
        path = started.commit(A)
        assert started.read(3, 3) == b"two", "it stays open under its new name"
    assert path.read_bytes() == b"onetwo"
    assert unfinished(disk) == []


def test_adopting_counts_what_is_there(disk: Disk, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert disk.adopt(file, A).read_bytes() == b"12345"
    assert not file.exists()
    assert disk.size == 5


class ShortWrites:
    """A raw file whose disk takes some bytes of each write, and then no more."""

    def __init__(self, file: object, capacity: int) -> None:
        self._file = file
        self.capacity = capacity

    def write(self, content: bytes) -> int:
        if not self.capacity:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = bytes(content)[: min(10, self.capacity)]
        self.capacity -= len(taken)
        return int(self._file.write(taken))  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


def test_a_write_that_takes_only_some_bytes_is_continued(disk: Disk) -> None:
    with disk.begin() as started:
        started.file = ShortWrites(started.file, 1000)  # type: ignore[assignment]
        started.write(b"0123456789" * 5)
        assert started.commit(A).read_bytes() == b"0123456789" * 5


def test_the_folder_may_be_removed_at_any_time(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.put(A, b"one")
    shutil.rmtree(disk.folder)
    assert disk.get(A) is None
    assert disk.put(B, b"two").read_bytes() == b"two"
    flush, removed = Unfinished.flush, []

    def remove_once(self: Unfinished) -> None:
        flush(self)
        if not removed:
            removed.append(shutil.rmtree(disk.folder))

    monkeypatch.setattr(Unfinished, "flush", remove_once)
    assert disk.put(A, b"three").read_bytes() == b"three"
    assert disk.problem == ""


def test_a_problem_lasts_until_as_much_is_stored(disk: Disk) -> None:
    with pytest.raises(OSError, match="No space left"), disk.begin() as started:  # noqa: PT012
        started.file = ShortWrites(started.file, 25)  # type: ignore[assignment]
        started.write(b"0123456789" * 5)
    assert disk.problem == "files are not stored (No space left on device)"
    disk.put(A, b"0123456789")
    assert disk.problem
    disk.put(A, b"0123456789" * 5)
    assert disk.problem == ""


def test_a_full_disk_is_an_error_and_leaves_nothing(disk: Disk) -> None:
    with pytest.raises(OSError, match="No space left"), disk.begin() as started:  # noqa: PT012
        started.file = ShortWrites(started.file, 25)  # type: ignore[assignment]
        started.write(b"0123456789" * 5)
    assert on_disk(disk) == {}
    assert unfinished(disk) == []


def test_what_failed_half_way_is_written_over(disk: Disk) -> None:
    with disk.begin() as started:
        real = started.file
        started.write(b"abc")
        started.file = ShortWrites(real, 5)  # type: ignore[assignment]
        with pytest.raises(OSError, match="No space left"):
            started.write(b"0123456789")
        started.file = real
        started.write(b"def")
        assert started.commit(A).read_bytes()[:6] == b"abcdef"


def test_orphans_of_a_killed_process_are_removed_at_the_next_start(
    disk: Disk, clock: Clock
) -> None:
    orphan = disk.folder / "unfinished" / "tmporphan"
    orphan.write_bytes(b"half")
    again = reopened(disk, clock)
    assert unfinished(again) == []


def test_an_unfinished_file_of_a_living_process_stays(disk: Disk, clock: Clock) -> None:
    program = (
        "import sys, pathlib\n"
        "from pyodide_mirror.server.cache.disk import Disk\n"
        "with Disk(pathlib.Path(sys.argv[1]), 100).begin() as started:\n"
        "    started.write(b'half')\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(disk.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        again = reopened(disk, clock)
        assert [path.read_bytes() for path in unfinished(again)] == [b"half"]
        other.kill()
    assert unfinished(reopened(disk, clock)) == []


def test_one_that_is_taken_for_an_orphan_at_its_birth_is_made_again(
    disk: Disk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its making and its locking another process may start."""
    fcntl = pytest.importorskip("fcntl", reason="there are no such locks here")
    real, intruders = fcntl.flock, iter([True])

    def lock(*given: Any) -> None:
        if next(intruders, False):
            reopened(disk, clock)
        real(*given)

    monkeypatch.setattr(fcntl, "flock", lock)
    with disk.begin() as started:
        started.write(b"content")
        assert started.commit(A).read_bytes() == b"content"


def test_a_folder_that_cannot_be_a_cache_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"the cache folder .*file.* cannot be used"):
        Disk(tmp_path / "file", 100)


# --- at once ------------------------------------------------------------------------------------


def test_many_threads_at_once_keep_the_books(tmp_path: Path) -> None:
    disk = Disk(tmp_path, 10_000_000)
    content = {f"file-{hashlib.sha256(bytes([n])).hexdigest()}": bytes([n]) * n for n in range(60)}
    failed: list[BaseException] = []

    def work(keys: Iterator[str]) -> None:
        try:
            for key in keys:
                path = disk.put(key, content[key])
                assert path.read_bytes() == content[key]
                assert disk.get(key) == path
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(iter(content),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert on_disk(disk) == content
    assert disk.size == sum(map(len, content.values()))


def test_unfinished_files_hold_no_place_in_the_books(disk: Disk) -> None:
    started: Unfinished = disk.begin()
    started.write(b"x" * 1000)
    assert disk.size == 0
    started.close()
    started.close()


def test_the_bound_holds_for_all_processes_together(tmp_path: Path, clock: Clock) -> None:
    disks = [Disk(tmp_path, 1000, clock=clock) for _ in range(4)]
    for number in range(200):
        clock.now += 61
        disks[number % 4].put(f"file-{number:064x}", bytes(20))
    used = sum(path.stat().st_size for path in tmp_path.glob("file/??/*"))
    # Each looks again when a twentieth of the bound is new by itself.
    assert used <= 1000 + 4 * (1000 // 20 + 20)


def test_an_orphan_that_is_finished_meanwhile_is_no_orphan(
    disk: Disk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its opening and its locking, who wrote it may end, and another one begin."""
    fcntl = pytest.importorskip("fcntl", reason="there are no such locks here")
    real, finished = fcntl.flock, iter([True])
    with disk.begin(A) as first:
        first.write(b"content")
        made: list[Unfinished] = []

        def lock(*given: Any) -> None:
            if next(finished, False):
                first.commit(A)
                first.close()
                made.append(disk.begin(A))
            real(*given)

        monkeypatch.setattr(fcntl, "flock", lock)
        reopened(disk, clock)
        assert [path.name for path in unfinished(disk)] == [A]
        made[0].close()
