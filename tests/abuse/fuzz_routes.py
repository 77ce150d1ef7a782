"""Requests at random to the server's documented routes, made by schemathesis.

    python -m tests.abuse.fuzz_routes [--examples N] [OPTIONS OF SCHEMATHESIS]

The description is docs/openapi.yaml: each answer must be one that it has, and none a 5xx.
"""

import argparse
import json
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.abuse.documented import SCHEMA
from tests.support import provision
from tests.support.logins import BOTH, READER, UPLOADER, basic, bearer, write_login_files
from tests.support.own_server import Serving, clean_environment, serving
from tests.support.upstreams import EXHIBIT, upstream
from tests.support.wheels import make_sdist, make_wheel
from tests.zoo.server import ClosedPort

SCHEMATHESIS = "schemathesis==4.32.5"
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance", "unsupported_method"),
)
LOCAL = (make_wheel("acme-tool", "1.0"), make_sdist("acme-tool", "1.0"), make_wheel("denied", "1"))
PROJECTS = ("acme-tool", EXHIBIT, "pyodide-mirror")
"""Whose pages have the files that are asked for."""
_TOTAL = re.compile(r"(\d+) generated")
JSON_QUERY = "format=application/vnd.pypi.simple.v1%2Bjson"
HEADERS = {
    "Accept": ["*/*", "text/html", "application/vnd.pypi.simple.v1+json, */*;q=0.1"],
    "Accept-Encoding": ["gzip", "identity", "gzip;q=0"],
    "Authorization": [
        *(bearer(token)["authorization"] for token in (READER, UPLOADER, BOTH, BOTH, "wrong")),
        *(basic()["authorization"], basic("__token__", BOTH)["authorization"], "Basic =="),
    ],
    "Cache-Control": ["no-cache", "max-age=0"],
    "If-None-Match": ["*", '"x"', 'W/"y", "z"'],
    "If-Range": ['"x"', "Thu, 26 Nov 2026 00:00:00 GMT"],
    "Origin": ["https://app.example", "null"],
    "Range": ["bytes=0-9", "bytes=-5", "bytes=999999999-", "bytes=5-1", "bytes=0-1,3-4"],
}
"""What OpenAPI leaves to the client: by name, values to send."""


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What came of a run: the exit code, how many requests were sent, and what was printed."""

    code: int
    requests: int
    output: str


def schemathesis() -> Path:
    """Return the Python of an environment with schemathesis, made at the first call.

    In the tests' own environment its plugin would be loaded by each run of pytest.
    """
    return provision.python_with(SCHEMATHESIS)


@dataclass(frozen=True, slots=True)
class World:
    """What a server is given: of everything that the description has, something."""

    folder: Path
    upstream: str
    pyodide: Path
    cdn: str
    deny: str
    only_local: str
    auth: Path
    tokens: Path

    def options(self, *, logins: bool) -> list[str]:
        """The options of the command."""
        return [
            *("--pyodide", str(self.pyodide), "--cdn", self.cdn),
            *("--deny", self.deny, "--only-local", self.only_local),
            *(("--auth", str(self.auth), "--token-file", str(self.tokens)) if logins else ()),
            *(("--upload", str(self.folder)) if logins else ()),
        ]

    def settings(self, *, logins: bool) -> dict[str, Any]:
        """The arguments of ``create_app``."""
        files = {"auth": self.auth, "token_file": self.tokens, "upload": self.folder}
        return {
            "folder": self.folder,
            "upstreams": [self.upstream],
            "pyodide": [self.pyodide],
            "cdns": [self.cdn],
            "deny": [self.deny],
            "only_local": [self.only_local],
            **(files if logins else {}),
        }


@contextmanager
def world() -> Iterator[World]:
    """Make a folder and start an upstream; nobody else is ever asked."""
    with tempfile.TemporaryDirectory() as scratch, upstream("json") as index:
        wheels = Path(scratch, "wheels")
        wheels.mkdir()
        for each in LOCAL:
            (wheels / each.filename).write_bytes(each.data)
        gone = ClosedPort()
        cdn = f"http://127.0.0.1:{gone.port}/v{{version}}/"
        logins = write_login_files(Path(scratch))
        try:
            pyodide = provision.pyodide_dist()
            yield World(wheels, index.url, pyodide, cdn, "denied", "acme-*", *logins)
        finally:
            gone.close()


@contextmanager
def fuzzed_server(*, logins: bool) -> Iterator[Serving]:
    """Start a server in that world."""
    with (
        world() as given,
        serving(given.folder, [given.upstream], options=given.options(logins=logins)) as server,
    ):
        yield server


def known_parameters(urls: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """Values that lead somewhere, by the path of the description; ``urls``: those of files."""
    names = [*PROJECTS, "Acme.Tool", "denied", "acme-none", "zoo-no"]
    projects = [{"project": name} for name in names]
    parts = ("digest", "project", "filename")
    files = [dict(zip(parts, url.split("/")[-3:], strict=True)) for url in urls]
    files += [{**file, "filename": f"{file['filename']}.metadata"} for file in files]
    core = ["pyodide-lock.json", "pyodide.mjs", "pyodide.asm.mjs", "python_stdlib.zip", "none.whl"]
    release = [{"version": provision.PYODIDE_VERSION, "filename": name} for name in core]
    prefixes = ("/simple", "/pypi/simple")
    pages = [f"{prefix}{end}" for prefix in prefixes for end in ("/{project}", "//{project}/")]
    pages += [f"{prefix}/{{project}}/" for prefix in prefixes]
    return {
        **dict.fromkeys((*pages, "/cache/{project}"), projects),
        "/files/{digest}/{project}/{filename}": files,
        "/pyodide/v{version}/full/": release,
        "/pyodide/v{version}/full/{filename}": release,
        "/{filename}": [{"filename": file["filename"]} for file in files],
    }


def _files_of(server: Serving, project: str) -> Sequence[str]:
    request = Request(f"{server.index_url}/{project}/?{JSON_QUERY}", headers=bearer())  # noqa: S310
    with urlopen(request) as answer:  # noqa: S310
        return [file["url"] for file in json.load(answer)["files"]]


def fuzz(server: Serving, examples: int, *options: str) -> Fuzzed:
    """Send requests to each route; ``examples``: how many to each in the phase of random ones."""
    urls = [url for project in PROJECTS for url in _files_of(server, project)]
    known = {"parameters": known_parameters(urls), "headers": HEADERS}
    command = [str(schemathesis()), "-c", "from schemathesis.cli import schemathesis as st; st()"]
    command += ["run", str(SCHEMA), "--url", server.url, "--checks", ",".join(CHECKS)]
    command += ["--max-examples", str(examples), "--no-color", "--continue-on-failure"]
    command += ["--generation-database", "none", "--warnings", "off", *options]
    # No route without --upload; tests/host/server/uploads/test_uploads.py sends forms at random.
    command += ["--exclude-path", "/legacy/"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command,
            cwd=folder,
            env=clean_environment(
                SCHEMATHESIS_HOOKS="tests.abuse.fuzz_hooks",
                PYTHONPATH=str(provision.ROOT),
                FUZZ_KNOWN=json.dumps(known),
                NO_PROXY="127.0.0.1",
                HOME=folder,
            ),
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    total = _TOTAL.search(done.stdout)
    return Fuzzed(done.returncode, int(total[1]) if total else 0, done.stdout)


def main() -> None:
    """Fuzz a server without and one with logins, and print what schemathesis says."""
    parser = argparse.ArgumentParser(prog="python -m tests.abuse.fuzz_routes", description=__doc__)
    parser.add_argument("--examples", type=int, default=300, help="for each route (%(default)s)")
    given, rest = parser.parse_known_args()
    for logins in (False, True):
        with fuzzed_server(logins=logins) as server:
            print(fuzz(server, given.examples, *rest).output)


if __name__ == "__main__":
    main()
