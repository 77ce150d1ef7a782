"""The unit for systemd: read by systemd itself, and its program run under what it allows."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.recipes.company import RECIPES, fill, free_port, recipe
from tests.recipes.tools import SYSTEMD, debian
from tests.support.processes import OWN_GROUP, end_group, run_quietly
from tests.support.provision import ROOT
from tests.support.server_wire import get

UNIT = RECIPES / "pyodide-mirror.service"
EXPOSURE = 1.5
"""Of ten; systemd's own services have 2 to 9."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is of Linux")


def analyze(*arguments: str) -> str:
    return run_quietly([str(debian(SYSTEMD)), *arguments])


def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    program = tmp_path / "pyodide-mirror"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(recipe(UNIT.name, program=str(program)))
    assert analyze("verify", str(unit)) == ""


def test_it_is_hardly_exposed() -> None:
    said = analyze("security", "--offline=true", f"--threshold={EXPOSURE * 10:.0f}", str(UNIT))
    found = re.search(r"Overall exposure level.*: ([\d.]+) ", said)
    assert found
    assert float(found[1]) <= EXPOSURE


def directives() -> dict[str, list[str]]:
    """The unit's settings of its service, each with all its values."""
    found: dict[str, list[str]] = {}
    section = UNIT.read_text().partition("[Service]\n")[2].partition("[Install]")[0]
    for line in section.splitlines():
        if line and line[0] != "#":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def allowed_calls() -> list[str]:
    """The system calls that the unit's filter allows, as this systemd knows them."""
    groups: dict[str, list[str]] = {}
    name = ""
    for line in analyze("syscall-filter", "--no-pager").splitlines():
        if line.startswith("@"):
            name = line.strip()
            groups[name] = []
        elif line.strip() and line.strip()[0] != "#":
            groups[name].append(line.strip())

    def calls(group: str) -> set[str]:
        each = (calls(one) if one[0] == "@" else {one} for one in groups[group])
        return set().union(*each)

    found: set[str] = set()
    for value in directives()["SystemCallFilter"]:
        several = set().union(*(calls(group) for group in value.removeprefix("~").split()))
        found = found - several if value[0] == "~" else found | several
    assert {"read", "socket"} <= found
    assert not {"mount", "chown", "setrlimit"} & found
    return sorted(found)


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The program of ExecStart with its own arguments, confined as the unit says."""
    wheels, cache, port = fill(folder / "wheels"), folder / "cache", free_port()
    cache.mkdir()
    (folder / "calls").write_text("\n".join(allowed_calls()))
    [line] = directives()["ExecStart"]
    assert line in recipe(UNIT.name)
    program, *arguments = shlex.split(line)
    assert program == "/opt/pyodide-mirror/bin/pyodide-mirror"
    here = {"/srv/wheels": str(wheels), "/var/cache/pyodide-mirror": str(cache)}
    command = [sys.executable, "-m", "tests.recipes.confined", str(folder / "calls")]
    command += [
        sys.executable,
        "-m",
        "pyodide_mirror",
        *(here.get(word, word) for word in arguments),
    ]
    command += ["--port", str(port), "--offline"]
    if os.geteuid() == 0:
        # Without what makes root root. Another user may not be able to read this Python.
        command = ["setpriv", "--no-new-privs", "--bounding-set=-all", *command]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "HOME": "/", "PYTHONDONTWRITEBYTECODE": "1"},
        **OWN_GROUP,
    ) as process:
        try:
            yield f"http://127.0.0.1:{port}", process
        finally:
            end_group(process)


def test_its_program_works_with_no_more_than_it_allows(tmp_path: Path) -> None:
    with running(tmp_path) as (url, process):
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("Serving "):
                break
        assert said[-1:] == ["Serving https://packages.example/simple/ (Ctrl-C ends it)\n"], said
        [file] = get(f"{url}/simple/acme-tool/").document["files"]
        path = file["url"].removeprefix("https://packages.example")
        assert len(get(url + path).body) == file["size"]
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    "code",
    [
        "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)",
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "import os; os.chown('/tmp', 0, 0)",
    ],
)
def test_it_is_confined_at_all(tmp_path: Path, code: str) -> None:
    (tmp_path / "calls").write_text("\n".join(allowed_calls()))
    command = [sys.executable, "-m", "tests.recipes.confined", str(tmp_path / "calls")]
    for source, refused in (("print('well')", False), (code, True)):
        done = subprocess.run(
            [*command, sys.executable, "-c", source],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        assert ("PermissionError" in done.stderr) == refused == bool(done.returncode), done.stderr
