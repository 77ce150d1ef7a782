"""The page of a bundle that starts Python, and shows what is there."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from pyodide_mirror.loader import LOCK, integrity

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .pins import Pin
    from .release import Release

ENTRY: Final = "index.html"
_OWN_TOOLS: Final = frozenset({"iniconfig", "micropip", "packaging", "tomli-w"})


def start_files(
    pins: Collection[Pin], release: Release, pyodide: Mapping[str, bytes]
) -> dict[str, bytes]:
    """The page and its scripts by name. ``pyodide``: the files of the loader's folder by name."""
    modules = {name: integrity(content) for name, content in pyodide.items() if name != LOCK}
    names = [pin.name for pin in pins if pin.file.filename.endswith(".whl")]
    others = [name for name in names if name not in _OWN_TOOLS]
    bundle = {
        "python": release.python,
        "lock": integrity(pyodide[LOCK]),
        "example": (others or names)[0],
    }
    rows = "\n      ".join(_row(pin) for pin in pins)
    return {
        ENTRY: _source("start.html").replace("<!-- packages -->", rows).encode(),
        "start.js": _script("start.js", "BUNDLE", bundle),
        "modules.js": _script("modules.js", "MODULES", modules),
    }


def _row(pin: Pin) -> str:
    name, version, path = map(escape, (pin.name, pin.version, quote(pin.path)))
    link = f'<a href="{path}">{escape(pin.file.filename)}</a>'
    return f"<tr><td>{name}</td><td>{version}</td><td>{link}</td></tr>"


def _script(name: str, constant: str, value: Mapping[str, Any]) -> bytes:
    """A script with its constant. JSON in ASCII is always JavaScript."""
    written = json.dumps(dict(value), sort_keys=True)
    text = _source(name).replace(f"const {constant} = {{}};", f"const {constant} = {written};")
    return text.encode()


def _source(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
