"""The vassals of uWSGI's emperor: the application by WSGI, and the command as a daemon."""

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.recipes.company import WHEELS, fill, free_port, recipe
from tests.recipes.tools import UWSGI
from tests.support.own_server import clean_environment
from tests.support.processes import OWN_GROUP, end_group
from tests.support.provision import project_wheel, python_with
from tests.support.server_wire import get

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(sys.platform == "win32", reason="uWSGI is of Unix"),
]


@pytest.fixture(scope="module")
def vassals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """URLs of the two vassals under an emperor, by their names."""
    folder = tmp_path_factory.mktemp("emperor")
    python = python_with(
        UWSGI, "a2wsgi==1.10.10", f"pyodide-mirror[serve] @ {project_wheel().as_uri()}"
    )
    ports = {name: free_port() for name in ("packages", "packages-daemon")}
    _write_vassals(folder, python, ports)
    # PyPI's uWSGI is a module of Python, so that an emperor must be told how to start another.
    uwsgi = folder / "uwsgi"
    uwsgi.write_text(f"#!/bin/sh\nexec {python} -c 'import pyuwsgi; pyuwsgi.run()' \"$@\"\n")
    uwsgi.chmod(0o755)
    command = [str(uwsgi), "--emperor", str(folder / "vassals"), "--emperor-wrapper", str(uwsgi)]
    log = (folder / "log").open("wb")
    environment = clean_environment(
        PYODIDE_MIRROR_UPSTREAMS=f"http://127.0.0.1:{free_port()}/simple"
    )
    with (
        log,
        subprocess.Popen(
            [*command, "--die-on-term"], env=environment, stdout=log, stderr=log, **OWN_GROUP
        ) as process,
    ):
        try:
            urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
            for url in urls.values():
                wait_until(partial(_serves, url), folder / "log")
            yield urls
        finally:
            end_group(process)


def _write_vassals(folder: Path, python: Path, ports: dict[str, int]) -> None:
    user = pwd.getpwuid(os.getuid()).pw_name
    program = folder / "pyodide-mirror"  # those of an environment that was moved have lost it
    program.write_text(f'#!/bin/sh\nexec {python} -m pyodide_mirror "$@"\n')
    program.chmod(0o755)
    wheels = str(fill(folder / "wheels"))
    here = {"wheels": wheels, "cache": str(folder / "cache"), "host": "localhost"}
    (folder / "wsgi.py").write_text(recipe("wsgi.py", **here))
    (folder / "vassals").mkdir()
    (folder / "vassals" / "packages.ini").write_text(
        recipe(
            "packages.ini",
            port=f"127.0.0.1:{ports['packages']}",
            packages=str(folder),
            environment=str(python.parents[1]),
            user=user,
        )
    )
    (folder / "vassals" / "packages-daemon.ini").write_text(
        recipe(
            "packages-daemon.ini",
            program=str(program),
            trusted=f" --trusted-proxy 127.0.0.1 --port {ports['packages-daemon']}",
            user=user,
            **here | {"cache": str(folder / "other-cache")},
        )
    )


def wait_until(holds: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, log.read_text("utf-8", "replace")
        time.sleep(0.1)  # a process says to nobody when it listens


def _serves(url: str) -> bool:
    try:
        return get(f"{url}/healthz").status == 200
    except OSError:
        return False


@pytest.mark.parametrize("name", ["packages", "packages-daemon"])
def test_a_vassal_serves(vassals: dict[str, str], name: str) -> None:
    url = vassals[name]
    [file] = get(f"{url}/simple/acme-tool/").document["files"]
    assert file["url"].startswith("https://localhost/files/")  # --public-url
    path = file["url"].removeprefix("https://localhost")
    assert get(url + path).body == WHEELS[0].data
    part = get(url + path, "Range: bytes=0-3")
    assert (part.status, part.body) == (206, b"PK\x03\x04")
    assert get(f"{url}/simple/nowhere/").status == 502  # the upstream is closed
    assert get(f"{url}/simple/acme-tool/", method="HEAD").body == b""
