"""What is asked for: requirements, and files of them, as pip takes them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement

from pyodide_mirror.index import parse_requirements_file, requirement_name
from pyodide_mirror.model import Mirror, printable, split_http_url

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pyodide_mirror.index import Line

_MAX_BYTES: Final = 10_000_000
_FILES: Final = {"--constraint", "--requirement"}
_MEANT_ANYWAY: Final = {"--only-binary", "--prefer-binary"}
"""Options that ask for wheels, and nothing else is ever installed in Pyodide."""


class Requested(NamedTuple):
    """What is asked for.

    ``hashes``: by normalized name, the digests that its file may have, as in ``sha256:…``.
    ``mirrors``: those that a file names. ``pre``: versions before a release will do.
    """

    requirements: tuple[str, ...]
    constraints: tuple[str, ...]
    hashes: Mapping[str, Collection[str]]
    mirrors: tuple[Mirror, ...]
    pre: bool


def read_requirements(
    requirements: Iterable[str], files: Iterable[str] = (), constraints: Iterable[str] = ()
) -> Requested:
    """What is asked for by requirements, and by files of requirements and of constraints.

    Raises ValueError with what cannot be honoured, or cannot be read.
    """
    reader = _Reader()
    for text in requirements:
        check_requirement(text)
        reader.requirements.append(text)
    for name in files:
        reader.read(Path(name))
    for name in constraints:
        reader.read(Path(name), constrains=True)
    return Requested(
        tuple(dict.fromkeys(reader.requirements)),
        tuple(dict.fromkeys(reader.constraints)),
        reader.hashes,
        tuple(reader.mirrors),
        reader.pre,
    )


def check_requirement(text: str) -> None:
    """ValueError says why this is not what Pyodide can be asked for: PEP 508, or a wheel's URL."""
    place = text.partition("#")[0].strip()
    if text.startswith((".", "/")) or (place.endswith(".whl") and "://" not in place):
        raise ValueError(f"{printable(text)!r} is a local file, which cannot be locked")
    if re.match("[a-z+]+://", text):
        if not place.endswith(".whl"):
            raise ValueError(f"{printable(text)!r} is no wheel, and only wheels can be installed")
        split_http_url(place)
        return
    try:
        Requirement(text)
    except InvalidRequirement as error:
        why = printable(str(error).partition("\n")[0])
        raise ValueError(f"{printable(text)!r} is no requirement (PEP 508): {why}") from None


class _Reader:
    """Collects what files ask for."""

    def __init__(self) -> None:
        self.requirements: list[str] = []
        self.constraints: list[str] = []
        self.hashes: dict[str, set[str]] = {}
        self.mirrors: list[Mirror] = []
        self.pre = False

    def read(self, path: Path, above: tuple[Path, ...] = (), *, constrains: bool = False) -> None:
        """Read a file, and those that it names; ``above`` are those that named it."""
        if path.resolve() in above:
            raise ValueError(f"{path} is named by a file that it names itself")
        above = (*above, path.resolve())
        for line in parse_requirements_file(_text(path), str(path), os.environ):
            try:
                if line.requirement:
                    self._add(line, constrains=constrains)
                    continue
                if line.option not in _FILES:
                    self._obey(line)
                    continue
                if "://" in line.value:
                    raise ValueError(f"{line.value} is a URL; only files on this machine are read")
            except ValueError as error:
                raise ValueError(f"{line.where}: {error}") from None
            constraints = constrains or line.option == "--constraint"
            self.read(path.parent / line.value, above, constrains=constraints)

    def _add(self, line: Line, *, constrains: bool) -> None:
        check_requirement(line.requirement)
        (self.constraints if constrains else self.requirements).append(line.requirement)
        if line.hashes:
            name = requirement_name(line.requirement)
            if not name:
                raise ValueError("a hash of a URL stands in the URL itself, as in #sha256=…")
            self.hashes.setdefault(name, set()).update(line.hashes)

    def _obey(self, line: Line) -> None:
        if line.option == "--index-url":
            self.mirrors = [Mirror(line.value)]
        elif line.option == "--pre":
            self.pre = True
        elif line.option not in _MEANT_ANYWAY:
            raise ValueError(f"{line.option} cannot be honoured here")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise ValueError(f"{path} has more than {_MAX_BYTES:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not in UTF-8") from None
