"""The servers of the table of features, each started in the roles that it has.

A role is what a server is given: ``proxy``, an upstream; ``local``, files of its own; ``several``,
two folders; ``closed``, files of its own that need a login, and one who may upload.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.conformance import peers
from tests.support import provision
from tests.support.logins import BOTH, PASSWORD, READER, USER, basic, write_login_files
from tests.support.processes import OWN_GROUP, end_group, run_quietly
from tests.support.provision import python_with
from tests.support.wheels import Wheel, make_wheel

OWN = (make_wheel("acme-tool", "1.0", requires=["acme-base"]), make_wheel("acme-base", "2.0"))
"""The files of the role ``local``; the second one is in the second folder of ``several``."""
ROLES = ("proxy", "local", "several", "closed")
DEVPI = ("devpi-server==6.20.3", "setuptools<81")  # of which devpi's Pyramid needs what it dropped
_UPLOADS = "--upload"


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs, and what it has printed."""

    index_url: str
    log: Path
    upload_url: str = ""
    reader: Mapping[str, str] = field(default_factory=dict)
    uploader: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Its origin."""
        return "/".join(self.index_url.split("/")[:3])

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text("utf-8", "replace")


Stand = Callable[[str, Path], Iterator[Running]]
"""Starts a server in a role: over an upstream's URL, with an empty folder for its own use."""


def _folders(scratch: Path, *, by_project: bool = False) -> list[str]:
    """Two folders, with one of the files each; ``by_project``: in a folder called like it."""
    found = []
    for number, wheel in enumerate(OWN):
        folder = scratch / f"wheels{number}"
        place = folder / wheel.name if by_project else folder
        place.mkdir(parents=True, exist_ok=True)
        (place / wheel.filename).write_bytes(wheel.data)
        found.append(str(folder))
    return found


@contextmanager
def _program(
    command: Sequence[str], port: int, scratch: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Path]:
    """Run a program until the end of the block; yields the file of what it prints."""
    log = scratch / "log"
    with (
        log.open("wb") as written,
        subprocess.Popen(
            command,
            env={
                **os.environ,
                "NO_PROXY": "127.0.0.1",
                "PYTHONUNBUFFERED": "1",
                **(environment or {}),
            },
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            **OWN_GROUP,
        ) as process,
    ):
        try:
            if not peers.listens(process, port):
                raise RuntimeError(f"it does not start:\n{log.read_text('utf-8', 'replace')}")
            yield log
        finally:
            end_group(process)


def _of(program: peers.Program) -> str:
    return str(python_with(*program.requirements))


# ---------------------------------------------------------------- each of them


def ours(role: str, upstream: str, scratch: Path) -> Iterator[Running]:
    """``pyodide-mirror serve``, with those of its options that this version has."""
    port = peers.free_port()
    known = run_quietly([sys.executable, "-m", "pyodide_mirror", "serve", "--help"])
    logins = write_login_files(scratch)
    folders = _folders(scratch)
    (scratch / "uploads").mkdir()
    options = {
        "proxy": ["--upstream", upstream],
        "local": [*folders[:1], "--upstream", upstream, "--only-local", "zoo-fresh-*"],
        "several": [*folders, "--offline"],
        "closed": [*folders[:1], *logins.options, "--offline"],
    }[role]
    if role == "local":
        options += ["--deny", "zoo-dep-a"]
    if role == "closed" and _UPLOADS in known:
        options += [_UPLOADS, str(scratch / "uploads")]
    command = [sys.executable, "-m", "pyodide_mirror", "serve", *options]
    command += ["--port", str(port), "--cache", str(scratch / "cache"), "--timeout", "20"]
    command += ["--pyodide", str(provision.pyodide_dist())]
    with _program(command, port, scratch) as log:
        url = f"http://127.0.0.1:{port}"
        yield Running(f"{url}/simple", log, f"{url}/legacy/", basic(), basic("__token__", BOTH))


def pypiserver(role: str, _: str, scratch: Path) -> Iterator[Running]:
    """Pypiserver by its own command, which has the options of logins."""
    port = peers.free_port()
    folders = _folders(scratch)
    options = ["--disable-fallback", "--log-stream", "stderr", "-v"]
    if role == "closed":
        import bcrypt

        users = ((USER, PASSWORD), ("up", READER))
        lines = [f"{u}:{bcrypt.hashpw(p.encode(), bcrypt.gensalt(4)).decode()}" for u, p in users]
        (scratch / "users").write_text("\n".join(lines) + "\n")
        options += ["-P", str(scratch / "users"), "-a", "update,download,list"]
    else:
        options += ["-P", ".", "-a", "."]
    python = str(python_with(*peers.PYPISERVER.requirements, "passlib", "bcrypt<5"))
    command = [python, "-m", "pypiserver", "run", "-i", "127.0.0.1", "-p", str(port), *options]
    command += folders if role == "several" else folders[:1]
    with _program(command, port, scratch) as log:
        url = f"http://127.0.0.1:{port}"
        yield Running(f"{url}/simple", log, f"{url}/", basic(), basic("up", READER))


