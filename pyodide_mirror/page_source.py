"""The source of this package as pages get it: what only its readers need is left out."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from typing import TYPE_CHECKING, Any, Final, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LAYOUT: Final = {
    tokenize.INDENT: 1,
    tokenize.DEDENT: -1,
    **dict.fromkeys((tokenize.ENCODING, tokenize.NEWLINE, tokenize.NL, tokenize.ENDMARKER), 0),
}
"""Tokens that are no text, and how each changes the depth of blocks."""


def as_pages_get_it(path: str, content: bytes) -> bytes:
    """A file of the package without what only readers and type checkers of the source want.

    Docstrings and annotations stay in what users see: public functions; classes that say that they
    are in ``pyodide_mirror``, where users find them; and ``Session``, which has most functions.
    Imports for type checkers stay where :mod:`pyodide_mirror._lazy` reads them. Protocols have no
    methods. All else stays on its line.
    """
    source = content.decode()
    if not path.endswith(".py"):  # it is JavaScript, with comments on lines of their own
        return re.sub(r"(?m)^[ \t]*(//.*$)?", "", source).encode()
    source = re.sub(r"\b(\w+) as \1\b", r"\1", source)  # which says to type checkers: it is public
    tree = ast.parse(source)
    protocols = map(_protocol, filter(_is_protocol, tree.body))
    lines = _changed(source.encode().splitlines(), protocols)
    tree = ast.parse(b"\n".join(lines))
    parts = [*_unseen(tree)]
    parts += [
        # `_lazy` reads those of packages as text.
        _place(node.test, "0") if path.endswith("__init__.py") else _place(node)
        for node in filter(_is_for_type_checkers, tree.body)
    ]
    lines = _changed(lines, parts)
    lines = _changed(lines, _unused_typing(ast.parse(b"\n".join(lines))))
    return _compact(b"\n".join([*lines, b""]))


def _changed(lines: list[bytes], parts: Iterable[_Part]) -> list[bytes]:
    for first, start, last, end, new in sorted(parts, reverse=True):
        rest = lines[last - 1][end:]
        lines[first - 1 : last] = [
            lines[first - 1][:start] + new.encode() + (rest if first == last else b""),
            *[b""] * (last - first - 1),
            *[rest] * (last > first),
        ]
    return lines


def _unused_typing(tree: ast.Module) -> Iterator[_Part]:
    """The imports without what only annotations had: of ``typing``, and from the future."""
    used = set()
    for each in ast.walk(tree):
        if isinstance(each, ast.Name):
            used.add(each.id)
        elif getattr(each, "annotation", None) or getattr(each, "returns", None):
            used.add("annotations")
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module in {"typing", "__future__"}:
            names = [each.name for each in node.names if each.name in used]
            yield _place(node, f"from {node.module} import {', '.join(names)}" if names else "")


def _compact(source: bytes) -> bytes:
    """The source without comments, and with as little indentation as Python needs.

    A traceback shows lines without their indentation.
    """
    lines = source.decode().splitlines()
    begun: set[int] = set()
    brackets = blocks = 0
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        row, column = token.start
        if token.type in _LAYOUT:
            blocks += _LAYOUT[token.type]
            continue
        if row not in begun:
            # A comment comes before the end of its block is known.
            spare = max(column - (0 if brackets else blocks), 0)
            lines[row - 1] = lines[row - 1][spare:]
        begun.update(range(row, token.end[0] + 1))  # the rest of a string stays as it is
        if token.type == tokenize.COMMENT:
            lines[row - 1] = lines[row - 1].removesuffix(token.string)
        elif token.type == tokenize.OP:
            brackets += (token.string in "([{") - (token.string in ")]}")
    return "\n".join([*map(str.rstrip, lines), ""]).encode()


_Part = tuple[int, int, int, int, str]
"""A part of a source, as line and byte of its start and end, and what is to stand there."""


def _place(node: ast.stmt | ast.expr, new: str = "") -> _Part:
    end = node.end_lineno or node.lineno, node.end_col_offset or 0
    return node.lineno, node.col_offset, *end, new


def _is_for_type_checkers(node: ast.stmt) -> TypeGuard[ast.If]:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _unseen(tree: ast.AST, *, seen: bool = False) -> Iterator[_Part]:
    """What says nothing: docstrings, notes on attributes; annotations, but for those in classes."""
    body = getattr(tree, "body", None)
    for node in filter(_is_in_a_block, ast.iter_child_nodes(tree)):
        inside = False
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and not seen:
            if isinstance(node.value.value, str):
                yield _place(node, "..." if body == [node] else "")  # a block needs a statement
        elif isinstance(node, ast.AnnAssign) and isinstance(tree, ast.ClassDef):
            if not seen:
                yield _place(node.annotation, "_")  # named tuples need one; it is not looked up
        elif isinstance(node, ast.AnnAssign) and node.value:
            yield (*_place(node.target)[2:4], *_place(node.annotation)[2:])
        elif isinstance(node, ast.ClassDef):
            inside = _is_seen(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = _is_seen_in(node, seen=seen)
            if not inside:
                yield from _annotations(node)
        yield from _unseen(node, seen=inside)


def _is_in_a_block(node: ast.AST) -> bool:
    """Whether it is a statement or has some: expressions, which are most of a tree, have none."""
    return isinstance(node, ast.stmt | ast.excepthandler | ast.match_case)


def _is_protocol(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and any(ast.unparse(b) == "Protocol" for b in node.bases)


def _protocol(node: Any) -> _Part:
    """A protocol without its methods, which only type checkers read."""
    first, start, *_ = _place(node.body[0])
    return first, start, *_place(node)[2:4], "..."


def _annotations(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[_Part]:
    found = function.args
    for each in (*found.posonlyargs, *found.args, *found.kwonlyargs, found.vararg, found.kwarg):
        if each is not None and each.annotation is not None:
            *_, last, end, _ = _place(each.annotation)
            yield each.lineno, each.col_offset + len(each.arg), last, end, ""
    result = function.returns
    if result is not None and result.lineno == result.end_lineno:
        first, start, last, end, _ = _place(result)
        yield first, start - len(" -> "), last, end, ""


def _is_seen(node: ast.ClassDef) -> bool:
    return node.name == "Session" or any("__module__ = " in ast.unparse(n) for n in node.body)


def _is_seen_in(node: ast.FunctionDef | ast.AsyncFunctionDef, *, seen: bool) -> bool:
    """Whether users see a function; ``seen``: whether it is in what they see."""
    listed = node.name in sys.modules["pyodide_mirror"].__all__
    return listed or (seen and not node.name.startswith("_"))
