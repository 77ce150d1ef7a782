"""The wheels of this very package: one for pages, and the whole one for pip and uv.

``python -m pyodide_mirror.own_wheels FOLDER`` writes the one for pages into a folder.

It is a copy of the installed package without the rooms that no page can use, and without comments,
docstrings, annotations and indentation that no user sees: a quarter of the bytes. Lines keep their
numbers, so that a traceback is that of the package. Its platform tags are those of Pyodide (PEP
783): micropip prefers it to the whole one (micropip 0.9 takes whichever is listed last, so list it
last), and pip on a desktop never takes it. The build tag of a name is made of the content: one file
name is one content everywhere, and no cache has anything stale under it.

A page compiles all the Python that it imports, with each load anew. Where its Python is known, a
third wheel saves that: it has the code of the modules that a first install needs, compiled by that
Python, in one file (:func:`compile_modules`), from which :mod:`pyodide_mirror._imports` loads them.

Of either there is another one for a JupyterLite site that is built with the add-on, which has some
modules more.
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import io
import json
import marshal
import re
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ._imports import ARCHIVE
from .page_source import as_pages_get_it

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from importlib.resources.abc import Traversable

_PACKAGE: Final = "pyodide_mirror"
_HOST_ONLY: Final = frozenset(
    {
        *(
            "__main__.py",
            "own_wheels.py",
            "page_source.py",
            "py.typed",
            "rebuilt.py",
            "bundling",
            "cli",
            "compiled",
            "edge",
        ),
        *(
            "jupyterlite",
            "loader",
            "model/addresses.py",
            "server",
            "transport/cors.py",
            "transport/cpython.py",
            "runtime/published.py",
        ),
    }
)
"""What no page imports: half of the package."""
_IN_ARCHIVE: Final = (
    *("resolving", "installing/anew.py", "index/requirements_file.py", "notebook"),
    *("installing/version_source.py", "api/locks.py", "locking", "reporting/progress.py"),
    *("api/pip.py", "runtime/own_folder.py", "index/wheel_parts.py", "runtime/check.py"),
    *("model/cdn.py", "index/pep503.py", "reporting/html.py", "runtime/lockfile.py"),
    *("installing/quorum.py", "api/probe_all.py", "runtime/download.py", "runtime/reader.py"),
    *("runtime/probe_all.py", "runtime/search.py", "cdns.py", "mirrors.py"),
)
"""What few installs need. In a page's wheel it is one archive, from which Python imports as from a
folder; that is a third of the bytes less, and fewer files to unpack. What is alike stands together,
which takes 2 % less."""
_SITE_ONLY: Final = ("notebook/comm.py", "notebook/kernel.py", "api/choosing.py")
"""What only the kernels of a JupyterLite site with the add-on need, and its front-end extension. It
is in the wheels of such a site alone, and there in the archive."""
_ARCHIVED: Final = (*_IN_ARCHIVE, *_SITE_ONLY)
PAGE_PLATFORMS: Final = (
    "emscripten_3_1_58_wasm32",  # Pyodide 0.26 and 0.27
    "emscripten_4_0_9_wasm32",  # 0.28 and 0.29
    "pyemscripten_2026_0_wasm32",  # 314
    "pyemscripten_2026_5_wasm32",  # 315
)
"""The platforms of the Pyodides that the wheel for pages is for."""
COMPILED_FOR: Final = {"cp314": ("pyemscripten_2026_0_wasm32",)}
"""The Pythons for which modules are compiled, by their tag (PEP 425): platforms of its Pyodides."""
_COMPILED: Final = "compiled.bin"
"""The file with the code in a page's wheel."""
_PAGES_NEED_NOT: Final = re.compile(
    r"Classifier:|Description-Content-Type:|Keywords:|Provides-Extra:|Requires-Dist:.*;.*\bextra\b"
    r"|Requires-Dist: (packaging|resolvelib|tomli-w)\b"  # micropip has it, few need the rest
)
NOT_INSTALLED: Final = (
    "pyodide-mirror runs without being installed, so that its own wheel cannot be made;"
    " install it with `pip install pyodide-mirror`"
)
"""What to say where PackageNotFoundError is raised."""
_DATE: Final = (2020, 2, 2, 0, 0, 0)
"""Of every file in a wheel, so that the same modules make the same bytes at any time."""


