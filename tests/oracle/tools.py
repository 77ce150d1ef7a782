"""What pip, uv, plain micropip and we install from a world, each asked in its own way."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self
from urllib.parse import unquote

import uv
from packaging.version import Version

from pyodide_mirror.model import Mirror, normalize
from tests.support.conflict_worlds import resolver_wheel
from tests.support.fake_web import A, Answer, Web, entry, page_of
from tests.support.micropip_here import Micropip
from tests.support.processes import OWN_GROUP, end_conversation
from tests.support.provision import ROOT

from .worlds import Release, World, tidied

CANARY = World(wanted=(), projects={"iniconfig": (Release(version="1.0"),)})
"""What our probes look for when a mirror lacks the project that is wanted."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was, or would be, installed: versions by normalized name; or the error instead."""

    versions: Mapping[str, str]
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether it ended without an error."""
        return not self.error


class Tools:
    """A server of worlds, and the tools that are asked about them; ``folder`` is uv's cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.micropip = Micropip()
        self._pip: subprocess.Popen[str] | None = None
        self._worlds: dict[str, Mapping[str, Answer]] = {}
        self._server = _serve(self._worlds)
        self._base = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.micropip.__exit__(kind, error, trace)
        if self._pip is not None:
            end_conversation(self._pip)
        self._server.shutdown()
        self._server.server_close()

    def asked_about(self, world: World) -> "Asked":
        """Return the tools in front of a world, which has a place of its own on the server."""
        prefix = f"/{len(self._worlds)}"
        base = self._base + prefix
        answers = dict(CANARY.answers(base)) | dict(_library(base)) | dict(world.answers(base))
        self._worlds[prefix] = {
            unquote(url).removeprefix(self._base): answer for url, answer in answers.items()
        }
        return Asked(world, base, answers, self)

    def pip(self, arguments: list[str]) -> tuple[int, str, str]:
        """Run pip; the result is its status, its output and its errors."""
        if self._pip is None:
            self._pip = subprocess.Popen(
                [sys.executable, "-m", "tests.oracle.pip_child"],
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                **OWN_GROUP,
            )
        assert self._pip.stdin is not None
        assert self._pip.stdout is not None
        print(json.dumps(arguments), file=self._pip.stdin, flush=True)
        status, output, errors = json.loads(self._pip.stdout.readline())
        return status, output, errors


@dataclass(frozen=True, slots=True)
class Asked:
    """One world, and the ways to ask."""

    world: World
    base: str
    answers: Mapping[str, Answer]
    tools: Tools

    @property
    def index(self) -> Mirror:
        """The index."""
        return Mirror(f"{self.base}/simple")

    def ours(self) -> Result:
        """Install through us; what our report says must be what is there."""
        found = self.tools.micropip.install(
            _web(self.answers),
            *self.world.wanted,
            mirrors=(self.index,),
            pre=self.world.pre,
            constraints=list(self.world.constraints),
        )
        versions = normalized(found.installed)
        if not found.error and len(versions) != len(found.installed):
            return Result(versions, f"two versions: {found.installed}")
        if not found.error:
            said = normalized([(one["name"], one["version"]) for one in found.reports[-1]])
            if said != versions:
                return Result(versions, f"a wrong report: it says {said}")
        if found.error and found.files:
            return Result(versions, f"left-overs: {found.files} after {found.error}")
        return Result(versions, found.error)

    def plain(self) -> Result:
        """Install by micropip alone, from what it can read."""
        world = tidied(self.world)
        found = self.tools.micropip.install(
            _web(dict(world.answers(self.base))),
            *world.wanted,
            mirrors=(self.index,),
            plain=True,
            pre=world.pre,
            constraints=list(world.constraints),
        )
        return Result(normalized(found.installed), found.error)

    def uv(self) -> Result:
        """Ask uv."""
        options = ["--no-config", "--quiet", "--no-header", "--no-annotate", "--only-binary=:all:"]
        options += ["--prerelease=allow"] if self.world.pre else []
        options += self._constraints()
        place = ["--cache-dir", str(self.tools.folder), "--python", sys.executable]
        done = subprocess.run(
            [uv.find_uv_bin(), "pip", "compile", *options, *place, *self._index_url(), "-"],
            input="\n".join(self.world.wanted),
            env=environment(),
            capture_output=True,
            check=False,
            text=True,
        )
        if done.returncode:
            return Result({}, done.stderr)
        pins = [line.partition("==") for line in done.stdout.split()]
        return Result(normalized([(name, version) for name, _, version in pins]))

    def pip(self) -> Result:
        """Ask pip."""
        options = ["--isolated", "--disable-pip-version-check", "--dry-run", "--ignore-installed"]
        quiet = ["--quiet", "--no-cache-dir", "--only-binary=:all:", "--report=-"]
        quiet += ["--pre"] if self.world.pre else []
        quiet += self._constraints()
        arguments = ["install", *options, *quiet, *self._index_url(), *self.world.wanted]
        status, output, errors = self.tools.pip(arguments)
        if status:
            return Result({}, errors or "pip failed")
        found = [one["metadata"] for one in json.loads(output)["install"]]
        return Result(normalized([(one["name"], one["version"]) for one in found]))

    def _constraints(self) -> list[str]:
        """Write them into a file, and return the options that name it."""
        path = self.tools.folder / f"constraints-{self.base.rpartition('/')[2]}.txt"
        path.write_text("\n".join(self.world.constraints))
        return ["-c", str(path)] if self.world.constraints else []

    def _index_url(self) -> tuple[str, str]:
        return "--index-url", f"{self.index.index_url}/"


@cache
def environment() -> Mapping[str, str]:
    """Return an environment that knows of no index."""
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))
    }
    return own | {"PIP_CONFIG_FILE": os.devnull, "NO_PROXY": "127.0.0.1", "UV_HTTP_RETRIES": "0"}


def _library(base: str) -> Iterator[tuple[str, Answer]]:
    """Yield what pages load where versions conflict."""
    wheel = resolver_wheel()
    url = f"{base}/files/{wheel.filename}"
    yield f"{base}/simple/{wheel.name}/", page_of(wheel.name, [entry(A, wheel, url=url)])
    yield url, Answer(body=wheel.data)
    yield f"{url}.metadata", Answer(body=wheel.metadata)


def _web(answers: Mapping[str, Answer]) -> Web:
    web = Web()
    for url, answer in answers.items():
        web.answer(url, answer)
    return web


def normalized(found: list[tuple[str, str]]) -> dict[str, str]:
    """Return versions by name, both normalized (PEP 503, 440)."""
    return {normalize(name): str(Version(version)) for name, version in sorted(found)}


def _serve(worlds: Mapping[str, Mapping[str, Answer]]) -> ThreadingHTTPServer:
    """Serve the worlds, each below its prefix."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            """Answer with what the world has at this path."""
            answers = worlds.get(f"/{self.path.split('/')[1]}", {})
            answer = answers.get(unquote(self.path), Answer(status=404))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("access-control-allow-origin", "*")
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(answer.body)

        do_HEAD = do_GET  # noqa: N815  # the name that http.server looks for

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    return server
