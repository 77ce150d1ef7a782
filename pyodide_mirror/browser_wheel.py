"""Our own wheel as pages load it: made from a whole one, without what only a host needs.

python -m pyodide_mirror.browser_wheel WHEEL FOLDER
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import json
import re
import sys
import zipfile
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .bundle import FILE, START

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

_PACKAGE: Final = "pyodide_mirror"
# A page never imports them, and they are half of the package.
_HOST_ONLY: Final = frozenset(
    {
        "__main__.py",
        "_cors.py",
        "_fetch.py",
        "browser_wheel.py",
        "cli.py",
        "edge",
        "jupyterlite.py",
        "options.py",
        "server",
        "site_wheels.py",
    }
)
_EXTRA: Final = re.compile(
    r"Classifier:|Description-Content-Type:|Keywords:|Provides-Extra:|Requires-Dist:.*;.*\bextra\b"
)
_DATE: Final = (2020, 2, 2, 0, 0, 0)  # the same bytes from the same modules, whenever they are made


@functools.cache
def own_wheel() -> tuple[str, bytes]:
    """File name and content of the wheel of this very package, for browsers.

    Raises PackageNotFoundError when the package is run without being installed.
    """
    installed = distribution("pyodide-mirror")
    return _make(
        dict(_modules(files(_PACKAGE), _PACKAGE)),
        metadata=installed.read_text("METADATA") or "",
        licence=installed.read_text("licenses/LICENSE") or "",
    )


def of_wheel(wheel: Path) -> tuple[str, bytes]:
    """File name and content of the wheel for browsers, from the whole wheel of any version."""
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    texts = {
        name.partition(".dist-info/")[2]: content.decode()
        for name, content in contents.items()
        if ".dist-info/" in name
    }
    modules = {
        name: content
        for name, content in contents.items()
        if name.startswith(f"{_PACKAGE}/") and name.split("/")[1] not in _HOST_ONLY
    }
    return _make(modules, metadata=texts["METADATA"], licence=texts["licenses/LICENSE"])


def _make(modules: Mapping[str, bytes], *, metadata: str, licence: str) -> tuple[str, bytes]:
    """A wheel of modules by their path in it (PyPA: binary distribution format)."""
    stem = f"{_PACKAGE}-{_version(metadata)}"
    contents = {
        **_bundled(modules),
        f"{stem}.dist-info/METADATA": _without_extras(metadata).encode(),
        f"{stem}.dist-info/licenses/LICENSE": licence.encode(),
    }
    return f"{stem}-py3-none-any.whl", pure_wheel(f"{stem}.dist-info", contents)


def pure_wheel(info: str, contents: Mapping[str, bytes]) -> bytes:
    """A wheel of these files by their path, with WHEEL and RECORD added.

    ``info`` is its ``.dist-info`` folder (PyPA: binary distribution format). The same files make
    the same bytes.
    """
    contents = {**dict(sorted(contents.items())), f"{info}/WHEEL": _WHEEL.encode()}
    record = "".join(_record(name, content) for name, content in contents.items())
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in contents.items():
            archive.writestr(_member(name), content, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


def _bundled(modules: Mapping[str, bytes]) -> dict[str, bytes]:
    """The package with all that it does not begin with in one file; see ``bundle.py``."""
    own = {f"{_PACKAGE}/{name}" for name in ("__init__.py", "bundle.py", "py.typed")}
    sources = {
        Path(name).stem: content.decode()
        for name, content in sorted(modules.items())
        if name not in own
    }
    return {
        **{name: modules[name] for name in own},
        f"{_PACKAGE}/__init__.py": modules[f"{_PACKAGE}/__init__.py"] + START.encode(),
        f"{_PACKAGE}/{FILE}": json.dumps(sources, ensure_ascii=False).encode(),
    }


def _member(name: str) -> zipfile.ZipInfo:
    """A file that all may read, and that is the same on whatever system it is written."""
    member = zipfile.ZipInfo(name, _DATE)
    member.create_system = 3  # Unix
    member.external_attr = 0o100644 << 16
    return member


_WHEEL: Final = """\
Wheel-Version: 1.0
Generator: pyodide-mirror
Root-Is-Purelib: true
Tag: py3-none-any
"""


def _modules(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        if each.name in _HOST_ONLY or each.name == "__pycache__":
            continue
        if each.is_dir():
            yield from _modules(each, f"{path}/{each.name}")
        else:
            yield f"{path}/{each.name}", each.read_bytes()


def _version(metadata: str) -> str:
    return next(
        line.partition(":")[2].strip()
        for line in metadata.splitlines()
        if line.startswith("Version:")
    )


def _without_extras(metadata: str) -> str:
    """The fields alone; what a host's extras need is nothing to a browser, nor is the text."""
    fields = metadata.partition("\n\n")[0]
    return "\n".join(line for line in fields.splitlines() if not _EXTRA.match(line)) + "\n"


def _record(name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"{name},sha256={digest},{len(content)}\n"


if __name__ == "__main__":
    _name, _content = of_wheel(Path(sys.argv[1]))
    Path(sys.argv[2], _name).write_bytes(_content)
