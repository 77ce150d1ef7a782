"""A bundle of requirements, which Pyodide under Node resolves, and of more of them."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror import cli
from pyodide_mirror.bundling import check_bundle
from tests.support.bundles import write_lock
from tests.support.lock_place import INDEX, LOCKED, PURE, WASM, cdn_folder, node_cache
from tests.support.small_index import SmallIndex
from tests.support.wheels import make_wheel


@pytest.fixture
def index() -> Iterator[SmallIndex]:
    with SmallIndex(*INDEX, make_wheel("iniconfig", "1.0")) as started:
        yield started


@pytest.fixture
def run(index: SmallIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that runs the command: its exit code, output and errors."""
    cdn = cdn_folder(tmp_path, [WASM])
    store = tmp_path / "store"
    store.mkdir()
    (store / "pyodide").symlink_to(node_cache(tmp_path))
    places = ["--cache", store, "--cdn", cdn, "--pyodide-lock", cdn / "pyodide-lock.json"]

    def runner(*arguments: object) -> tuple[int, str, str]:
        words = ["bundle", *arguments, *places, "--mirror", index.url]
        return cli.main(list(map(str, words))), *capsys.readouterr()

    return runner


def versions(folder: Path) -> dict[str, str]:
    """The packages of a bundle's lock file."""
    document = tomllib.loads((folder / "pylock.toml").read_text())
    return {each["name"]: each["version"] for each in document["packages"]}


@pytest.mark.nightly
def test_requirements_are_resolved_and_more_of_them_fit_to_what_is_there(
    run: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    [old] = [wheel for wheel in INDEX if (wheel.name, wheel.version) == ("zoo-capped", "1.0")]
    code, _, err = run(folder, "--pylock", write_lock(tmp_path / "lock" / "pylock.toml", [old]))
    assert code == 0, err
    (tmp_path / "more.txt").write_text("zoo-capped\n")
    code, out, err = run("zoo-app", folder, "-r", tmp_path / "more.txt")
    assert code == 0, err
    there = {**PURE, **{name: wheel.version for name, wheel in LOCKED.items()}}
    assert f"{len(there)} packages, {len(there) - 1} of them new" in out
    assert versions(folder) == there
    assert (folder / "pyodide" / WASM.filename).read_bytes() == WASM.data
    before = (folder / "SHA256SUMS").read_bytes()
    code, _, err = run("zoo-capped>=2", folder)
    assert code == 1
    assert "zoo-capped" in err.partition("pyodide-mirror bundle: ")[2]
    assert (folder / "SHA256SUMS").read_bytes() == before
    assert check_bundle(folder) == {}
