"""The documents: their code blocks, links and anchors, and the parts that are made from the code.

`python -m tests.docs.tables` writes those parts anew, between their ``<!-- NAME: begin -->`` marks.
"""

import argparse
import ast
import contextlib
import io
import itertools
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest import mock

from markdown_it import MarkdownIt
from markdown_it.token import Token

from pyodide_mirror import CDNS, MIRRORS, Reason, cli
from pyodide_mirror.cdns import CDNS_AS_OF
from pyodide_mirror.mirrors import MIRRORS_AS_OF, PYPI_URL

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pyodide_mirror"
READMES = ("README.md", "README.zh-CN.md", "README.es.md")
_PARSER = MarkdownIt("commonmark").enable("table")
_NOT_RUN = re.compile(r"<!--\s*not run:\s*(?P<why>.*?)\s*-->", re.DOTALL)


def documents() -> tuple[str, ...]:
    """Every document for people, as a path below the project's root."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    return tuple(sorted(str(path.relative_to(ROOT)) for path in found))


def read(name: str) -> str:
    """Return the text of a document."""
    return (ROOT / name).read_text("utf-8")


def tokens(text: str) -> list[Token]:
    """Return what markdown-it makes of a text."""
    return _PARSER.parse(text)


# --- code blocks --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a document."""

    document: str
    line: int
    """Where its fence begins, counted from 1."""
    language: str
    text: str
    not_run: str | None
    """Why it is not run, as a comment in front of it says; None where there is no comment."""

    @property
    def id(self) -> str:
        """A name for the test of it."""
        return f"{self.document}:{self.line}"


def blocks_of(document: str, text: str) -> list[Block]:
    """Return the fenced blocks of a text; MyST's directives (``{name}``) are none."""
    found, comment = [], None
    for token in tokens(text):
        if token.type == "html_block":
            match = _NOT_RUN.fullmatch(token.content.strip())
            comment = match["why"] if match else None
        elif token.type == "fence":
            language, line = token.info.strip(), (token.map or [0])[0] + 1
            if not language.startswith("{"):
                found.append(Block(document, line, language, token.content, comment))
            comment = None
        elif token.type != "list_item_open":
            comment = None
    return found


@cache
def blocks() -> tuple[Block, ...]:
    """Return the fenced blocks of all documents."""
    return tuple(block for name in documents() for block in blocks_of(name, read(name)))


def inline_code(text: str) -> Iterator[Token]:
    """Yield each inline token below the block tokens of a text."""
    for token in tokens(text):
        yield from token.children or ()


# --- links --------------------------------------------------------------------------------------


def links(text: str) -> list[str]:
    """Return where the links and images of a text go."""
    found = []
    for token in inline_code(text):
        target = token.attrGet("href") if token.type == "link_open" else token.attrGet("src")
        if target is not None and token.type in {"link_open", "image"}:
            found.append(str(target))
    return found


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub, and MyST after it, give the headings of a text."""
    found: set[str] = set()
    parsed = tokens(text)
    for opening, inline in itertools.pairwise(parsed):
        if opening.type == "heading_open":
            title = "".join(child.content for child in inline.children or ())
            slug = _slug(title)
            number = 1
            unique = slug
            while unique in found:
                unique, number = f"{slug}-{number}", number + 1
            found.add(unique)
    return found


def _slug(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def broken_links(name: str) -> list[str]:
    """Return the links of a document that lead to no file, or to no heading, of the repository."""
    broken = []
    for link in links(read(name)):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue  # of the web
        path, _, anchor = link.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        inside = file.resolve().is_relative_to(ROOT)
        if not inside or not file.exists() or (anchor and anchor not in anchors(file.read_text())):
            broken.append(link)
    return broken


# --- what is made from the code -----------------------------------------------------------------


def layers(within: str = PACKAGE.name) -> list[list[str]]:
    """Return the rooms, those that import the others first, as import-linter's contract has them.

    Rooms of one layer do not import each other. ``within``: the package they are in.
    """
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (order,) = (each["layers"] for each in contracts if each.get("containers") == [within])
    return [layer.split(" | ") for layer in order]


def rooms(within: str = PACKAGE.name) -> str:
    """Return the table of rooms: what each is, as its docstring says, and its modules."""
    rows = ["| | room | what it is | modules |", "|---|---|---|---|"]
    inside = ROOT.joinpath(*within.split("."))
    for number, layer in enumerate(layers(within), 1):
        for room in layer:
            folder = inside / room
            source = folder / "__init__.py" if folder.is_dir() else inside / f"{room}.py"
            docstring = ast.get_docstring(ast.parse(source.read_text("utf-8"))) or ""
            sentence = docstring.partition("\n")[0].replace("``", "`")
            name = f"{room}/" if folder.is_dir() else room
            modules = " ".join(f"`{module}`" for module in modules_of(folder))
            rows.append(f"| {number} | `{name}` | {sentence} | {modules} |")
    return "\n".join(rows)


def modules_of(folder: Path) -> list[str]:
    """Return what a room consists of: Python's modules without their suffix, JavaScript, rooms."""
    python = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    inner = [f"{path.parent.name}/" for path in folder.glob("*/__init__.py")]
    return sorted([*python, *inner, *(path.name for path in folder.glob("*.js"))])


