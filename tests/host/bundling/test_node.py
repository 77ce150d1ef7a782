"""Node, and Pyodide of npm: verified, kept, and in a sentence what is missing."""

import io
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

from pyodide_mirror.bundling import LockError, find_node, node, npm_pyodide, run_driver
from pyodide_mirror.loader import LocalFolder, core_files
from pyodide_mirror.model import CDN
from tests.support import provision
from tests.support.lock_place import VERSION

NOWHERE = node.Node("no-node-here", (sys.executable, "-c", "raise SystemExit('npm error no way')"))
JOB = {"folders": [], "load": []}


def fake_npm(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Python code in the place of npm."""
    monkeypatch.setattr(
        node, "find_node", lambda: NOWHERE._replace(npm=(sys.executable, "-c", code))
    )


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_it_is_found() -> None:
    assert find_node().program == str(provision.node())
    assert Path(find_node().npm[-1]).is_file()


@pytest.mark.parametrize("name", ["node", "npm"])
def test_another_one_is_found_on_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr(node, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    program = tmp_path / name
    program.touch(0o755)
    with pytest.raises(LockError, match=r"not installed: pip install 'pyodide-mirror\[bundle\]'"):
        find_node()
    other = tmp_path / ({"node", "npm"} - {name}).pop()
    other.touch(0o755)
    assert find_node() == (str(tmp_path / "node"), (str(tmp_path / "npm"),))


def test_the_cache_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert node.default_cache().name == "pyodide"
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    with pytest.raises(LockError, match=r"pip install 'pyodide-mirror\[bundle\]'"):
        node.default_cache()


# --- Pyodide itself -------------------------------------------------------------------------------


async def test_a_folder_that_is_named_is_asked_before_npm_and_what_is_damaged_comes_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_npm(monkeypatch, "raise SystemExit('npm error no way')")
    source = LocalFolder(provision.pyodide_package())
    folder = await npm_pyodide(VERSION, tmp_path, [source])
    files = core_files(VERSION)
    assert names(folder) == files.keys()
    assert (await npm_pyodide(VERSION, tmp_path)) == folder  # asks nobody
    (folder / "pyodide.mjs").write_bytes(b"x" * files["pyodide.mjs"].size)
    with pytest.raises(LockError, match="no way"):
        await npm_pyodide(VERSION, tmp_path)
    await npm_pyodide(VERSION, tmp_path, [source])
    assert files["pyodide.mjs"].fits((folder / "pyodide.mjs").read_bytes())


async def test_where_none_can_be_read_all_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_npm(monkeypatch, "raise SystemExit('npm error code E1\\nnpm error no way')")
    with pytest.raises(LockError) as caught:
        await npm_pyodide(VERSION, tmp_path, [CDN("http://127.0.0.1:9/")], 5.0)
    said = str(caught.value)
    assert "127.0.0.1:9: " in said
    assert "npm says 'no way'; name a folder" in said
    assert names(tmp_path) == set()
    with pytest.raises(ValueError, match=r"^Pyodide 9\.9\.9 is not known"):
        await npm_pyodide("9.9.9", tmp_path)


async def test_real_npm_that_reaches_nobody_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(LockError, match=f"^Pyodide {VERSION} cannot be read: npm says '.*127"):
        await npm_pyodide(VERSION, tmp_path / "cache")


def packed(**files: bytes) -> bytes:
    """A package of npm with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


async def test_what_npm_has_must_be_the_release(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = provision.pyodide_package()
    contents = {name: (package / name).read_bytes() for name in core_files(VERSION)}
    first = contents["pyodide.mjs"][:-1]
    target = tmp_path / "made.tgz"
    code = f"import shutil; shutil.copy({str(target)!r}, 'pyodide-{VERSION}.tgz')"
    fake_npm(monkeypatch, code)
    damaged = (first + b"!", first, b"")
    for each in damaged:
        target.write_bytes(packed(**{**contents, "pyodide.mjs": each}))
        with pytest.raises(LockError, match=r"^pyodide\.mjs in npm's package is not that of"):
            await npm_pyodide(VERSION, tmp_path / "cache")
    for content in (b"no archive", packed(**contents)[:-9000]):
        target.write_bytes(content)
        with pytest.raises(LockError, match=r"npm's package of Pyodide .* cannot be read"):
            await npm_pyodide(VERSION, tmp_path / "cache")
    target.write_bytes(packed(**contents))
    folder = await npm_pyodide(VERSION, tmp_path / "cache")
    assert names(folder) == contents.keys()
    assert (folder / "pyodide.mjs").read_bytes() == contents["pyodide.mjs"]


# --- programs in it -------------------------------------------------------------------------------


async def test_one_that_says_nothing_is_ended() -> None:
    with pytest.raises(LockError, match=r"has said nothing for 0\.001 s"):
        await run_driver(JOB, lambda *_: None, silence=0.001)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("console.error('why'); process.exit(7);", "its last words: 'why'"),
        ("console.log('x'); throw new Error('broken');", "^broken$"),
    ],
    ids=["ends", "fails"],
)
async def test_what_goes_wrong_is_told(tmp_path: Path, code: str, said: str) -> None:
    (tmp_path / "pyodide.mjs").write_text(code)
    with pytest.raises(LockError, match=said):
        await run_driver({**JOB, "core": str(tmp_path)}, lambda *_: None)


async def test_a_node_that_is_too_old_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    driver = tmp_path / "driver.mjs"
    shutil.copy(node._DRIVER, driver)
    text = driver.read_text().replace("module.registerHooks === undefined", "true")
    driver.write_text(text)
    monkeypatch.setattr(node, "_DRIVER", driver)
    with pytest.raises(LockError, match=r"Node v.* is too old: it has to be 22\.15 or newer"):
        await run_driver(JOB, lambda *_: None)
