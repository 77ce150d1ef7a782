"""Puts slim copies of the modules into the wheel, for it is loaded into every browser page.

The source explains itself at length. The copies are the same program on the same lines, so that a
traceback fits the repository, and have the docstrings that ``help()`` shows of what is public.
Editable installs and the sdist have the source itself.
"""

import ast
import io
import tokenize
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from tokenize import TokenInfo
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (ast.ClassDef, *_FUNCTIONS)
_DOCUMENTED = (ast.Module, *_DEFINITIONS)
# Tokens that belong to no statement.
_BETWEEN = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT})
# Since Python 3.12 an f-string is many tokens, and since 3.14 there are t-strings.
_OPENING = frozenset({"FSTRING_START", "TSTRING_START"})
_CLOSING = frozenset({"FSTRING_END", "TSTRING_END"})

_Place = tuple[int, int]
"""A line, counted from 1, and a column, counted in characters from 0, as tokens have them."""
_Span = tuple[_Place, _Place]


class SlimError(Exception):
    """A slim copy would not be the program that the source is."""


class SlimHook(BuildHookInterface[BuilderConfig]):
    """Has hatchling take the slim copy of each module in the module's stead."""

    _copies: "TemporaryDirectory[str] | None" = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the copies, unless for an editable install. Raises `SlimError`."""
        if version != "standard":
            return
        if Path(gettempdir()).resolve().is_relative_to(Path(self.root).resolve()):
            # A forced file takes the place of what is at its target only if it comes from
            # elsewhere; one of the project's own would stand beside it, under the same name.
            raise SlimError("the folder for temporary files is inside the project; set TMPDIR")
        documented = self.config.get("documented")
        texts = {}
        for file in self.build_config.builder.recurse_selected_project_files():
            target = Path(file.distribution_path)
            if target.suffix == ".py":
                with tokenize.open(file.path) as source:
                    module = ".".join(target.with_suffix("").parts)
                    texts[target] = slim(source.read(), module, documented)
        self._copies = TemporaryDirectory()
        folder = Path(self._copies.name).resolve()
        for target, text in texts.items():
            copy = folder / target
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text, encoding="utf-8", newline="\n")
            build_data["force_include"][str(copy)] = target.as_posix()

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the copies."""
        if self._copies is not None:
            self._copies.cleanup()


def slim(source: str, module: str, documented: Collection[str] | None = None) -> str:
    """Return ``source`` without comments, and without the docstrings that nobody will read.

    These are the docstrings of what is private, and all that stand after an assignment (PEP 257's
    attribute docstrings), which Python itself throws away. ``module`` is the dotted name: in a
    module with a leading underscore nothing is public, and nothing is that is made inside a
    function. A docstring stays as well if its body has nothing else, or its line has.

    ``documented``: the modules that users ask about; in others nothing is public.

    What is left stays on its line, indented by one space per level, and no string changes.

    Raises `SlimError` if the result is not the same program, and SyntaxError if the source is none.
    """
    lines = source.split("\n")
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    strings = list(_strings(tokens))
    public = _is_public(module) and (documented is None or module in documented)
    nodes = _unread(ast.parse(source), public=public)
    unread = {_start(node, lines) for node in nodes}
    levels = {}
    cuts = []
    for level, statement in _logical_lines(tokens):
        first, newline = statement[0].start, statement[-1].start
        levels[first[0]] = level
        if first in unread and all(token.string != ";" for token in statement):
            cuts.append((first, newline))
    comments = [(token.start, token.end) for token in tokens if token.type == tokenize.COMMENT]
    # In a docstring's cut there may be a comment, and in an f-string it may be part of the text.
    cuts += [comment for comment in comments if not _is_within(comment, [*strings, *cuts])]
    _cut(lines, cuts)
    _tidy(lines, levels, strings)
    slimmed = "\n".join(lines)
    _check(source, slimmed, module)
    return slimmed


def _is_public(module: str) -> bool:
    names = module.removesuffix(".__init__").split(".")
    return not any(name.startswith("_") for name in names)


