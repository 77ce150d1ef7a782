"""Text: names as they are compared, and text from the network as it may be shown."""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 300
# C0, C1, and what turns or hides text: bidirectional controls, zero-width and line separators.
_UNPRINTABLE: Final = (
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def printable(text: str) -> str:
    """The text on one line, control and direction characters replaced, cut to its length."""
    clean = re.sub(_UNPRINTABLE, "\ufffd", text)
    return clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + "…"


def is_http_token(text: str) -> bool:
    """Whether this may be a header's name, or another word of HTTP (RFC 9110, section 5.6.2)."""
    return re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", text) is not None


def is_project_name(text: str) -> bool:
    """Whether this may be the name of a project (PEP 508), in up to 200 characters."""
    return re.fullmatch("[A-Za-z0-9]([A-Za-z0-9._-]{0,198}[A-Za-z0-9])?", text) is not None


def normalize(name: str) -> str:
    """Normalized project name (PEP 503)."""
    return re.sub("[-_.]+", "-", name).lower()
