"""Cells whose lines with ``%pip`` are made Python, which can be waited for."""

from __future__ import annotations

import io
import re
import tokenize
from contextlib import suppress

_PYTHON = ("%%time", "%%capture", "%%prun")
"""The magics of whole cells that are Python nevertheless."""


def rewritten(lines: list[str]) -> list[str]:
    """The lines of a cell, where those that begin with ``%pip`` call :func:`.pip_magic.pip`.

    A backslash at the end joins lines. What is in a string of several lines, or in a cell of
    another language, stays.
    """
    if lines[0].startswith("%%") and not lines[0].startswith(_PYTHON):
        return lines
    in_strings = _in_strings(lines)
    found: list[str] = []
    numbers = iter(range(len(lines)))
    for number in numbers:
        match = re.fullmatch(r"(\s*)%pip(?:[ \t]+(.*))?\s*", lines[number], re.DOTALL)
        if match is None or number in in_strings:
            found.append(lines[number])
            continue
        text = (match[2] or "").rstrip()
        while text.endswith("\\") and (following := next(numbers, None)) is not None:
            text = f"{text[:-1]} {lines[following].strip()}"
        call = f'await __import__("pyodide_mirror.notebook").notebook.pip({text!r})'
        found.append(f"{match[1]}{call}\n")
    return found


def _in_strings(lines: list[str]) -> set[int]:
    """The numbers of the lines that begin within a string."""
    found: set[int] = set()
    # Magics are no Python: what follows the first that cannot be read is taken for code.
    with suppress(tokenize.TokenError, SyntaxError):
        for token in tokenize.generate_tokens(io.StringIO("".join(lines)).readline):
            if token.type not in {tokenize.NL, tokenize.NEWLINE}:
                found.update(range(token.start[0], token.end[0]))
    return found
