"""The metrics, as the parser of Prometheus' own library reads them."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from pyodide_mirror import __version__
from pyodide_mirror.server import create_app
from pyodide_mirror.server.status.metrics import kind_of
from tests.support.asgi import ASGI, WHEEL, Answer, Index, ask, document, entry, origin, shut
from tests.support.logins import READER, UPLOADER, bearer, write_login_files
from tests.support.wheels import make_wheel

LOCAL = make_wheel("local-only", "1.0")
PREFIX = "pyodide_mirror_"
Labels = frozenset[tuple[str, str]]


def read(text: str) -> dict[tuple[str, Labels], float]:
    """The samples by name and labels."""
    return {
        (sample.name.removeprefix(PREFIX), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@dataclass
class World:
    """A server over a folder and an index, with its metrics."""

    app: ASGI
    index: Index
    host: str

    async def get(self, target: str, **options: Any) -> Answer:
        """Ask the server."""
        return await ask(self.app, target, **options)

    async def value(self, name: str, **labels: str) -> float:
        """The value of a sample now; 0 where there is none yet."""
        answer = await self.get("/metrics")
        assert answer.status == 200, answer.text
        return read(answer.text).get((name, frozenset(labels.items())), 0.0)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / LOCAL.filename).write_bytes(LOCAL.data)
    (folder / "nonsense.whl").write_bytes(b"")
    index = Index()
    index.page(document(entry(size=len(WHEEL.data))))
    index.file(WHEEL.filename, WHEEL.data)
    async with origin(index) as running:
        app: Any = create_app(
            folder,
            upstreams=[f"{running.url}/s3cret/simple", f"{running.url}/simple"],
            cache=tmp_path / "cache",
            cache_size=12_345_678,
        )
        yield World(app, index, running.url.removeprefix("http://"))
        await shut(app)


async def test_prometheus_can_read_it(world: World) -> None:
    answer = await world.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-store"
    found = read(answer.text)
    assert found["build_info", frozenset({("version", __version__)})] == 1
    assert found["cache_limit_bytes", frozenset()] == 12_345_678
    folder = frozenset({("source", "folder wheels")})
    for name, value in (("projects", 1), ("files", 1), ("left_out", 1), ("problem", 0)):
        assert found[f"local_{name}", folder] == value
    assert found["process_open_fds", frozenset()] > 0
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation, family.name
        assert family.type != "unknown", family.name


async def test_a_request_is_counted_by_kind_and_status(world: World) -> None:
    answer = await world.get("/simple/local-only/")
    page = json.loads(answer.body)
    path = page["files"][0]["url"].removeprefix("http://mirror.localhost")
    assert (await world.get(path)).status == 200
    assert (await world.get(path, headers={"range": "bytes=0-9"})).status == 206
    assert (await world.get(f"{path}.metadata")).status == 200
    assert (await world.get("/simple/nothing/", method="HEAD")).status == 404
    assert (await world.get("/simple/", method="BREW")).status == 405
    for kind, method, status in (
        ("page", "GET", "200"),
        ("file", "GET", "200"),
        ("file", "GET", "206"),
        ("metadata", "GET", "200"),
        ("page", "HEAD", "404"),
        ("list", "other", "405"),
    ):
        told = {"kind": kind, "method": method, "status": status}
        assert await world.value("http_requests_total", **told) == 1, told
    sent = len(LOCAL.data) + 10
    assert await world.value("http_sent_bytes_total", kind="file") == sent
    assert await world.value("http_sent_bytes_total", kind="page") == len(answer.body)
    assert await world.value("http_request_duration_seconds_count", kind="file") == 2
    infinite = {"kind": "file", "le": "+Inf"}
    assert await world.value("http_request_duration_seconds_bucket", **infinite) == 2
    assert await world.value("http_requests_in_progress") == 1, "this one"


async def test_the_cache_and_the_upstreams_are_counted(world: World) -> None:
    asked = {"upstream": world.host, "kind": "page"}
    for hits in (0, 1):
        path = json.loads((await world.get("/simple/x/")).body)["files"][0]["url"]
        assert await world.value("cache_lookups_total", kind="page", result="hit") == hits * 2
    # Two upstreams at one host, the first of which does not have it.
    assert await world.value("cache_lookups_total", kind="page", result="miss") == 2
    assert await world.value("upstream_requests_total", **asked, result="4xx") == 1
    assert await world.value("upstream_requests_total", **asked, result="2xx") == 1
    for _ in range(2):
        await world.get(path.removeprefix("http://mirror.localhost"))
    assert await world.value("cache_lookups_total", kind="file", result="miss") == 1
    assert await world.value("cache_lookups_total", kind="file", result="hit") == 1
    assert await world.value("cache_bytes") > len(WHEEL.data)
    assert await world.value("downloads_in_progress") == 0
    took = await world.value("upstream_request_duration_seconds_count", **asked)
    assert took == 2


@pytest.mark.parametrize(
    ("status", "result"), [(503, "5xx"), (403, "4xx"), (200, "2xx"), (None, "error")]
)
async def test_what_an_upstream_does_is_told_apart(
    world: World, status: int | None, result: str
) -> None:
    async def closes(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    if status is None:
        world.index.answers["/simple/x/"] = closes
    else:
        world.index.page(b"nonsense", status=status)
    # The other upstream says that there is none, which a bucket's 403 does not contradict.
    assert (await world.get("/simple/x/")).status == (404 if status == 403 else 502)
    asked = {"upstream": world.host, "kind": "page", "result": result}
    assert await world.value("upstream_requests_total", **asked) >= 1
    assert await world.value("upstream_problem", upstream=world.host) == 1


async def test_an_upstream_that_hangs_is_a_timeout(tmp_path: Path) -> None:
    async def hangs(_: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    async with origin(hangs) as running:
        app: Any = create_app(upstreams=[f"{running.url}/simple"], cache=tmp_path, timeout=0.05)
        assert (await ask(app, "/simple/x/")).status == 504
        found = read((await ask(app, "/metrics")).text)
        host = running.url.removeprefix("http://")
        told = {"upstream": host, "kind": "page", "result": "timeout"}
        assert found["upstream_requests_total", frozenset(told.items())] == 1
        await shut(app)


def age(folder: Path) -> None:
    """Make the files in it as if they had not been used for an hour."""
    for path in folder.glob("*/*"):
        os.utime(path, (path.stat().st_mtime - 3600,) * 2)


async def test_what_is_removed_to_make_room_is_counted(tmp_path: Path) -> None:
    index = Index()
    wheels = [make_wheel("x", f"1.{n}", padding=100_000) for n in range(3)]
    index.page(document(*map(entry, wheels)))
    for wheel in wheels:
        index.file(wheel.filename, wheel.data)
    async with origin(index) as running:
        app: Any = create_app(
            upstreams=[f"{running.url}/simple"], cache=tmp_path / "c", cache_size=250_000
        )
        for file in json.loads((await ask(app, "/simple/x/")).body)["files"]:
            await ask(app, file["url"].removeprefix("http://mirror.localhost"))
            age(tmp_path / "c" / "file")
        found = read((await ask(app, "/metrics")).text)
        await shut(app)
    removed = found["cache_evicted_files_total", frozenset()]
    assert removed >= 1
    assert found["cache_evicted_bytes_total", frozenset()] >= 100_000 * removed
    assert found["cache_bytes", frozenset()] <= 250_000


async def test_no_label_has_what_clients_or_pages_say(world: World) -> None:
    before = len(read((await world.get("/metrics")).text))
    for n in range(30):
        await world.get(f"/simple/project-{n}/")
        await world.get(f"/unknown-{n}/{n}?{n}")
        await world.get("/simple/", method=f"METHOD{n}")
        await world.get("/simple/", headers={"host": f"host-{n}.example"})
    answer = await world.get("/metrics")
    for said in ("project-", "unknown-", "METHOD", "host-", "s3cret"):
        assert said not in answer.text
    one = len(read((await world.get("/metrics")).text))
    for n in range(30, 60):
        await world.get(f"/simple/project-{n}/")
    assert len(read((await world.get("/metrics")).text)) == one > before


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "status"),
        ("/healthz", "status"),
        ("/simple/", "list"),
        ("/pypi/simple", "list"),
        ("/simple/x/", "page"),
        ("/pypi/simple//x/", "page"),
        ("/files/0123/x/x-1.0-py3-none-any.whl", "file"),
        ("/files/0123/x/x-1.0-py3-none-any.whl.metadata", "metadata"),
        ("/pyodide/v314.0.7/full/pyodide.mjs", "pyodide"),
        ("/pyodide_mirror-1.0-py3-none-any.whl", "file"),
        ("/cache/x", "cache"),
        ("/legacy/", "upload"),
        ("/nothing", "other"),
        ("/simple/x/y", "other"),
        ("", "other"),
        ("/\n", "other"),
    ],
)
def test_an_address_is_of_one_kind(path: str, kind: str) -> None:
    assert kind_of(path) == kind


# --- who may read them --------------------------------------------------------------------------


def elsewhere(scope: Any) -> None:
    scope["client"] = ("203.0.113.9", 1)


async def test_without_logins_they_are_for_this_machine(world: World) -> None:
    assert (await world.get("/metrics")).status == 200
    answer = await world.get("/metrics", change=elsewhere)
    assert answer.status == 403
    assert "--metrics all" in answer.text
    # It may be a proxy on this machine that nobody has said to be trusted.
    for name in ("x-forwarded-for", "forwarded", "x-real-ip", "via"):
        assert (await world.get("/metrics", headers={name: "x"})).status == 403
    for client in (None, ("", 1), ("unix", 0)):
        answer = await world.get("/metrics", change=lambda scope, c=client: scope.update(client=c))
        assert answer.status == 403


async def test_no_web_page_gets_them(world: World) -> None:
    """Neither one of another origin, nor one whose name was let point here."""
    answer = await world.get("/metrics", headers={"origin": "https://a.example"})
    assert answer.status == 403
    assert PREFIX not in answer.text
    assert (await world.get("/metrics", headers={"host": "attacker.example"})).status == 421


async def test_with_logins_they_are_for_who_has_one_and_may_read(tmp_path: Path) -> None:
    files = write_login_files(tmp_path)
    app: Any = create_app(
        upstreams=[], cache=tmp_path / "cache", auth=files.auth, token_file=files.tokens
    )
    assert (await ask(app, "/metrics")).status == 401, "also on this machine"
    assert (await ask(app, "/metrics", bearer(UPLOADER))).status == 403
    for change in (None, elsewhere):
        answer = await ask(app, "/metrics", bearer(READER), change=change)
        assert answer.status == 200
        assert "Authorization" in answer.headers["vary"]
    await shut(app)


async def test_they_can_be_for_all_or_off(tmp_path: Path) -> None:
    app: Any = create_app(upstreams=[], cache=tmp_path, metrics="all")
    answer = await ask(app, "/metrics", {"x-forwarded-for": "203.0.113.9"}, change=elsewhere)
    assert answer.status == 200
    await shut(app)
    app = create_app(upstreams=[], cache=tmp_path, metrics="off")
    answer = await ask(app, "/metrics")
    assert (answer.status, answer.text) == (404, "404: Metrics are off here (--metrics off).\n")
    await shut(app)
    with pytest.raises(ValueError, match="metrics must be one of local, all, off"):
        create_app(upstreams=[], cache=tmp_path, metrics="on")


async def test_two_applications_count_for_themselves(tmp_path: Path) -> None:
    one, other = (create_app(upstreams=[], cache=tmp_path / each) for each in "ab")
    await ask(one, "/simple/")
    told = frozenset({("kind", "list"), ("method", "GET"), ("status", "200")})
    assert read((await ask(one, "/metrics")).text)["http_requests_total", told] == 1
    assert ("http_requests_total", told) not in read((await ask(other, "/metrics")).text)
    await shut(one)
    await shut(other)


_WORKER = """
import asyncio, sys, os
from pyodide_mirror.server import create_app
from tests.support.asgi import ask
app = create_app(upstreams=[], cache=sys.argv[1])
async def go():
    for _ in range(int(sys.argv[2])):
        await ask(app, "/simple/")
    print((await ask(app, "/metrics")).text)
asyncio.run(go())
"""


@pytest.mark.nightly
def test_several_processes_count_together(tmp_path: Path) -> None:
    together = tmp_path / "together"
    together.mkdir()
    text = ""
    for count in (2, 3):
        done = subprocess.run(
            [sys.executable, "-c", _WORKER, str(tmp_path / "cache"), str(count)],
            check=True,
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "PROMETHEUS_MULTIPROC_DIR": str(together),
                "PYTHONPATH": str(Path.cwd()),
            },
        )
        text = done.stdout
    found = read(text)
    told = frozenset({("kind", "list"), ("method", "GET"), ("status", "200")})
    assert found["http_requests_total", told] == 5
    assert found["cache_limit_bytes", frozenset()] == 2_000_000_000
