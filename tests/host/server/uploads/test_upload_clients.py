"""twine, uv publish, Poetry, flit and hatch: they upload, and say what was refused and why."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uv

from tests.support.logins import READER, UPLOADER
from tests.support.own_server import Serving, clean_environment, serving
from tests.support.provision import python_with
from tests.support.wheels import make_wheel

PROJECT = """\
[build-system]
requires = ["flit_core >=3.4"]
build-backend = "flit_core.buildapi"

[project]
name = "acme-{number}"
version = "1.0"
description = "nothing"
requires-python = ">=3.8"
"""
UNKNOWN = "unknown-Zk3sW9xQ7pLm2Vt"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploaded")


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    tokens = tmp_path_factory.mktemp("logins") / "tokens"
    tokens.write_text(
        f"upload {UPLOADER}\n# reads nothing that others may not read\nread {READER}\n"
    )
    options = ["--upload", str(folder), "--token-file", str(tokens)]
    with serving(options=options) as running:
        yield running
    assert "by the token of line 1 from 127.0.0.1" in running.output
    assert "Traceback" not in running.output
    for secret in (READER, UPLOADER, UNKNOWN):
        assert secret not in running.output


def run(command: list[str], where: Path, **environment: str) -> str:
    """What a program prints, in one line, after its exit code."""
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=where,
        env={
            **clean_environment(HOME=str(where)),
            "NO_COLOR": "1",
            "COLUMNS": "500",
            **environment,
        },
        timeout=120,
    )
    return " ".join(f"{done.returncode}: {done.stdout} {done.stderr}".split())


def twine(server: Serving, where: Path, token: str) -> str:
    python = str(python_with("twine==7.0.0"))
    login = ["--repository-url", f"{server.url}/legacy/", "--username", "__token__"]
    files = [str(path) for path in sorted(where.joinpath("dist").iterdir())]
    command = [python, "-m", "twine", "upload", "--verbose", "--disable-progress-bar", *login]
    return run([*command, *files], where, TWINE_PASSWORD=token, TWINE_NON_INTERACTIVE="1")


def uv_publish(
    server: Serving, where: Path, token: str, *options: str, path: str = "/legacy/"
) -> str:
    command = [uv.find_uv_bin(), "publish", "--no-cache", "--trusted-publishing", "never"]
    command += ["--publish-url", f"{server.url}{path}", *options]
    return run(command, where, UV_PUBLISH_TOKEN=token)


def poetry(server: Serving, where: Path, token: str) -> str:
    return run(
        [str(python_with("poetry==2.5.1")), "-m", "poetry", "publish", "-n", "-r", "acme"],
        where,
        POETRY_REPOSITORIES_ACME_URL=f"{server.url}/legacy/",
        POETRY_PYPI_TOKEN_ACME=token,
        PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring",
    )


def flit(server: Serving, where: Path, token: str) -> str:
    return run(
        [str(python_with("flit==4.2.0")), "-m", "flit", "publish"],
        where,
        FLIT_INDEX_URL=f"{server.url}/legacy/",
        FLIT_USERNAME="__token__",
        FLIT_PASSWORD=token,
    )


def hatch(server: Serving, where: Path, token: str) -> str:
    return run(
        [str(python_with("hatch==1.18.2")), "-m", "hatch", "publish", "-n"],
        where,
        HATCH_INDEX_REPO=f"{server.url}/legacy/",
        HATCH_INDEX_USER="__token__",
        HATCH_INDEX_AUTH=token,
    )


def readable(server: Serving) -> str:
    return server.index_url.replace("//", f"//__token__:{READER}@") + "/"


def pip_download(server: Serving, into: Path, *wanted: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-cache-dir", "--no-deps", "-qqq"]
    command += ["--disable-pip-version-check", "-i", readable(server), "-d", str(into)]
    assert run([*command, *wanted], into.parent, PIP_NO_INPUT="1")[:2] == "0:"


def built(where: Path, number: int) -> Path:
    """A project, and a wheel and an sdist of it."""
    wheel = make_wheel(f"acme-{number}", "1.0")
    files = {
        "pyproject.toml": PROJECT.format(number=number).encode(),
        f"acme_{number}.py": b'"""Nothing."""',
    }
    for name, content in files.items():
        (where / name).write_bytes(content)
    (where / "dist").mkdir()
    (where / "dist" / wheel.filename).write_bytes(wheel.data)
    with tarfile.open(where / "dist" / f"acme_{number}-1.0.tar.gz", "w:gz") as sdist:
        for name, content in {**files, "PKG-INFO": wheel.metadata}.items():
            member = tarfile.TarInfo(f"acme_{number}-1.0/{name}")
            member.size = len(content)
            sdist.addfile(member, io.BytesIO(content))
    return where


CLIENTS = [
    # What it says of an unknown login, and of one that may not.
    (twine, "HTTPError: 401 Unauthorized from", "403: This login may not upload"),
    (uv_publish, "401 Unauthorized. Server says: 401: No such user with this password, or no such",
     "403 Forbidden. Server says: 403: This login may not upload"),
    (poetry, "HTTP Error 401: Unauthorized | b'401: No such user with this password, or no such",
     "HTTP Error 403: Forbidden | b'403: This login may not upload"),
    (flit, "401 Client Error: Unauthorized for url", "403 Client Error: Forbidden for url"),
    (hatch, "Client error '401 Unauthorized' for url", "Client error '403 Forbidden' for url"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("number", "client", "refusals"),
    [
        pytest.param(
            number,
            case[0],
            case[1:],
            id=case[0].__name__,
            marks=[] if case[0] is uv_publish else pytest.mark.nightly,
        )
        for number, case in enumerate(CLIENTS)
    ],
)
def test_they_upload_and_say_what_is_refused(
    server: Serving,
    folder: Path,
    tmp_path: Path,
    number: int,
    client: Callable[[Serving, Path, str], str],
    refusals: tuple[str, str],
) -> None:
    where = built(tmp_path, number)
    for token, sentence in zip((UNKNOWN, READER), refusals, strict=True):
        said = client(server, where, token)
        assert not said.startswith("0:")
        assert sentence in said
        assert not list(folder.glob(f"acme_{number}-1.0*"))
    for _ in range(2):  # once more does no harm
        said = client(server, where, UPLOADER)
        assert said.startswith("0:"), said
    names = sorted(path.name for path in folder.glob(f"acme_{number}-1.0*"))
    assert names == [f"acme_{number}-1.0-py3-none-any.whl", f"acme_{number}-1.0.tar.gz"]
    for name in names:
        assert (folder / name).read_bytes() == (where / "dist" / name).read_bytes()
    pip_download(server, tmp_path / "got", f"acme-{number}==1.0")
    assert [path.name for path in (tmp_path / "got").iterdir()] == [names[0]]


def test_a_file_that_is_another_is_refused(server: Serving, tmp_path: Path, folder: Path) -> None:
    """Here twine runs for each change, too; uv asks the index first, if it may."""
    (tmp_path / "dist").mkdir()
    first, other = (make_wheel("acme-both", "1.0", modules={"a.py": f"{n}"}) for n in range(2))
    place = tmp_path / "dist" / first.filename
    place.write_bytes(first.data)
    said = twine(server, tmp_path, UPLOADER)
    assert said.startswith("0:"), said
    check = readable(server)
    said = uv_publish(server, tmp_path, UPLOADER, "--check-url", check)
    assert (said[:2], "already exists, skipping" in said) == ("0:", True)
    place.write_bytes(other.data)
    for client in (twine, uv_publish):
        said = client(server, tmp_path, UPLOADER)
        assert not said.startswith("0:")
        assert f"409: The file {first.filename} already exists with other content" in said
    said = uv_publish(server, tmp_path, UPLOADER, "--check-url", check)
    assert "Local file and index file do not match" in said
    assert (folder / first.filename).read_bytes() == first.data


def test_the_simple_index_will_do_as_the_address(server: Serving, tmp_path: Path) -> None:
    """People confuse the two; uv then reads at once what it has published."""
    (tmp_path / "dist").mkdir()
    wheel = make_wheel("acme-mixed", "1.0")
    (tmp_path / "dist" / wheel.filename).write_bytes(wheel.data)
    said = uv_publish(server, tmp_path, UPLOADER, path="/simple/")
    assert said.startswith("0:"), said
    command = [uv.find_uv_bin(), "pip", "install", "--no-cache", "--python", sys.executable]
    command += ["--index-url", readable(server), "--target", str(tmp_path / "got")]
    said = run([*command, "acme-mixed"], tmp_path)
    assert said.startswith("0:"), said
    assert (tmp_path / "got" / "acme_mixed.py").exists()
