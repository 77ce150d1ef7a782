"""The table of Pyodide's core files, against npm's packages."""

import json
from pathlib import Path

import pytest

from pyodide_mirror.loader import CORE_FILES, TABLE, core_files, known_versions
from tests.support import provision
from tools.core_digests import main, measured, wanted, written

LOCK = "pyodide-lock.json"


@pytest.mark.parametrize("version", ["0.28.3", "0.29.5", provision.PYODIDE_VERSION])
def test_the_table_says_what_npm_has(version: str) -> None:
    dist = provision.pyodide_dist(version)
    known = core_files(version)
    for name, file in known.items():
        if name != LOCK:  # that of the tests is cut down
            assert file.fits((dist / name).read_bytes())
    assert set(known) == {name for name in CORE_FILES if (dist / name).exists()}
    assert measured(dist, version).keys() == known.keys()


def test_the_lines_that_are_known() -> None:
    known = known_versions()
    assert {version.rpartition(".")[0] for version in known} == {"0.28", "0.29", "314.0", "315.0"}
    assert {"314.0.6", "314.0.7"} <= set(known)
    assert all(LOCK in core_files(version) for version in known)


def test_an_unknown_version_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"Pyodide 0\.27\.8 is not known; .* 0\.28\.0, 0\.28\.1, "):
        core_files("0.27.8")


def test_other_content_does_not_fit() -> None:
    file = core_files("314.0.7")["pyodide.mjs"]
    content = (provision.pyodide_dist() / "pyodide.mjs").read_bytes()
    assert file.fits(content)
    assert not file.fits(content + b"\n")
    assert not file.fits(content[:-1] + b" ")


def test_of_pre_releases_the_newest_of_a_line_without_a_release_is_taken() -> None:
    npm = ["0.27.8", "0.28.0-alpha.1", "0.28.0", "2.0.0-alpha.1", "2.0.0-alpha.2", "1.0.0-alpha.9"]
    assert wanted(npm) == ["0.28.0", "1.0.0-alpha.9", "2.0.0-alpha.2"]


def test_the_file_is_as_the_tool_writes_it() -> None:
    text = TABLE.read_text("utf-8")
    assert written(json.loads(text)) == text


def test_what_is_in_the_table_is_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def npm_install(_: object, folder: Path) -> Path:
        (folder / "pyodide").mkdir()
        (folder / "pyodide" / "pyodide.mjs").write_text('const v="2.0.0a2"')
        return folder

    table = tmp_path / "table.json"
    table.write_text(json.dumps({"0.28.0": {}}))
    monkeypatch.setattr(provision, "npm_versions", lambda _: ["0.28.0", "2.0.0-alpha.2"])
    monkeypatch.setattr(provision, "npm_install", npm_install)
    assert main(["--table", str(table)]) == 0
    assert capsys.readouterr().out == "2.0.0a2\n"
    digest = "2b0e5dc79ac6baed7066ac5db5b25332e9f416e3ffabb46b3572ea703a9abf91"
    assert json.loads(table.read_text()) == {"0.28.0": {}, "2.0.0a2": {"pyodide.mjs": [digest, 17]}}


def test_a_package_of_another_version_is_not_taken() -> None:
    with pytest.raises(ValueError, match="does not say that it is of this version"):
        measured(provision.pyodide_dist(), "314.0.6")
