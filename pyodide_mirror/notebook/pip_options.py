"""The commands of ``%pip``, and their options, as pip has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FLAG, _VALUE = False, True
_VERBOSE: Final = {"-q": "--quiet", "-v": "--verbose"}
_SHORT: Final = {
    **_VERBOSE,
    "-U": "--upgrade",
    "-c": "--constraint",
    "-e": "--editable",
    "-h": "--help",
    "-i": "--index-url",
    "-r": "--requirement",
    "-y": "--yes",
}
_LONG: Final = {long: short for short, long in _SHORT.items()}
_ALSO: Final = {"--requirements": "--requirement", "--constraints": "--constraint"}
"""As pyodide-kernel's own ``%pip`` calls them."""
_WITH_VALUE: Final = frozenset(
    {"--constraint", "--editable", "--extra-index-url", "--index-url", "--requirement"}
)
_COMMANDS: Final = {
    "install": (
        "REQUIREMENT... | -r FILE",
        *("--requirement", "--constraint", "--index-url", "--extra-index-url", "--upgrade"),
        *("--pre", "--no-deps", "--force-reinstall", "--no-cache-dir", "--editable"),
    ),
    "uninstall": ("NAME...", "--requirement", "--yes"),
    "list": ("",),
    "show": ("NAME...",),
    "freeze": ("",),
}
_USUAL: Final = ("--quiet", "--verbose", "--help")


class PipError(Exception):
    """What is wrong with a line of ``%pip``, or why it cannot be done."""


class Options:
    """What stands behind ``%pip``: the command, its options, and the other words.

    ``given``: the values of each option by its long name; True for those that take none.
    """

    def __init__(self, command: str, given: dict[str, list[Any]], words: list[str]) -> None:
        self.command = command
        self.given = given
        self.words = words

    def __getitem__(self, name: str) -> list[Any]:
        return self.given.get(name, [])


def read_options(words: list[str]) -> Options:
    """What these words mean; raises PipError, which names what is not known."""
    given: dict[str, list[Any]] = {}
    rest = iter(words)
    command, others = "", []
    for word in rest:
        if word == "--":
            others += rest
        elif word.startswith("-") and word != "-":
            for name, value in _options_in(word, rest, command):
                given.setdefault(name, []).append(value)
        elif command:
            others.append(word)
        else:
            command = _command(word)
    if command == "help":
        command, given["--help"] = _command(others[0]) if others else "", [True]
    return Options(command, given, others)


def usage(command: str = "") -> str:
    """How a command is called, or all of them."""
    known = [command] if command else [*_COMMANDS]
    lines = [f"%pip {each} {_COMMANDS[each][0]} {_shown(each)}" for each in known]
    return "\n".join(lines)


def _command(word: str) -> str:
    if word not in _COMMANDS and word != "help":
        raise PipError(f"%pip: unknown command {word!r}; known are {', '.join(_COMMANDS)}, help")
    return word


def _options_in(word: str, rest: Iterator[str], command: str) -> Iterator[tuple[str, Any]]:
    """Long names and values of the options in a word: a long one, or short ones in a row."""
    name, sign, value = word.partition("=")
    if not word.startswith("--"):
        name, sign, value = word[:2], word[2:], word[2:]
    long = _known(name, command)
    if long in _WITH_VALUE:
        value = value if sign else next(rest, "")
        if not value:
            raise PipError(f"%pip {command}: {name} has no value")
        yield long, value
        return
    yield long, True
    if not sign:
        return
    if word.startswith("--"):
        raise PipError(f"%pip {command}: {name} takes no value")
    yield from _options_in(f"-{value}", rest, command)


def _known(name: str, command: str) -> str:
    long = _ALSO.get(name) or _SHORT.get(name, name)
    if long in _USUAL or long in _COMMANDS.get(command, ("",))[1:]:
        return long
    where = f"%pip {command}".rstrip()
    raise PipError(f"{where}: unknown option {name}; known are {_shown(command, ', ')}")


def _shown(command: str, between: str = " ") -> str:
    known: Iterable[str] = (*_COMMANDS.get(command, ("",))[1:], *_USUAL)
    return between.join(f"{_LONG[name]}/{name}" if name in _LONG else name for name in known)
