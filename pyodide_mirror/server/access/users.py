"""The users of a htpasswd file, whose passwords are hashed with bcrypt."""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

import bcrypt

from pyodide_mirror.server.source import UnreadableError
from pyodide_mirror.transport import OnceMap

from .watched import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .watched import WatchedFile

_BCRYPT: Final = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_COSTS: Final = range(4, 15)
"""bcrypt's own least; the most takes about a second, and a request has to wait for it."""
_USER: Final = re.compile(r"[^\x00-\x1f\x7f:]{1,255}")
_MOST_BYTES: Final = 72
REMEMBERED: Final = 300.0
"""Seconds for which a password that was right is not hashed again: an install asks many times."""
_MOST_REMEMBERED: Final = 10_000
_AT_ONCE: Final = 2
_MOST_WAITING: Final = 100


def read_users(text: str) -> Mapping[str, bytes]:
    """Users and their hashes; ValueError says what is wrong, and in which line."""
    users: dict[str, bytes] = {}
    for number, line in lines_of(text):
        user, _, hashed = line.partition(":")
        if not _USER.fullmatch(user) or not hashed:
            raise ValueError(f"line {number} is not a user, a colon and a hash")
        if user in users:
            raise ValueError(f"line {number}: this user is in an earlier line, too")
        match = _BCRYPT.fullmatch(hashed)
        if match is None:
            raise ValueError(
                f"line {number}: the password is not hashed with bcrypt; set it anew with"
                " `htpasswd -B`"
            )
        if int(match[1]) not in _COSTS:
            raise ValueError(
                f"line {number}: bcrypt's cost is {match[1]}, and must be from {_COSTS[0]} to"
                f" {_COSTS[-1]}; set the password anew with `htpasswd -B -C 10`"
            )
        users[user] = hashed.encode()
    return users


class Users:
    """Tells whether a password is right, in as much time for users that do not exist.

    What was right is remembered for a while, by a keyed hash, whose key is never stored; the
    password itself is not kept. ``clock``: seconds, which only increase. ``check``: as
    :func:`bcrypt.checkpw`.
    """

    def __init__(
        self,
        file: WatchedFile[Mapping[str, bytes]],
        *,
        clock: Callable[[], float] = time.monotonic,
        check: Callable[[bytes, bytes], bool] = bcrypt.checkpw,
    ) -> None:
        self._file = file
        self._clock = clock
        self._check = check
        self._secret = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, float] = OrderedDict()
        self._checking: OnceMap[bytes, bool] = OnceMap()
        # Threads of their own: wrong passwords must not keep files from being read.
        self._threads = ThreadPoolExecutor(_AT_ONCE, "passwords")
        self._waiting = 0

    async def knows(self, user: str, password: str) -> bool:
        """Whether this is a user with this password; UnreadableError when that cannot be told."""
        users = self._file.value()
        hashed = users.get(user, b"")
        # bcrypt reads no more; the tool htpasswd has cut a longer one when it made the hash.
        given = password.encode()[:_MOST_BYTES]
        # With the hash in it, it is another key as soon as the password was changed.
        said = b"\0".join((user.encode(), hashed, given))
        key = hmac.digest(self._secret, said, "sha256")
        if self._right.get(key, float("-inf")) > self._clock():
            return True
        against = hashed or next(iter(users.values()), None)
        if against is None:
            return False
        right = await self._checking.get(key, partial(self._compare, given, against))
        if not (right and hashed):
            return False
        self._right[key] = self._clock() + REMEMBERED
        while len(self._right) > _MOST_REMEMBERED:
            self._right.popitem(last=False)
        return True

    async def _compare(self, given: bytes, hashed: bytes) -> bool:
        if self._waiting >= _MOST_WAITING:
            raise UnreadableError("too many passwords are being checked; try again in a moment")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._check, given, hashed)
        finally:
            self._waiting -= 1
