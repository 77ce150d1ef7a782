"""The zoo of CDNs: places with Pyodide's packages that misbehave, each on a port of its own.

    with CDNZoo() as zoo:
        zoo.url("wrong-bytes")  # starts it at the first call

What they have is made up: a lock file's packages, with real wheels under their digests.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from pyodide_mirror.loader import CORE_FILES
from tests.support.wheels import Wheel, make_wheel
from tests.zoo.server import LOOPBACK, ClosedPort, Manner, Request, Response, Server

_ALLOWED = (("Access-Control-Allow-Origin", "*"),)
_MEBIBYTE = 2**20

SMALL = make_wheel("iniconfig", "2.0.0")
"""By the name of a package that probes look at, where the lock file has it."""
LIBRARY = make_wheel("zoo-blas", "1.0")
"""Stands for a shared library: what needs it does not say so in its metadata."""
ARRAYS = make_wheel("zoo-arrays", "1.0", padding=200_000)
FRAMES = make_wheel("zoo-frames", "2.0", requires=["zoo-arrays", "zoo-dep-a"])
LOCKED = (SMALL, LIBRARY, ARRAYS, FRAMES)
DEPENDS: Mapping[str, list[str]] = MappingProxyType(
    {"zoo-frames": ["zoo-arrays"], "zoo-arrays": ["zoo-blas"]}
)


_OLD = make_wheel("iniconfig", "1.0").data


def lock_entry(wheel: Wheel) -> dict[str, Any]:
    """What a lock file has of a package."""
    return {
        "name": wheel.name,
        "version": wheel.version,
        "file_name": wheel.filename,
        "install_dir": "site",
        "sha256": wheel.sha256,
        "package_type": "package" if wheel is not LIBRARY else "shared_library",
        "imports": [wheel.name.replace("-", "_")],
        "depends": DEPENDS.get(wheel.name, []),
        "unvendored_tests": False,
    }


def lock_entries() -> dict[str, dict[str, Any]]:
    """The packages of the zoo as a lock file has them."""
    return {wheel.name: lock_entry(wheel) for wheel in LOCKED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of CDN: its verdict, and what it makes of a good answer.

    ``size``: bytes of the file that is asked for.
    """

    verdict: str
    what: str
    answer: Callable[[Response], Response] = lambda response: response
    port: str = "open"
    core: bool = True
    packages: bool = True


def _status(status: int) -> Callable[[Response], Response]:
    return lambda _: Response(status=status, headers=_ALLOWED)


def _manner(manner: Manner) -> Callable[[Response], Response]:
    return lambda response: replace(response, manner=manner)


def _html(_: Response) -> Response:
    headers = (*_ALLOWED, ("Content-Type", "text/html"))
    return Response(headers=headers, body=b"<!doctype html><title>Log in</title>")


def _slow_then_dead(response: Response) -> Response:
    """Small files come, of large ones only the first half."""
    return replace(response, manner=Manner.HALF) if len(response.body) > 100_000 else response


_BINARY = (b"PK", b"\0asm")
"""How archives begin, and WebAssembly."""


def _tampered(response: Response) -> Response:
    if not response.body.startswith(_BINARY):
        return response
    return replace(response, body=response.body[:-1] + bytes([response.body[-1] ^ 1]))


def _huge(response: Response) -> Response:
    return replace(response, manner=Manner.CHUNKED, stream=lambda: iter([bytes(_MEBIBYTE)] * 20))


