import base64
import csv
import hashlib
import io
import json
import re
import shutil
import sys
import venv
import zipfile
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror.page_source import as_pages_get_it
from tests.jupyterlite import sites
from tests.jupyterlite.sites import jupyter_lite_without_code as run
from tests.jupyterlite.sites import write_site_with_wheels as write_site
from tests.support import labextension, provision
from tests.support.wheels import make_wheel

KERNEL = sites.KERNEL
MIRROR = "https://mirror.example/simple"
OTHER = "https://other.example/simple"
CDN = "https://cdn.example/v{version}/full/"
PREFIX = "../../../../pypi/"


def build(folder: Path, *arguments: str, **options: Any) -> Path:
    done = run(folder, "build", *arguments, **options)
    assert done.returncode == 0, done.stdout
    return folder / "_output"


def kernel_settings(output: Path, path: str = "jupyter-lite.json") -> dict[str, Any]:
    config = json.loads((output / path).read_text())
    config = config if path.endswith(".json") else config["metadata"]["jupyter-lite"]
    found: dict[str, Any] = config["jupyter-config-data"]["litePluginSettings"][KERNEL]
    return found


def loaded(output: Path, path: str = "jupyter-lite.json") -> list[str]:
    found: list[str] = kernel_settings(output, path)["loadPyodideOptions"]["packages"]
    return found


def wheels(output: Path) -> set[str]:
    return {path.name for path in (output / "pypi").glob("*.whl")}


def python(output: Path) -> str:
    """The Python that our wheel, which a site's kernels load, is for."""
    (own,) = (name for name in wheels(output) if name.startswith("pyodide_mirror-"))
    assert f"{PREFIX}{own}" in loaded(output)
    return own.split("-")[3]


def startup(output: Path) -> str:
    """The program that the site's kernels run when they start."""
    (site,) = (output / "pypi").glob("pyodide_mirror_site-*.whl")
    with zipfile.ZipFile(site) as archive:
        (name,) = (name for name in archive.namelist() if ".data/" in name)
        assert name.endswith(".data/data/etc/ipython/startup/00-pyodide-mirror.py")
        return archive.read(name).decode()


def told(output: Path) -> dict[str, Any]:
    """The arguments that the start-up file gives to `prepare`."""
    found: dict[str, Any] = {}

    class Notebook:
        prepare = found.update

    program = startup(output).replace(
        "from pyodide_mirror import notebook as _pyodide_mirror", "_pyodide_mirror = notebook"
    )
    names: dict[str, Any] = {"notebook": Notebook}
    exec(program, names)  # noqa: S102  # as IPython does
    assert names.keys() == {"notebook", "__builtins__"}
    return found


def contents(output: Path) -> dict[str, bytes]:
    """All of a site, and the times of its files, as far as they are in it."""
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in output.rglob("*")
        if path.is_file()
    }


