"""A bundle in a site: what is copied, what kernels are told, and what is refused."""

import shutil
from pathlib import Path

import pytest

from pyodide_mirror.bundling import read_lock_file, write_bundle
from tests.host.jupyterlite.test_addon import build, contents, kernel_settings, python, told
from tests.host.jupyterlite.test_python import set_kernel
from tests.jupyterlite import sites
from tests.jupyterlite.sites import jupyter_lite_without_code as run
from tests.jupyterlite.sites import write_site_with_wheels as write_site
from tests.support import bundles
from tests.support.wheels import Wheel, make_wheel

URL = "./static/pyodide-mirror/pyodide/pyodide.mjs"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of Pyodide."""
    top = tmp_path_factory.mktemp("release")
    return bundles.make_release(top / "release", bundles.make_small_dist(top / "dist"))


def write(folder: Path, release: Path, *wheels: Wheel) -> Path:
    """Write a bundle of these and others, and return its folder."""
    wheels = (*bundles.CHOSEN, *wheels)
    lock = read_lock_file(bundles.write_lock(folder / "lock" / "pylock.toml", wheels))
    with bundles.known_release(release):
        write_bundle(folder / "bundle", [lock], bundles.settings(release, folder / "cache"))
    return folder / "bundle"


@pytest.fixture
def bundle(release: Path, tmp_path: Path) -> Path:
    """A bundle with what kernels need."""
    return write(tmp_path, release, *(make_wheel(name, "1.0") for name in ("ipython", "jedi")))


@pytest.fixture
def environ(release: Path) -> dict[str, str]:
    """Our package, for which that is Pyodide."""
    return {"PYTHONPATH": str(sites.package_for(release, bundles.VERSION))}


@pytest.mark.nightly
def test_a_site_has_what_kernels_use_of_a_bundle_until_it_is_built_without_one(
    bundle: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    folder = write_site(tmp_path / "site")
    output = build(folder, f"--pyodide-mirror-bundle={bundle}", environ=environ)
    assert kernel_settings(output)["pyodideUrl"] == URL
    # Python takes what the loader says, whose index is beside it.
    assert (told(output)["mirrors"], told(output)["cdns"]) == (None, None)
    assert python(output) in {"cp314", "py3"}
    there, whole = contents(output / "static" / "pyodide-mirror"), contents(bundle)
    same = {path for path in there if there[path] == whole.get(path)}
    assert {path for path in whole if path.startswith(("files/", "simple/"))} <= same
    assert {path for path in whole if path.endswith((".whl", ".metadata"))} <= same
    # The loader is without our package, which the site has.
    assert b'"wheel":null' in there[next(path for path in there if "/pyodide-mirror-" in path)]
    done = run(folder, "check", f"--pyodide-mirror-bundle={bundle}", environ=environ)
    assert done.returncode == 0, done.stdout
    build(folder, environ=environ)
    assert "pyodideUrl" not in kernel_settings(output)
    assert not (output / "static" / "pyodide-mirror").exists()


def test_what_is_no_whole_bundle_is_refused(
    bundle: Path, release: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    folder = write_site(tmp_path / "site")
    option = f"--pyodide-mirror-bundle={bundle}"
    set_kernel(folder, pyodideUrl="https://cdn.example/pyodide.mjs")
    done = run(folder, "build", option, environ=environ)
    assert "PyodideMirrorAddon.bundle: Pyodide comes from elsewhere already" in done.stdout
    shutil.rmtree(folder)
    write_site(folder)
    other = write(tmp_path / "other", release)
    done = run(folder, "build", f"--pyodide-mirror-bundle={other}", environ=environ)
    assert f"run `pyodide-mirror bundle ipython jedi {other}`" in done.stdout
    (bundle / "pyodide" / "python_stdlib.zip").write_text("other")
    done = run(folder, "build", option, environ=environ)
    assert done.returncode != 0
    assert "PyodideMirrorAddon.bundle: python_stdlib.zip of Pyodide" in done.stdout
    assert not (folder / "_output" / "static" / "pyodide-mirror").exists()
    (bundle / "SHA256SUMS").unlink()
    done = run(folder, "build", option, environ=environ)
    assert done.returncode != 0
    assert f"PyodideMirrorAddon.bundle: {bundle} is no folder that" in done.stdout