_KINDS: Mapping[str, Kind] = {
    "good": Kind(verdict="ok", what="has everything"),
    "wrong-media-types": Kind(
        verdict="ok",
        what="calls everything text",
        answer=lambda one: one.with_header("Content-Type", "text/plain"),
    ),
    "slow-then-dead": Kind(
        verdict="ok", what="ends large files in the middle, silently", answer=_slow_then_dead
    ),
    "closed": Kind(verdict="unreachable", what="nobody listens", port="closed"),
    "hanging": Kind(verdict="timeout", what="never answers", answer=_manner(Manner.HANG)),
    "403": Kind(verdict="http-status", what="forbids all files", answer=_status(403)),
    "451": Kind(verdict="http-status", what="is blocked by law", answer=_status(451)),
    "503": Kind(verdict="http-status", what="is always busy", answer=_status(503)),
    "cut-off": Kind(verdict="unreachable", what="ends all files early", answer=_manner(Manner.CUT)),
    "wrong-bytes": Kind(verdict="hash-mismatch", what="has other bytes", answer=_tampered),
    "wrong-version": Kind(
        verdict="hash-mismatch",
        what="has the files of another version",
        answer=lambda one: replace(one, body=_OLD) if one.body.startswith(_BINARY) else one,
    ),
    "no-cors": Kind(
        verdict="cors",
        what="lets no page read its files",
        answer=lambda one: one.without_header("Access-Control-Allow-Origin"),
    ),
    "core-only": Kind(
        verdict="incomplete", what="has Pyodide's core, and no packages", packages=False
    ),
    "empty": Kind(verdict="http-status", what="has nothing", core=False, packages=False),
    "html": Kind(verdict="not-an-index", what="answers with a login page", answer=_html),
    "huge": Kind(verdict="malformed", what="sends more than one can take", answer=_huge),
}
KINDS: Mapping[str, Kind] = MappingProxyType(_KINDS)
"""Every kind by its name."""


Files = Mapping[str, bytes]
"""By their names."""
CORE: Files = MappingProxyType(
    {
        "pyodide.mjs": b"export function loadPyodide() {}",
        "pyodide-lock.json": json.dumps({"info": {}, "packages": lock_entries()}).encode(),
    }
)
"""What stands for the files of Pyodide's core."""
PACKAGES: Files = MappingProxyType({wheel.filename: wheel.data for wheel in LOCKED})


class RunningCDN:
    """A CDN of some kind that answers, until `close()`."""

    def __init__(self, kind: Kind, core: Files, packages: Files) -> None:
        """Start it."""
        self.kind = kind
        self._files = {**(core if kind.core else {}), **(packages if kind.packages else {})}
        self._server = Server(self._answer) if kind.port == "open" else ClosedPort()
        self.url = f"http://{LOOPBACK}:{self._server.port}/pyodide/v{{version}}/full/"

    @property
    def asked(self) -> list[str]:
        """The names of the files that were asked for."""
        return [path.rpartition("/")[2] for path in self.targets]

    @property
    def targets(self) -> list[str]:
        """The paths that were asked for."""
        if isinstance(self._server, ClosedPort):
            return []
        return [request.path for request in self._server.requests]

    def close(self) -> None:
        """End its connections, and free its port."""
        self._server.close()

    def _answer(self, request: Request) -> Response:
        body = self._files.get(request.path.rpartition("/")[2])
        if body is None and self.kind.answer is not _html:
            return Response(status=404, headers=_ALLOWED)
        headers = (*_ALLOWED, ("Content-Type", "application/wasm"))
        return self.kind.answer(Response(headers=headers, body=body or b""))


class CDNZoo:
    """Starts CDNs when they are first wanted, and closes all of them at its end."""

    def __init__(self, core: Files = CORE, packages: Files | None = None) -> None:
        """Start none. ``core``, ``packages``: what those have that are good."""
        self._files = core, {**PACKAGES, **(packages or {})}
        self._stack = ExitStack()
        self._running: dict[str, RunningCDN] = {}

    @classmethod
    def of(cls, dist: Path) -> Self:
        """A zoo whose good ones have a Pyodide, with all that lies beside it."""
        files = {path.name: path.read_bytes() for path in dist.iterdir() if path.is_file()}
        return cls({name: files[name] for name in CORE_FILES if name in files}, files)

    def start(self, name: str) -> RunningCDN:
        """The CDN of a kind, which is started if it does not run yet."""
        if name not in self._running:
            self._running[name] = running = RunningCDN(KINDS[name], *self._files)
            self._stack.callback(running.close)
        return self._running[name]

    def url(self, name: str) -> str:
        """The base URL of a kind."""
        return self.start(name).url

    def close(self) -> None:
        """Close all of it: from then on nobody listens there."""
        self._stack.close()

    def __enter__(self) -> Self:
        """Return the zoo itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all of it."""
        self.close()
