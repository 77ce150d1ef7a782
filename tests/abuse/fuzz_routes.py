"""Requests at random to the server's documented routes, made by schemathesis.

    python -m tests.abuse.fuzz_routes [--examples N] [OPTIONS OF SCHEMATHESIS]

The description is docs/openapi.yaml: each answer must be one that it has, and none a 5xx.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.support import provision
from tests.support.logins import BOTH, READER, UPLOADER, basic, bearer, write_login_files
from tests.support.own_server import Serving, clean_environment, serving
from tests.support.upstreams import EXHIBIT, upstream
from tests.support.wheels import make_sdist, make_wheel
from tests.zoo.server import ClosedPort

SCHEMATHESIS = "schemathesis==4.32.5"
SCHEMA = provision.ROOT / "docs" / "openapi.yaml"
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance", "unsupported_method"),
)
LOCAL = (make_wheel("acme-tool", "1.0"), make_sdist("acme-tool", "1.0"), make_wheel("denied", "1"))
_TOTAL = re.compile(r"(\d+) generated")


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

    def make(folder: Path) -> None:
        run = provision.run
        run([*provision.UV, "venv", "--quiet", "--python", sys.executable, str(folder)])
        python = str(folder / "bin" / "python")
        run([*provision.UV, "pip", "install", "--quiet", "--python", python, SCHEMATHESIS])

    folder = provision.made(provision.CACHE / "schemathesis" / SCHEMATHESIS, make)
    return folder / "bin" / "python"


@contextmanager
def fuzzed_server(*, logins: bool) -> Iterator[Serving]:
    """Start a server with everything that the description has: folder, upstream, Pyodide, rules."""
    with tempfile.TemporaryDirectory() as scratch, upstream("json") as index:
        wheels = Path(scratch, "wheels")
        wheels.mkdir()
        for each in LOCAL:
            (wheels / each.filename).write_bytes(each.data)
        gone = ClosedPort()
        options = ["--pyodide", str(provision.pyodide_dist())]
        options += ["--cdn", f"http://127.0.0.1:{gone.port}/v{{version}}/"]
        options += ["--deny", "denied", "--only-local", "acme-*"]
        options += write_login_files(Path(scratch)).options if logins else []
        try:
            with serving(wheels, [index.url], options=options) as server:
                yield server
        finally:
            gone.close()


def known_of(server: Serving) -> dict[str, Any]:
    """What `fuzz_hooks` is told: what is there, in words of the description."""
    projects = ["acme-tool", "Acme.Tool", EXHIBIT, "pyodide-mirror", "denied", "acme-none", "zoo-no"]
    files = [
        dict(zip(("digest", "project", "filename"), url.split("/")[-3:], strict=True))
        for project in ("acme-tool", EXHIBIT, "pyodide-mirror")
        for url in _files_of(server, project)
    ]
    files += [{**file, "filename": f"{file['filename']}.metadata"} for file in files]
    names = ["pyodide-lock.json", "pyodide.mjs", "pyodide.asm.mjs", "python_stdlib.zip", "none.whl"]
    release = [{"version": provision.PYODIDE_VERSION, "filename": name} for name in names]
    parameters: dict[str, list[dict[str, str]]] = {
        "/files/{digest}/{project}/{filename}": files,
        "/pyodide/v{version}/full/": release,
        "/pyodide/v{version}/full/{filename}": release,
        "/{filename}": [{"filename": file["filename"]} for file in files],
        "/cache/{project}": [{"project": name} for name in projects],
    }
    for prefix in ("/simple", "/pypi/simple"):
        for path in (f"{prefix}/{{project}}", f"{prefix}/{{project}}/", f"{prefix}//{{project}}/"):
            parameters[path] = parameters["/cache/{project}"]
    return {"parameters": parameters, "headers": _HEADERS}


def _files_of(server: Serving, project: str) -> list[str]:
    query = "format=application/vnd.pypi.simple.v1%2Bjson"
    request = Request(f"{server.index_url}/{project}/?{query}", headers=bearer())  # noqa: S310
    with urlopen(request) as answer:  # noqa: S310
        return [file["url"] for file in json.load(answer)["files"]]


_HEADERS = {
    "Accept": ["*/*", "text/html", "application/vnd.pypi.simple.v1+json, */*;q=0.1"],
    "Accept-Encoding": ["gzip", "identity", "gzip;q=0"],
    "Authorization": [
        *(bearer(token)["authorization"] for token in (READER, UPLOADER, BOTH, "wrong")),
        *(basic()["authorization"], basic("__token__", BOTH)["authorization"], "Basic =="),
    ],
    "Cache-Control": ["no-cache", "max-age=0"],
    "If-None-Match": ["*", '"x"', 'W/"y", "z"'],
    "If-Range": ['"x"', "Thu, 26 Nov 2026 00:00:00 GMT"],
    "Origin": ["https://app.example", "null"],
    "Range": ["bytes=0-9", "bytes=-5", "bytes=999999999-", "bytes=5-1", "bytes=0-1,3-4"],
}


def fuzz(server: Serving, examples: int, *options: str) -> Fuzzed:
    """Send requests to each route; ``examples``: how many to each in the phase of random ones."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                *(str(schemathesis()), "-c", "from schemathesis.cli import schemathesis as run; run()"),
                *("run", str(SCHEMA), "--url", server.url, "--checks", ",".join(CHECKS)),
                *("--max-examples", str(examples), "--no-color", "--continue-on-failure"),
                *("--generation-database", "none", "--warnings", "off", *options),
            ],
            cwd=folder,
            env=clean_environment(
                SCHEMATHESIS_HOOKS="tests.abuse.fuzz_hooks",
                PYTHONPATH=str(provision.ROOT),
                FUZZ_KNOWN=json.dumps(known_of(server)),
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
