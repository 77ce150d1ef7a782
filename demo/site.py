"""The page as a folder of plain files, for any web server and below any path."""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.provision import PYODIDE_VERSION

_PAGE = Path(__file__).parent
_FILES = (
    *("address.js", "demo.css", "demo.js", "demo.py", "home.js", "installing.js", "mirrors.js"),
    *("parts.js", "prompt.js", "prompt.py", "texts.js", "texts.json"),
)
_OWN_HOME = "pyodide/"
"""The folder beside the page comes first, because it needs no other host."""
# All are jsDelivr, through different CDNs: where one is blocked, another may not be.
_JSDELIVR = ("cdn.jsdelivr.net", "fastly.jsdelivr.net", "gcore.jsdelivr.net")
HOMES = (
    _OWN_HOME,
    *(f"https://{host}/pyodide/v{PYODIDE_VERSION}/full/" for host in _JSDELIVR),
    f"https://testingcf.jsdelivr.net/pyodide/v{PYODIDE_VERSION}/full/",
)
"""Where the page looks for Pyodide, in this order."""
_BYTES = 12_143_855
"""Size of the two files of this version of Pyodide whose progress the page shows."""
_NEEDED = ("micropip",)
_CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")
_POLICY = "<!-- policy -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The page's files and settings.

    ``wheel``: file name and content of our wheel for pages. ``homes``: where Pyodide may come
    from, absolute or relative to the page. ``settings``: what else the page reads at its start:
    ``mirrors`` (``name`` and ``url`` of each, else the built-in table), ``timeout`` in seconds,
    ``package`` (the content of the field) and ``auto`` (whether it is installed unasked).
    """

    wheel: tuple[str, bytes]
    homes: tuple[str, ...] = HOMES
    settings: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Write the files into a folder, which is made if need be. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            shutil.copyfile(_PAGE / name, folder / name)
        index = (_PAGE / "index.html").read_text("utf-8").replace(_POLICY, _policy(self.homes))
        (folder / "index.html").write_text(index, "utf-8")
        name, content = self.wheel
        (folder / name).write_bytes(content)
        read = {**self.settings, "wheel": name, "homes": self.homes, "bytes": _BYTES}
        (folder / "settings.json").write_text(json.dumps(read, indent=2) + "\n", "utf-8")


def check_home(home: str) -> str:
    """Return an address of Pyodide with a slash at its end; ValueError when it is none."""
    parts = urlsplit(home)
    absolute = parts.scheme in {"http", "https"} and bool(parts.hostname)
    # It becomes part of the page's policy, in which these characters have a meaning.
    if (parts.scheme and not absolute) or any(c in home for c in " \t\n;,'\"<>?#@\\"):
        raise ValueError(f"not a place for Pyodide: {home!r}")
    return home if home.endswith("/") else f"{home}/"


def copy_pyodide(dist: Path, folder: Path) -> None:
    """Copy what the page needs of a Pyodide distribution into its folder. Raises OSError."""
    lock = json.loads((dist / "pyodide-lock.json").read_text("utf-8"))
    lock["packages"] = {name: lock["packages"][name] for name in _NEEDED}
    target = folder / _OWN_HOME
    target.mkdir(parents=True, exist_ok=True)
    for name in (*_CORE, *(package["file_name"] for package in lock["packages"].values())):
        shutil.copyfile(dist / name, target / name)
    (target / "pyodide-lock.json").write_text(json.dumps(lock), "utf-8")


def _policy(homes: Iterable[str]) -> str:
    """The page's Content-Security-Policy: scripts only from itself and these places.

    Mirrors may be anywhere, so requests are not limited; answers are never run or shown as markup.
    Python's fast way through large pages would need ``unsafe-eval`` and is not used here.
    """
    elsewhere = [home for home in homes if urlsplit(home).scheme]
    directives = (
        "default-src 'none'",
        " ".join(["script-src 'self' 'wasm-unsafe-eval'", *elsewhere]),
        "style-src 'self' 'unsafe-inline'",  # drawings bring their own
        "img-src blob: data:",
        "connect-src 'self' http: https:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    content = ";\n      ".join(directives)
    return f'<meta http-equiv="Content-Security-Policy"\n    content="{content}">'
