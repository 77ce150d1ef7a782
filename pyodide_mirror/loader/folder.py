"""The folder that ``pyodide-mirror loader`` writes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import tempfile
from importlib.metadata import PackageNotFoundError
from importlib.resources import files as resources
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyodide_mirror.model import CDN, Mirror
from pyodide_mirror.own_wheels import (
    COMPILED_FOR,
    NOT_INSTALLED,
    as_pages_get_it,
    compiled_wheel,
    page_wheel,
)

from .core import LOCK, CoreFile, core_files
from .sources import LoaderError, LocalFolder, Source, fetch_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MODULE: Final = "pyodide.mjs"
AT_PAGE_TIME: Final = ("pyodide.asm.wasm", "python_stdlib.zip")
"""The large core files, which pages fetch by themselves."""
_SCRIPTS: Final = ("pyodide.asm.mjs", "pyodide.asm.js")
_COMMENT: Final = re.compile(r"\s*(//.*|/\*\* .* \*/)")
_FIXED: Final = "const FIXED = {};"


class Written(NamedTuple):
    """What was written: the files' names, and of the lock file's packages, how many there are.

    ``missing``: packages that are in none of the folders that were named. ``cdns``: what pages ask.
    """

    names: tuple[str, ...]
    packages: int
    missing: tuple[str, ...]
    cdns: tuple[CDN, ...]


class _Package(NamedTuple):
    name: str
    file_name: str
    sha256: str


def write_loader(  # noqa: PLR0913  # each is a setting of its own
    folder: str | Path,
    version: str,
    sources: Sequence[Source],
    *,
    mirrors: Sequence[Mirror] = (),
    index: str = "",
    lock: str | Path | None = None,
    timeout: float = 5.0,
    force: bool = False,
    package: bool = True,
) -> Written:
    """Write a folder from which pages load that version of Pyodide.

    ``sources``: where Pyodide's files come from, in order. Pages ask the CDNs among them; where all
    are folders, there is nothing to ask, and all that pages need is put into the new folder.
    ``mirrors``: for the Python in the page. ``index``: in place of them an index beside the folder,
    by its relative URL, which starts with ``../``. ``lock``: a lock file in place of the release's.
    ``timeout``: seconds until a CDN's first byte, and from each byte to the next, here and in
    pages. ``force``: also write into a folder that holds other things. ``package``: whether Python
    gets our package, with micropip's ``install`` replaced by ours, from the folder; without it the
    page sees to that.

    Each file is there whole at any time, the old one or the new one, and the module that names all
    others is the last. Raises ValueError for an unknown version or a file that is no lock file,
    :class:`LoaderError`, and OSError where the system does.
    """
    core = core_files(version)
    own_lock = Path(lock).read_bytes() if lock is not None else None
    packages = [] if own_lock is None else [*_packages(own_lock, str(lock))]
    target = Path(folder)
    _check_target(target, force=force)
    cdns = tuple(each for each in sources if isinstance(each, CDN))
    wanted = _wanted(core, whole=not cdns, lock=own_lock is None)
    contents = asyncio.run(fetch_files(wanted, sources, version, timeout))
    if own_lock is None:
        packages = [*_packages(contents[LOCK], LOCK)]
    contents = {**contents, LOCK: own_lock or contents[LOCK]}
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        missing = [] if cdns else _copy_packages(packages, sources, Path(scratch))
        local = _local(core, packages, [target, Path(scratch)], contents)
        settings = {
            "version": version,
            "timeout": timeout,
            "cdns": [each.url("", version) for each in cdns],
            "local": local,
        }
        wheel = _wheel(version) if package else None
        indexes = [index] if index else [each.index_url for each in mirrors]
        files = _modules(core, contents, settings, indexes, wheel)
        for name, content in files.items():
            Path(scratch, name).write_bytes(content)
        names = _move(Path(scratch), target)
    return Written(names, len(packages), tuple(missing), cdns)


def _check_target(target: Path, *, force: bool) -> None:
    if target.exists() and not target.is_dir():
        raise LoaderError(f"{target} is a file; give the folder to write another name")
    mark = _source("pyodide.js").partition("\n")[0]
    if (target / MODULE).is_file() and (target / MODULE).read_bytes().startswith(mark.encode()):
        return
    if target.is_dir() and any(target.iterdir()) and not force:
        raise LoaderError(
            f"{target} is not empty, and was not written by this command; choose another folder,"
            " or add --force to write into it anyway"
        )


def _wanted(core: Mapping[str, CoreFile], *, whole: bool, lock: bool) -> list[CoreFile]:
    """The core files to fetch now; ``whole``: those that pages fetch otherwise, too."""
    names = [MODULE, *_SCRIPTS, *([LOCK] if lock else []), *(AT_PAGE_TIME if whole else ())]
    return [core[name] for name in names if name in core]


def _packages(text: bytes, path: str) -> Iterator[_Package]:
    """The packages of a lock file that lie beside it; ValueError if it is none."""
    try:
        entries = json.loads(text)["packages"]
        for name, entry in entries.items():
            file_name, sha256 = entry["file_name"], entry["sha256"]
            if "://" in file_name:
                continue
            if (
                not re.fullmatch("[0-9a-f]{64}", sha256)
                or PurePosixPath(file_name).name != file_name
            ):
                raise ValueError(name)
            yield _Package(name, file_name, sha256)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"{path} is no lock file of Pyodide: see pyodide-lock.json") from None


def _copy_packages(
    packages: Sequence[_Package], sources: Sequence[Source], scratch: Path
) -> list[str]:
    """Copy the packages that are in the folders; returns the names of the others."""
    folders = [each.path for each in sources if isinstance(each, LocalFolder)]
    missing = []
    for package in packages:
        found = next((one for each in folders if (one := each / package.file_name).is_file()), None)
        if found is None:
            missing.append(package.name)
            continue
        content = found.read_bytes()
        if hashlib.sha256(content).hexdigest() != package.sha256:
            raise LoaderError(f"{found} is not the file of the lock file: its SHA-256 differs")
        (scratch / package.file_name).write_bytes(content)
    return missing


def _local(
    core: Mapping[str, CoreFile],
    packages: Sequence[_Package],
    folders: Sequence[Path],
    contents: Mapping[str, bytes],
) -> list[str]:
    """What pages find in the folder, of that for which they would ask a CDN otherwise."""
    names = [*(name for name in AT_PAGE_TIME if name in core), *(one.file_name for one in packages)]
    return [
        name
        for name in names
        if name in contents or any((folder / name).is_file() for folder in folders)
    ]


def _modules(
    core: Mapping[str, CoreFile],
    contents: Mapping[str, bytes],
    settings: Mapping[str, Any],
    mirrors: Sequence[str],
    wheel: tuple[str, bytes] | None,
) -> dict[str, bytes]:
    """Pyodide's files, our wheel and our modules by name, the one that names the others last."""
    script = next(name for name in _SCRIPTS if name in core)
    more = {
        "wheel": wheel
        and {"name": wheel[0], "integrity": integrity(wheel[1]), "size": len(wheel[1])},
        "start": _start(),
        "mirrors": mirrors,
    }
    rest = _javascript("rest.js", more)
    # What changes has another name: no cache has anything stale under it.
    names = {
        "module": f"pyodide-{settings['version']}.mjs",
        "rest": f"pyodide-mirror-{hashlib.sha256(rest).hexdigest()[:12]}.mjs",
    }
    large = {
        name: {"integrity": _sri(bytes.fromhex(core[name].sha256)), "size": core[name].size}
        for name in AT_PAGE_TIME
    }
    own = _javascript("pyodide.js", {**settings, **names, "script": script, "core": large})
    others = {name: content for name, content in contents.items() if name != MODULE}
    return {
        **others,
        names["module"]: contents[MODULE],
        **dict([wheel] if wheel else []),
        names["rest"]: rest,
        MODULE: own,
    }


