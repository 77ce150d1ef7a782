"""The command ``pyodide-mirror lock``: real Pyodide under Node, and what it says."""

import json
import os
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror import cli
from pyodide_mirror.bundling import locker
from pyodide_mirror.bundling.errors import LockError
from pyodide_mirror.loader import LocalFolder
from pyodide_mirror.model import CDN, Mirror
from tests.support.lock_place import INDEX, LOCKED, PURE, VERSION, WASM, places
from tests.support.processes import OWN_GROUP
from tests.support.pylock_makers import pip, run_uv
from tests.support.small_index import SmallIndex
from tests.support.wheels import make_wheel
from tests.zoo.server import Request, Response, Server


@pytest.fixture
def index() -> Iterator[SmallIndex]:
    with SmallIndex(*INDEX, make_wheel("iniconfig", "1.0")) as started:
        yield started


@pytest.fixture
def place(tmp_path: Path) -> list[str]:
    return places(tmp_path, [WASM])


def lock(*arguments: str | Path) -> int:
    return cli.main(["lock", *map(str, arguments)])


def test_a_mixed_tree(
    index: SmallIndex,
    place: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "a.txt").write_text("-r b.txt # nested\nzoo-capped\n")
    (tmp_path / "b.txt").write_text('zoo-app>=1 ; python_version >= "3.14"\n-c c.txt\n')
    (tmp_path / "c.txt").write_text("zoo-capped<2\nzoo-unused==1\n")
    target = tmp_path / "pylock.toml"
    target.write_text("before")
    asked = ("-r", tmp_path / "a.txt", "--mirror", index.url, "-o", target)
    assert lock(*asked, *place) == 0, capsys.readouterr().err
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"Pyodide {VERSION} has started in Node" in shown.err
    assert shown.err.endswith(f"{target} is written\n")

    text = target.read_text()
    found = tomllib.loads(text)
    assert found["tool"]["pyodide-mirror"]["pyodide"] == VERSION
    packages = {each["name"]: each for each in found["packages"]}
    others = {name: wheel.version for name, wheel in LOCKED.items()}
    assert {name: each["version"] for name, each in packages.items()} == {**PURE, **others}
    wheels = {f"{each.name}-{each.version}": each for each in INDEX}
    for name, version in PURE.items():
        wheel = wheels[f"{name}-{version}"]
        assert packages[name]["index"] == index.url
        assert packages[name]["wheels"] == [
            {
                "name": wheel.filename,
                "url": f"{index.origin}/files/{wheel.filename}",
                "size": len(wheel.data),
                "hashes": {"sha256": wheel.sha256},
            }
        ]
    for name, wheel in LOCKED.items():
        [file] = packages[name]["wheels"]
        assert file["hashes"] == {"sha256": wheel.sha256}
        assert file["url"].endswith(f"/v{VERSION}/full/{wheel.filename}")
    assert packages["zoo-wasm"]["marker"] == "sys_platform == 'emscripten'"
    check_others_take_the_pure_part(text, tmp_path)


def check_others_take_the_pure_part(text: str, folder: Path) -> None:
    """By pip and uv on this Python; the CDN that has zoo-frames and zoo-arrays does not exist."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    head, *packages = text.replace("3.14", here).split("[[packages]]\n")
    kept = [each for each in packages if "/full/zoo_frames" not in each]
    kept = [each for each in kept if "/full/zoo_arrays" not in each]
    (folder / "pylock.toml").write_text("[[packages]]\n".join([head, *kept]))
    # pip would look for what is left out in an index.
    pip("install", "--no-deps", "-r", "pylock.toml", "--target", "by-pip", folder=folder)
    run_uv("pip", "sync", "pylock.toml", "-p", sys.executable, "--target", "by-uv", folder=folder)
    names = {f"{name.replace('-', '_')}-{version}.dist-info" for name, version in PURE.items()}
    for target in ("by-pip", "by-uv"):
        assert {path.name for path in (folder / target).glob("*.dist-info")} == names


@pytest.mark.nightly
def test_what_cannot_be_locked_leaves_the_file(
    index: SmallIndex,
    place: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "pylock.toml"
    target.write_text("before")
    (tmp_path / "a.txt").write_text(f"zoo-here --hash=sha256:{'0' * 64}\nzoo-old\n")
    asked = ("-r", str(tmp_path / "a.txt"), "--mirror", index.url, "-o", str(target))
    for arguments, said in (
        (("zoo-nothing", *asked[2:]), "zoo-nothing"),
        (asked, f"{INDEX[1].filename} has sha256:{INDEX[1].sha256}, which is none of its own"),
    ):
        assert lock(*arguments, *place) == 1
        last = capsys.readouterr().err.partition("pyodide-mirror lock: ")[2]
        assert said in last
    assert "zoo-old==1.0 has none: --hash=sha256:" in last
    assert target.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("a.txt", "cache", "cdn", "pylock.toml"),
    ]


def test_digests_of_another_kind_do_not_count() -> None:
    digest = "0" * 64
    text = f"""
