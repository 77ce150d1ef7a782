"""Our own wheel as pages load it: made from what is installed, without what only a host needs."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import re
import zipfile
from importlib.metadata import distribution
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from . import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

# A page never imports them, and they are a third of the package.
_HOST_ONLY: Final = frozenset(
    {"__main__.py", "_cors.py", "_fetch.py", "browser_wheel.py", "cli.py", "edge", "server"}
)
_EXTRA: Final = re.compile(r"Provides-Extra:|Requires-Dist:.*;.*\bextra\b")
_DATE: Final = (2020, 2, 2, 0, 0, 0)  # the same bytes from the same modules, whenever they are made


@functools.cache
def own_wheel() -> tuple[str, bytes]:
    """File name and content of the wheel of this very package, for browsers.

    Raises PackageNotFoundError when the package is run without being installed.
    """
    return make(_modules(files(__package__ or "pyodide_mirror")))


def make(modules: Mapping[str, bytes]) -> tuple[str, bytes]:
    """File name and content of a wheel of modules by their path in it.

    See PyPA's binary distribution format. Its metadata asks for what a browser needs, no more.
    """
    stem = f"pyodide_mirror-{__version__}"
    metadata, licence = _metadata()
    contents = {
        **modules,
        f"{stem}.dist-info/METADATA": metadata,
        f"{stem}.dist-info/WHEEL": _WHEEL.encode(),
        f"{stem}.dist-info/licenses/LICENSE": licence,
    }
    record = "".join(_record(name, content) for name, content in contents.items())
    contents[f"{stem}.dist-info/RECORD"] = f"{record}{stem}.dist-info/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content, zipfile.ZIP_DEFLATED, 9)
    return f"{stem}-py3-none-any.whl", buffer.getvalue()


def _modules(folder: Traversable, path: str = "pyodide_mirror") -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        if each.name in _HOST_ONLY or each.name == "__pycache__":
            continue
        if each.is_dir():
            found.update(_modules(each, f"{path}/{each.name}"))
        else:
            found[f"{path}/{each.name}"] = each.read_bytes()
    return found


def _record(name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"{name},sha256={digest},{len(content)}\n"


_WHEEL: Final = """\
Wheel-Version: 1.0
Generator: pyodide-mirror
Root-Is-Purelib: true
Tag: py3-none-any
"""


def _metadata() -> tuple[bytes, bytes]:
    """METADATA and licence as installed; without the extras, which are for hosts."""
    installed = distribution("pyodide-mirror")
    lines = (installed.read_text("METADATA") or "").splitlines()
    end = lines.index("") if "" in lines else len(lines)
    fields = [line for line in lines[:end] if not _EXTRA.match(line)]
    licence = installed.read_text("licenses/LICENSE") or ""
    return "\n".join([*fields, *lines[end:], ""]).encode(), licence.encode()