@functools.cache
def page_wheel(
    platforms: tuple[str, ...] = PAGE_PLATFORMS, *, for_site: bool = False
) -> tuple[str, bytes]:
    """File name and content of the wheel for pages.

    With other ``platforms`` it is another file. Where pip or uv may find it, "any" must not be one.
    ``for_site``: with what only the kernels of a JupyterLite site need.
    Raises PackageNotFoundError when the package is run without being installed.
    """
    modules = _with_archive(_page_modules(for_site=for_site))
    return _own_wheel(modules, {"METADATA": _page_metadata()}, platforms)


@functools.cache
def compiled_wheel(
    python: str = "cp314", platforms: tuple[str, ...] | None = None, *, for_site: bool = False
) -> tuple[str, bytes] | None:
    """File name and content of the wheel for pages with that Python; a tag of `COMPILED_FOR`.

    None where no modules were compiled for it, as in a checkout of the sources, or other sources
    than these. Without ``platforms`` it is for those of that Python's Pyodides. ``for_site``: as in
    :func:`page_wheel`.
    """
    modules = _page_modules(for_site=for_site)
    compiled = files(_PACKAGE) / "compiled" / f"{python}.bin"
    content = compiled.read_bytes() if compiled.is_file() else b"{}"
    header = json.loads(content.partition(b"\n")[0])
    names = header.get("modules", {})
    if not names or header["sources"] != _digest({path: modules.get(path, b"") for path in names}):
        return None
    # Those of packages are read as text, too (`_lazy`).
    rest = {
        path: source
        for path, source in modules.items()
        if path not in names or path.endswith("__init__.py")
    }
    return _own_wheel(
        {**_with_archive(rest), _COMPILED: content},
        {"METADATA": _page_metadata()},
        platforms or COMPILED_FOR[python],
        python,
    )


def page_wheels() -> dict[str, bytes]:
    """The wheels for pages by their file names; the last one does for every Python.

    In this order: of two wheels that would do, micropip 0.9 takes the last.
    """
    compiled = [compiled_wheel(python) for python in COMPILED_FOR]
    return dict([*filter(None, compiled), page_wheel()])


def compile_modules(paths: Iterable[str]) -> bytes:
    """A file with the code of modules, compiled by the Python that runs this.

    ``paths``: those of modules in the package. The first line is JSON, with the size of each
    module's code. The package is built with it as ``compiled/TAG.bin``.
    """
    sources = {path: _page_modules()[path] for path in paths}
    codes = {
        path: marshal.dumps(compile(source, f"{_PACKAGE}/{path}", "exec", dont_inherit=True))
        for path, source in sources.items()
    }
    header = {
        "magic": MAGIC_NUMBER.hex(),
        "sources": _digest(sources),
        "modules": {path: len(code) for path, code in codes.items()},
    }
    return b"".join([json.dumps(header).encode(), b"\n", *codes.values()])


