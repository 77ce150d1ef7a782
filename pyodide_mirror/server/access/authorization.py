"""The Authorization header: Basic (RFC 7617) and Bearer (RFC 6750)."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST: Final = 8_192
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,4096}={0,4}")
"""RFC 6750, section 2.1: ``b64token``."""
TOKEN_USER: Final = "__token__"  # noqa: S105  # a user's name
"""The user whose password is a token, as on PyPI: pip, uv and twine speak Basic."""


class Password(NamedTuple):
    """A user and a password."""

    user: str
    password: str


class Token(NamedTuple):
    """A token."""

    token: str


def read_authorization(values: Sequence[str]) -> Password | Token | None:
    """What the Authorization headers of a request say; None where there is none.

    Raises ValueError, which says what is wrong and quotes nothing of it.
    """
    if not values:
        return None
    if len(values) > 1:
        raise ValueError("there are several Authorization headers")
    if len(values[0]) > _LONGEST:
        raise ValueError(f"the Authorization header has more than {_LONGEST:,} characters")
    scheme, _, given = values[0].strip(" \t").partition(" ")
    given = given.lstrip(" ")
    match scheme.lower():  # RFC 9110, section 11.1: its case does not matter
        case "basic":
            return _basic(given)
        case "bearer":
            if not TOKEN.fullmatch(given):
                raise ValueError("the Authorization header has no proper token (RFC 6750)")
            return Token(given)
    raise ValueError("the Authorization header is neither Basic nor Bearer")


def _basic(given: str) -> Password | Token:
    try:
        decoded = base64.b64decode(given, validate=True)
    except ValueError:
        raise ValueError("the Authorization header has no proper base64 (RFC 7617)") from None
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        text = decoded.decode("latin-1")  # as pip writes it
    user, colon, password = text.partition(":")
    if not colon or _CONTROL.search(text):
        raise ValueError("the Authorization header has no proper user and password (RFC 7617)")
    return Token(password) if user == TOKEN_USER else Password(user, password)
