"""Quicker imports in a page, whose standard library is a zip archive of source code.

:mod:`zipimport` compiles each module twice: ``find_spec`` asks for the name of the file, and
:meth:`zipimport.zipimporter.get_filename` compiles the module to tell it; then it is compiled to be
run. What a first install needs of the standard library takes 100 ms to compile.

Our own modules take as long; in a wheel for one Python (:mod:`pyodide_mirror.own_wheels`) they are
compiled.
"""

from __future__ import annotations

import gc
import json
import marshal
import sys
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import MAGIC_NUMBER, LazyLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from zipimport import ZipImportError, zipimporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import ModuleType

_PACKAGING = "micropip._vendored.packaging.src.packaging"
_SELDOM_USED = frozenset(
    {
        *("ipaddress", "micropip._mock_package"),
        *(f"{_PACKAGING}._manylinux", f"{_PACKAGING}._musllinux"),
    }
)
"""Modules that are loaded when they are used, which few installs do."""
_SELDOM_CALLED = {
    # For indexes in HTML; it loads a parser, and the names of 2,231 characters.
    "micropip._vendored.mousebender.simple": ("from_project_details_html",),
    "micropip.freeze": ("freeze_lockfile",),
}
"""Modules that are loaded when one of these functions is called, which others import by name."""
ARCHIVE = "seldom_used.zip"
"""The archive of modules that few installs need, in a wheel for pages."""
_ARCHIVE = Path(__file__).with_name(ARCHIVE)


@contextmanager
def quick_imports() -> Iterator[None]:
    """Load code quickly meanwhile: nothing of a zip archive is compiled twice, or collected.

    Of what modules consist of nothing is garbage; to look for some takes 5 % of an import's time.
    """
    if ZipFinder in sys.meta_path:
        yield
        return
    collects = gc.isenabled()
    gc.disable()
    sys.meta_path.insert(isinstance(sys.meta_path[0], CompiledFinder), ZipFinder)
    try:
        yield
    finally:
        sys.meta_path.remove(ZipFinder)
        if collects:
            gc.enable()


class ZipFinder:
    """Finds modules in zip archives, as the path's own finder does, without compiling them."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, _target: object = None
    ) -> ModuleSpec | None:
        """The spec that :class:`importlib.machinery.PathFinder` finds, or None."""
        for entry in sys.path if path is None else path:
            archive = _archive_at(entry)
            spec = _in_archive(archive, name) if archive else None
            spec = spec or PathFinder.find_spec(name, [entry])
            if spec is not None:
                if spec.loader is None:
                    return None  # it may have parts elsewhere, for who knows the whole path
                if name in _SELDOM_USED:
                    spec.loader = LazyLoader(spec.loader)
                elif name in _SELDOM_CALLED:
                    spec.loader = _LoaderAtCall(spec.loader, _SELDOM_CALLED[name])
                return spec
        return None


def _archive_at(entry: str) -> zipimporter | None:
    known = sys.path_importer_cache.get(entry)
    if known is None and ".zip" in entry:
        try:
            known = sys.path_importer_cache[entry] = zipimporter(entry)
        except ZipImportError:
            return None
    return known if isinstance(known, zipimporter) else None


def _in_archive(archive: zipimporter, name: str) -> ModuleSpec | None:
    """The spec of a module whose source is there, and no bytecode, which is quick to load."""
    folder = f"{archive.archive}/{archive.prefix}{name.rpartition('.')[2]}"
    try:
        is_package = archive.is_package(name)
    except ZipImportError:
        return None
    file = f"{folder}/__init__.py" if is_package else f"{folder}.py"
    if _has(archive, f"{file}c") or not _has(archive, file):
        return None
    spec = ModuleSpec(name, cast("Loader", archive), origin=file, is_package=is_package)
    spec.has_location = True
    if spec.submodule_search_locations is not None:
        spec.submodule_search_locations.append(folder)
    return spec


def _has(archive: zipimporter, file: str) -> bool:
    try:
        archive.get_data(file)
    except OSError:
        return False
    return True


class _LoaderAtCall(Loader):
    """Loads a module when one of these functions is called, or anything else of it is used."""

    def __init__(self, loader: Loader, functions: Sequence[str]) -> None:
        self._loader = loader
        self._functions = functions

    def exec_module(self, module: ModuleType) -> None:
        """Give it functions that load it."""
        names = vars(module)

        def get(name: str) -> object:
            # Python itself looks for such as `__path__`.
            if name.startswith("__") or "__getattr__" not in names:
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            load()
            return getattr(module, name)

        def load() -> None:
            if names.pop("__getattr__", None) is not None:
                try:
                    self._loader.exec_module(module)
                except BaseException:
                    names["__getattr__"] = get
                    raise

        names["__getattr__"] = get
        names.update((each, _loading_first(load, names, each)) for each in self._functions)


def _loading_first(
    load: Callable[[], None], names: Mapping[str, Any], name: str
) -> Callable[..., object]:
    def call(*arguments: object, **options: object) -> object:
        load()
        return names[name](*arguments, **options)

    return call


class CompiledFinder:
    """Finds modules of ours in a file of compiled code, and loads them.

    Raises ImportError when another version of Python has compiled it.
    """

    is_of_pyodide_mirror = True

    def __init__(self, file: Path) -> None:
        first, _, self._codes = file.read_bytes().partition(b"\n")
        header = json.loads(first)
        if header["magic"] != MAGIC_NUMBER.hex():
            raise ImportError(
                f"{file.name} is not for this Python, {sys.version.split()[0]}: install the wheel"
                " of pyodide-mirror whose name has py3-none in it"
            )
        self._places: dict[str, tuple[Path, int, int]] = {}
        start = 0
        for path, size in header["modules"].items():
            name = f"{file.parent.name}/{path}".removesuffix(".py").removesuffix("/__init__")
            self._places[name.replace("/", ".")] = file.parent / path, start, start + size
            start += size

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: object = None
    ) -> ModuleSpec | None:
        """The spec of a module that is in the file."""
        if name not in self._places:
            return None
        path = self._places[name][0]
        is_package = path.name == "__init__.py"
        spec = ModuleSpec(name, cast("Loader", self), origin=str(path), is_package=is_package)
        spec.has_location = True
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(str(path.parent))
        return spec

    @staticmethod
    def get_data(path: str) -> bytes:
        """A file of a package (PEP 302)."""
        return Path(path).read_bytes()

    def create_module(self, _spec: ModuleSpec) -> None:
        """Leave that to Python."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        _, start, end = self._places[module.__name__]
        exec(marshal.loads(self._codes[start:end]), vars(module))  # noqa: S102, S302  # it is our own wheel


def use_compiled(file: Path) -> None:
    """Import from a file of compiled code, if it is there, and from that of no earlier install."""
    sys.meta_path[:] = [f for f in sys.meta_path if not hasattr(f, "is_of_pyodide_mirror")]
    if file.is_file():
        sys.meta_path.insert(0, CompiledFinder(file))


def use_archive(package: ModuleType) -> None:
    """Let modules of a package be imported from the archive, too, if it is there."""
    if _ARCHIVE.is_file():
        folder = package.__name__.split(".")[1:]
        package.__path__.append("/".join([str(_ARCHIVE), *folder]))


use_compiled(Path(__file__).with_name("compiled.bin"))