def _digest(sources: Mapping[str, bytes]) -> str:
    parts = [part for path, source in sources.items() for part in (path.encode(), source)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


@functools.cache
def whole_wheel() -> tuple[str, bytes]:
    """File name and content of the wheel of the whole package, for pip and uv.

    Raises PackageNotFoundError when the package is run without being installed.
    """
    entry_points = distribution("pyodide-mirror").read_text("entry_points.txt") or ""
    texts = {"METADATA": _metadata(), "entry_points.txt": entry_points}
    return _own_wheel(dict(_modules()), texts, ("any",))


def all_wheels() -> dict[str, bytes]:
    """The whole wheel, and then those for pages, by their file names."""
    return dict([whole_wheel(), *page_wheels().items()])


def pure_wheel(
    info: str,
    contents: Mapping[str, bytes],
    platforms: Iterable[str] = ("any",),
    python: str = "py3",
) -> bytes:
    """A wheel of these files by their path, with WHEEL and RECORD added.

    ``info`` is its ``.dist-info`` folder (PyPA: binary distribution format). The same files make
    the same bytes.
    """
    tags = "".join(f"Tag: {python}-none-{platform}\n" for platform in platforms)
    wheel = f"Wheel-Version: 1.0\nGenerator: pyodide-mirror\nRoot-Is-Purelib: true\n{tags}"
    contents = {**dict(sorted(contents.items())), f"{info}/WHEEL": wheel.encode()}
    record = "".join(_record(name, content) for name, content in contents.items())
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in contents.items():
            archive.writestr(_member(name), content, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


def wheel_name(
    stem: str, content: bytes, platforms: Iterable[str] = ("any",), python: str = "py3"
) -> str:
    """A wheel's file name, whose build tag is made of its content.

    ``stem``: name and version. A build tag begins with a digit (PyPA: binary distribution format).
    """
    digest = hashlib.sha256(content).hexdigest()
    return f"{stem}-0x{digest[:12]}-{python}-none-{'.'.join(platforms)}.whl"


def _own_wheel(
    modules: Mapping[str, bytes],
    texts: Mapping[str, str],
    platforms: Iterable[str],
    python: str = "py3",
) -> tuple[str, bytes]:
    installed = distribution("pyodide-mirror")
    stem = f"{_PACKAGE}-{installed.version}"
    licence = installed.read_text("licenses/LICENSE") or ""
    info = {**texts, "licenses/LICENSE": licence}
    contents = {
        **{f"{_PACKAGE}/{path}": content for path, content in modules.items()},
        **{f"{stem}.dist-info/{name}": text.encode() for name, text in info.items()},
    }
    content = pure_wheel(f"{stem}.dist-info", contents, platforms, python)
    return wheel_name(stem, content, platforms, python), content


@functools.cache
def _page_modules(*, for_site: bool = False) -> dict[str, bytes]:
    """The files that pages get, by their path in the package."""
    if not for_site:
        found = _page_modules(for_site=True)
        return {path: content for path, content in found.items() if not _is_in(_SITE_ONLY, path)}
    return {
        path: as_pages_get_it(path, content)
        for path, content in _modules()
        if not _is_in(_HOST_ONLY, path)
    }


def _with_archive(modules: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a page's wheel, with those that are seldom used in one.

    It is not compressed: the wheel compresses it as a whole, in their order there.
    """
    seldom = {path for path in modules if _is_in(_ARCHIVED, path)}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(seldom, key=lambda path: (_place(path), -len(modules[path]), path)):
            archive.writestr(_member(path), modules[path])
    plain = {path: content for path, content in modules.items() if path not in seldom}
    return {**plain, ARCHIVE: buffer.getvalue()}


def _page_metadata() -> str:
    lines = _metadata().partition("\n\n")[0].splitlines()
    return "\n".join([*[line for line in lines if not _PAGES_NEED_NOT.match(line)], ""])


def _metadata() -> str:
    return distribution("pyodide-mirror").read_text("METADATA") or ""


def _modules() -> Iterator[tuple[str, bytes]]:
    """All files of the package by their path in it."""
    return _files_in(files(_PACKAGE), "")


def _files_in(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        if each.is_dir() and each.name != "__pycache__":
            yield from _files_in(each, f"{path}{each.name}/")
        elif each.is_file():
            yield f"{path}{each.name}", each.read_bytes()


def _place(path: str) -> int:
    """Where a file of the archive stands in it."""
    return next(n for n, part in enumerate(_ARCHIVED) if _is_in((part,), path))


def _is_in(parts: Collection[str], path: str) -> bool:
    """Whether a file of the package is one of these, or in a room of them."""
    return path in parts or path.partition("/")[0] in parts


def _member(name: str) -> zipfile.ZipInfo:
    """An entry of an archive that all may read, the same on every system."""
    member = zipfile.ZipInfo(name, _DATE)
    member.create_system = 3  # Unix
    member.external_attr = 0o100644 << 16
    return member


def _record(name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"{name},sha256={digest},{len(content)}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the wheel for pages into a folder and print its path; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pyodide_mirror.own_wheels",
        description="Write the wheel of this package that pages load, and print its path.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder that exists")
    parser.add_argument(
        "--python",
        choices=COMPILED_FOR,
        help="write the wheel for this Python alone, which is compiled and quicker to import",
    )
    given = parser.parse_args(arguments)
    if not given.folder.is_dir():
        parser.error(f"{given.folder} is not a folder")
    try:
        wheel = compiled_wheel(given.python) if given.python else page_wheel()
        if wheel is None:
            raise OSError(f"this is a checkout, in which nothing is compiled for {given.python}")
        path = given.folder / wheel[0]
        path.write_bytes(wheel[1])
    except (PackageNotFoundError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
