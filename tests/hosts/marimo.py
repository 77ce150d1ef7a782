"""Export marimo's notebooks without a CDN: marimo from PyPI, Pyodide from npm, all beside the page.

marimo lives in an environment of its own below ``.cache/``. Its ``--offline`` finds out which
packages a notebook needs in a Chromium that Playwright starts: here it is the one of all tests.
"""

import os
import re
import subprocess
import tempfile
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import uv

from pyodide_mirror.own_wheels import pure_wheel
from tests.support import browsers
from tests.support.compiled import compiled
from tests.support.own_server import serving
from tests.support.pages import PageServer
from tests.support.processes import run_quietly
from tests.support.provision import CACHE, UV, made, make_dist, pip_download, python_of

VERSION: Final = "0.25.2"
PYODIDE: Final = "314.0.0"
"""The one that this marimo is made for."""

# What an exported page loads from Pyodide's lock file, whatever is in the notebook.
_LOCK_ROOTS: Final = ("docutils", "jedi", "micropip", "packaging", "pygments", "pyodide-http")
_PLATFORM: Final = "pyemscripten_2026_0_wasm32"  # of that Pyodide (PEP 783)
# Playwright says where its browser would be, which no setting can change, when it is not there.
_WHERE: Final = """
import re
from playwright.sync_api import Error, sync_playwright
with sync_playwright() as playwright:
    try:
        playwright.chromium.launch()
    except Error as error:
        print(re.search("Executable doesn't exist at (.+)", error.message)[1])
"""


def environment() -> Path:
    """Return the folder of an environment with marimo, a Chromium and what exports fetch."""

    def make(folder: Path) -> None:
        venv.create(folder, symlinks=True)
        python = folder / "bin" / "python"
        options = ["--quiet", "--python", str(python)]
        run_quietly([*UV, "pip", "install", *options, f"marimo=={VERSION}", "playwright"])
        where = subprocess.run(
            [python, "-c", _WHERE],
            env=_environ(folder),
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        link = Path(where.stdout.strip())
        link.parent.mkdir(parents=True)
        link.symlink_to(browsers.find(browsers.CHROMIUM))
        # An export looks for the notebook's own modules with ruff, which it has uv fetch.
        with tempfile.TemporaryDirectory() as scratch:
            Path(scratch, "notebook.py").write_text("import marimo\n\napp = marimo.App()\n")
            _export(folder, Path(scratch), _environ(folder))

    return made(CACHE / "marimo" / VERSION, make)


def _environ(place: Path) -> dict[str, str]:
    """Return the environment variables for programs of `environment`, from its folder."""
    own = {"UV_CACHE_DIR": place / "uv", "PLAYWRIGHT_BROWSERS_PATH": place / "browsers"}
    path = os.pathsep.join([str(Path(uv.find_uv_bin()).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, **{name: str(value) for name, value in own.items()}}


def _export(place: Path, folder: Path, environ: Mapping[str, str], *options: str) -> None:
    command = ["-m", "marimo", "export", "html-wasm", "notebook.py", "-o", "site", "--no-sandbox"]
    run_quietly(
        [str(place / "bin" / "python"), *command, *options],
        folder=folder,
        # Nothing of the machine's own settings of marimo is seen.
        env={**environ, "XDG_CONFIG_HOME": str(folder), "PYTHONPATH": ""},
    )


def runtime() -> Path:
    """Return a folder with Pyodide, compiled, its lock file cut down to what is there."""
    return compiled(
        made(
            CACHE / "marimo" / f"pyodide-{PYODIDE}",
            lambda folder: make_dist(PYODIDE, folder, _LOCK_ROOTS),
        )
    )


def wheels() -> Path:
    """Return a folder with the wheels of marimo for Pyodide, and of all that it needs there."""
    python = python_of(runtime())

    def make(folder: Path) -> None:
        pins = _pins(python)
        tags = ["--implementation", "cp", "--abi", f"cp{python.replace('.', '')}", "--no-deps"]
        yaml = [pin for pin in pins if pin.startswith("pyyaml==")]
        rest = [pin for pin in pins if pin not in yaml]
        pip_download(folder, python, [*tags, "--platform", _PLATFORM, *rest])
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            linux = ["--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"]
            pip_download(Path(scratch), python, [*tags, *linux, *yaml])
            (wheel,) = Path(scratch).iterdir()
            _keep_python(wheel, folder)

    return made(CACHE / "marimo" / f"wheels-{VERSION}", make)


def _pins(python: str) -> list[str]:
    """Return what marimo's export demands, pinned, with the markers of Pyodide's platform."""
    options = ["--python-version", python, "--python-platform", "wasm32-pyodide2024"]
    plain = ["--quiet", "--no-header", "--no-annotate"]
    done = subprocess.run(
        [*UV, "pip", "compile", *plain, *options, "-"],
        input=f"marimo-base=={VERSION}\nblack\n",
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout.split()


def _keep_python(wheel: Path, folder: Path) -> None:
    """Write a wheel of only the Python part: PyYAML's own is complete, and PyPI has no other."""
    with zipfile.ZipFile(wheel) as archive:
        contents = {
            name: archive.read(name)
            for name in archive.namelist()
            if not re.search(r"\.so$|\.dist-info/(RECORD|WHEEL)$", name)
        }
    (info,) = {name.split("/")[0] for name in contents if ".dist-info/" in name}
    name = f"{info.removesuffix('.dist-info')}-py3-none-any.whl"
    Path(folder, name).write_bytes(pure_wheel(info, contents))


def exported(folder: Path) -> Path:
    """Export the ``notebook.py`` of a folder as a user would, and return the site's folder.

    Raises RuntimeError with marimo's output when it fails.
    """
    place = environment()
    with serving(wheels()) as index, PageServer(runtime()) as pyodide:
        sources = ["--pyodide-index-url", pyodide.base_url(), "--pypi-index-url", index.index_url]
        environ = {**_environ(place), "UV_OFFLINE": "1"}
        _export(place, folder, environ, "--offline", *sources)
    return folder / "site"
