"""Requirements files, as pip reads them, without any I/O: text in, lines out.

The format is that of pip's documentation ("Requirements File Format"). Nothing is read but the
text: whoever meets the option ``--requirement`` or ``--constraint`` reads that file and parses it
in turn, and decides which other options can be honoured.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SHORT: Final = {
    "-c": "--constraint",
    "-e": "--editable",
    "-f": "--find-links",
    "-i": "--index-url",
    "-r": "--requirement",
}
_WITH_VALUE: Final = {
    *("--all-releases", "--extra-index-url", "--no-binary", "--only-binary", "--only-final"),
    *("--trusted-host", "--use-feature", *_SHORT.values()),
}
_FLAGS: Final = {
    "--no-index",
    "--no-require-hashes",
    "--pre",
    "--prefer-binary",
    "--require-hashes",
}
_HASH: Final = "--hash"
_DIGITS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
"""The digests that pip takes, and how many hexadecimal digits they have."""


class Line(NamedTuple):
    """A requirement, or an option: the other one's fields are empty.

    ``where``: the file and the line, for messages. ``hashes``: digests of files that may be
    installed for the requirement, as in ``sha256:…``. ``option``: as in ``--index-url``, always the
    long one. ``value``: the option's, "" for those that have none.
    """

    where: str
    requirement: str = ""
    hashes: tuple[str, ...] = ()
    option: str = ""
    value: str = ""


def parse_requirements_file(
    text: str, where: str, variables: Mapping[str, str] | None = None
) -> list[Line]:
    """The lines of a requirements file, in order. A requirement is not looked at any further.

    ``where``: the file's name, for messages. ``variables``: what stands for ``${NAME}``, as the
    environment has it; what is not there stays as it is. Raises ValueError, which names the line,
    for what pip does not take either, and for options that only matter where something is built.
    """
    return [
        found
        for number, line in _joined(text)
        for found in _parsed(_expanded(line, variables or {}), f"{where}, line {number}")
    ]


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, those joined that end in a backslash; and where they begin."""
    first, parts = 0, ""
    for number, line in enumerate([*text.splitlines(), ""], 1):
        first = first if parts else number
        is_comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_comment:
            parts += line.strip("\\")
            continue
        found = _without_comment(f"{parts} {line}" if is_comment else parts + line)
        parts = ""
        if found:
            yield first, found


def _without_comment(line: str) -> str:
    at = line.find("#")
    while at > 0 and not line[at - 1].isspace():
        at = line.find("#", at + 1)
    return (line if at < 0 else line[:at]).strip()


def _expanded(line: str, variables: Mapping[str, str]) -> str:
    if "${" not in line:
        return line
    return re.sub(r"\$\{([A-Z0-9_]+)\}", lambda name: variables.get(name[1]) or name[0], line)


def _parsed(line: str, where: str) -> Iterator[Line]:
    start = re.search("(?:^| )-", line)
    requirement = line[: start.start()].strip() if start else line
    try:
        options = [*_options(shlex.split(line[start.start() :]) if start else [])]
        if requirement:
            yield Line(where, requirement, hashes=tuple(_hash(*each) for each in options))
            return
        if [name for name, _ in options].count("--index-url") > 1:
            raise ValueError("--index-url is given twice")
        for name, value in options:
            if name == _HASH:
                raise ValueError("--hash stands behind no requirement")
            yield Line(where, option=name, value=value)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Long names of options, each with its value."""
    rest = iter(words)
    for word in rest:
        name, given, value = word.partition("=")
        if not word.startswith("--"):
            name, given, value = word[:2], word[2:], word[2:]
            name = _SHORT.get(name, name)
        if name in _FLAGS and not given:
            yield name, ""
        elif name in _WITH_VALUE or name == _HASH:
            value = value if given else next(rest, "")
            if not value:
                raise ValueError(f"{name} has no value")
            yield name, value
        else:
            raise ValueError(f"{word!r} is no option that can be honoured here")


def _hash(name: str, value: str) -> str:
    if name != _HASH:
        raise ValueError(f"{name} stands behind a requirement; put it on a line of its own")
    algorithm, _, digest = value.partition(":")
    if not re.fullmatch(f"[0-9a-fA-F]{{{_DIGITS.get(algorithm, 0)}}}", digest) or not digest:
        raise ValueError(
            f"--hash={value} is no digest like sha256:…; pip takes {', '.join(_DIGITS)}"
        )
    return f"{algorithm}:{digest.lower()}"
