"""A healthy mirror with large and deep projects, for measuring: answers as PyPI's are.

Pages may be cached for ten minutes, files for ever; files are on an origin of their own. A visit
whose name begins with `OLD` gets pages as if these ten minutes were over. `GONE` in the place of an
index ends a visit: from then on, connections that ask for something of it are reset.

Pages go out as they are; a page that was made with `BenchMirror.prepare` goes out compressed, which
for a big one would take longer than the latency.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from tests.benchmarks import wide_page
from tests.support.wheels import Wheel, make_wheel
from tests.zoo.server import LOOPBACK, Manner, Request, Response, Server

LATENCY = 0.03
"""Seconds that each answer takes longer."""
CANARY = "bench-canary"
ROOT = "bench-tree"
TREE_SIZE = 19
HEAVY = "bench-heavy"
HEAVY_BYTES = 16 << 20
WIDE = MappingProxyType({"bench-wide": 4_200, "bench-wider": 8_100})
"""Projects by the number of files on their pages, of which only the last one is there."""
WIDEST = "bench-widest"
"""A project whose page is like the largest that people install from in a browser."""

OLD = "old-"
GONE = "gone"

_JSON = "application/vnd.pypi.simple.v1+json"
_CORS = (("Access-Control-Allow-Origin", "*"), ("Timing-Allow-Origin", "*"))
_A_WHILE = (("Cache-Control", "public, max-age=600"),)
_NO_MORE = (("Cache-Control", "no-cache"),)
_FOR_EVER = (("Cache-Control", "public, max-age=31536000, immutable"),)


@cache
def stock() -> dict[str, Wheel]:
    """Return the one wheel of each project: a root, its six children, and two of each of these."""
    branches = [f"bench-branch-{i}" for i in range(6)]
    wheels = [make_wheel(ROOT, "1.0", requires=branches)]
    for i, branch in enumerate(branches):
        leaves = [f"bench-leaf-{i}-{j}" for j in range(2)]
        wheels.append(make_wheel(branch, "1.0", requires=leaves, padding=4_000))
        wheels += [make_wheel(leaf, "1.0", padding=8_000) for leaf in leaves]
    wheels += [make_wheel(CANARY, "1.0"), make_wheel(HEAVY, "1.0", padding=HEAVY_BYTES)]
    wheels += [make_wheel(name, "9999.0") for name in WIDE]
    wheels.append(make_wheel(WIDEST, wide_page.NEWEST, tag=wide_page.TAG))
    return {wheel.name: wheel for wheel in wheels}


@dataclass(frozen=True)
class BenchMirror:
    """The mirror that runs: two ports, one for pages and one for files."""

    pages: Server
    files: Server
    reach: Callable[[int], int]
    packed: dict[tuple[str, str], bytes] = field(default_factory=dict)
    _plain: dict[str, bytes] = field(default_factory=dict)

    def url(self, visit: str = "0") -> str:
        """The index URL; each visit has one of its own, so that no HTTP cache knows it."""
        return f"http://{LOOPBACK}:{self.reach(self.pages.port)}/{visit}/simple"

    def body(self, visit: str, name: str) -> bytes:
        """The page of a project, in which the URLs of files are those of a visit."""
        if name not in self._plain:
            origin = f"http://{LOOPBACK}:{self.reach(self.files.port)}/VISIT"
            self._plain[name] = _page(name, origin)
        return self._plain[name].replace(b"/VISIT/", f"/{visit}/".encode())

    def prepare(self, visit: str, name: str) -> None:
        """Make a page for a visit, and compress it; what was prepared before is forgotten."""
        self.packed.clear()
        self.packed[visit, name] = gzip.compress(self.body(visit, name), 6)

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request so far, those for files last."""
        return (*self.pages.requests, *self.files.requests)


@contextmanager
def bench_mirror(
    latency: float = LATENCY, *, reach: Callable[[int], int] = int
) -> Iterator[BenchMirror]:
    """Run it. ``reach``: the port at which a port of this machine is reached."""
    gone: set[str] = set()

    def file(request: Request) -> Response:
        visit = request.path.split("/")[1]
        return Response(manner=Manner.RESET) if visit in gone else _file(request)

    def page(request: Request) -> Response:
        visit, _, rest = request.path.strip("/").partition("/")
        if rest == GONE:
            gone.add(visit)
            return Response(headers=_CORS)
        if visit in gone:
            return Response(manner=Manner.RESET)
        name = rest.removeprefix("simple/")
        return _answer(mirror, request, visit, name)

    files = Server(file, latency=latency)
    pages = Server(page, latency=latency)
    mirror = BenchMirror(pages, files, reach)
    try:
        yield mirror
    finally:
        pages.close()
        files.close()


def _answer(mirror: BenchMirror, request: Request, visit: str, name: str) -> Response:
    if name not in stock():
        return Response(status=404, headers=_CORS, body=b"not here\n")
    age = _NO_MORE if visit.startswith(OLD) else _A_WHILE
    headers = (("Content-Type", _JSON), *_CORS, *age, ("ETag", f'"{name}"'))
    if request.header("If-None-Match"):
        return Response(status=304, headers=headers)
    if (visit, name) in mirror.packed:
        compressed = (*headers, ("Content-Encoding", "gzip"))
        return Response(headers=compressed, body=mirror.packed[visit, name])
    return Response(headers=headers, body=mirror.body(visit, name))


def _page(name: str, origin: str) -> bytes:
    wheel = stock()[name]
    older = [_older(name, i, origin) for i in range(WIDE.get(name, 1) - 1)]
    if name == WIDEST:
        older = wide_page.entries(name, origin)
    files = [
        *older,
        wide_page.entry(
            wheel.filename, wheel.sha256, wheel.metadata_sha256, len(wheel.data), origin
        ),
    ]
    versions = list(dict.fromkeys(each["filename"].split("-")[1] for each in files))
    document = {
        "meta": {"api-version": "1.1"},
        "name": name,
        "versions": versions,
        "files": files,
    }
    return json.dumps(document).encode()


def _older(name: str, number: int, origin: str) -> dict[str, Any]:
    """One of the many files of a big page: versions in five wheels for platforms and an sdist."""
    version = f"{number // 6}.0"
    tags = ("cp312-cp312-win_amd64", "cp313-cp313-manylinux_2_28_x86_64", "py3-none-any")
    stem = name.replace("-", "_")
    kind = number % 6
    filename = f"{stem}-{version}-{tags[kind % 3]}.whl" if kind else f"{stem}-{version}.tar.gz"
    if kind > 2:
        filename = f"{stem}-{version}-cp31{kind}-cp31{kind}-macosx_11_0_arm64.whl"
    digest = f"{number:064x}"
    return wide_page.entry(filename, digest, digest, 1000, origin)


@cache
def _by_filename() -> dict[str, bytes]:
    found = {wheel.filename: wheel.data for wheel in stock().values()}
    return found | {f"{wheel.filename}.metadata": wheel.metadata for wheel in stock().values()}


def _file(request: Request) -> Response:
    body = _by_filename().get(request.path.rpartition("/")[2])
    if body is None:
        return Response(status=404, headers=_CORS, body=b"not here\n")
    kind = (("Content-Type", "application/octet-stream"),)
    return Response(headers=(*kind, *_CORS, *_FOR_EVER), body=body)
