"""What the add-on refuses, and leaves alone: nothing is built here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror.jupyterlite.site_wheels import installed_wheel
from tests.jupyterlite import sites
from tests.jupyterlite.sites import jupyter_lite_without_code as run
from tests.jupyterlite.sites import write_site_with_wheels as write_site

MIRROR = "https://mirror.example/simple"


BAD: Mapping[str, tuple[dict[str, Any], str]] = {
    "a password": (
        {"mirrors": ["https://me:secret@mirror.example/simple"]},
        "'https://***@mirror.example/simple': it contains a user name or password; write it like",
    ),
    "no URL": ({"mirrors": ["nonsense"]}, "write it like https://mirror.example/simple."),
    "headers": (
        {"mirrors": [{"index_url": MIRROR, "headers": {"Authorization": "secret"}}]},
        "mirrors: everybody can read the headers of a mirror in a published site: leave them out",
    ),
    "another field": (
        {"mirrors": [{"index_url": MIRROR, "token": "secret"}]},
        "mirrors: a mirror has no 'token', but index_url, name,",
    ),
    "no field": ({"mirrors": [{"name": "x"}]}, "mirrors: a mapping needs an 'index_url'"),
    "a number": ({"mirrors": [7]}, "PyodideMirrorAddon.mirrors must be a list of index URLs"),
    "a secret CDN": (
        {"cdns": ["https://me:secret@cdn.example/v{version}/"]},
        "PyodideMirrorAddon: cdns: ",
    ),
    "no CDN": ({"cdns": [7]}, "PyodideMirrorAddon.cdns must be a list of base URLs."),
    "a bad name": ({"canary": "secret tool"}, "canary: 'secret tool' is not a project's name"),
    "another word": ({"prefer": "both"}, "prefer must be one of 'lockfile', 'index'; not 'both'"),
    "no time": ({"timeout": 0}, "timeout must be a positive number of seconds, not 0"),
    "a word": ({"timeout": "secret"}, "PyodideMirrorAddon.timeout must be a number of seconds."),
    "a number for the loader": (
        {"loader": 7},
        "PyodideMirrorAddon.loader must be true, false, or a folder with an unpacked release",
    ),
    "perhaps": ({"enabled": "secret"}, "PyodideMirrorAddon.enabled must be true or false."),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_setting_ends_the_build_with_a_sentence_that_shows_no_secret(
    tmp_path: Path, name: str
) -> None:
    settings, sentence = BAD[name]
    done = run(write_site(tmp_path, addon=settings), "build")
    assert done.returncode != 0
    assert sentence in done.stdout
    assert "secret" not in done.stdout.replace("secret tool", "")
    assert not (tmp_path / "_output").exists()


def test_an_error_does_not_become_a_site_when_errors_are_to_be_passed_over(tmp_path: Path) -> None:
    folder = write_site(tmp_path, addon={"mirrors": ["nonsense"]})
    done = run(folder, "build", "--LiteManager.strict=False")
    assert "not a usable index URL: 'nonsense'" in done.stdout
    assert not (tmp_path / "_output" / "pypi").exists()


def test_the_add_on_for_lock_files_and_ours_do_not_go_together(tmp_path: Path) -> None:
    done = run(write_site(tmp_path), "build", "--pyodide-lock")
    assert done.returncode != 0
    assert "build without --pyodide-lock, or with --no-pyodide-mirror." in done.stdout


def test_the_add_on_that_makes_the_index_is_needed(tmp_path: Path) -> None:
    name = "jupyterlite-pyodide-kernel-piplite"
    done = run(write_site(tmp_path), "build", f"--disable-addons={name}")
    assert done.returncode != 0
    assert f"needs the add-on {name}" in done.stdout
    assert "take it from disable_addons, or build with --no-pyodide-mirror." in done.stdout


def test_a_site_without_our_kernel_is_left_alone(tmp_path: Path) -> None:
    folder = write_site(tmp_path)
    done = run(folder, "build", "--ignore-sys-prefix")
    assert done.returncode == 0, done.stdout
    assert "this site has no Pyodide kernel: nothing to do" in done.stdout
    assert not (folder / "_output" / "pypi").exists()


def test_a_comm_that_is_not_whole_ends_the_build_with_a_sentence(tmp_path: Path) -> None:
    info = tmp_path / "broken" / "comm-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: comm\nVersion: 1.0\n")
    (info / "RECORD").write_text("comm-1.0.dist-info/METADATA,,\n")
    path = f"{tmp_path / 'broken'}:{sites.package()}"
    done = run(write_site(tmp_path / "site"), "build", environ={"PYTHONPATH": path})
    assert done.returncode != 0
    assert "only in part installed here: pip install --force-reinstall comm." in done.stdout


def test_a_package_that_is_missing_is_named_with_the_way_to_get_it() -> None:
    with pytest.raises(ValueError, match=r"into the site, for fun, but it is not installed here"):
        installed_wheel("no-such-package-of-ours", why="for fun")
