"""Text from the network, as it may be shown to people."""

from __future__ import annotations

import re
from typing import Final

# C0, C1, and what turns or hides text: bidirectional controls, zero-width and line separators.
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_LONGEST: Final = 300


def printable(text: str) -> str:
    """The text on one line, control and direction characters replaced, cut to its length."""
    clean = _UNPRINTABLE.sub("\ufffd", text)
    return clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + "…"
