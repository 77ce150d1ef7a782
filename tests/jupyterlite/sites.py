"""Build JupyterLite sites: JupyterLite from PyPI, Pyodide from npm, nothing from a CDN.

JupyterLite lives in an environment of its own below ``.cache/``, so that the tests' environment
need not have it. Our package is put in front of it by ``PYTHONPATH``, as a wheel made it.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pyodide_mirror.loader import TABLE
from pyodide_mirror.model import normalize
from tests.support import provision
from tests.support.coverage_pages import measured
from tests.support.processes import run_quietly
from tests.support.provision import (
    CACHE,
    made,
    pip_download,
    point_at_downloaded,
    python_of,
)
from tests.support.wheels import make_wheel
from tools import core_digests

KERNEL: Final = "@jupyterlite/pyodide-kernel-extension:kernel"

# What a kernel loads from Pyodide's lock file before its first cell. Named one by one: the lock
# file's own dependencies are incomplete.
_KERNEL_ROOTS: Final = (
    *("asttokens", "decorator", "executing", "ipython", "jedi", "matplotlib-inline", "micropip"),
    *("packaging", "parso", "prompt-toolkit", "pure-eval", "pygments", "six", "stack-data"),
    *("traitlets", "wcwidth"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A JupyterLite, and the Pyodide that its kernel is made for."""

    core: str
    kernel: str
    pyodide: str

    @property
    def requirements(self) -> list[str]:
        """What the environment is made of; micropip and comm are what our package needs."""
        ours = [f"jupyterlite-core=={self.core}", f"jupyterlite-pyodide-kernel=={self.kernel}"]
        return [*ours, "jupyter_server", "jsonschema", "micropip", "packaging", "comm"]


CURRENT: Final = Release(core="0.8.6", kernel="0.8.6", pyodide="314.0.6")
OLDER: Final = Release(core="0.7.6", kernel="0.7.2", pyodide="0.29.3")
COMING: Final = Release(core="0.9.0a2", kernel="0.9.0a1", pyodide="314.0.4")
"""A pre-release."""


def environment(release: Release = CURRENT) -> Path:
    """Return the Python of an environment with that JupyterLite, without our package."""

    def make(folder: Path) -> None:
        venv.create(folder, symlinks=True)
        options = ["--quiet", "--python", str(folder / "bin" / "python")]
        run_quietly([*provision.UV, "pip", "install", *options, *release.requirements])

    return made(CACHE / "jupyterlite" / f"{release.core}-{release.kernel}", make) / "bin" / "python"


def pip_install(python: Path, *arguments: str) -> None:
    """Install into an environment that needs no pip of its own."""
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", *arguments], check=True)