def reasons() -> str:
    """Return the table of reasons."""
    rows = ["| verdict | support | what it means | what to do |", "|---|---|---|---|"]
    rows += [f"| `{r}` | {r.support} | {r.explanation} | {r.advice} |" for r in Reason]
    return "\n".join(rows)


def mirrors() -> str:
    """Return the table of mirrors; PyPI's address is micropip's to say."""
    rows = [f"As of {MIRRORS_AS_OF}:\n", "| mirror | where | index URL | what is known |"]
    rows += ["|---|---|---|---|"]
    for mirror in MIRRORS:
        url = "micropip's default" if mirror.index_url == PYPI_URL else f"`{mirror.index_url}`"
        rows.append(f"| {mirror.name} | {mirror.region} | {url} | {mirror.note} |")
    return "\n".join(rows)


def cdns() -> str:
    """Return the table of CDNs."""
    rows = [f"As of {CDNS_AS_OF}:\n", "| CDN | where | base URL | what is known |"]
    rows += ["|---|---|---|---|"]
    rows += [f"| {cdn.name} | {cdn.region} | `{cdn.base_url}` | {cdn.note} |" for cdn in CDNS]
    return "\n".join(rows)


def usage(command: str) -> str:
    """Return what ``pyodide-mirror COMMAND --help`` prints, as a block of text."""
    printed = io.StringIO()
    # The width decides where lines break, and newer Pythons colour what goes to a terminal.
    surroundings = {"COLUMNS": "100", "NO_COLOR": "1"}
    with (
        mock.patch.dict(os.environ, surroundings),
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
    ):
        cli.main([command, "--help"])
    return f"```text\n{printed.getvalue().rstrip()}\n```"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a document that is made from the code."""

    document: str
    name: str
    make: Callable[[], str]

    def written(self) -> str:
        """Return what the document has between the marks."""
        return self._split(read(self.document))[1].strip("\n")

    def write(self) -> bool:
        """Put the part into its document; returns whether that changed it."""
        text = read(self.document)
        before, _, after = self._split(text)
        new = f"{before}\n{self.make()}\n{after}"
        (ROOT / self.document).write_text(new, "utf-8")
        return new != text

    def _split(self, text: str) -> tuple[str, str, str]:
        begin, end = f"<!-- {self.name}: begin -->", f"<!-- {self.name}: end -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"{self.document} must have the marks of {self.name!r} once each")
        before, _, rest = text.partition(begin)
        inside, _, after = rest.partition(end)
        return before + begin, inside, end + after


PARTS = (
    Part("CONTRIBUTING.md", "rooms", rooms),
    Part("CONTRIBUTING.md", "rooms-of-the-server", lambda: rooms(f"{PACKAGE.name}.server")),
    Part("docs/reasons.md", "reasons", reasons),
    Part("docs/mirrors.md", "mirrors", mirrors),
    Part("docs/cdns.md", "cdns", cdns),
    *(
        Part("docs/command.md", f"help-{command}", lambda command=command: usage(command))  # type: ignore[misc]
        for command in ("check", "serve", "edge", "loader", "lock", "bundle")
    ),
)


def main() -> None:
    """Write the parts that are made from the code."""
    argparse.ArgumentParser(prog="python -m tests.docs.tables", description=__doc__).parse_args()
    for part in PARTS:
        print(f"{part.document}: {part.name} {'changed' if part.write() else 'as it was'}")


if __name__ == "__main__":
    main()
