"""What happens in a page: one install, and what it has left; its source is sent into Pyodide."""

import asyncio
import importlib
import json
import re
import sys
import sysconfig
import time
from hashlib import sha256
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

PLACE = Path(sysconfig.get_path("purelib"))
# Beside what a wheel has, installers note there where it came from.
NOTES = frozenset({"INSTALLER", "PYODIDE_SHA256", "PYODIDE_SOURCE", "PYODIDE_URL", "RECORD"})


async def attempt(how: str, project: str, url: str, patience: float) -> str:
    """Install a project, import it, and return as JSON how that went and what is there.

    It may also be several requirements, with spaces between them.
    """
    before = found_files()
    started = time.perf_counter()
    error = await _failure(_install(how, project, url), patience)
    seconds = time.perf_counter() - started
    importlib.invalidate_caches()
    files = {path: digest for path, digest in found_files().items() if path not in before}
    # Deeper ones are of copies that a package has of others.
    own = [path for path in files if path.endswith(".dist-info/METADATA") and path.count("/") == 1]
    folders = [PLACE / path for path in own]
    found = [Distribution.at(path.parent) for path in folders]
    versions = {one.metadata["Name"]: one.version for one in found}
    first = re.split(r"[^\w.-]", project)[0]
    imports = {} if error else {name: _import(name) for name in top_level(first)}
    return json.dumps(
        {
            "error": error,
            "seconds": seconds,
            "files": files,
            "versions": versions,
            "imports": imports,
        }
    )


async def _install(how: str, project: str, url: str) -> None:
    if how == "ours":
        import pyodide_mirror

        # As plain micropip does when it is given index URLs, the index is asked first. A mirror
        # that has never seen the files is slow, and may be.
        options = {"prefer": "index", "timeout": 60.0, "cache": False, "remember": False}
        await pyodide_mirror.install(project.split(), mirrors=url, **options)
    else:
        import micropip

        await micropip.install(project.split(), index_urls=[url])


async def _failure(work: Any, patience: float) -> str:
    """Return an error's type and text, or an empty string."""
    try:
        await asyncio.wait_for(work, patience)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def found_files() -> dict[str, str]:
    """Return all files that installers have put there, by path, with the digests' beginnings."""
    return {
        str(path.relative_to(PLACE)): sha256(path.read_bytes()).hexdigest()[:16]
        for path in sorted(PLACE.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.name not in NOTES
    }


def top_level(project: str) -> list[str]:
    """Return the modules of a project that users import."""
    paths = [file for file in distribution(project).files or () if str(file).endswith(".py")]
    roots = {file.parts[0].removesuffix(".py") for file in paths if len(file.parts) <= 2}
    private = {"test", "tests", "docs", "examples", "conftest"}
    return sorted(name for name in roots - private if name.isidentifier() and name[0] != "_")


def _import(name: str) -> str:
    """Import a module, and return how that failed, or an empty string."""
    try:
        importlib.import_module(name)
    except BaseException as error:
        text = f"{type(error).__name__}: {error}"
        return text.splitlines()[0][:200]
    finally:
        sys.stdout.flush()
    return ""