def download(project: str) -> Path:
    """Return a folder with PyPI's newest wheel of a pure project."""

    def make(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        options = ["--no-deps", "--only-binary=:all:", "-d", str(folder)]
        subprocess.run([*pip, *options, project], check=True)

    return made(CACHE / "jupyterlite" / f"wheel-{project}", make)


def language_packs() -> Path:
    """Return a folder with JupyterLab in Chinese and Spanish, and what JupyterLite reads them with.

    It is for ``PYTHONPATH``: who builds a site has them in the environment.
    """

    def install(folder: Path) -> None:
        packs = [f"jupyterlab-language-pack-{language}" for language in ("zh-CN", "es-ES")]
        reader = ["jupyterlab-server", "babel", "json5", "requests", "urllib3", "certifi"]
        options = ["--no-deps", "--no-compile", "--target", str(folder)]
        pip_install(environment(), *options, *packs, *reader, "charset-normalizer")

    return made(CACHE / "jupyterlite" / "language-packs", install)


def in_languages() -> dict[str, str]:
    """Return the environment in which a build has the language packs beside our package."""
    return {"PYTHONPATH": os.pathsep.join([str(package()), str(language_packs())])}


def package() -> Path:
    """Return a folder with our package as pip installs the wheel of the tree."""
    wheel = provision.project_wheel()

    def install(folder: Path) -> None:
        options = ["--no-deps", "--no-compile", "--target", str(folder)]
        pip_install(environment(), *options, str(wheel))

    return made(wheel.parent.with_name(f"{wheel.parent.name}-installed"), install)


def package_for(dist: Path, version: str = CURRENT.pyodide) -> Path:
    """Return a folder with our package, which takes this Pyodide for the release of that version.

    Its core files have other digests, because its Python is compiled, or its lock file cut down.
    """
    ours = package()
    table = json.dumps({version: core_digests.measured(dist, version)})
    key = hashlib.sha256(f"{ours}\0{table}".encode()).hexdigest()[:16]

    def make(folder: Path) -> None:
        shutil.copytree(ours, folder, dirs_exist_ok=True)
        (folder / "pyodide_mirror" / "loader" / TABLE.name).write_text(table)

    return made(CACHE / "wheel" / f"{key}-for-another-pyodide", make)


def kernel_dist(release: Release = CURRENT) -> Path:
    """Return a folder with Pyodide and what a kernel needs, its lock file cut down to that."""

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            modules = provision.npm_install([f"pyodide@{release.pyodide}"], Path(scratch))
            for name in _PYODIDE:
                if (modules / "pyodide" / name).exists():
                    shutil.copy2(modules / "pyodide" / name, folder / name)
        lock_file = folder / "pyodide-lock.json"
        lock = json.loads(lock_file.read_text())
        lock["packages"] = packages = _cut_down(lock["packages"])
        requirements = [f"{entry['name']}=={entry['version']}" for entry in packages.values()]
        pip_download(folder, python_of(folder), ["--no-deps", *requirements])
        for entry in packages.values():
            point_at_downloaded(entry, folder)
        lock_file.write_text(json.dumps(lock))

    return made(CACHE / "jupyterlite" / f"pyodide-{release.pyodide}", make)


def _cut_down(packages: Mapping[str, Any]) -> dict[str, Any]:
    """Return the kernel's entries of a lock file, which then depend on nothing else.

    Pyodide 0.29 has IPython depend on sqlite3, which is not on PyPI; its history works without.
    """
    roots = set(_KERNEL_ROOTS)
    return {
        name: packages[name]
        | {"depends": sorted({normalize(each) for each in packages[name]["depends"]} & roots)}
        for name in _KERNEL_ROOTS
    }


_PYODIDE: Final = (
    *("pyodide.js", "pyodide.mjs", "pyodide.asm.js", "pyodide.asm.mjs", "pyodide.asm.wasm"),
    *("python_stdlib.zip", "pyodide-lock.json", "package.json"),
)


def write_site(
    folder: Path,
    *,
    addon: Mapping[str, Any] | None = None,
    pyodide: Path | None = None,
    kernel: Mapping[str, Any] | None = None,
    notebooks: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Write the folder that a site is built from, and return it.

    ``addon`` are our add-on's settings for the build, ``kernel`` the kernel's in
    ``jupyter-lite.json``, and ``notebooks`` the cells of notebooks by their names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if addon is not None:
        config = {"PyodideMirrorAddon": dict(addon)}
        (folder / "jupyter_lite_config.json").write_text(json.dumps(config))
    # The app is exposed to the page's scripts, so that tests can tell it what to do.
    data = {"exposeAppInBrowser": True, "litePluginSettings": {KERNEL: dict(kernel or {})}}
    lite = {"jupyter-lite-schema-version": 0, "jupyter-config-data": data}
    (folder / "jupyter-lite.json").write_text(json.dumps(lite))
    if pyodide is not None:
        (folder / "static").mkdir(exist_ok=True)
        (folder / "static" / "pyodide").symlink_to(pyodide)
    (folder / "files").mkdir(exist_ok=True)
    for name, cells in (notebooks or {}).items():
        (folder / "files" / name).write_text(json.dumps(_notebook(cells)))
    return folder


def put_wheel(folder: Path, name: str, modules: Mapping[str, str]) -> None:
    """Put a wheel where a site's owner does."""
    wheel = make_wheel(name, "1.0", modules=modules)
    pypi = folder / "pypi"
    pypi.mkdir(parents=True)
    (pypi / wheel.filename).write_bytes(wheel.data)


def put_sqlite3(folder: Path) -> None:
    """Put a wheel where kernels of JupyterLite 0.7 want Pyodide's sqlite3, which npm has not."""
    without = "raise ModuleNotFoundError('there is no sqlite3 here')"
    put_wheel(folder, "sqlite3", {"sqlite3.py": without})


def _notebook(cells: Sequence[str]) -> dict[str, Any]:
    """Return a notebook (nbformat 4) for the site's Python kernel."""
    spec = {"display_name": "Python (Pyodide)", "language": "python", "name": "python"}
    empty: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}}
    return {
        "cells": [
            {**empty, "id": f"cell-{number}", "outputs": [], "source": source}
            for number, source in enumerate(cells)
        ],
        "metadata": {"kernelspec": spec, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def small_archive(release: Release = CURRENT) -> Path:
    """Return JupyterLite's archive of its apps without their code, for builds nobody looks at."""
    return _archive_without("code", r"/build/", release)


def archive(release: Release = CURRENT) -> Path:
    """Return JupyterLite's archive of its apps without source maps, five sevenths of it."""
    return _archive_without("source-maps", r"\.map$", release)


def _archive_without(what: str, pattern: str, release: Release) -> Path:
    def make(folder: Path) -> None:
        library = environment(release).parents[1] / "lib"
        (archive,) = library.glob("*/site-packages/jupyterlite_core/jupyterlite-app-*.tgz")
        with tarfile.open(archive) as whole, tarfile.open(folder / archive.name, "w:gz") as small:
            for member in whole:
                if member.isfile() and not re.search(pattern, member.name):
                    small.addfile(member, whole.extractfile(member))

    place = CACHE / "jupyterlite" / f"archive-{release.core}-without-{what}"
    (found,) = made(place, make).iterdir()
    return found


def jupyter_lite(
    folder: Path,
    *arguments: str,
    python: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run ``jupyter lite`` in a site's folder and return its status and its output.

    ``python`` is that of another environment than `environment`'s. Nothing of the machine's own
    Jupyter configuration is seen, and no loader is written unless the site's settings or
    ``environ`` say so.
    """
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(
            [str(python or environment()), "-m", "jupyterlite_core", *arguments],
            cwd=folder,
            env=measured(
                {
                    "PATH": os.environ.get("PATH", os.defpath),
                    "HOME": home,
                    "JUPYTER_CONFIG_DIR": home,
                    "JUPYTER_NO_CONFIG": "1",
                    "PYTHONPATH": str(package()),
                    "JUPYTERLITE_NO_PYODIDE_MIRROR_LOADER": "1",  # which would ask CDNs
                    **(environ or {}),
                }
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


def built(folder: Path, *arguments: str, release: Release = CURRENT, **environ: str) -> Path:
    """Build the site in a folder, as `jupyter_lite` does, and return its output."""
    apps = {"JUPYTERLITE_APP_ARCHIVE": str(archive(release)), **environ}
    done = jupyter_lite(folder, "build", *arguments, python=environment(release), environ=apps)
    if done.returncode:
        raise RuntimeError(done.stdout)
    return folder / "_output"


def write_site_with_wheels(folder: Path, **site: Any) -> Path:
    """Write a site's folder as `write_site` does, with a place for wheels of its owner's."""
    (folder / "pypi").mkdir(parents=True)
    return write_site(folder, **site)


def jupyter_lite_without_code(
    folder: Path,
    *arguments: str,
    release: Release = CURRENT,
    python: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run ``jupyter lite`` for a site that nobody looks at, at a time that is always the same."""
    fixed = {
        "JUPYTERLITE_APP_ARCHIVE": str(small_archive(release)),
        "SOURCE_DATE_EPOCH": "1700000000",
    }
    return jupyter_lite(
        folder,
        *arguments,
        python=python or environment(release),
        environ={**fixed, **(environ or {})},
    )
