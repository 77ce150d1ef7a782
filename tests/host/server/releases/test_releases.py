"""Pyodide's releases through the server: from CDNs of every kind, from a folder, from the cache."""

import asyncio
import errno
import functools
import gzip
import hashlib
import http.server
import json
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror.cli import main
from pyodide_mirror.loader import CoreFile
from pyodide_mirror.server import create_app
from pyodide_mirror.server.cache.disk import Disk
from pyodide_mirror.server.releases import release_folder, releases
from tests.support.asgi import ASGI, Answer, ask, check_readable, shut
from tests.support.own_server import serving_here
from tests.zoo.cdns import (
    ARRAYS,
    CORE,
    FRAMES,
    KINDS,
    LIBRARY,
    LOCKED,
    PACKAGES,
    SMALL,
    CDNZoo,
    RunningCDN,
    lock_entry,
)
from tests.zoo.server import Manner, Response

VERSION = "314.0.7"
BASE = f"/pyodide/v{VERSION}/full/"
LOCK = "pyodide-lock.json"
FILES = {**CORE, **PACKAGES}
DEAD = ("hanging", "503", "cut-off", "html", "huge", "closed", "empty", "wrong-bytes", "core-only")
FOR_EVER = "public, max-age=31536000, immutable"


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zoo's files are those of one version, and there is another."""
    known = {
        name: CoreFile(name, hashlib.sha256(content).hexdigest(), len(content))
        for name, content in CORE.items()
    }
    versions = {VERSION: known, "314.0.6": known}

    def core_files(version: str) -> dict[str, CoreFile]:
        if version not in versions:
            raise ValueError(version)
        return versions[version]

    monkeypatch.setattr(releases, "core_files", core_files)
    monkeypatch.setattr(releases, "known_versions", lambda: tuple(versions))


@pytest.fixture(scope="module")
def shared() -> Iterator[CDNZoo]:
    with CDNZoo() as zoo:
        yield zoo


@pytest.fixture
def own() -> Iterator[CDNZoo]:
    """CDNs whose requests are counted."""
    with CDNZoo() as zoo:
        yield zoo


