"""Compiles the Python of a Pyodide distribution, inside that Pyodide: `.pyc` files are its own.

The distribution is in `FOLDER`. Wheels get what pip makes when it installs them, the archive of the
standard library a `.pyc` beside each module, where zipimport looks first. The sources stay, for
tracebacks; nobody compares the two (PEP 552: unchecked), which would cost what is saved.
"""

import hashlib
import importlib.util
import json
import py_compile
import re
import sysconfig
import zipfile
from pathlib import Path

FOLDER = Path("/dist")

# Of its five hundred lexers and styles pytest imports two; a page would have to unpack all.
_LEFT_ALONE = re.compile(r"pygments/(lexers|styles)/(?!__init__|_mapping|diff|python)")
_SOURCE, _PYC = Path("source.py"), Path("source.pyc")


def main() -> None:
    """Compile all, and bring the lock file's digests up to date."""
    library = sysconfig.get_config_var("py_version_nodot")
    compile_archive(FOLDER / "python_stdlib.zip", f"/lib/python{library}.zip", cached=False)
    lock_file = FOLDER / "pyodide-lock.json"
    lock = json.loads(lock_file.read_text())
    for entry in lock["packages"].values():
        wheel = FOLDER / entry["file_name"]
        compile_archive(wheel, sysconfig.get_path("purelib"), cached=True)
        entry["sha256"] = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock_file.write_text(json.dumps(lock))


def compile_archive(path: Path, place: str, *, cached: bool) -> None:
    """Add to an archive, that will be at ``place``, the compiled modules; ``cached``: as caches.

    Wheels are not compressed, because each page unpacks them whole.
    """
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    compiled = {
        importlib.util.cache_from_source(name) if cached else f"{name}c": pyc
        for name, source in files.items()
        if name.endswith(".py") and not _LEFT_ALONE.match(name)
        if (pyc := compiled_module(source, f"{place}/{name}")) is not None
    }
    for name in files:
        if name.endswith(".dist-info/RECORD"):
            files[name] += "".join(f"{each},,\n" for each in compiled).encode()
    path.unlink()
    method = zipfile.ZIP_STORED if cached else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in (files | compiled).items():
            archive.writestr(name, content)


def compiled_module(source: bytes, place: str) -> bytes | None:
    """Return the `.pyc` of a module; None for a file that is not of this Python."""
    _SOURCE.write_bytes(source)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    try:
        py_compile.compile(str(_SOURCE), str(_PYC), place, doraise=True, invalidation_mode=mode)
    except py_compile.PyCompileError:
        return None
    return _PYC.read_bytes()


main()
