"""How large a function, a class and a module may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pyodide_mirror

LIMITS = {"function": 40, "class": 230, "module": 400}
"""Lines: of a function without its docstring; classes to about 200."""
SOURCES = Path(pyodide_mirror.__file__).parent


def sizes(path: Path) -> Iterator[tuple[str, str, int]]:
    """Yield the kind, the name and the lines of all that a file defines."""
    text = path.read_text("utf-8")
    yield "module", "", text.count("\n")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            yield "class", node.name, lines(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node) is not None
            yield "function", node.name, lines(node) - (lines(node.body[0]) if documented else 0)


def lines(node: ast.stmt) -> int:
    """Return how many lines a statement takes."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_nothing_is_larger_than_one_can_take_in() -> None:
    too_large = [
        f"{path.relative_to(SOURCES)}: {kind} {name} has {size} lines"
        for path in sorted(SOURCES.rglob("*.py"))
        for kind, name, size in sizes(path)
        if size > LIMITS[kind]
    ]
    assert too_large == []
