"""The tokens of a file, and what each of them allows."""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from .authorization import TOKEN
from .watched import lines_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHORTEST: Final = 16


class Action(StrEnum):
    """What a login may allow."""

    READ = "read"
    UPLOAD = "upload"


class KnownToken(NamedTuple):
    """A token by its SHA-256, which is as good for comparing, what it allows, and its line."""

    sha256: bytes
    actions: frozenset[Action]
    line: int


def read_tokens(text: str) -> Sequence[KnownToken]:
    """The tokens of a file's lines, such as ``read,upload TOKEN``; ValueError names a wrong one."""
    known = []
    for number, line in lines_of(text):
        names, _, token = line.partition(" ")
        token = token.strip()
        try:
            actions = frozenset(map(Action, names.split(",")))
        except ValueError:
            raise ValueError(
                f"line {number} does not begin with `read`, `upload` or `read,upload` and a space"
            ) from None
        if not TOKEN.fullmatch(token) or len(token) < _SHORTEST:
            raise ValueError(
                f"line {number} has no token of at least {_SHORTEST} characters (letters, digits"
                " and -._~+/); make one with `python -c 'import secrets;"
                " print(secrets.token_urlsafe())'`"
            )
        known.append(KnownToken(_sha256(token), actions, number))
    return tuple(known)


def allowed_by(known: Sequence[KnownToken], token: str) -> frozenset[Action] | None:
    """What a token allows, in all its lines; None for an unknown one."""
    lines = _lines_of(known, token)
    return frozenset().union(*(each.actions for each in lines)) if lines else None


def line_of(known: Sequence[KnownToken], token: str) -> int | None:
    """The last line in which a token is; None for an unknown one."""
    lines = _lines_of(known, token)
    return lines[-1].line if lines else None


def _lines_of(known: Sequence[KnownToken], token: str) -> Sequence[KnownToken]:
    """Its lines; to look takes as long wherever a wrong one differs."""
    given = _sha256(token)
    return [each for each in known if hmac.compare_digest(each.sha256, given)]


def _sha256(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
