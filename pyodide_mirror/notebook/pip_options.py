"""Cells with ``%pip``, and what they ask for: commands and options, as pip has them."""

from __future__ import annotations

import base64
import os
import re
import tokenize
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urljoin, urlsplit

from pyodide_mirror import _packaging, api
from pyodide_mirror.index import parse_requirements_file
from pyodide_mirror.model import Mirror, hide_user_info

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_COMMANDS: Final = {
    "install": "REQUIREMENT... -r/--requirement=FILE -c/--constraint=FILE -i/--index-url=URL"
    " --extra-index-url=URL -U/--upgrade --pre --no-deps --force-reinstall"
    " -e/--editable=FOLDER",
    "uninstall": "NAME... -r/--requirement=FILE -y/--yes",
    "list": "",
    "show": "NAME...",
    "freeze": "",
    "help": "",
}
_USUAL: Final = " -q/--quiet -v/--verbose -h/--help"
_MUST_BE_BUILT: Final = (
    "only wheels can be installed here: a browser cannot build an sdist, a folder or a repository"
)
_SDIST: Final = r"\.(tar(\.\w+)?|tgz|zip)$|^\w+\+|[/\\]|^\.+$"
_LOCK: Final = r"(.*[/\\])?pylock(\.[^./\\]+)?\.toml(\?.*)?"


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


class PipError(Exception):
    """What is wrong with a line of ``%pip``, or why it cannot be done."""


class Options(dict[str, list[Any]]):
    """The values of each option by its long name; [True] for those that take none.

    ``command``: that of pip. ``words``: what else was given.
    """

    command = ""

    def __init__(self) -> None:
        self.words: list[str] = []

    def __missing__(self, name: str) -> list[Any]:
        return []


def read_options(words: Iterable[str]) -> Options:
    """What these words mean; raises PipError, which names what is not known."""
    options = Options()
    rest = iter(words)
    for word in rest:
        if word.startswith("-"):
            for name, value in _options_in(word, rest, options.command):
                options.setdefault(name, []).append(value)
        elif options.command:
            options.words.append(word)
        elif word in _COMMANDS:
            options.command = word
        else:
            raise PipError(f"%pip: unknown command {word!r}; known are {', '.join(_COMMANDS)}")
    return options


def usage(command: str = "") -> str:
    """How a command is called, or all of them."""
    known = [command] if _COMMANDS.get(command) else _COMMANDS
    return "\n".join(f"%pip {each} {_COMMANDS[each]}{_USUAL}" for each in known)


def _options_in(word: str, rest: Iterator[str], command: str) -> list[tuple[str, Any]]:
    """Long names and values of the options in a word: a long one, or short ones in a row."""
    is_long = word.startswith("--")
    name, given, value = word.partition("=") if is_long else (word[:2], word[2:], word[2:])
    known = _COMMANDS.get(command, "") + _USUAL
    for option in known.split():
        names, has_value, _ = option.partition("=")
        long = names.rpartition("/")[2]
        # pyodide-kernel's own %pip says --requirements.
        if name not in names.split("/") and name != f"{long}s":
            continue
        if has_value:
            value = value if given else next(rest, "")
            if value:
                return [(long, value)]
            raise PipError(f"%pip {command}: {name} has no value")
        if not given:
            return [(long, True)]
        if not is_long:
            return [(long, True), *_options_in(f"-{value}", rest, command)]
    raise PipError(f"%pip {command}: unknown option {word}; known are {known}")


class Wanted:
    """What is to be installed. ``locks``: lock files; ``index``, ``extra``: see pip_install."""

    def __init__(self) -> None:
        self.requirements: list[str] = []
        self.constraints: list[str] = []
        self.locks: list[str] = []
        self.index: list[Mirror] = []
        self.extra: list[Mirror] = []
        self.pre = False
        self._open: list[str] = []
        self._left = 99  # files may be read, of which each may name many

    async def read(self, options: Options) -> Wanted:
        """Take what the options say, and the files that they name. Raises PipError."""
        for name, values in options.items():
            for value in values:
                await self._take(name, value, "")
        self.requirements += [_checked(word, "") for word in options.words]
        return self

    async def _take(self, option: str, value: str, where: str) -> None:
        """An option of the line, or of a file; ``where`` is that line of that file."""
        if option in {"--requirement", "--constraint"}:
            file = value
            if where:  # as pip has it
                outer = self._open[-1]
                in_folder = str(Path(outer).parent / value)
                file = urljoin(outer, value) if "://" in outer + value else in_folder
            if option == "--requirement" and re.fullmatch(_LOCK, value):
                self.locks.append(file)
            else:
                await self._read(file, self.requirements if option[2] == "r" else self.constraints)
        elif option == "--index-url":
            self.index = [_mirror(value, private=False)]  # as in pip, the last one holds
        elif option == "--extra-index-url":
            self.extra.append(_mirror(value, private=True))
        elif option == "--pre":
            self.pre = True
        elif option == "--editable":
            raise PipError(
                f"{where}-e {value}: {_MUST_BE_BUILT}; put the folder on sys.path instead"
            )
        elif where and option not in {"--prefer-binary", "--only-binary"}:  # there is nothing else
            raise PipError(f"{where}{option} cannot be done here")

    async def _read(self, file: str, into: list[str]) -> None:
        shown = hide_user_info(file)
        self._left -= 1
        if file in self._open or self._left < 0:
            raise PipError(f"{shown} requires itself, or there are too many")
        self._open.append(file)
        try:
            text = await api.read_text(file)
            lines = parse_requirements_file(text, shown, os.environ)
        except (OSError, ValueError) as error:
            raise PipError(f"{shown} cannot be read: {error}") from None
        for line in lines:
            where = f"{line.where}: "
            if line.hashes:
                raise PipError(f"{where}--hash is not checked here; use a pylock.toml")
            if line.requirement:
                into.append(_checked(line.requirement, where))
            else:
                await self._take(line.option, line.value, where)
        self._open.pop()


def _mirror(url: str, *, private: bool) -> Mirror:
    """The index at a URL; browsers take no login from there.

    ``private``: so it is asked first, and its failure ends the install. Nobody can put a project
    of its names on another index, to be installed instead (dependency confusion).
    """
    try:
        parts = urlsplit(url)
        user, at, host = parts.netloc.rpartition("@")
        login = base64.b64encode(unquote(user).encode()).decode()
        return Mirror(
            parts._replace(netloc=host).geturl(),
            private=private or bool(at),
            headers={"Authorization": f"Basic {login}"} if at else None,
        )
    except ValueError as error:
        raise PipError(f"--index-url: {error}") from None


def _checked(text: str, where: str) -> str:
    """A requirement as micropip takes it, or PipError."""
    try:
        found = _packaging.requirements.Requirement(text)
        url, place = found.url, found.url or found.name
    except ValueError:
        found, url, place = None, text, text
    place = re.split("[?#]", place)[0]
    shown = where + hide_user_info(text)
    if "@" in urlsplit(place).netloc:
        raise PipError(f"{shown}: a browser takes no password here")
    if place.endswith(".whl"):
        if "://" not in place and Path(place).is_file():
            return f"emfs:{place}"
        # To micropip, a name with a URL is met by whatever version is there.
        return url if found and url and not (found.extras or found.marker) else text
    if re.search(_SDIST, place):
        raise PipError(f"{shown}: {_MUST_BE_BUILT}")
    if url:
        raise PipError(f"{shown} is no requirement like 'name>=1.0'")
    return text
