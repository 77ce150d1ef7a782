"""Our wheel for the Python of a site's kernels, which is compiled ahead, where that is known."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host.jupyterlite.test_addon import assert_nothing_stale, build, python
from tests.jupyterlite import sites
from tests.jupyterlite.sites import jupyter_lite_without_code as run
from tests.jupyterlite.sites import write_site_with_wheels as write_site

ELSEWHERE = "https://cdn.example/v300.0.0/full/"
ASK = """
import json, sys
from jupyterlite_core.manager import LiteManager
from pyodide_mirror.jupyterlite.site_config import SiteConfig

for folder in sys.argv[1:]:
    manager = LiteManager(lite_dir=folder, apps=["lab"])
    addon = manager._addons["pyodide-mirror"]
    print(SiteConfig(addon).python())
"""


def set_kernel(folder: Path, **settings: Any) -> None:
    """Change the kernel's settings in a folder of a site."""
    data = {"litePluginSettings": {sites.KERNEL: settings}}
    path = folder / "jupyter-lite.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"jupyter-lite-schema-version": 0, "jupyter-config-data": data}))


def put_pyodide(folder: Path, version: str) -> None:
    """Put a Pyodide with that version of Python into a site."""
    folder = folder / "static" / "pyodide"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyodide.mjs").write_text("")
    lock = {"info": {"python": version}, "packages": {}}
    (folder / "pyodide-lock.json").write_text(json.dumps(lock))


def sites_by_python(folder: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield what a site is, the folder that it is in, and its Python."""
    number = iter(range(99))

    def site() -> Path:
        return folder / str(next(number))

    set_kernel(one := site(), disablePyPIFallback=True)
    yield "Pyodide comes from where the kernel has it from", one, "cp314"
    set_kernel(one := site(), pyodideUrl=f"{ELSEWHERE}pyodide.mjs")
    yield "Pyodide comes from elsewhere", one, ""
    set_kernel(one := site(), loadPyodideOptions={"indexURL": ELSEWHERE})
    yield "most of Pyodide comes from elsewhere", one, ""
    set_kernel((one := site()) / "lab", pyodideUrl=f"{ELSEWHERE}pyodide.mjs")
    yield "an app has Pyodide from elsewhere", one, ""
    put_pyodide(one := site(), "3.15.0a2")
    yield "Pyodide is in the site", one, "cp315"
    put_pyodide(one := site(), "3.15.0a2")
    set_kernel(one / "_output", pyodideUrl="./static/pyodide/pyodide.mjs")
    yield "it was built before", one, "cp315"
    set_kernel(one := site() / "_output", pyodideUrl="./static/pyodide/pyodide.mjs")
    yield "Pyodide was in the site", one.parent, ""
    put_pyodide(one := site(), "3.14.2")
    (one / "static" / "pyodide" / "pyodide-lock.json").unlink()
    yield "Pyodide is in the site, without a lock file", one, ""


def ask(*folders: Path, **environ: str) -> list[str]:
    done = subprocess.run(
        [str(sites.environment()), "-c", ASK, *map(str, folders)],
        env={"PYTHONPATH": str(sites.package()), "JUPYTER_NO_CONFIG": "1", **environ},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


def test_the_python_of_a_site(tmp_path: Path) -> None:
    cases = list(sites_by_python(tmp_path))
    found = ask(*(folder for _, folder, _ in cases))
    assert dict(zip([what for what, *_ in cases], found, strict=True)) == {
        what: expected for what, _, expected in cases
    }


def test_what_another_add_on_fetches_is_not_known(tmp_path: Path) -> None:
    set_kernel(tmp_path)
    archive = f"{ELSEWHERE}pyodide.tar.bz2"
    assert ask(tmp_path, JUPYTERLITE_PYODIDE_URL=archive) == [""]


@pytest.mark.nightly
def test_another_pyodide_between_builds_brings_another_wheel_and_leaves_nothing_stale(
    tmp_path: Path,
) -> None:
    folder = write_site(tmp_path)
    for version, expected in [("", "cp314"), ("3.13.2", "py3"), ("3.14.9", "cp314")]:
        if version:
            put_pyodide(folder, version)
        output = build(folder)
        assert_nothing_stale(output)
        assert python(output) == expected
    build(folder, "--no-pyodide-mirror")
    assert not (output / "pypi").exists()


def test_a_lock_file_that_is_none_ends_the_build_with_a_sentence(tmp_path: Path) -> None:
    folder = write_site(tmp_path)
    put_pyodide(folder, "3.14.2")
    (folder / "static" / "pyodide" / "pyodide-lock.json").write_text("[]")
    done = run(folder, "build")
    assert done.returncode != 0
    assert "pyodide-lock.json is no lock file of Pyodide: put the release's there." in done.stdout
