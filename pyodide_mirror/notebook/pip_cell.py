"""Cells whose lines with ``%pip`` are made Python, which can be waited for."""

from __future__ import annotations

import re
import tokenize
from contextlib import suppress


def rewritten(lines: list[str]) -> list[str]:
    """The lines of a cell, where those that begin with ``%pip`` call :func:`.pip_magic.pip`.

    A backslash at the end joins lines. What is in a string of several lines, or in a cell of
    another language, stays.
    """
    if re.match("%%(?!time|capture)", lines[0]):
        return lines
    in_strings: set[int] = set()
    # Magics are no Python: what follows the first that cannot be read is taken for code.
    with suppress(tokenize.TokenError, SyntaxError):
        for token in tokenize.generate_tokens(iter(lines).__next__):
            if token.string.strip():
                in_strings.update(range(token.start[0], token.end[0]))
    found = []
    rest = iter(enumerate(lines))
    for number, line in rest:
        match = re.fullmatch(r"(?s)([ \t]*)%pip(\s.*)?", line)
        if match is None or number in in_strings:
            found.append(line)
            continue
        text = (match[2] or "").strip()
        while text.endswith("\\"):
            text = f"{text[:-1]} {next(rest, (0, ''))[1].strip()}"
        call = f'await __import__("pyodide_mirror.notebook").notebook.pip({text!r})'
        found.append(f"{match[1]}{call}\n")
    return found