[[packages]]
name = "demo"
version = "1.0"
wheels = [{{name = "demo-1.0-py3-none-any.whl", hashes = {{sha256 = "{digest}"}}}}]
"""
    locker._check_hashes(text, {})
    locker._check_hashes(text, {"demo": [f"sha512:{'0' * 128}", f"sha256:{digest}"]})
    for hashes in ({"demo": [f"sha512:{'0' * 128}"]}, {"another": [f"sha256:{digest}"]}):
        with pytest.raises(LockError, match="--hash"):
            locker._check_hashes(text, hashes)


def test_mirrors_and_cdns_arrive_as_they_are(tmp_path: Path) -> None:
    mirror = Mirror(
        "https://pypi.corp.example/simple",
        name="corp",
        private=True,
        projects=["acme-*"],
        headers={"Authorization": "Bearer TOKEN"},
        credentials="include",
    )
    assert Mirror(**json.loads(json.dumps(locker._mirror(mirror)))) == mirror
    cdn = CDN("https://cdn.example/v{version}/", name="near")
    assert CDN(**locker._cdn(0, cdn)) == cdn
    folder = CDN(**locker._cdn(1, LocalFolder(tmp_path)))
    assert (folder.base_url, folder.name) == ("https://folder-1.invalid/", str(tmp_path))


BAD_USAGE = [
    ([], "nothing is asked for"),
    (["demo>>1"], "no requirement"),
    (["./demo-1.0-py3-none-any.whl"], "local file"),
    (["https://files.example/demo-1.0.tar.gz"], "no wheel"),
    (["demo", "-o", "lock.toml"], "PEP 751"),
    (["demo", "-o", "nowhere/pylock.toml"], "nowhere is no folder"),
    (["demo", "--pyodide", "9.9.9"], "Pyodide 9.9.9 is not known; those that are:"),
    (["demo", "--mirror", "mirror.test"], "--mirror"),
    (["demo", "--cdn", "nowhere"], "--cdn"),
    (["demo", "--timeout", "0"], "--timeout"),
    (["-r", "nowhere.txt"], "nowhere.txt cannot be read"),
]


def test_bad_usage_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in BAD_USAGE:
        with pytest.raises(SystemExit) as ended:
            lock(*arguments)
        shown = capsys.readouterr()
        assert (ended.value.code, shown.out) == (2, ""), arguments
        assert said in shown.err.splitlines()[-1], arguments


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is no signal there")
def test_ctrl_c_ends_node(place: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked, over = threading.Event(), threading.Event()

    def hang(_: Request) -> Response:
        asked.set()
        over.wait()
        return Response()

    # Also where a script has started the tests in the background.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    command = [sys.executable, "-m", "pyodide_mirror", "lock", "zoo-here", *place]
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **OWN_GROUP}
    try:
        with closing(Server(hang)) as server:
            url = f"http://127.0.0.1:{server.port}/simple"
            with subprocess.Popen(
                [*command, "--mirror", url, "--timeout", "600"], **options
            ) as one:
                try:
                    assert asked.wait(100)
                    os.kill(one.pid, signal.SIGINT)
                    out, _ = one.communicate(timeout=60)  # long before the time-out
                finally:
                    over.set()
                    one.kill()
    finally:
        signal.signal(signal.SIGINT, before)
    assert (one.returncode, out) == (130, b"")
    with pytest.raises(ProcessLookupError):  # nobody is left of those that it has started
        os.killpg(one.pid, 0)
