"""The prompt of the page: what is typed there runs here, in Pyodide."""

import ast
import codeop
import json
from collections.abc import Callable
from typing import Any

from pyodide.code import CodeRunner
from pyodide.console import PyodideConsole

import pyodide_mirror

Write = Callable[[str, str], None]
"""A function of the page that takes a kind (``out``, ``error``) and text."""

_LONGEST = 20_000
"""Characters of a value that are shown."""


class Prompt:
    """One console with a namespace of its own; ``write`` gets what the code prints."""

    def __init__(self, write: Write) -> None:
        names = {"__name__": "__console__", "__doc__": None, "pyodide_mirror": pyodide_mirror}
        self._console = PyodideConsole(
            names,
            stdout_callback=lambda text: write("out", text),
            stderr_callback=lambda text: write("error", text),
        )
        self._compiler = codeop.CommandCompiler()
        self._compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._write = write

    def is_complete(self, source: str) -> bool:
        """Whether there is something to run; what cannot become Python is as complete as it gets.

        A block is complete after an empty line, as in a terminal.
        """
        last = source.rpartition("\n")[2]
        if last[:1].isspace() and last.strip():
            return False
        try:
            return self._compiler(source, self._console.filename, "exec") is not None
        except (SyntaxError, ValueError, OverflowError):
            return True

    async def run(self, source: str) -> str:
        """Run statements; return the last one's value as ``{"text": …, "svg": …}``.

        An exception is written as a traceback, and has no value.
        """
        console = self._console
        try:
            code = CodeRunner(
                source, filename=console.filename, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            ).compile()
        except (SyntaxError, ValueError, OverflowError) as error:
            self._write("error", console.formatsyntaxerror(error))
            return "{}"
        try:
            value = await console.runcode(source, code)
            return json.dumps({} if value is None else _as_shown(value))
        except (Exception, SystemExit) as error:  # noqa: BLE001  # it is the user's, and shown
            self._write("error", console.formattraceback(error))
            return "{}"


def _as_shown(value: Any) -> dict[str, str]:
    """A value as text, and as a drawing if it is one."""
    svg = getattr(value, "_repr_svg_", None)
    bundle = getattr(value, "_repr_mimebundle_", None)
    if callable(svg) and not isinstance(value, type):
        drawn = svg()
        return {"svg": drawn.decode() if isinstance(drawn, bytes) else str(drawn)}
    data = bundle() if callable(bundle) and not isinstance(value, type) else {}
    text = str(data.get("text/plain", "")) or repr(value)
    return {"text": text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"}
