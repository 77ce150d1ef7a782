"""What ``%pip install`` is to install: requirements, and what the files named with ``-r`` have."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from pyodide_mirror import _packaging
from pyodide_mirror.index import parse_requirements_file
from pyodide_mirror.model import Mirror, hide_user_info

from .pip_options import PipError

if TYPE_CHECKING:
    from .pip_options import Options

_MUST_BE_BUILT: Final = (
    "only wheels (.whl) can be installed here: an sdist, a folder or a repository must be built"
    " first, which a browser cannot do"
)
_SDIST: Final = re.compile(r"\.(tar(\.\w+)?|tgz|tbz|txz|zip)$|^(git|hg|svn|bzr)\+|[/\\]|^\.+$")
_EDITABLE: Final = (
    "-e: an editable install is built from a folder, which a browser cannot do; to import from a"
    " folder, put it on the path: import sys; sys.path.insert(0, {!r})"
)
_IN_FILES: Final = {"--prefer-binary", "--only-binary"}
"""Options of files that ask for what is done anyway."""
_LOCK: Final = re.compile(r"pylock(\.[^./]+)?\.toml")


class Wanted:
    """What is to be installed. ``locks``: lock files; ``index``, ``extra``: see pip_install."""

    def __init__(self, options: Options) -> None:
        self.requirements: list[str] = []
        self.constraints: list[str] = []
        self.locks: list[str] = []
        self.index: list[Mirror] = []
        self.extra: list[Mirror] = []
        self.pre = bool(options["--pre"])
        self._open: list[str] = []
        for folder in options["--editable"]:
            raise PipError(_EDITABLE.format(folder))
        self.requirements += [_checked(word) for word in options.words]
        for name in options["--requirement"]:
            if _LOCK.fullmatch(re.split(r"[/\\]", name.partition("?")[0])[-1]):
                self.locks.append(name)
            else:
                self._read(name, constraint=False)
        for name in options["--constraint"]:
            self._read(name, constraint=True)
        for url in options["--index-url"]:
            self.index = [_mirror(url, private=False)]  # as in pip, the last one holds
        self.extra += [_mirror(url, private=True) for url in options["--extra-index-url"]]

    def _read(self, name: str, *, constraint: bool) -> None:
        if name in self._open:
            raise PipError(f"{name}: it requires itself")
        self._open.append(name)
        try:
            lines = parse_requirements_file(Path(name).read_text("utf-8"), name, os.environ)
        except (OSError, ValueError) as error:
            raise PipError(f"{name} cannot be read: {error}") from None
        for line in lines:
            if line.hashes:
                raise PipError(
                    f"{line.where}: --hash is not checked here; a pylock.toml has digests that are"
                )
            if line.requirement:
                into = self.constraints if constraint else self.requirements
                into.append(_checked(line.requirement, f"{line.where}: "))
            else:
                self._option(line.option, line.value, line.where, name, constraint=constraint)
        self._open.remove(name)

    def _option(self, option: str, value: str, where: str, name: str, *, constraint: bool) -> None:
        if option in {"--requirement", "--constraint"}:
            inner = constraint or option == "--constraint"
            self._read(str(Path(name).parent / value), constraint=inner)
        elif option == "--index-url":
            self.index = [_mirror(value, private=False)]
        elif option == "--extra-index-url":
            self.extra.append(_mirror(value, private=True))
        elif option == "--pre":
            self.pre = True
        elif option == "--editable":
            raise PipError(f"{where}: {_EDITABLE.format(value)}")
        elif option not in _IN_FILES:
            raise PipError(f"{where}: {option} has no effect here; take it out")


def _mirror(url: str, *, private: bool) -> Mirror:
    """The index at a URL; what it needs for a login, browsers take from no URL.

    ``private``: so it is asked first, and its failure ends the install. Nobody can put a project
    of its names on another index, to be installed instead.
    """
    try:
        parts = urlsplit(url)
        user, at, host = parts.netloc.rpartition("@")
        if not at:
            return Mirror(url, private=private)
        login = base64.b64encode(unquote(user).encode()).decode()
        headers = {"Authorization": f"Basic {login}"}
        return Mirror(parts._replace(netloc=host).geturl(), private=True, headers=headers)
    except ValueError as error:
        raise PipError(f"{hide_user_info(url)}: {error}") from None


def _checked(text: str, where: str = "") -> str:
    """A requirement as micropip takes it, or PipError."""
    try:
        url = _packaging.requirements.Requirement(text).url
    except ValueError:
        url = text
    place = re.split("[?#]", url or text.partition(";")[0])[0].strip()
    shown = where + hide_user_info(url or text)
    if "@" in urlsplit(place).netloc:
        raise PipError(f"{shown}: browsers take no user name and no password in the URL of a file")
    if place.endswith(".whl"):
        there = "://" not in place and not place.startswith("emfs:") and Path(place).is_file()
        return f"emfs:{place}" if there else text
    if _SDIST.search(place):
        raise PipError(f"{shown}: {_MUST_BE_BUILT}")
    if url:
        raise PipError(f"{shown} is no requirement; write it like 'name>=1.0', in quotes")
    return text
