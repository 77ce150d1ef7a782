"""Users, tokens, and the files that they are in."""

import asyncio
import logging
import os
import threading
from pathlib import Path

import bcrypt
import pytest

from pyodide_mirror.server.access import users as module
from pyodide_mirror.server.access.tokens import Action, allowed_by, read_tokens
from pyodide_mirror.server.access.users import REMEMBERED, Users, read_users
from pyodide_mirror.server.access.watched import WatchedFile
from pyodide_mirror.server.source import UnreadableError
from tests.support.logins import HASHED, PASSWORD, USER

OTHER = "$2b$04$zy7RMKDDr0P0vcX9xFy9/uibmjUvZg9V2J0ojEjlzcjDnCWwouP1G"
"""Of the password `other`; one that is made anew each time would be in the tests' names."""


class Clock:
    """Seconds that pass when they are told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Checks:
    """Counts what is hashed, and holds it until it may go on."""

    def __init__(self) -> None:
        self.count = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, given: bytes, hashed: bytes) -> bool:
        self.count += 1
        assert self.may_go_on.wait(30)
        return bcrypt.checkpw(given, hashed)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "htpasswd"
    path.write_text(f"{USER}:{HASHED}\n")
    return path


def put(file: Path, content: str | bytes | None) -> None:
    """Write the file anew; None removes it."""
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content.encode() if isinstance(content, str) else content)


def users_of(file: Path, clock: Clock | None = None, checks: Checks | None = None) -> Users:
    watched = WatchedFile(file, "the file of users", read_users)
    return Users(watched, clock=clock or Clock(), check=checks or bcrypt.checkpw)


async def test_a_password_is_right_or_wrong(file: Path) -> None:
    users = users_of(file)
    assert await users.knows(USER, PASSWORD)
    for user, password in [
        (USER, PASSWORD + "x"),
        (USER, ""),
        (USER, HASHED),
        ("bob", PASSWORD),
        ("", PASSWORD),
        (USER.upper(), PASSWORD),
    ]:
        assert not await users.knows(user, password), (user, password)


async def test_a_long_password_is_cut_as_htpasswd_cuts_it(file: Path) -> None:
    put(file, f"bob:{bcrypt.hashpw(b'x' * 72, bcrypt.gensalt(4)).decode()}\n")
    assert await users_of(file).knows("bob", "x" * 80)


async def test_a_right_password_is_hashed_once_in_five_minutes(file: Path) -> None:
    clock, checks = Clock(), Checks()
    users = users_of(file, clock, checks)
    for _ in range(3):
        assert await users.knows(USER, PASSWORD)
    assert checks.count == 1
    clock.now += REMEMBERED
    assert await users.knows(USER, PASSWORD)
    assert checks.count == 2
    assert PASSWORD not in repr(vars(users))


async def test_a_wrong_one_and_an_unknown_user_are_hashed_each_time(file: Path) -> None:
    """So that nobody learns from the time which users there are."""
    checks = Checks()
    users = users_of(file, checks=checks)
    for count in (1, 2):
        assert not await users.knows(USER, "wrong")
        assert not await users.knows("nobody", PASSWORD)
        assert checks.count == 2 * count


async def test_who_ask_at_the_same_time_wait_for_one_check(file: Path) -> None:
    checks = Checks()
    checks.may_go_on.clear()
    users = users_of(file, checks=checks)
    asked = [asyncio.ensure_future(users.knows(USER, PASSWORD)) for _ in range(50)]
    await asyncio.sleep(0)  # the loop is free while bcrypt works
    checks.may_go_on.set()
    assert all(await asyncio.gather(*asked))
    assert checks.count == 1


async def test_too_many_wrong_ones_do_not_wait_for_each_other(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 3)
    checks = Checks()
    checks.may_go_on.clear()
    users = users_of(file, checks=checks)
    asked = [asyncio.ensure_future(users.knows(USER, f"wrong {n}")) for n in range(5)]
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_EXCEPTION)
    checks.may_go_on.set()
    assert [str(each.exception()) for each in done] == [
        "too many passwords are being checked; try again in a moment"
    ] * len(done)
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert found[:3] == [False] * 3
    assert await users.knows(USER, PASSWORD)


async def test_the_file_is_read_again_when_it_changes(file: Path) -> None:
    users = users_of(file)
    assert await users.knows(USER, PASSWORD)
    put(file, f"{USER}:{OTHER}\nbob:{HASHED}\n")
    assert not await users.knows(USER, PASSWORD)
    assert await users.knows(USER, "other")
    assert await users.knows("bob", PASSWORD)
    put(file, "# nobody\n")
    assert not await users.knows("bob", PASSWORD)


async def test_a_change_within_one_time_stamp_is_seen(file: Path) -> None:
    users = users_of(file)
    stamp = os.stat(file)  # noqa: PTH116  # not in a coroutine, says ruff
    assert await users.knows(USER, PASSWORD)
    put(file, f"bob:{HASHED}\n")  # as long as before
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert not await users.knows(USER, PASSWORD)


async def test_nobody_comes_in_by_a_file_that_is_wrong(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    users = users_of(file)
    assert await users.knows(USER, PASSWORD)
    content = f"{USER}:{HASHED}\n".encode()
    for wrong, sentence in [
        (f"{USER}:{HASHED}\nbob\n".encode(), "line 2 is not a user, a colon and a hash"),
        (b"\xff", "it is not UTF-8"),
        (b"#" * (1 << 20) + b"#", "has more than 1,048,576 bytes"),
        (None, "cannot be read: No such file"),
    ]:
        caplog.clear()
        put(file, wrong)
        for _ in range(2):
            with pytest.raises(UnreadableError, match="cannot be used now; this server's log"):
                await users.knows(USER, PASSWORD)
        assert [sentence in each.message for each in caplog.records] == [True]
    put(file, content)
    with caplog.at_level(logging.INFO):
        assert await users.knows(USER, PASSWORD)
    assert "the file of users can be used again" in caplog.text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ann", "line 1 is not a user"),
        ("ann:", "line 1 is not a user"),
        (f":{HASHED}", "line 1 is not a user"),
        ("#\n\nann:$apr1$xyz$abc", "line 3: the password is not hashed with bcrypt.*htpasswd -B"),
        ("ann:{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=", "line 1: the password is not hashed with bcrypt"),
        ("ann:secret", "line 1: the password is not hashed with bcrypt"),
        (f"ann:{HASHED}x", "line 1: the password is not hashed with bcrypt"),
        (f"ann:{HASHED}".replace("$04$", "$31$"), "line 1: bcrypt's cost is 31, and must be"),
        (f"ann:{HASHED}".replace("$04$", "$03$"), "line 1: bcrypt's cost is 03, and must be"),
        (f"ann:{HASHED}\nann:{OTHER}", "line 2: this user is in an earlier line, too"),
    ],
)
def test_what_is_wrong_with_users_is_said(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        read_users(text)
    assert "secret" not in str(caught.value)
    assert HASHED not in str(caught.value)


def test_tokens_allow_what_their_lines_say() -> None:
    known = read_tokens("# tokens\r\nread aaaaaaaaaaaaaaaa\r\n\nupload,read   bbbbbbbbbbbbbbbb=\n")
    assert allowed_by(known, "aaaaaaaaaaaaaaaa") == {Action.READ}
    assert allowed_by(known, "bbbbbbbbbbbbbbbb=") == {Action.READ, Action.UPLOAD}
    for wrong in ("", "aaaaaaaaaaaaaaa", "AAAAAAAAAAAAAAAA", "ü"):
        assert allowed_by(known, wrong) is None
    assert "aaaaaaaaaaaaaaaa" not in repr(known)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("hunter2hunter2hunter2", "line 1 does not begin with `read`"),
        ("delete aaaaaaaaaaaaaaaa", "line 1 does not begin with `read`"),
        (", aaaaaaaaaaaaaaaa", "line 1 does not begin with `read`"),
        ("read", "line 1 has no token of at least 16 characters"),
        ("read hunter2", "line 1 has no token of at least 16 characters"),
        ("#\nread hunter2hunter2 hunter2", "line 2 has no token of at least 16 characters"),
    ],
)
def test_what_is_wrong_with_tokens_is_said(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        read_tokens(text)
    assert "hunter2" not in str(caught.value)
