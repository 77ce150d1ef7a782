"""A company as the recipes have it: packages.example behind nginx, with its own authority."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.logins import write_login_files
from tests.support.own_server import Serving, serving
from tests.support.pages import authority
from tests.support.provision import ROOT
from tests.support.static_hosts import free_port, nginx_with
from tests.support.wheels import make_wheel

RECIPES = ROOT / "docs" / "recipes"
WHEELS = (make_wheel("acme-tool", "1.0", requires=["acme-base"]), make_wheel("acme-base", "2.0"))


def recipe(name: str, **places: str) -> str:
    """Return the text of a recipe with what is here in place of what it names.

    ``places``: values of the names below; each must be in the recipe.
    """
    text = (RECIPES / name).read_text("utf-8")
    for key, here in places.items():
        named = _PLACES[key]
        if named not in text:
            raise LookupError(f"{name} does not have {named}")
        text = text.replace(named, here)
    return text


_OF_CLIENTS = re.compile(
    r"(PIP|UV|POETRY|PDM|PIPENV|REQUESTS|CURL|SSL|VIRTUAL|XDG)_|.*_proxy$|PYTHONPATH|NETRC|HOME",
    re.IGNORECASE,
)
_PLACES = {
    "host": "packages.example",
    "port": "127.0.0.1:8080",
    "tls": "listen 443",
    "certificate": "/etc/ssl/packages.example.pem",
    "key": "/etc/ssl/packages.example.key",
    "authority": "/etc/ssl/corp-ca.pem",
    "program": "/opt/pyodide-mirror/bin/pyodide-mirror",
    "environment": "/opt/pyodide-mirror",
    "wheels": "/srv/wheels",
    "cache": "/var/cache/pyodide-mirror",
    "packages": "/srv/packages",
    "user": "www-data",
    "trusted": " --trusted-proxy 127.0.0.1",
}


def fill(wheels: Path) -> Path:
    """Put the company's wheels into a folder, which is made."""
    wheels.mkdir()
    for wheel in WHEELS:
        (wheels / wheel.filename).write_bytes(wheel.data)
    return wheels


@dataclass(frozen=True, slots=True)
class Company:
    """What clients need to know, and the server behind nginx."""

    host: str
    """Host and port at which nginx listens."""
    authority: Path
    """The certificate of the company's authority."""
    server: Serving

    @property
    def url(self) -> str:
        """Where clients see the server."""
        return f"https://{self.host}"


@contextmanager
def company(folder: Path) -> Iterator[Company]:
    """Start our server, which asks for a login, and nginx with the recipe in front of it."""
    host = f"localhost:{free_port()}"
    options = [*write_login_files(folder).options, "--public-url", f"https://{host}"]
    # It says where clients see it, so its port has to be known before.
    behind = free_port()
    options += ["--trusted-proxy", "127.0.0.1", "--port", str(behind)]
    certificate = folder / "corp-ca.pem"
    authority().cert_pem.write_to_path(certificate)
    with (
        serving(fill(folder / "wheels"), options=options) as server,
        nginx(folder / "nginx", host, f"127.0.0.1:{behind}"),
    ):
        yield Company(host, certificate, server)


@contextmanager
def nginx(scratch: Path, host: str, behind: str) -> Iterator[None]:
    """Run nginx with the recipe; ``behind``: host and port of the server that it passes on."""
    scratch.mkdir()
    name, _, port = host.partition(":")
    own = authority().issue_cert(name)
    own.cert_chain_pems[0].write_to_path(scratch / "own.pem")
    own.private_key_pem.write_to_path(scratch / "own.key")
    site = recipe(
        "packages.example.conf",
        certificate=str(scratch / "own.pem"),
        key=str(scratch / "own.key"),
        tls=f"listen 127.0.0.1:{port}",
        port=behind,
        host=name,
    )
    (scratch / "packages.example.conf").write_text(site, "utf-8")
    settings = f"access_log {scratch}/access.log;\ninclude {scratch}/packages.example.conf;"
    with (
        (scratch / "log").open("wb") as log,
        nginx_with(settings, scratch, int(port), stderr=log),
    ):
        yield


def environment(**added: str) -> dict[str, str]:
    """The environment of a client: nothing of this machine's own, for any of the clients."""
    kept = {name: value for name, value in os.environ.items() if not _OF_CLIENTS.match(name)}
    return {**kept, "NO_COLOR": "1", **added}