def assert_nothing_stale(output: Path) -> None:
    """Everything that is named is there, and all that is there is named."""
    index = json.loads((output / "pypi" / "all.json").read_text())
    releases = [each for entry in index.values() for each in entry["releases"].values()]
    # An index has wheels for any Python alone.
    indexed = {name for name in wheels(output) if "-py3-" in name}
    assert {files[0]["filename"] for files in releases} == indexed
    ours = [entry for entry in loaded(output) if entry.startswith(PREFIX)]
    assert len(ours) == 2
    assert {entry.removeprefix(PREFIX) for entry in ours} < wheels(output)
    assert len([name for name in wheels(output) if name.startswith("pyodide_mirror")]) == 2
    digest = hashlib.sha256((output / "pypi" / "all.json").read_bytes()).hexdigest()
    urls = [url for url in kernel_settings(output)["pipliteUrls"] if url.startswith("./pypi")]
    assert urls == [f"./pypi/all.json?sha256={digest}"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a site whose owner has set nothing but two mirrors."""
    labextension.build()
    folder = write_site(tmp_path_factory.mktemp("plain"), addon={"mirrors": [MIRROR, OTHER]})
    return build(folder)


def test_a_site_has_the_wheels_in_its_index_and_loads_all_but_comm_first(plain: Path) -> None:
    assert_nothing_stale(plain)
    projects = json.loads((plain / "pypi" / "all.json").read_text())
    assert set(projects) == {"comm", "pyodide-mirror-site"}
    names = [entry.removeprefix(PREFIX).split("-")[0] for entry in loaded(plain)]
    assert names == ["pyodide_mirror", "pyodide_mirror_site"]
    # The kernel's worker finds them by this relative URL.
    worker = next(plain.glob("extensions/@jupyterlite/pyodide-kernel-extension/static/*.js"))
    assert all((worker.parent / entry).resolve().is_file() for entry in loaded(plain))


def test_the_startup_file_is_the_settings_and_leaves_no_name_behind(plain: Path) -> None:
    assert told(plain) == {
        "mirrors": [MIRROR, OTHER],
        "cdns": None,
        "canary": "iniconfig",
        "prefer": "lockfile",
        "timeout": 5.0,
    }


def test_every_wheel_is_what_its_record_says(plain: Path) -> None:
    for path in (plain / "pypi").glob("*.whl"):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            (record,) = (name for name in names if name.endswith(".dist-info/RECORD"))
            rows = list(csv.reader(io.StringIO(archive.read(record).decode())))
            assert sorted(row[0] for row in rows) == sorted(names)
            for name, digest, size in rows:
                if name != record:
                    content = archive.read(name)
                    packed = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
                    assert digest == f"sha256={packed.decode().rstrip('=')}"
                    assert int(size) == len(content)
            assert not any("__pycache__" in name or "INSTALLER" in name for name in names)


def test_the_front_end_extension_is_there_with_the_owner_s_values_as_defaults(
    plain: Path, tmp_path: Path
) -> None:
    schema = extension_schema(plain)
    assert schema["properties"]["mirrors"]["default"] == [MIRROR, OTHER]
    assert schema["properties"]["timeout"]["default"] == 5.0
    assert not any(each["readOnly"] for each in schema["properties"].values())
    config = json.loads((plain / "jupyter-lite.json").read_text())
    (ours,) = (
        each
        for each in config["jupyter-config-data"]["federated_extensions"]
        if each["name"] == "pyodide-mirror"
    )
    assert (plain / "extensions" / "pyodide-mirror" / ours["load"]).is_file()
    company = {"index_url": f"{OTHER}/", "projects": ["acme-*"]}
    folder = write_site(tmp_path, addon={"mirrors": [company, MIRROR]})
    output = build(folder, "--pyodide-mirror-locked")
    assert extension_schema(output)["properties"]["mirrors"]["default"] == [OTHER, MIRROR]
    assert all(each["readOnly"] for each in extension_schema(output)["properties"].values())
    assert told(output)["locked"] is True


def extension_schema(output: Path) -> dict[str, Any]:
    path = "extensions/pyodide-mirror/schemas/pyodide-mirror/plugin.json"
    found: dict[str, Any] = json.loads((output / path).read_text())
    return found


@pytest.mark.nightly
def test_a_site_in_other_languages_has_our_texts_in_them_until_it_is_switched_off(
    tmp_path: Path,
) -> None:
    labextension.build()
    folder = write_site(tmp_path, addon={"mirrors": [MIRROR]})
    output = build(folder, environ=sites.in_languages())
    assert not (output / "extensions" / "pyodide-mirror" / "locale").exists()
    texts = {"zh_CN": "软件包镜像", "es_ES": "Espejos de paquetes"}
    for language, expected in texts.items():
        data = json.loads((output / "api" / "translations" / f"{language}.json").read_text())[
            "data"
        ]
        assert data["pyodide_mirror"]["Package mirrors"] == [expected]
        languages = {each[""]["language"] for each in data.values()}
        assert languages == {language.replace("_", "-")}
    output = build(folder, "--no-pyodide-mirror", environ=sites.in_languages())
    for language in texts:
        written = (output / "api" / "translations" / f"{language}.json").read_text()
        data = json.loads(written)
        assert "pyodide_mirror" not in data["data"]
        assert json.dumps(data, sort_keys=True, indent=2) == written


def test_pip_takes_the_wheels(plain: Path, tmp_path: Path) -> None:
    found = [str(path) for path in (plain / "pypi").glob("*.whl")]
    options = ["--no-deps", "--no-index", "--target", str(tmp_path)]
    its_python = ["--python-version=3.14", "--only-binary=:all:"]
    sites.pip_install(Path(sys.executable), *options, *its_python, *found)
    assert (tmp_path / "comm" / "__init__.py").is_file()
    assert (tmp_path / "etc" / "ipython" / "startup" / "00-pyodide-mirror.py").is_file()
    assert (tmp_path / "pyodide_mirror" / "browser" / "fast.js").is_file()
    assert not (tmp_path / "pyodide_mirror" / "jupyterlite").exists()


def test_jupyter_lite_check_passes(plain: Path) -> None:
    done = run(plain.parent, "check")
    assert done.returncode == 0, done.stdout
    assert "check:pyodide-mirror:wheels" in done.stdout


def test_the_status_shows_the_settings(plain: Path) -> None:
    done = run(plain.parent, "status")
    assert MIRROR in done.stdout
    assert "iniconfig" in done.stdout


def test_building_again_changes_nothing_and_elsewhere_makes_the_same(
    plain: Path, tmp_path: Path
) -> None:
    before = contents(plain)
    assert contents(build(plain.parent)) == before
    folder = write_site(tmp_path / "elsewhere", addon={"mirrors": [MIRROR, OTHER]})
    assert contents(build(folder)) == before


def copied(plain: Path, folder: Path) -> Path:
    """A copy of the plain site's folder, which is built already."""
    shutil.copytree(plain.parent, folder, symlinks=True)
    return folder


def test_changed_mirrors_leave_nothing_stale(plain: Path, tmp_path: Path) -> None:
    folder = copied(plain, tmp_path / "site")
    before = wheels(plain)
    output = build(folder, f"--pyodide-mirrors={OTHER}")
    assert_nothing_stale(output)
    assert len(before - wheels(output)) == 1
    assert told(output)["mirrors"] == [OTHER]


def test_a_changed_package_has_another_name_and_leaves_nothing_stale(
    plain: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(sites.package(), changed)
    with (changed / "pyodide_mirror" / "notebook" / "startup.py").open("a") as module:
        module.write("\nCHANGED = True\n")
    output = build(copied(plain, tmp_path / "site"), environ={"PYTHONPATH": str(changed)})
    assert_nothing_stale(output)
    (gone,) = wheels(plain) - wheels(output)
    assert re.fullmatch(r"pyodide_mirror-[^-]+-0x[0-9a-f]{12}-cp314-none-any\.whl", gone)


def settled_site(folder: Path) -> Path:
    """A site whose owner has settings and wheels that ours must not get mixed up with."""
    options = {"packages": ["numpy", f"{PREFIX}own_thing-1.0-py3-none-any.whl"], "env": {"A": "b"}}
    write_site(folder, addon={"mirrors": [MIRROR]}, kernel={"loadPyodideOptions": options})
    for name in ("own-thing", "comm"):
        wheel = make_wheel(name, "1.0")
        (folder / "pypi" / wheel.filename).write_bytes(wheel.data)
    app: dict[str, Any] = {"loadPyodideOptions": {"packages": []}}
    (folder / "lab").mkdir()
    config = {"jupyter-config-data": {"litePluginSettings": {KERNEL: app}}}
    (folder / "lab" / "jupyter-lite.json").write_text(json.dumps(config))
    return folder


def test_switched_off_the_site_is_byte_for_byte_what_it_is_without_us(
    plain: Path, tmp_path: Path
) -> None:
    without = write_site(tmp_path / "without", addon={"mirrors": [MIRROR, OTHER]})
    expected = contents(build(without, environ={"PYTHONPATH": ""}))
    assert not any("pyodide_mirror" in name for name in expected)
    assert contents(plain) != expected
    folder = copied(plain, tmp_path / "with")
    assert contents(build(folder, "--no-pyodide-mirror")) == expected


def test_switched_off_a_site_with_settings_of_its_own_is_what_it_is_without_us(
    tmp_path: Path,
) -> None:
    without = build(settled_site(tmp_path / "without"), environ={"PYTHONPATH": ""})
    expected = contents(without)
    folder = settled_site(tmp_path / "with")
    off = {"JUPYTERLITE_NO_PYODIDE_MIRROR": "1"}
    assert contents(build(folder, environ=off)) == expected
    assert contents(build(folder)) != expected
    assert contents(build(folder, "--no-pyodide-mirror")) == expected
    # And so is one that is switched off in the file, with a mirror that would be an error.
    config = {"PyodideMirrorAddon": {"enabled": False, "mirrors": ["nonsense"]}}
    (folder / "jupyter_lite_config.json").write_text(json.dumps(config))
    build(folder, "--PyodideMirrorAddon.enabled=True", f"--pyodide-mirrors={MIRROR}")
    assert contents(build(folder)) == expected


def test_what_the_owner_has_set_is_kept(tmp_path: Path) -> None:
    folder = settled_site(tmp_path)
    for _ in range(2):
        output = build(folder)
        own, ours = loaded(output)[:2], loaded(output)[2:]
        assert own == ["numpy", f"{PREFIX}own_thing-1.0-py3-none-any.whl"]
        assert kernel_settings(output)["loadPyodideOptions"]["env"] == {"A": "b"}
        # An app's own options would replace those of the site.
        assert loaded(output, "lab/jupyter-lite.json") == ours
        assert len(ours) == 2
        # One comm is enough.
        assert [name for name in wheels(output) if name.startswith("comm-")] == [
            "comm-1.0-py3-none-any.whl"
        ]


def test_options_in_a_notebook_of_settings_are_kept(tmp_path: Path) -> None:
    folder = write_site(tmp_path)
    (folder / "jupyter-lite.json").unlink()
    data = {"litePluginSettings": {KERNEL: {"loadPyodideOptions": {"packages": ["numpy"]}}}}
    metadata = {"jupyter-lite": {"jupyter-config-data": data, "jupyter-lite-schema-version": 0}}
    notebook = {"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    (folder / "jupyter-lite.ipynb").write_text(json.dumps(notebook))
    output = build(folder)
    # In the browser, what is in the root's .json replaces what is in its .ipynb.
    assert "loadPyodideOptions" not in kernel_settings(output)
    assert loaded(output, "jupyter-lite.ipynb")[0] == "numpy"
    assert len(loaded(output, "jupyter-lite.ipynb")) == 3


@pytest.mark.nightly
def test_mirrors_come_from_the_command_line_the_environment_or_nowhere(tmp_path: Path) -> None:
    folder = write_site(tmp_path)
    assert told(build(folder))["mirrors"] is None
    settings = {"PyodideMirrorAddon": {"mirrors": f"{OTHER}/"}}
    (folder / "jupyter_lite_config.json").write_text(json.dumps(settings))
    assert told(build(folder))["mirrors"] == [OTHER]
    (folder / "jupyter_lite_config.json").unlink()
    environ = {
        "JUPYTERLITE_PYODIDE_MIRRORS": f"{MIRROR}, {OTHER}",
        "JUPYTERLITE_PYODIDE_MIRROR_CDNS": CDN,
    }
    found = told(build(folder, environ=environ))
    assert (found["mirrors"], found["cdns"]) == ([MIRROR, OTHER], [CDN])
    arguments = [f"--pyodide-mirrors={OTHER}", f"--pyodide-mirrors={MIRROR}/"]
    arguments += ["--pyodide-mirror-canary=Acme.Tool", "--pyodide-mirror-prefer=index"]
    arguments += [f"--pyodide-mirror-cdns={CDN}", f"--pyodide-mirror-cdns={MIRROR}/{{version}}"]
    output = build(folder, *arguments, "--pyodide-mirror-timeout=2.5", environ=environ)
    assert told(output) == {
        "mirrors": [OTHER, MIRROR],
        "cdns": [CDN, f"{MIRROR}/{{version}}/"],
        "canary": "Acme.Tool",
        "prefer": "index",
        "timeout": 2.5,
    }


def test_a_mirror_may_have_all_that_is_no_secret(tmp_path: Path) -> None:
    company = {"index_url": f"{OTHER}/", "name": "Zoë's", "projects": ["acme-*"], "private": True}
    folder = write_site(tmp_path, addon={"mirrors": [MIRROR, company]})
    assert told(build(folder))["mirrors"] == [
        MIRROR,
        {"index_url": OTHER, "name": "Zoë's", "projects": ("acme-*",), "private": True},
    ]


def test_a_site_that_has_lost_a_wheel_does_not_pass_the_check(plain: Path, tmp_path: Path) -> None:
    folder = copied(plain, tmp_path / "site")
    (lost,) = (folder / "_output" / "pypi").glob("pyodide_mirror_site-*")
    # `check` builds first, which puts it back; so another add-on removes it after that.
    done = run(
        folder, "check", environ={"PYTHONPATH": f"{loser(tmp_path, lost)}:{sites.package()}"}
    )
    assert done.returncode != 0
    assert f"({lost.name}): build it again." in done.stdout


def loser(folder: Path, lost: Path) -> Path:
    """An add-on that removes a file after the build."""
    info = folder / "loser" / "loser-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loser\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[jupyterlite.addon.v0]\nzzz = loser:Loser\n")
    (folder / "loser" / "loser.py").write_text(
        "from pathlib import Path\n"
        "from jupyterlite_core.addons.base import BaseAddon\n"
        "class Loser(BaseAddon):\n"
        "    __all__ = ['post_build']\n"
        "    def post_build(self, manager):\n"
        f"        yield self.task(name='lose', actions=[Path({str(lost)!r}).unlink])\n"
    )
    return folder / "loser"


def test_an_editable_install_builds_a_site_that_has_the_package(tmp_path: Path) -> None:
    python = editable(tmp_path / "editable")
    output = build(write_site(tmp_path / "site"), python=python, environ={"PYTHONPATH": ""})
    assert_nothing_stale(output)
    (ours,) = (output / "pypi").glob("pyodide_mirror-*.whl")
    assert f"-{version('pyodide-mirror')}-" in ours.name
    with zipfile.ZipFile(ours) as archive:
        path = "browser/fast.js"
        source = (provision.ROOT / "pyodide_mirror" / path).read_bytes()
        assert archive.read(f"pyodide_mirror/{path}") == as_pages_get_it(path, source)


def editable(folder: Path) -> Path:
    """An environment like JupyterLite's in which our package is installed from the tree."""
    venv.create(folder, symlinks=True)
    base = sites.environment().parents[1]
    (packages,) = (folder / "lib").glob("*/site-packages")
    (theirs,) = (base / "lib").glob("*/site-packages")
    # What `pip install --editable` makes of it: its folder's path, and its metadata.
    (packages / "editable.pth").write_text(f"{provision.ROOT}\n{theirs}\n")
    info = packages / f"pyodide_mirror-{version('pyodide-mirror')}.dist-info"
    info.mkdir()
    for name in ("METADATA", "entry_points.txt"):
        (info / name).write_text(distribution("pyodide-mirror").read_text(name) or "")
    (folder / "share").symlink_to(base / "share")
    return folder / "bin" / "python"


@pytest.mark.nightly
def test_jupyterlite_0_7_builds_the_same(plain: Path, tmp_path: Path) -> None:
    folder = write_site(tmp_path, addon={"mirrors": [MIRROR, OTHER]})
    output = build(folder, release=sites.OLDER)
    assert_nothing_stale(output)
    assert python(output) == "py3"  # nothing is compiled for its Python, 3.13
    assert startup(output) == startup(plain)
    done = run(folder, "check", release=sites.OLDER)
    assert done.returncode == 0, done.stdout
