"""pip and uv, and the login that a server asks them for."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import uv

from tests.support.logins import PASSWORD, READER, USER, write_login_files
from tests.support.own_server import Serving, clean_environment, serving
from tests.support.wheels import make_wheel

TOP = make_wheel("acme-top", "1.0", requires=["acme-base"])
BASE = make_wheel("acme-base", "2.0")
KEYRING = """#!/bin/sh
# What uv calls, `keyring get SERVICE USER`; and pip, with two options in front.
case "$*" in
"get "*" {user}") echo "{password}" ;;
"--mode=creds --output=json get "*" {user}")
    echo '{{"username": "{user}", "password": "{password}"}}' ;;
*) exit 1 ;;
esac
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("wheels")
    for wheel in (TOP, BASE):
        (folder / wheel.filename).write_bytes(wheel.data)
    files = write_login_files(tmp_path_factory.mktemp("logins"))
    with serving(folder, options=files.options) as running:
        yield running
    for secret in (PASSWORD, READER, "wrong"):
        assert secret not in running.output


def install(
    tool: str, index_url: str, target: Path, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Install the wheel and what it requires into a folder."""
    if tool == "pip":
        command = [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--retries", "0"]
        command += ["--disable-pip-version-check", "--no-input"]
    else:
        command = [uv.find_uv_bin(), "pip", "install", "--no-cache", "--python", sys.executable]
    return subprocess.run(
        [*command, *options, "--index-url", index_url, "--target", str(target), "acme-top"],
        check=False,
        capture_output=True,
        text=True,
        env=clean_environment(**environment),
        timeout=60,
    )


def names_in(target: Path) -> set[str]:
    return {path.name for path in target.glob("acme_*.dist-info")}


BOTH_NAMES = {"acme_top-1.0.dist-info", "acme_base-2.0.dist-info"}


def with_login(url: str, login: str) -> str:
    return url.replace("http://", f"http://{login}@") + "/"


@pytest.mark.parametrize("tool", ["pip", "uv"])
@pytest.mark.parametrize(
    "login", [f"{USER}:{quote(PASSWORD)}", f"__token__:{READER}"], ids=["password", "token"]
)
def test_a_login_in_the_url(server: Serving, tmp_path: Path, tool: str, login: str) -> None:
    done = install(tool, with_login(server.index_url, login), tmp_path)
    assert done.returncode == 0, done.stderr
    assert names_in(tmp_path) == BOTH_NAMES


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_a_login_in_netrc(server: Serving, tmp_path: Path, tool: str) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login __token__ password {READER}\n")
    netrc.chmod(0o600)
    done = install(tool, f"{server.index_url}/", tmp_path / "into", NETRC=str(netrc))
    assert done.returncode == 0, done.stderr
    assert names_in(tmp_path / "into") == BOTH_NAMES


@pytest.mark.skipif(sys.platform == "win32", reason="the keyring is a shell script")
@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_a_login_in_a_keyring(server: Serving, tmp_path: Path, tool: str) -> None:
    keyring = tmp_path / "keyring"
    keyring.write_text(KEYRING.format(user=USER, password=PASSWORD))
    keyring.chmod(0o755)
    done = install(
        tool,
        with_login(server.index_url, USER),
        tmp_path / "into",
        "--keyring-provider",
        "subprocess",
        PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
    )
    assert done.returncode == 0, done.stderr
    assert names_in(tmp_path / "into") == BOTH_NAMES


@pytest.mark.parametrize(
    ("tool", "sentence"),
    [("pip", "401 Error, Credentials not correct"), ("uv", "lack of valid authentication cred")],
)
def test_without_a_right_one_they_say_so(
    server: Serving, tmp_path: Path, tool: str, sentence: str
) -> None:
    done = install(tool, with_login(server.index_url, "ann:wrong"), tmp_path)
    assert done.returncode != 0
    assert sentence in done.stderr + done.stdout
    done = install(tool, f"{server.index_url}/", tmp_path)
    assert done.returncode != 0
    # pip says of this only that it found nothing, and of why with -v.
    assert ("No matching" if tool == "pip" else sentence) in done.stderr
