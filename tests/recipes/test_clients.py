"""Clients with the settings that the documents give, and a login that is in none of their files."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uv

from tests.recipes.company import Company, company, environment, recipe
from tests.recipes.tools import CERTUTIL, PDM, PIPENV, POETRY, debian
from tests.support import browsers
from tests.support.logins import READER
from tests.support.provision import python_with

INSTALLED = {"acme_tool-1.0.dist-info", "acme_base-2.0.dist-info"}
LOGIN = "__token__"
Client = Callable[[Company, Path, str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company(tmp_path_factory.mktemp("company")) as running:
        yield running
    assert READER not in running.server.output


def run(folder: Path, *command: str, **added: str) -> subprocess.CompletedProcess[str]:
    """Run a client in a folder that is also its user's home."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(HOME=str(folder), **added),
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=240,
    )


def installed(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("acme_*.dist-info")}


def write(folder: Path, name: str, text: str) -> Path:
    assert READER not in text
    (folder / name).write_text(text, "utf-8")
    return folder / name


def pip(place: Company, folder: Path, login: str) -> subprocess.CompletedProcess[str]:
    text = recipe("pip.conf", host=place.host, authority=str(place.authority))
    (folder / ".config" / "pip").mkdir(parents=True)
    write(folder / ".config" / "pip", "pip.conf", text)
    netrc = folder / ".netrc"
    netrc.write_text(f"machine localhost login {LOGIN} password {login}\n")
    netrc.chmod(0o600)
    command = [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--retries", "0"]
    return run(folder, *command, "--target", "there", "acme-tool", PIP_NO_INPUT="1")


def uv_pip(place: Company, folder: Path, login: str) -> subprocess.CompletedProcess[str]:
    (folder / ".config" / "uv").mkdir(parents=True)
    write(folder / ".config" / "uv", "uv.toml", recipe("uv.toml", host=place.host))
    command = [uv.find_uv_bin(), "pip", "install", "--no-cache", "--python", sys.executable]
    return run(
        folder,
        *command,
        *("--target", "there", "acme-tool"),
        SSL_CERT_FILE=str(place.authority),
        UV_INDEX_CORP_USERNAME=LOGIN,
        UV_INDEX_CORP_PASSWORD=login,
    )


def poetry(place: Company, folder: Path, login: str) -> subprocess.CompletedProcess[str]:
    write(folder, "pyproject.toml", recipe("poetry-pyproject.toml", host=place.host))
    return run(
        folder,
        *(str(python_with(POETRY)), "-m", "poetry", "install", "--no-interaction"),
        POETRY_VIRTUALENVS_IN_PROJECT="true",
        POETRY_HTTP_BASIC_CORP_USERNAME=LOGIN,
        POETRY_HTTP_BASIC_CORP_PASSWORD=login,
        POETRY_CERTIFICATES_CORP_CERT=str(place.authority),
    )


def pdm(place: Company, folder: Path, login: str) -> subprocess.CompletedProcess[str]:
    write(folder, "pyproject.toml", recipe("pdm-pyproject.toml", host=place.host))
    program = (str(python_with(*PDM)), "-m", "pdm")
    told = run(folder, *program, "config", "pypi.ca_certs", str(place.authority))
    assert told.returncode == 0, told.stdout
    return run(
        folder,
        *(*program, "install", "--no-self"),
        PDM_PYPI_USERNAME=LOGIN,
        PDM_PYPI_PASSWORD=login,
        PDM_CHECK_UPDATE="0",
        PDM_IGNORE_SAVED_PYTHON="1",
    )


def pipenv(place: Company, folder: Path, login: str) -> subprocess.CompletedProcess[str]:
    write(folder, "Pipfile", recipe("Pipfile", host=place.host))
    return run(
        folder,
        *(str(python_with(PIPENV)), "-m", "pipenv", "install", "--python", sys.executable),
        PACKAGES_USER=LOGIN,
        PACKAGES_PASSWORD=login,
        PIP_CERT=str(place.authority),
        REQUESTS_CA_BUNDLE=str(place.authority),
        PIPENV_VENV_IN_PROJECT="1",
        PIPENV_NOSPIN="1",
    )


CLIENTS = [
    pip,
    uv_pip,
    *(pytest.param(each, marks=pytest.mark.nightly) for each in (poetry, pdm, pipenv)),
]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
def test_a_client_installs_with_the_settings_of_the_recipe(
    place: Company, tmp_path: Path, client: Client
) -> None:
    done = client(place, tmp_path, READER)
    assert done.returncode == 0, done.stdout
    assert installed(tmp_path) == INSTALLED
    # No lock file that one checks in has it either.
    for file in tmp_path.glob("*"):
        assert file.name == ".netrc" or not file.is_file() or READER not in file.read_text("utf-8")


WRONG = (
    (pip, "No matching distribution found"),  # it says more with -v
    (uv_pip, "lack of valid authentication credentials"),
    (poetry, "Authorization error accessing"),
    (pdm, "Unable to find candidates"),
    (pipenv, "No matching distribution found"),
)


@pytest.mark.nightly
@pytest.mark.parametrize(("client", "sentence"), WRONG, ids=[each.__name__ for each, _ in WRONG])
def test_of_a_wrong_login_a_client_says_what_the_documents_say(
    place: Company, tmp_path: Path, client: Client, sentence: str
) -> None:
    done = client(place, tmp_path, "wrong")
    assert done.returncode != 0
    assert installed(tmp_path) == set()
    assert sentence in done.stdout, done.stdout


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Chromium has the system's store")
def test_chromium_trusts_an_authority_that_certutil_has_added(
    place: Company, tmp_path: Path
) -> None:
    store = f"sql:{tmp_path}/.pki/nssdb"
    (tmp_path / ".pki" / "nssdb").mkdir(parents=True)
    certutil = str(debian(CERTUTIL))
    options = ["--no-sandbox", f"--user-data-dir={tmp_path}/profile", "--dump-dom"]
    command = [str(browsers.find(browsers.CHROMIUM)), *browsers.chromium_flags(), *options]
    assert run(tmp_path, certutil, "-d", store, "-N", "--empty-password").returncode == 0
    for known in (False, True):
        if known:
            added = ["-A", "-t", "C,,", "-n", "corp", "-i", str(place.authority)]
            assert run(tmp_path, certutil, "-d", store, *added).returncode == 0
        seen = run(tmp_path, *command, f"{place.url}/healthz").stdout
        assert ('{"status":"ok"}' in seen) == known, seen
