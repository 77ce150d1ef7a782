"""The words of the page for people, in three languages."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Final

from pyodide_mirror.server.web import qualities

_WORDS: Final[dict[str, dict[str, str]]] = json.loads(
    Path(__file__).with_name("words.json").read_text("utf-8")
)
LANGUAGES: Final = {"en": "English", "zh-CN": "简体中文", "es": "Español"}
"""Tags of languages, and what each is called in itself."""


class Words:
    """The words of one language; all that they return is HTML."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._words = _WORDS[language]

    def __call__(self, key: str, /, **blanks: str | int) -> str:
        """A text with its blanks filled: with numbers, text, or ready HTML (:class:`Html`)."""
        filled = {name: self.shown(value) for name, value in blanks.items()}
        return escape(self._words[key], quote=False).format(**filled)

    def shown(self, value: str | int) -> str:
        """A text or number as HTML."""
        if isinstance(value, Html):
            return value
        return escape(value) if isinstance(value, str) else self._punctuated(f"{value:,}")

    def size(self, count: int) -> str:
        """A number of bytes."""
        value, unit = float(count), "B"
        for bigger in ("kB", "MB", "GB", "TB"):
            if value < 999.5:
                break
            value, unit = value / 1000, bigger
        digits = 0 if unit == "B" or value >= 99.5 else 1
        return f"{self._punctuated(f'{value:.{digits}f}')} {unit}"

    def _punctuated(self, number: str) -> str:
        return number.translate({44: ".", 46: ","}) if self.language == "es" else number


class Html(str):
    """What is HTML already, and is not escaped again."""

    __slots__ = ()


def best_language(accepted: str, wanted: str | None) -> str:
    """The language to speak: zh-Hans-CN, zh and zh-CN are all Chinese; English if nothing fits.

    ``accepted``: the header Accept-Language (RFC 9110, section 12.5.4). ``wanted``: a tag that goes
    before it.
    """
    asked = sorted(qualities(accepted).items(), key=lambda each: -each[1])
    for tag in [(wanted or "").lower(), *(tag for tag, quality in asked if quality > 0)]:
        main = tag.partition("-")[0]
        for language in LANGUAGES:
            if language.lower().partition("-")[0] == main:
                return language
    return next(iter(LANGUAGES))
