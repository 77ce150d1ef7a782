"""Builds the front-end extension for JupyterLite: ``python -m tests.support.labextension``.

JupyterLab's builder, from npm, makes it of the sources in ``labextension/``. What it makes lies in
the package, and not in the repository: a build takes it from there. It is made anew when the
sources have changed. ``--check`` checks the types instead, for which all that is imported must be
fetched; a build needs none of it, because JupyterLab brings it.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.support import catalogs, provision
from tests.support.catalogs import SOURCE

BUILT: Final = provision.ROOT / "pyodide_mirror" / "jupyterlite" / "labextension"
_IGNORED: Final = shutil.ignore_patterns("node_modules", "lib", "built", "package-lock.json")
_COMPILER: Final = "node_modules/typescript/bin/tsc"
_BUILDER: Final = "node_modules/@jupyterlab/builder/lib/build-labextension.js"


def build() -> Path:
    """Build it, unless that was done; return the folder. Raises `ProvisionError`."""
    made = provision.made(provision.CACHE / "labextension" / _digest(), _build)
    if not BUILT.is_dir() or _contents(BUILT) != _contents(made):
        shutil.rmtree(BUILT, ignore_errors=True)
        shutil.copytree(made, BUILT)
    return BUILT


def check_types() -> None:
    """Check the types. Raises `ProvisionError` with what the compiler says."""
    # Of JupyterLab's modules only the types are needed: no diagrams and no icons.
    wanted = {name: _package()[name] for name in ("dependencies", "overrides")}
    with tempfile.TemporaryDirectory(dir=provision.CACHE) as name:
        folder = Path(name, "labextension")
        shutil.copytree(SOURCE, folder, ignore=_IGNORED)
        (folder / "node_modules").symlink_to(_modules("types", wanted))
        compiler = str(_tools() / _COMPILER)
        provision.run([str(provision.node()), compiler, "--noEmit", "-p", str(folder)])


def _build(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=provision.CACHE) as name:
        folder = Path(name, "labextension")
        shutil.copytree(SOURCE, folder, ignore=_IGNORED)
        (folder / "node_modules").symlink_to(_tools() / "node_modules")
        # All that is imported is JupyterLab's, and there once.
        versions = {name: f"^{each}" for name, each in _package()["dependencies"].items()}
        core = {"singletonPackages": list(versions)}
        (folder / "core").mkdir()
        described = json.dumps({"dependencies": versions, "jupyterlab": core})
        (folder / "core" / "package.json").write_text(described)
        tools = _tools()
        node = str(provision.node())
        provision.run([node, str(tools / _COMPILER), "--noCheck", "-p", str(folder)])
        builder = str(folder / _BUILDER)
        provision.run([node, builder, "--core-path", str(folder / "core"), str(folder)])
        shutil.copytree(folder / "built", target, dirs_exist_ok=True)
        catalogs.compile_into(target / "locale")


def _tools() -> Path:
    """The folder with the builder and the compiler."""
    return _modules("tools", {"dependencies": _package()["devDependencies"]}).parent


def _modules(what: str, package: dict[str, Any]) -> Path:
    """The ``node_modules`` with what a ``package.json`` asks for."""
    text = json.dumps(package)

    def install(folder: Path) -> None:
        (folder / "package.json").write_text(text)
        provision.npm_install([], folder)

    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    place = provision.CACHE / "npm" / f"labextension-{what}-{key}"
    return provision.made(place, install) / "node_modules"


def _package() -> dict[str, Any]:
    package: dict[str, Any] = json.loads((SOURCE / "package.json").read_text())
    return package


def _digest() -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes() + Path(catalogs.__file__).read_bytes())
    for path, content in _contents(SOURCE).items():
        if path.partition("/")[0] not in {"node_modules", "lib", "built"}:
            digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def _contents(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def main() -> int:
    """Build it, or check the types; print the folder, or what is wrong."""
    parser = argparse.ArgumentParser(description="Build the front-end extension for JupyterLite.")
    parser.add_argument("--check", action="store_true", help="check the types of its sources")
    try:
        if parser.parse_args().check:
            check_types()
        else:
            print(build())
    except provision.ProvisionError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