def _wheel(version: str) -> tuple[str, bytes]:
    """Our wheel for that Pyodide, whose modules are compiled where that was done."""
    python = f"cp{version.partition('.')[0]}"  # since 314 its first number is that of Python
    try:
        return (compiled_wheel(python) if python in COMPILED_FOR else None) or page_wheel()
    except PackageNotFoundError:
        raise LoaderError(NOT_INSTALLED) from None


def _javascript(name: str, settings: Mapping[str, Any]) -> bytes:
    """A module of ours with its settings, and of its comments those that its users want."""
    first, *lines = _source(name).splitlines()
    kept = [re.sub(" // .*", "", line) for line in lines if not _COMMENT.fullmatch(line)]
    # JSON in ASCII is always JavaScript: nothing in it can end a comment or a string.
    fixed = f"const FIXED = {json.dumps(dict(settings), separators=(',', ':'))};"
    return "\n".join([first, *kept, ""]).replace(_FIXED, fixed, 1).encode()


def _start() -> str:
    """What Python runs in a page, without what only its readers want."""
    source = _source("start.py").encode()
    lines = as_pages_get_it("start.py", source).decode().splitlines()
    unused = ("from __future__", "from typing")
    return "\n".join(line for line in lines if line.strip() and not line.startswith(unused))


def _source(name: str) -> str:
    return resources(__package__).joinpath(name).read_text("utf-8")


def integrity(content: bytes) -> str:
    """The digest of a file's content, as Subresource Integrity writes it."""
    return _sri(hashlib.sha256(content).digest())


def _sri(digest: bytes) -> str:
    """A digest as Subresource Integrity writes it."""
    return f"sha256-{base64.b64encode(digest).decode()}"


def _move(new: Path, target: Path) -> tuple[str, ...]:
    """Put the new files in place, the module last; returns their names."""
    target.mkdir(exist_ok=True)
    names = sorted((path.name for path in new.iterdir()), key=lambda name: (name == MODULE, name))
    for name in names:
        (new / name).replace(target / name)
    kept = re.compile(r"pyodide_mirror-.*\.whl|pyodide-mirror-[0-9a-f]{12}\.mjs")
    for path in target.iterdir():
        if kept.fullmatch(path.name) and path.name not in names:  # of an earlier version
            path.unlink()
    return tuple(names)