def proxpi(_: str, upstream: str, scratch: Path) -> Iterator[Running]:
    """Proxpi in gunicorn, with its pages kept as it keeps them by itself."""
    port = peers.free_port()
    command = [_of(peers.PROXPI), "-m", "gunicorn", "--threads", "16", "--access-logfile", "-"]
    command += ["--bind", f"127.0.0.1:{port}", "proxpi.server:app"]
    environment = {
        "PROXPI_INDEX_URL": f"{upstream}/",
        "PROXPI_EXTRA_INDEX_URLS": "",
        "PROXPI_CACHE_DIR": str(scratch / "cache"),
        "PROXPI_BINARY_FILE_MIME_TYPE": "1",
    }
    with _program(command, port, scratch, environment) as log:
        yield Running(f"http://127.0.0.1:{port}/index", log)


def simple_repository_server(role: str, upstream: str, scratch: Path) -> Iterator[Running]:
    """simple-repository-server, over an upstream or over folders."""
    port = peers.free_port()
    folders = _folders(scratch, by_project=True)
    given = {"proxy": [upstream], "local": folders[:1], "several": folders}[role]
    command = [_of(peers.SIMPLE_REPOSITORY_SERVER), "-m", "simple_repository_server"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--stream-http-resources", *given]
    with _program(command, port, scratch) as log:
        yield Running(f"http://127.0.0.1:{port}/simple", log)


def devpi(role: str, upstream: str, scratch: Path) -> Iterator[Running]:
    """devpi-server: a mirror of the upstream, and an index of a user over it."""
    port = peers.free_port()
    python, state = str(python_with(*DEVPI)), ["--serverdir", str(scratch / "devpi")]
    start = [python, "-W", "ignore", "-c", "import sys; from devpi_server.{0} import {1}; {1}()"]
    init = [word.format("init", "init") for word in start]
    run_quietly([*init, *state, "--root-passwd", READER, "--no-root-pypi"])
    main = [word.format("main", "main") for word in start]
    address = ["--host", "127.0.0.1", "--port", str(port), "--enable-core-metadata"]
    with _program([*main, *state, *address], port, scratch) as log:
        url = f"http://127.0.0.1:{port}"
        login = _devpi(url, "POST", "/+login", {"user": "root", "password": READER})["result"]
        auth = basic("root", login["password"])["authorization"].removeprefix("Basic ")
        mirror = {"type": "mirror", "mirror_url": f"{upstream}/", "volatile": True}
        _devpi(url, "PUT", "/root/mirror", mirror, auth)
        _devpi(url, "PUT", "/root/own", {"bases": ["root/mirror"], "volatile": False}, auth)
        uploader = {**basic("root", READER)}
        own = f"{url}/root/own/"
        if role != "proxy":
            for wheel in OWN:
                _send(own, wheel, uploader)
        yield Running(f"{own}+simple", log, own, {}, uploader)


def _devpi(url: str, method: str, path: str, document: Any, auth: str = "") -> Any:
    headers = {"Content-Type": "application/json", **({"X-Devpi-Auth": auth} if auth else {})}
    request = Request(url + path, json.dumps(document).encode(), headers, method=method)  # noqa: S310
    with urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


def upload_form(wheel: Wheel) -> tuple[bytes, str]:
    """A wheel as twine sends it: the body, and its content type."""
    fields = {
        ":action": "file_upload",
        "protocol_version": "1",
        "filetype": "bdist_wheel",
        "pyversion": "py3",
        "metadata_version": "2.1",
        "name": wheel.name,
        "version": wheel.version,
        "sha256_digest": wheel.sha256,
        "md5_digest": hashlib.md5(wheel.data, usedforsecurity=False).hexdigest(),
    }
    parts = [f'form-data; name="{key}"\r\n\r\n{value}'.encode() for key, value in fields.items()]
    head = f'form-data; name="content"; filename="{wheel.filename}"\r\nContent-Type: x/y\r\n\r\n'
    parts.append(head.encode() + wheel.data)
    body = b"".join(b"--bound\r\nContent-Disposition: " + part + b"\r\n" for part in parts)
    return body + b"--bound--\r\n", "multipart/form-data; boundary=bound"


def _send(url: str, wheel: Wheel, headers: Mapping[str, str]) -> int:
    body, content_type = upload_form(wheel)
    request = Request(url, body, {"Content-Type": content_type, **headers})  # noqa: S310
    with urlopen(request, timeout=60) as answer:  # noqa: S310
        return int(answer.status)


@contextmanager
def standing(stand: Any, role: str, upstream: str) -> Iterator[Running]:
    """Start a server in a role, and end it with the block."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        yield stack.enter_context(contextmanager(stand)(role, upstream, Path(scratch)))