def _unread(node: ast.AST, *, public: bool) -> Iterator[ast.stmt]:
    """Yield the docstrings under ``node`` that need not be there."""
    if isinstance(node, _DOCUMENTED):
        yield from _of_attributes(node.body)
        # Without the first string a second one would be the docstring.
        if not public and [_is_string(each) for each in node.body[:2]] == [True, False]:
            yield node.body[0]
    public = public and not isinstance(node, _FUNCTIONS)
    for child in ast.iter_child_nodes(node):
        hidden = isinstance(child, _DEFINITIONS) and child.name.startswith("_")
        yield from _unread(child, public=public and not hidden)


def _of_attributes(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    assigned = False
    for statement in body:
        if not _is_string(statement):
            assigned = isinstance(statement, ast.Assign | ast.AnnAssign)
        elif assigned:
            yield statement


def _is_string(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
    return False


def _start(node: ast.stmt, lines: list[str]) -> _Place:
    """Where a statement starts; its own column counts bytes."""
    line = lines[node.lineno - 1].encode()
    return node.lineno, len(line[: node.col_offset].decode())


def _logical_lines(tokens: Iterable[TokenInfo]) -> Iterator[tuple[int, list[TokenInfo]]]:
    """Yield the level of each line that may go over several, and its tokens with the NEWLINE."""
    level = 0
    line: list[TokenInfo] = []
    for token in tokens:
        level += (token.type == tokenize.INDENT) - (token.type == tokenize.DEDENT)
        if token.type not in _BETWEEN:
            line.append(token)
        if token.type == tokenize.NEWLINE:
            yield level, line
            line = []


def _strings(tokens: Iterable[TokenInfo]) -> Iterator[_Span]:
    """Yield where the strings are, an f-string from its first quote to its last."""
    opened: list[_Place] = []
    for token in tokens:
        name = tokenize.tok_name[token.type]
        if name in _OPENING:
            opened.append(token.start)
        elif name in _CLOSING:
            yield opened.pop(), token.end
        elif token.type == tokenize.STRING:
            yield token.start, token.end


def _is_within(inner: _Span, spans: Iterable[_Span]) -> bool:
    return any(start <= inner[0] and inner[1] <= end for start, end in spans)


def _cut(lines: list[str], cuts: Iterable[_Span]) -> None:
    """Take text out of ``lines``, which stay as many."""
    # From the end, so that the places before stay true.
    for (first, start), (last, end) in sorted(cuts, reverse=True):
        head, tail = lines[first - 1][:start], lines[last - 1][end:]
        lines[first - 1 : last] = [head + tail, *[""] * (last - first)]


def _tidy(lines: list[str], levels: dict[int, int], strings: Iterable[_Span]) -> None:
    """Take away what is blank at the ends of ``lines``, except in strings."""
    inside = {line for (first, _), (last, _) in strings for line in range(first, last)}
    level = 0
    for number, line in enumerate(lines, start=1):
        # What goes on from the line before, in a bracket, is one level deeper.
        level, depth = (levels[number],) * 2 if number in levels else (level, level + 1)
        tidied = line if number in inside else line.rstrip()
        if number - 1 not in inside:
            tidied = tidied.lstrip()
            tidied = " " * depth + tidied if tidied else ""
        lines[number - 1] = tidied


def _check(source: str, slimmed: str, module: str) -> None:
    try:
        same = _program(source) == _program(slimmed)
    except SyntaxError as error:
        raise SlimError(f"{module}: the slim copy is not Python: {error}") from error
    if not same:
        raise SlimError(f"{module}: the slim copy is another program, or on other lines")


def _program(source: str) -> str:
    """Return a text that is the same for programs that differ in docstrings and columns only."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED):
            unread = [*_of_attributes(node.body), *filter(_is_string, node.body[:1])]
            node.body = [statement for statement in node.body if statement not in unread]
        # The string after its last attribute is where a class ends, and all that it is in.
        ends = () if isinstance(node, ast.expr) else ("end_lineno",)
        for attribute in ("col_offset", "end_col_offset", *ends):
            if hasattr(node, attribute):
                setattr(node, attribute, 0)
    return ast.dump(tree, include_attributes=True)
