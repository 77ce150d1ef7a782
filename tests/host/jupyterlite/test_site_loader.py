"""The loader in a site: where it is written, what kernels are told, and what stays of it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host.jupyterlite.test_addon import (
    assert_nothing_stale,
    build,
    contents,
    kernel_settings,
    python,
    told,
)
from tests.host.jupyterlite.test_python import put_pyodide, set_kernel
from tests.jupyterlite import sites
from tests.jupyterlite.sites import jupyter_lite_without_code as run
from tests.jupyterlite.sites import write_site_with_wheels as write_site
from tests.zoo.cdns import CDNZoo

VERSION = sites.CURRENT.pyodide
URL = "./static/pyodide-mirror/pyodide.mjs"
OFF = "--no-pyodide-mirror-loader"
LARGE = ("pyodide.asm.wasm", "python_stdlib.zip")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small thing by the names of a Pyodide's core files."""
    folder = tmp_path_factory.mktemp("dist")
    lock = {"info": {"python": "3.14.2"}, "packages": {}}
    texts = {
        "pyodide.mjs": f'const version="{VERSION}"',
        "pyodide.asm.mjs": "// the glue",
        "pyodide.asm.wasm": "the program",
        "python_stdlib.zip": "the library",
        "pyodide-lock.json": json.dumps(lock),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def environ(dist: Path) -> dict[str, str]:
    """Our package, for which that is Pyodide, and nothing said about the loader."""
    package = str(sites.package_for(dist))
    return {"PYTHONPATH": package, "JUPYTERLITE_NO_PYODIDE_MIRROR_LOADER": ""}


@pytest.fixture
def zoo(dist: Path) -> Iterator[CDNZoo]:
    """CDNs; the good ones have that Pyodide."""
    with CDNZoo.of(dist) as zoo:
        yield zoo


def loader(output: Path) -> dict[str, Any]:
    """What the loader's module of a site is told."""
    text = (output / URL).read_text()
    found: dict[str, Any] = json.loads(re.findall("(?m)^const FIXED = (.*);$", text)[0])
    return found


def assert_no_loader(output: Path) -> None:
    assert "pyodideUrl" not in kernel_settings(output)
    assert not (output / URL).parent.exists()


@pytest.mark.nightly
def test_kernels_load_pyodide_by_the_loader_where_it_is_on_a_cdn(
    tmp_path: Path, environ: dict[str, str], zoo: CDNZoo, dist: Path
) -> None:
    urls = [zoo.url(name) for name in ("closed", "503", "good")]
    folder = write_site(tmp_path / "site", addon={"cdns": urls})
    output = build(folder, environ=environ)
    assert_nothing_stale(output)
    assert kernel_settings(output)["pyodideUrl"] == URL
    assert loader(output)["cdns"] == [url.format(version=VERSION) for url in urls]
    names = {path.name for path in (output / URL).parent.iterdir()}
    assert names > {"pyodide.mjs", "pyodide.asm.mjs", "pyodide-lock.json"}
    assert names.isdisjoint(LARGE)
    assert not [name for name in names if name.endswith(".whl")]  # kernels have it from the site
    assert told(output)["cdns"] is None  # so that Python takes what the loader has found out
    assert python(output) == "cp314"
    # JupyterLite's cache has all that another build needs.
    zoo.close()
    before = contents(output)
    done = run(folder, "check", environ=environ)
    assert done.returncode == 0, done.stdout
    assert contents(output) == before
    # Nothing stays of it.
    build(folder, OFF, environ=environ)
    assert_no_loader(output)
    assert told(output)["cdns"] == urls
    assert contents(build(folder, environ=environ)) == before
    expected = contents(build(write_site(tmp_path / "without"), environ={"PYTHONPATH": ""}))
    assert contents(build(folder, "--no-pyodide-mirror", environ=environ)) == expected
    # It makes room for Pyodide in the site.
    build(folder, environ=environ)
    put_pyodide(folder, "3.14.2")
    assert kernel_settings(build(folder, environ=environ))["pyodideUrl"] != URL
    assert not (output / URL).parent.exists()


def test_a_site_is_built_without_a_network_as_before_unless_the_loader_is_asked_for(
    tmp_path: Path, environ: dict[str, str], zoo: CDNZoo, dist: Path
) -> None:
    folder = write_site(tmp_path / "site", addon={"cdns": [zoo.url("closed"), zoo.url("503")]})
    done = run(folder, "build", environ=environ)
    assert done.returncode == 0, done.stdout
    assert "kernels load Pyodide from its one CDN, because pyodide.mjs" in done.stdout
    assert_no_loader(folder / "_output")
    asked = run(folder, "build", "--pyodide-mirror-loader=true", environ=environ)
    assert asked.returncode != 0
    assert "PyodideMirrorAddon.loader: pyodide.mjs of Pyodide" in asked.stdout
    assert "or build with --no-pyodide-mirror-loader." in asked.stdout
    output = build(folder, f"--pyodide-mirror-loader={dist}", environ=environ)
    assert kernel_settings(output)["pyodideUrl"] == URL
    lost = run(folder, "build", "--pyodide-mirror-loader=nowhere", environ=environ)
    assert lost.returncode != 0
    assert "nowhere is not a folder: name another one, or build with" in lost.stdout


def test_where_the_owner_has_said_where_pyodide_is_the_loader_is_left_out_or_refused(
    tmp_path: Path, environ: dict[str, str], dist: Path
) -> None:
    folder = write_site(tmp_path / "site")
    set_kernel(folder, pyodideUrl="https://cdn.example/pyodide.mjs")
    output = build(folder, environ=environ)
    assert kernel_settings(output)["pyodideUrl"] == "https://cdn.example/pyodide.mjs"
    assert not (output / URL).parent.exists()
    asked = run(folder, "build", f"--pyodide-mirror-loader={dist}", environ=environ)
    assert asked.returncode != 0
    assert "elsewhere already, by pyodideUrl or indexURL: take that away, or build" in asked.stdout


@pytest.mark.nightly
def test_kernels_of_jupyterlite_0_7_load_no_module(
    tmp_path: Path, environ: dict[str, str], dist: Path
) -> None:
    folder = write_site(tmp_path / "site")
    assert_no_loader(build(folder, release=sites.OLDER, environ=environ))
    wanted = f"--pyodide-mirror-loader={dist}"
    asked = run(folder, "build", wanted, release=sites.OLDER, environ=environ)
    assert asked.returncode != 0
    assert "PyodideMirrorAddon.loader: it needs JupyterLite 0.8: update it, or" in asked.stdout