Start = Callable[..., ASGI]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Makes a server over CDNs; all of them have the same cache."""
    apps: list[Any] = []

    def make(*cdns: str, **options: Any) -> ASGI:
        settings = {"upstreams": [], "cache": tmp_path / "cache", "timeout": 30, **options}
        apps.append(create_app(cdns=cdns, **settings))
        return apps[-1]

    yield make
    for app in apps:
        await shut(app)


async def get(app: ASGI, name: str, *headers: tuple[str, str], **options: Any) -> Answer:
    return await ask(app, BASE + name, dict(headers), **options)


async def check_all(app: ASGI, caching: str = FOR_EVER) -> None:
    """Every file of the release comes as it is."""
    for name, content in FILES.items():
        answer = await get(app, name)
        assert (answer.status, answer.complete) == (200, True), (name, answer.text)
        assert answer.body == content, name
        assert answer.headers["content-length"] == str(len(content))
        assert answer.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
        assert answer.headers["cache-control"] == caching
        check_readable(answer)


# --- from CDNs ----------------------------------------------------------------------------------


async def test_all_files_come_from_the_one_cdn_that_works(start: Start, shared: CDNZoo) -> None:
    app = start(*map(shared.url, (*DEAD, "good")))
    await check_all(app)


async def test_files_have_the_media_types_that_browsers_demand(
    start: Start, shared: CDNZoo
) -> None:
    app = start(shared.url("wrong-media-types"))
    types = {name: (await get(app, name)).headers["content-type"] for name in FILES}
    assert types == {
        "pyodide.mjs": "text/javascript; charset=utf-8",
        LOCK: "application/json",
        **{wheel.filename: "application/octet-stream" for wheel in LOCKED},
    }


async def test_parts_heads_and_conditions_are_those_of_other_files(
    start: Start, shared: CDNZoo
) -> None:
    app = start(shared.url("good"))
    for name, content in [(LOCK, CORE[LOCK]), (ARRAYS.filename, ARRAYS.data)]:
        part = await get(app, name, ("range", "bytes=10-19"))
        assert (part.status, part.body) == (206, content[10:20])
        assert part.headers["content-range"] == f"bytes 10-19/{len(content)}"
        head = await get(app, name, method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(content))
        known = await get(app, name, ("if-none-match", head.headers["etag"]))
        assert (known.status, known.body) == (304, b"")
        behind = await get(app, name, ("range", f"bytes={len(content)}-"))
        assert (behind.status, behind.headers["content-range"]) == (416, f"bytes */{len(content)}")
        check_readable(behind)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"good", "wrong-media-types", "no-cors"}))
async def test_no_bad_cdn_alone_gives_anything_that_seems_whole(
    start: Start, shared: CDNZoo, kind: str
) -> None:
    app = start(shared.url(kind), timeout=0.3 if kind == "hanging" else 30)
    answer = await get(app, ARRAYS.filename)
    assert not (answer.status == 200 and answer.complete)
    assert ARRAYS.data[-1:] not in answer.body[len(ARRAYS.data) - 1 :]
    if answer.status != 200:
        assert answer.status in {502, 504}
        assert answer.headers["cache-control"] == "no-store"
        assert (answer.status == 504) == (kind == "hanging")
        check_readable(answer)


async def test_who_has_no_working_cdn_learns_what_is_wrong_with_each(
    start: Start, shared: CDNZoo
) -> None:
    app = start(*map(shared.url, ("hanging", "503", "html")), timeout=2)
    text = (await get(app, FRAMES.filename)).text
    for name, what in [
        ("hanging", "no answer within 2 s"),
        ("503", "it answers 503"),
        ("html", "is not Pyodide's (SHA-256 differs)"),
    ]:
        place = shared.url(name).split("/")[2]
        assert f"{place}: " in text
        assert what in text
    seen = json.loads((await ask(app, "/healthz")).body)["cdns"]
    assert [bool(each["problem"]) for each in seen] == [True] * 3


async def test_the_same_is_said_where_the_lock_file_is_in_the_cache(
    start: Start, shared: CDNZoo
) -> None:
    await get(start(shared.url("good")), LOCK)
    app = start(*map(shared.url, ("closed", "503", "core-only", "wrong-bytes")))
    answer = await get(app, FRAMES.filename)
    assert answer.status == 502
    for name, what in [
        ("closed", "no connection"),
        ("503", "answers 503"),
        ("core-only", "answers 404"),
        ("wrong-bytes", "SHA-256 differs"),
    ]:
        place = shared.url(name).split("/")[2]
        assert re.search(f"{place}: [^;]*{what}", answer.text), answer.text


def tampered(response: Response) -> Response:
    """Large files have another last byte."""
    body = response.body
    return replace(response, body=body[:-1] + b"?") if len(body) > 100_000 else response


async def test_wrong_bytes_are_cut_off_and_that_cdn_is_left_behind(
    start: Start, own: CDNZoo
) -> None:
    bad = RunningCDN(replace(KINDS["good"], answer=tampered), CORE, PACKAGES)
    app = start(bad.url, own.url("503"))
    first = await get(app, ARRAYS.filename)
    assert (first.status, first.complete) == (200, False)
    assert ARRAYS.data.startswith(first.body)
    again = start(own.url("wrong-bytes"), bad.url, own.url("good"))
    answers = [await get(again, ARRAYS.filename) for _ in range(2)]
    assert [answer.complete for answer in answers] in ([False, True], [True, True])
    assert answers[1].body == ARRAYS.data
    bad.close()


async def test_a_cdn_that_was_corrected_is_used_again(start: Start) -> None:
    fixed: list[bool] = []
    one = RunningCDN(
        replace(KINDS["good"], answer=lambda each: each if fixed else tampered(each)),
        CORE,
        PACKAGES,
    )
    app = start(one.url)
    assert not (await get(app, ARRAYS.filename)).complete
    fixed.append(True)
    assert (await get(app, ARRAYS.filename)).body == ARRAYS.data
    one.close()


async def test_what_breaks_off_goes_on_from_the_next_cdn(start: Start, own: CDNZoo) -> None:
    app = start(own.url("slow-then-dead"), own.url("good"), timeout=2)
    await get(app, "pyodide.mjs")
    answer = await get(app, ARRAYS.filename)
    assert (answer.body, answer.complete) == (ARRAYS.data, True)


async def test_what_the_only_cdn_cuts_off_is_asked_for_once_more(start: Start) -> None:
    cut: list[bool] = []

    def answer(response: Response) -> Response:
        if cut or len(response.body) < 100_000:
            return response
        cut.append(True)
        return replace(response, manner=Manner.CUT)

    one = RunningCDN(replace(KINDS["good"], answer=answer), CORE, PACKAGES)
    answered = await get(start(one.url), ARRAYS.filename)
    assert (answered.body, answered.complete) == (ARRAYS.data, True)
    assert one.asked.count(ARRAYS.filename) == 2
    one.close()


async def test_a_cdn_that_works_is_asked_before_those_that_do_not(
    start: Start, own: CDNZoo
) -> None:
    app = start(*map(own.url, ("503", "core-only", "good")))
    await check_all(app)
    counts = {name: len(own.start(name).asked) for name in ("503", "core-only")}
    for name in FILES:
        assert (await ask(app, f"/pyodide/v314.0.6/full/{name}")).status == 200
    assert counts["503"] <= 3
    assert own.start("core-only").asked.count(SMALL.filename) <= 2


async def test_who_asks_at_the_same_time_shares_one_request(start: Start, own: CDNZoo) -> None:
    app = start(own.url("good"))
    names = [ARRAYS.filename, LIBRARY.filename, LOCK] * 4
    answers = await asyncio.gather(*(get(app, name) for name in names))
    assert [answer.body for answer in answers] == [FILES[name] for name in names]
    asked = own.start("good").asked
    assert sorted(asked) == sorted({LOCK, ARRAYS.filename, LIBRARY.filename})


# --- what is not served -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/pyodide/v1.2.3/full/pyodide.mjs",
        "/pyodide/v314.0.7-x/full/pyodide.mjs",
        "/pyodide/v../full/pyodide.mjs",
        "/pyodide/v{version}/full/pyodide.mjs",
        f"{BASE}../full/pyodide.mjs",
        f"{BASE}sub/pyodide.mjs",
        f"{BASE}..",
        f"{BASE}%2e%2e",
        f"{BASE}pyodide.asm.wasm",  # which the table of this test does not have
        f"{BASE}package.json",
        f"{BASE}pyodide.mjs%00",
        f"{BASE}numpy",
        BASE,
        BASE.rstrip("/"),
        "/pyodide/",
    ],
)
async def test_other_names_are_unknown_and_nobody_is_asked_for_them(
    start: Start, own: CDNZoo, path: str
) -> None:
    app = start(own.url("good"))
    answer = await ask(app, path)
    assert answer.status == 404
    assert answer.text.endswith(".\n")
    assert answer.headers["cache-control"] == "no-store"
    check_readable(answer)
    may_be_a_name = path in {f"{BASE}pyodide.asm.wasm", f"{BASE}package.json", f"{BASE}numpy"}
    assert set(own.start("good").asked) <= ({LOCK} if may_be_a_name else set())


async def test_an_unknown_version_is_refused_with_those_that_are_known(
    start: Start, shared: CDNZoo
) -> None:
    answer = await ask(start(shared.url("good")), "/pyodide/v0.1.0/full/pyodide.mjs")
    assert answer.text == (
        "404: Pyodide '0.1.0' is not known here; the versions that are: 314.0.7, 314.0.6.\n"
    )


# --- from the cache -----------------------------------------------------------------------------


async def test_what_was_fetched_once_needs_no_cdn_any_more(start: Start, shared: CDNZoo) -> None:
    await check_all(start(shared.url("good")))
    await check_all(start())
    await check_all(start(shared.url("closed")))


async def test_without_cdns_what_is_not_there_is_said_to_be_missing(start: Start) -> None:
    app = start()
    for name in ("pyodide.mjs", LOCK, ARRAYS.filename):
        answer = await get(app, name)
        assert answer.status == 404
        assert "this server asks no CDN" in answer.text


async def test_a_full_disk_is_no_reason_to_serve_nothing(
    start: Start, shared: CDNZoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    app = start(shared.url("good"))
    monkeypatch.setattr(Disk, "begin", full)
    await check_all(app)


# --- from a folder ------------------------------------------------------------------------------


def unpacked(folder: Path, *left_out: str) -> Path:
    """A folder with the release."""
    folder.mkdir(exist_ok=True)
    for name, content in FILES.items():
        if name not in left_out:
            (folder / name).write_bytes(content)
    (folder / "package.json").write_text(json.dumps({"name": "pyodide", "version": VERSION}))
    (folder / "secret.txt").write_text("secret")
    return folder


async def test_a_folder_serves_a_release_without_any_network(start: Start, tmp_path: Path) -> None:
    app = start(pyodide=[unpacked(tmp_path / "release")])
    await check_all(app)
    for name in ("secret.txt", "package.json", "..", "nothing.whl"):
        assert (await get(app, name)).status == 404


async def test_what_a_folder_lacks_comes_from_cdns(
    start: Start, own: CDNZoo, tmp_path: Path
) -> None:
    npm = unpacked(tmp_path / "npm", *(wheel.filename for wheel in LOCKED))
    await check_all(start(own.url("core-only"), own.url("good"), pyodide=[npm]))
    assert not {"pyodide.mjs", LOCK} & set(own.start("good").asked)


async def test_a_damaged_file_in_the_folder_is_not_served(
    start: Start, shared: CDNZoo, tmp_path: Path
) -> None:
    folder = unpacked(tmp_path / "release")
    damaged = folder / ARRAYS.filename
    damaged.write_bytes(ARRAYS.data[:-1] + b"?")
    (folder / "pyodide.mjs").write_bytes(b"export const loadPyodide = evil;")
    offline = start(pyodide=[folder])
    for name in (ARRAYS.filename, "pyodide.mjs"):
        answer = await get(offline, name)
        assert answer.status == 503
        assert f"{name} is not what it must be (SHA-256 differs)" in answer.text
    await check_all(start(shared.url("good"), pyodide=[folder]))
    damaged.write_bytes(ARRAYS.data)
    assert (await get(offline, ARRAYS.filename)).body == ARRAYS.data


async def test_a_lock_file_of_ones_own_says_what_is_right(
    start: Start, own: CDNZoo, tmp_path: Path
) -> None:
    folder = unpacked(tmp_path / "own", FRAMES.filename)
    lock = json.dumps({"packages": {"zoo-frames": lock_entry(FRAMES)}}).encode()
    (folder / LOCK).write_bytes(lock)
    (folder / "pyodide.mjs").write_bytes(b"// built by myself")
    app = start(own.url("good"), pyodide=[folder])
    for name, content in [
        (LOCK, lock),
        ("pyodide.mjs", b"// built by myself"),
        (FRAMES.filename, FRAMES.data),
    ]:
        answer = await get(app, name)
        assert (answer.status, answer.body) == (200, content)
        assert answer.headers["cache-control"] == "no-cache"
    assert (await get(app, ARRAYS.filename)).status == 404
    assert own.start("good").asked == [FRAMES.filename]


async def test_a_changed_lock_file_is_noticed_and_a_broken_one_is_an_error(
    start: Start, tmp_path: Path
) -> None:
    folder = unpacked(tmp_path / "own")
    app = start(pyodide=[folder])
    await check_all(app)
    (folder / LOCK).write_text("{")
    broken = await get(app, FRAMES.filename)
    assert broken.status == 503
    assert "is no lock file of Pyodide" in broken.text
    (folder / LOCK).unlink()
    assert (await get(app, LOCK)).status == 503
    (folder / LOCK).write_bytes(CORE[LOCK])
    await check_all(app)


async def test_a_folder_may_have_a_version_that_no_table_knows(
    start: Start, tmp_path: Path
) -> None:
    folder = unpacked(tmp_path / "new")
    (folder / "pyodide.mjs").write_bytes(b'var x="400.0.0a1";')
    (folder / "pyodide.asm.wasm").write_bytes(b"\0asm")
    app = start(pyodide=[folder])
    answer = await ask(app, "/pyodide/v400.0.0a1/full/pyodide.asm.wasm")
    assert (answer.status, answer.body) == (200, b"\0asm")
    assert answer.headers["content-type"] == "application/wasm"
    assert (await ask(app, "/pyodide/v400.0.0a1/full/pyodide.js")).status == 404
    assert (await ask(app, f"{BASE}pyodide.mjs")).status == 404


async def test_what_a_disk_cannot_read_is_not_served(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> str:
        raise OSError(errno.EIO, "Input/output error")

    app = start(pyodide=[unpacked(tmp_path / "release")])
    assert (await get(app, LOCK)).status == 200
    monkeypatch.setattr(release_folder, "digest_of", failing)
    assert (await get(app, ARRAYS.filename)).status == 404
    monkeypatch.setattr(release_folder, "read_lock", failing)
    os.utime(tmp_path / "release" / LOCK, (1, 1))  # so that it is read anew
    answer = await get(app, LOCK)
    assert (answer.status, "Input/output error" in answer.text) == (503, True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_what_may_not_be_read_is_not_there(start: Start, tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "release")
    (folder / ARRAYS.filename).chmod(0)
    assert (await get(start(pyodide=[folder]), ARRAYS.filename)).status == 404


def test_what_is_wrong_with_a_folder_is_said_at_the_start(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    unpacked(archive / "pyodide")
    broken = unpacked(tmp_path / "broken")
    (broken / LOCK).write_text("[]")
    nameless = unpacked(tmp_path / "nameless")
    (nameless / "package.json").unlink()
    file = tmp_path / "file"
    file.write_bytes(b"")
    twice = [unpacked(tmp_path / "one"), unpacked(tmp_path / "two")]
    for folders, sentence in [
        ([tmp_path / "nowhere"], "nowhere' does not exist"),
        ([file], "file' is no folder"),
        (
            [archive],
            f"no pyodide-lock.json, so it is no unpacked release of Pyodide; give '{archive}",
        ),
        ([broken], "broken' is no lock file of Pyodide"),
        ([nameless], "neither pyodide.mjs nor package.json says it"),
        (twice, "Pyodide 314.0.7 is in two folders"),
    ]:
        with pytest.raises(ValueError, match="Pyodide") as raised:
            create_app(upstreams=[], cache=tmp_path / "cache", pyodide=folders)
        assert sentence in str(raised.value)


# --- packed -------------------------------------------------------------------------------------

GZIP = ("accept-encoding", "br, gzip")


async def test_the_core_comes_packed_to_who_takes_that(start: Start, tmp_path: Path) -> None:
    app = start(pyodide=[unpacked(tmp_path / "release")])
    for name, content in CORE.items():
        plain = await get(app, name)
        packed = await get(app, name, GZIP)
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed.body) == content
        assert packed.headers["content-length"] == str(len(packed.body))
        assert packed.headers["content-type"] == plain.headers["content-type"]
        assert packed.headers["cache-control"] == FOR_EVER
        assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
        assert packed.headers["etag"] != plain.headers["etag"]
        check_readable(packed)
        known = await get(app, name, GZIP, ("if-none-match", packed.headers["etag"]))
        assert (known.status, known.body) == (304, b"")
        head = await get(app, name, GZIP, method="HEAD")
        assert head.headers["content-length"] == packed.headers["content-length"]
        part = await get(app, name, GZIP, ("range", "bytes=0-4"))
        assert (part.status, part.body) == (206, content[:5])
        assert "content-encoding" not in part.headers
        assert (await get(app, name, ("accept-encoding", "gzip;q=0"))).body == content
    wheel = await get(app, ARRAYS.filename, GZIP)
    assert wheel.body == ARRAYS.data
    assert not {"vary", "content-encoding"} & wheel.headers.keys()


async def test_what_arrives_from_a_cdn_is_packed_the_next_time(
    start: Start, shared: CDNZoo
) -> None:
    app = start(shared.url("good"))
    name = "pyodide.mjs"
    assert (await get(app, name, GZIP)).body == CORE[name]
    second = await get(app, name, GZIP)
    assert gzip.decompress(second.body) == CORE[name]


def packed_in(cache: Path) -> list[Path]:
    return list(cache.glob("gzip/*/*"))


async def test_a_damaged_packed_file_is_made_anew(start: Start, tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "release")
    name = "pyodide.mjs"
    await get(start(pyodide=[folder]), name, GZIP)
    [kept] = packed_in(tmp_path / "cache")
    good = kept.read_bytes()
    for damaged in (b"", good[:-4], good[:12] + b"????" + good[16:], gzip.compress(b"evil")):
        kept.write_bytes(damaged)
        answer = await get(start(pyodide=[folder]), name, GZIP)
        assert gzip.decompress(answer.body) == CORE[name]


async def test_what_cannot_be_packed_is_served_as_it_is(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    app = start(pyodide=[unpacked(tmp_path / "release")])
    monkeypatch.setattr(Disk, "begin", full)
    answer = await get(app, "pyodide.mjs", GZIP)
    assert answer.body == CORE["pyodide.mjs"]
    assert "content-encoding" not in answer.headers


# --- for people ---------------------------------------------------------------------------------


async def test_the_page_for_people_says_how_to_use_it(
    start: Start, shared: CDNZoo, tmp_path: Path
) -> None:
    url = "http://mirror.localhost/pyodide/v"
    text = (await ask(start(shared.url("good")), "/")).text
    assert f"CDN(&#x27;{url}{{version}}/full/&#x27;)" in text
    assert f"const indexURL = &quot;{url}314.0.6/full/&quot;" in text
    assert shared.url("good").split("/")[2] in text
    text = (await ask(start(pyodide=[unpacked(tmp_path / "release")]), "/")).text
    assert "Pyodide 314.0.7 in the folder release" in text
    text = (await ask(start(), "/")).text
    assert "indexURL" not in text


# --- beside other servers -----------------------------------------------------------------------


def told(url: str, name: str, headers: dict[str, str], method: str) -> dict[str, Any]:
    """What a server says of a file."""
    request = urllib.request.Request(f"{url}/{name}", headers=headers, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            status, sent, body = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return {"status": error.code}
    kind = sent["content-type"].partition(";")[0]
    return {"status": status, "type": kind, "length": sent["content-length"], "body": body}


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[str]:
    """Python's own server over the same folder."""
    types = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".whl": "application/octet-stream",
    }

    class Handler(http.server.SimpleHTTPRequestHandler):
        extensions_map = types

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    handler = functools.partial(Handler, directory=unpacked(tmp_path / "release"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_folder_is_served_as_a_plain_server_does_it(plain: str, tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "release")
    (folder / "pyodide.asm.wasm").write_bytes(b"\0asm")  # not in the table, and so not served
    with serving_here(pyodide=[folder], cache=tmp_path / "cache") as ours:
        for name in (*FILES, "nothing.whl", "sub/pyodide.mjs"):
            for method in ("GET", "HEAD"):
                here = told(ours.url + BASE.rstrip("/"), name, {}, method)
                assert here == told(plain, name, {}, method), (name, method)


def test_our_own_command_finds_it_full(
    shared: CDNZoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cdns = [shared.url("core-only"), shared.url("good")]
    with serving_here(cdns=cdns, cache=tmp_path / "cache") as ours:
        assert main(["check", "--json", "--cdns", f"{ours.url}/pyodide/v{{version}}/full/"]) == 0
    [found] = json.loads(capsys.readouterr().out)["cdns"]
    assert (found["reason"], found["support"]) == ("ok", "full")
